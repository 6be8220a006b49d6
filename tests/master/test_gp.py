"""What Bayesian optimisation must do, beside what every searcher does."""

import math
import subprocess
import sys
from collections.abc import Callable
from random import Random as Generator

import msgspec
import numpy as np
import pytest

from hpmpi.master.searchers import OVER
from hpmpi.master.searchers.gp import Gp
from hpmpi.master.searchers.random import Random
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.priors import Prior
from hpmpi.model.space import Space
from hpmpi.model.trial import Config
from tests.harness.build import SPACE
from tests.harness.insides import insides

Loss = Callable[[Config, int], float | None]

FEW = Space({"solver": Choice(["a", "b", "c"]), "depth": Int(1, 9)})
PLANE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def plane(config: Config, rung: int) -> float:
    """Have one valley; less is seen of it at a low rung."""
    x, y = config["x"], config["y"]
    return float((x - 0.3) ** 2 + (y - 0.7) ** 2 + 0.1 / (1 + rung))


def fails_on_the_left(config: Config, rung: int) -> float | None:
    """Fail in half of the plane."""
    return None if config["x"] < 0.5 else plane(config, rung)


def anything(config: Config, rung: int) -> float:
    """Depend on all of a configuration, somehow."""
    return Generator(f"{sorted(config.items())}/{rung}").random()  # noqa: S311 - not for secrets


def study(searcher: Gp, loss: Loss, trials: range, rungs: int = 1) -> list[Config]:
    """Ask for trials, each at the lowest rung; every third goes on to the next."""
    configs = []
    for trial in trials:
        config = searcher.ask(trial)
        assert isinstance(config, dict)
        searcher.tell(trial, 0, 1, loss(config, 0), {})
        for rung in range(1, rungs):
            if trial % 3**rung == 0:
                searcher.tell(trial, rung, 3**rung, loss(config, rung), {})
        configs.append(config)
    return configs


def told_of(searcher: Gp, configs: list[Config], loss: Loss, rungs: int = 1) -> Gp:
    """Tell a searcher what another was asked for and told in a study."""
    for trial, config in enumerate(configs):
        searcher.adopt(trial, config)
        for rung in range(rungs):
            if trial % 3**rung == 0:
                searcher.tell(trial, rung, 3**rung, loss(config, rung), {})
    return searcher


@pytest.mark.parametrize("fidelity", ["joint", "top"])
@pytest.mark.parametrize("ranks", [1, 8, 64])
@pytest.mark.parametrize(("before", "rungs"), [(0, 1), (11, 1), (40, 3), (61, 3)])
def test_who_is_told_what_was_goes_on_as_who_did_it(
    fidelity: str, ranks: int, before: int, rungs: int
) -> None:
    def make() -> Gp:
        return Gp(SPACE, 3, [{}], ranks=ranks, fidelity=fidelity)  # type: ignore[arg-type]

    searcher = make()
    configs = study(searcher, anything, range(before), rungs)
    other = told_of(make(), configs, anything, rungs)
    assert insides(other) == insides(searcher)
    further = range(before, before + 5)
    assert study(other, anything, further, rungs) == study(searcher, anything, further, rungs)


def test_what_was_asked_meanwhile_and_not_taken_changes_nothing() -> None:
    searcher, other = Gp(PLANE, 0, []), Gp(PLANE, 0, [])
    configs = study(searcher, plane, range(20))
    told_of(other, configs, plane)
    other._surrogate.outlook(15)
    assert study(other, plane, range(20, 25)) == study(searcher, plane, range(20, 25))


def test_global_randomness_changes_nothing() -> None:
    configs = study(Gp(PLANE, 0, []), plane, range(15))
    np.random.seed(7)  # noqa: NPY002 - it is what is not to matter
    assert study(Gp(PLANE, 0, []), plane, range(15)) == configs


def test_the_first_ten_are_random() -> None:
    random = Random(PLANE, 5, [])
    configs = study(Gp(PLANE, 5, []), plane, range(11))
    assert configs[:10] == [random.ask(trial) for trial in range(10)]
    assert configs[10] != random.ask(10)


def test_what_is_to_be_tried_first_comes_first_however_late() -> None:
    first = [{"x": trial / 40} for trial in range(20)]
    configs = study(Gp(PLANE, 0, first), plane, range(21))
    assert [config["x"] for config in configs[:20]] == [each["x"] for each in first]


@pytest.mark.parametrize("seed", range(3))
def test_it_comes_close_to_the_least(seed: int) -> None:
    configs = study(Gp(PLANE, seed, []), plane, range(30))
    assert min(plane(config, 9**9) for config in configs) < 0.002


@pytest.mark.parametrize("fidelity", ["joint", "top"])
def test_it_learns_from_low_rungs(fidelity: str) -> None:
    searcher = Gp(PLANE, 0, [], fidelity=fidelity)  # type: ignore[arg-type]
    configs = study(searcher, plane, range(60), rungs=3)
    assert min(plane(config, 9**9) for config in configs[10:]) < 0.005


def test_it_stays_away_from_where_trials_fail() -> None:
    configs = study(Gp(PLANE, 0, []), fails_on_the_left, range(50))
    assert sum(config["x"] < 0.5 for config in configs[10:]) < 10
    assert min(fails_on_the_left(config, 9**9) or math.inf for config in configs) < 0.05


