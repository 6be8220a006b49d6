"""What evolution must do, beside what every searcher does."""

import msgspec
import pytest

from hpmpi.master.searchers import OVER, evolution
from hpmpi.master.searchers.evolution import IMMIGRANTS, POPULATION, Evolution
from hpmpi.master.searchers.random import Random
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.space import Space
from hpmpi.model.trial import Config
from hpmpi.model.values import same
from tests.harness.build import SPACE
from tests.harness.insides import insides
from tests.harness.searching import ask_and_tell

FORMS = [(), (1,), (1, 3, 9)]
every_form = pytest.mark.parametrize("rungs", FORMS)
FEW = Space({"solver": Choice(["a", "b", "c"]), "depth": Int(1, 9)})
PLANE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "solver": Choice(["a", "b"])})


def loss(config: Config) -> float:
    """Have one valley."""
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2 + (config["solver"] == "b"))


def go_on(searcher: Evolution, trials: range) -> list[Config]:
    """Ask for trials; one in five fails, one in three goes on to the next rung."""
    return ask_and_tell(searcher, trials, tell)


def tell(searcher: Evolution, trial: int, config: Config) -> None:
    """Tell of a trial."""
    value = loss(config) if "y" in config else float(trial % 7)
    searcher.tell(trial, 0, 1, None if trial % 5 == 4 else value, {})
    if trial % 3 == 0:
        searcher.tell(trial, 1, 3, value, {})


@every_form
@pytest.mark.parametrize("before", [0, 9, 40, 100])
def test_who_is_told_what_was_goes_on_as_who_did_it(rungs: tuple[int, ...], before: int) -> None:
    searcher, other = Evolution(SPACE, 1, [], rungs=rungs), Evolution(SPACE, 1, [], rungs=rungs)
    for trial, config in enumerate(go_on(searcher, range(before))):
        other.adopt(trial, config)
        tell(other, trial, config)
    assert insides(other) == insides(searcher)
    further = range(before, before + 10)
    assert go_on(other, further) == go_on(searcher, further)


@every_form
@pytest.mark.parametrize("seed", range(3))
def test_it_comes_closer_than_chance(rungs: tuple[int, ...], seed: int) -> None:
    configs = go_on(Evolution(PLANE, seed, [], rungs=rungs), range(150))
    random = Random(PLANE, seed, [])
    drawn = [config for trial in range(150) if isinstance(config := random.ask(trial), dict)]
    assert sum(map(loss, configs[75:])) < 0.7 * sum(map(loss, drawn[75:]))


@every_form
def test_each_configuration_of_a_finite_space_is_given_once(rungs: tuple[int, ...]) -> None:
    searcher = Evolution(FEW, 0, [{"depth": 3}, {"depth": 3}], rungs=rungs)
    configs = go_on(searcher, range(27))
    assert len({msgspec.json.encode(config) for config in configs}) == searcher.size == 27
    assert searcher.ask(27) is OVER


def test_several_rungs_make_it_differential_unless_a_form_is_said() -> None:
    forms = [Evolution(SPACE, 0, [], rungs=rungs)._is_differential for rungs in FORMS]
    assert forms == [False, False, True]
    assert not Evolution(SPACE, 0, [], rungs=(1, 3), form="aging")._is_differential
    assert Evolution(SPACE, 0, [], form="differential")._is_differential


def test_some_are_drawn_at_random_and_nobodys_children() -> None:
    children = [Evolution(PLANE, 0, []) for _ in range(2)]
    for searcher, best in zip(children, (0.1, 0.9), strict=True):
        for trial in range(POPULATION):
            at = trial / 100 + best / 2
            searcher.adopt(trial, {"x": at, "y": at, "solver": "a"})
            searcher.tell(trial, 0, 1, abs(at - best), {})
    further = range(POPULATION, POPULATION + 1000)
    alike = [children[0].ask(trial) == children[1].ask(trial) for trial in further]
    assert 0.5 * IMMIGRANTS < sum(alike) / len(alike) < 2 * IMMIGRANTS


def test_a_child_of_aging_evolution_differs_in_one_hyperparameter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evolution, "IMMIGRANTS", 0.0)
    searcher = Evolution(SPACE, 0, [])
    configs = go_on(searcher, range(60))
    for trial in range(30, 60):
        differing = [
            sum(not same(configs[trial][name], parent[name]) for name in SPACE.dimensions)
            for parent in configs[:trial]
        ]
        assert min(differing) == 1


def test_who_is_old_is_a_parent_no_more() -> None:
    searcher = Evolution(PLANE, 0, [])
    for trial in range(2 * POPULATION):
        searcher.adopt(trial, {"x": trial / 100, "y": 0.5, "solver": "a"})
        searcher.tell(trial, 0, 1, float(trial), {})
    assert sorted(trial for _, trial in searcher._alive) == [*range(POPULATION, 2 * POPULATION)]


def test_a_higher_rung_makes_fitter_than_any_loss() -> None:
    searcher = Evolution(PLANE, 0, [], form="differential")
    for trial in range(50):
        searcher.tell(trial, 0, 1, float(trial), {})
    searcher.tell(49, 1, 3, 1000.0, {})
    assert [trial for _, _, trial in searcher._fittest][:3] == [49, 0, 1]