@pytest.mark.parametrize("fidelity", ["joint", "top"])
def test_it_goes_on_where_all_fails_at_first(fidelity: str) -> None:
    searcher = Gp(PLANE, 0, [], fidelity=fidelity)  # type: ignore[arg-type]
    study(searcher, lambda *_: None, range(13), rungs=2)
    study(searcher, plane, range(13, 20), rungs=2)


def test_it_goes_on_where_all_is_alike() -> None:
    configs = study(Gp(PLANE, 0, []), lambda *_: 0.5, range(20))
    assert len({config["x"] for config in configs}) == 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("first", [[], [{"solver": "b", "depth": 3}] * 2])
def test_each_configuration_of_a_finite_space_is_given_once(seed: int, first: list[Config]) -> None:
    searcher = Gp(FEW, seed, first)
    configs = study(searcher, anything, range(27))
    assert len({msgspec.json.encode(config) for config in configs}) == searcher.size == 27
    assert searcher.ask(27) is OVER
    assert searcher.ask(27) is OVER


def test_nothing_is_given_twice_to_many_who_ask_at_the_same_time() -> None:
    space = Space({"x": Float(0.0, 1.0), "layers": Int(1, 3), "solver": Choice(["a", "b", "c"])})
    searcher = Gp(space, 0, [], ranks=64)
    for trial in range(16):
        config = searcher.ask(trial)
        assert isinstance(config, dict)
        searcher.tell(trial, 0, 1, anything(config, 0), {})
    configs = [searcher.ask(trial) for trial in range(16, 216)]
    assert len({msgspec.json.encode(config) for config in configs}) == 200


def test_one_model_serves_as_many_results_as_a_quarter_of_the_ranks() -> None:
    searcher = Gp(PLANE, 0, [], ranks=64)
    study(searcher, plane, range(40))
    models = searcher._surrogate.outlook.cache_info()
    assert models.misses <= 1 + 40 // 16


def test_whoever_makes_none_does_not_wait_for_numpy() -> None:
    code = "import sys, hpmpi.master.searchers.gp; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_was_learnt_of_earlier_runs_is_known_from_the_first_trial_on_and_not_tried_again() -> (
    None
):
    draws = Random(PLANE, 7, [])
    earlier = [config for trial in range(40) if isinstance(config := draws.ask(trial), dict)]
    knowing = Gp(PLANE, 1, [])
    for config in earlier:
        knowing.learn(config, 0, 1, plane(config, 0), {})
        knowing.learn(config, -1, 1, None, {})  # of less than any trial here is trained for
    known = study(knowing, plane, range(5))
    unknown = study(Gp(PLANE, 1, []), plane, range(5))
    assert not any(config in earlier for config in known)
    assert min(plane(it, 0) for it in known) < min(plane(it, 0) for it in [*unknown, *earlier])


def tell_again(searcher: Gp, configs: list[Config], loss: Loss) -> None:
    """Tell of some trials at another rung."""
    for trial, config in enumerate(configs):
        searcher.tell(trial, 1, 3, loss(config, 1), {})


@pytest.mark.parametrize("space", [PLANE, FEW])
def test_who_is_asked_again_has_suggested_nothing_from_that_trial_on(space: Space) -> None:
    searcher, other = Gp(space, 0, [{}]), Gp(space, 0, [{}])
    configs = study(searcher, anything, range(12))
    told_of(other, configs, anything)
    for trial in range(12, 20):
        searcher.ask(trial)
    for it in (searcher, other):
        tell_again(it, configs, anything)
    assert study(searcher, anything, range(12, 27)) == study(other, anything, range(12, 27))
    assert space is PLANE or searcher.ask(27) is OVER


@pytest.mark.parametrize("seed", range(3))
def test_each_of_few_is_given_once_though_asked_for_again(seed: int) -> None:
    searcher, random = Gp(FEW, seed, [{"depth": 2}]), Generator(seed)  # noqa: S311
    configs: list[Config] = []
    while isinstance(config := searcher.ask(len(configs)), dict):
        for ahead in range(1, random.randint(1, 4)):
            searcher.ask(len(configs) + ahead)
        if random.random() < 0.5:
            config = searcher.ask(len(configs))
            assert isinstance(config, dict)
        searcher.tell(len(configs), 0, 1, anything(config, 0), {})
        configs.append(config)
    assert len({msgspec.json.encode(it) for it in configs}) == len(configs) == 27


def test_what_is_expected_is_tried_at_once_and_no_other_random_one_is_another() -> None:
    prior = Prior(0.75, 0.75)
    believed = msgspec.structs.replace(PLANE, priors={"x": prior})
    configs = study(Gp(believed, 5, [{"y": 0.5}]), plane, range(10))
    others = study(Gp(PLANE, 5, [{"y": 0.5}]), plane, range(10))
    assert configs[1]["x"] == 0.75
    assert configs[1] != others[1]
    assert [configs[0], *configs[2:]] == [others[0], *others[2:]]


def test_a_prior_that_is_strong_is_heeded_by_the_model_but_less_and_less() -> None:
    def apart(trials: int) -> float:
        believed = msgspec.structs.replace(PLANE, priors={"x": Prior(0.95, 0.95, 1.0)})
        searcher = Gp(believed, 0, [])
        told_of(searcher, study(Gp(PLANE, 1, []), anything, range(trials)), anything)
        return float(np.ptp(searcher._surrogate.outlook(trials).beliefs))

    assert apart(12) > 2 * apart(48) > 0
