"""Other people's searchers: what they must do beside the laws of all searchers."""

import math
import sys
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest

import hpmpi.master.adapters
import hpmpi.master.searchers
from hpmpi.errors import SettingsError
from hpmpi.master.searchers import LATER, OVER, Searcher
from hpmpi.model.conditions import Condition, OneOf
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import Choice, Float, Int, OptionalRange, Ordinal
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal
from hpmpi.study.references import NotThereError, find
from tests.harness.build import SPACE
from tests.harness.searching import ask_and_tell

GENERATORS = Path(__file__).parents[1] / "harness" / "generators.py"
MUTANTS, GENERATIONS = f"gest:{GENERATORS}:Mutants", f"gest:{GENERATORS}:Generations"
SAMPLERS = ["TPESampler", "CmaEsSampler", "QMCSampler", "NSGAIISampler", "RandomSampler"]
ADAPTED = [*(f"optuna:{name}" for name in SAMPLERS), MUTANTS]

every_adapted = pytest.mark.parametrize("name", ADAPTED)

PLANE = Space({"x": Float(0.0, 1.0), "y": Float(1e-3, 1.0, log=True)})
MIXED = Space(
    {
        "x": Float(0.0, 0.95, step=0.1),
        "rate": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 8, step=2),
        "units": Int(8, 512, log=True),
        "solver": Choice(["sgd", 1, 1.0, True, [64, 32]]),
        "batch": Ordinal([16, 32, "whole"]),
        "decay": OptionalRange(Float(1e-6, 1e-2, log=True)),
        "momentum": Float(0.5, 0.5),
    },
    {"momentum": Condition({"solver": OneOf(["sgd"], ["sgd"])})},
)
FEW = Space({"solver": Choice(["a", "b", "c"]), "depth": Int(1, 3)})


def make(name: str, space: Space = SPACE, **options: Any) -> Any:
    """Make a searcher by the name that a study has."""
    first = options.pop("first", [])
    kind = find(name, hpmpi.master.searchers, adapters=hpmpi.master.adapters)
    return kind(space, options.pop("seed", 3), first, **options)


def with_(space: Space, **dimensions: Any) -> Space:
    """Have another space, with some other dimensions."""
    return Space({**space.dimensions, **dimensions})


def loss_of(config: Config) -> float | None:
    """Lose by all that a configuration has; a few fail."""
    digits = sum(msgspec.json.encode(config))
    return None if digits % 7 == 0 else digits % 101 / 10


def study(searcher: Searcher, trials: range) -> list[Config]:
    """Ask and tell; every third trial reaches a second rung."""
    return ask_and_tell(searcher, trials, tell)


def tell(searcher: Searcher, trial: int, config: Config) -> None:
    """Tell what came of a trial."""
    loss = loss_of(config)
    searcher.tell(trial, 0, 1, loss, {})
    if trial % 3 == 0 and loss is not None:
        searcher.tell(trial, 1, 3, loss / 2, {})


# -- all of them ----------------------------------------------------------------------------------


@every_adapted
def test_several_metrics_are_refused_with_what_there_is_for_them(name: str) -> None:
    several = Goal("score", "max", (Goal("size", "min"),))
    with pytest.raises(SettingsError, match="evolution and gp"):
        make(name, goal=several)
    assert make(name, goal=Goal("score", "max")).ask(0)


@every_adapted
@pytest.mark.parametrize("before", [0, 1, 12, 40])
def test_who_is_told_what_was_goes_on_as_who_did_it(name: str, before: int) -> None:
    searcher, other = (make(name, rungs=(1, 3), first=[{"x": 0.25}]) for _ in range(2))
    for trial, config in enumerate(study(searcher, range(before))):
        other.adopt(trial, config)
        tell(other, trial, config)
    further = range(before, before + 8)
    assert study(other, further) == study(searcher, further)


@every_adapted
def test_whatever_a_space_has_comes_out_of_it(name: str) -> None:
    configs = study(make(name, MIXED), range(60))
    assert [MIXED.whole(config) for config in configs] == configs
    if name == MUTANTS:  # which stay near what was good
        return
    for it in ("solver", "batch", "layers"):
        assert len({str(config[it]) for config in configs}) > 1
    assert {"momentum" in config for config in configs} == {True, False}
    assert {config["decay"] is None for config in configs} == {True, False}


@every_adapted
def test_each_configuration_of_a_finite_space_is_given_once_and_then_it_is_over(name: str) -> None:
    searcher = make(name, FEW, first=[{"depth": 2}])
    configs = study(searcher, range(9))
    assert len({msgspec.json.encode(config) for config in configs}) == searcher.size == 9
    assert configs[0]["depth"] == 2
    assert searcher.ask(9) is OVER


@every_adapted
def test_constraints_hold(name: str) -> None:
    constraint = Constraint("x + y <= 0.6")
    space = msgspec.structs.replace(PLANE, constraints=(constraint,))
    for config in study(make(name, space), range(40)):
        assert config["x"] + config["y"] <= 0.6


@every_adapted
def test_what_another_has_chosen_is_known_and_what_comes_of_it(name: str) -> None:
    searcher = make(name, PLANE)
    searcher.learn({"x": 0.5, "y": 0.5}, 0, 1, 0.25, {})
    searcher.learn({"x": 0.25, "y": 0.5}, -1, 1, None, {})  # of less than any trial is trained for
    for trial in range(5):
        config = {"x": trial / 10, "y": 0.1}
        searcher.adopt(trial, config)
        searcher.tell(trial, 0, 1, float(trial), {})
    assert isinstance(searcher.ask(5), dict)


# -- Optuna ---------------------------------------------------------------------------------------


def alone(sampler: optuna.samplers.BaseSampler, trials: int) -> list[Config]:
    """Have Optuna search by itself."""
    given = optuna.create_study(sampler=sampler)
    kinds = optuna.distributions
    configs = []
    for _ in range(trials):
        trial = given.ask(
            {
                "x": kinds.FloatDistribution(0.0, 1.0),
                "rate": kinds.FloatDistribution(1e-4, 1.0, log=True),
                "layers": kinds.IntDistribution(1, 4),
                "units": kinds.IntDistribution(8, 512, log=True),
                "solver": kinds.CategoricalDistribution(["sgd", "adam", "lbfgs"]),
            }
        )
        configs.append(trial.params)
        loss = loss_of(trial.params)
        given.tell(trial, loss, state=None if loss is not None else optuna.trial.TrialState.FAIL)
    return configs


@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
@pytest.mark.parametrize("options", [{}, {"multivariate": True, "n_ei_candidates": 8}])
def test_tpe_suggests_what_it_does_in_optuna_alone(seed: int, options: dict[str, Any]) -> None:
    # Optuna takes 1, 1.0 and True for one value.
    solver = Choice(["sgd", "adam", "lbfgs"])
    searcher = make("optuna:TPESampler", with_(SPACE, solver=solver), seed=seed, **options)
    configs = []
    for trial in range(50):
        configs.append(config := searcher.ask(trial))
        searcher.tell(trial, 0, 1, loss_of(config), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # that it is experimental
        sampler = optuna.samplers.TPESampler(seed=seed, **options)
    assert configs == alone(sampler, 50)


def test_trials_are_in_optunas_study_as_they_are() -> None:
    searcher = make("optuna:TPESampler", PLANE, rungs=(1, 3, 9))
    for trial in range(4):
        searcher.ask(trial)
    searcher.tell(0, 0, 1, None, {})
    searcher.tell(1, 0, 1, 0.5, {})
    searcher.tell(2, 0, 1, 0.4, {})
    searcher.tell(2, 1, 3, 0.3, {})
    searcher.tell(2, 2, 9, 0.2, {})
    trials = searcher._study.trials
    assert [it.state.name for it in trials] == [
        *("FAIL", "PRUNED", "PRUNED", "RUNNING"),
        *("PRUNED", "COMPLETE"),
    ]
    assert trials[1].intermediate_values == {1: 0.5}
    assert trials[4].intermediate_values == {1: 0.4, 3: 0.3}
    assert (trials[5].value, trials[5].params) == (0.2, trials[2].params)


def test_what_may_not_be_tried_is_in_work_no_more() -> None:
    space = msgspec.structs.replace(PLANE, constraints=(Constraint("x + y <= 0.3"),))
    searcher = make("optuna:RandomSampler", space)
    for trial in range(20):
        searcher.ask(trial)
    states = [it.state.name for it in searcher._study.trials]
    assert states.count("RUNNING") == 20
    assert states.count("FAIL") == len(states) - 20 > 0


def test_what_came_out_otherwise_is_known_as_it_was_tried() -> None:
    searcher = make("optuna:TPESampler", PLANE)
    searcher.adopt(0, {"x": 0.125, "y": 0.25})
    dropped, kept = searcher._study.trials
    assert (dropped.state.name, kept.state.name) == ("FAIL", "RUNNING")
    assert kept.params == {"x": 0.125, "y": 0.25}


def test_a_sampler_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(NotThereError, match=r"optuna:TPE .*: CmaEsSampler, .*TPESampler"):
        make("optuna:TPE")


@pytest.mark.parametrize("name", ["optuna:GridSampler", "optuna:BaseSampler", "optuna:nsgaii"])
def test_what_is_no_sampler_by_itself_is_refused(name: str) -> None:
    with pytest.raises(NotThereError, match="Optuna has no such sampler"):
        make(name)


@pytest.mark.parametrize(
    ("package", "name"), [("optuna", "optuna:TPESampler"), ("gest_api", MUTANTS)]
)
def test_a_library_that_is_not_installed_is_told_with_what_to_do(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotThereError, match=rf"pip install 'hpmpi\[{name.partition(':')[0]}\]'"):
        make(name)


# -- the standard's generators --------------------------------------------------------------------


def test_a_generator_is_told_of_what_it_gave_with_its_identifiers() -> None:
    searcher = make(MUTANTS, PLANE, rungs=(1, 3), width=0.2)
    for trial in range(3):
        searcher.ask(trial)
    searcher.tell(0, 0, 1, 0.5, {})  # of which the standard knows nothing
    searcher.tell(0, 1, 3, 0.25, {})
    searcher.tell(1, 0, 1, None, {})
    top, failed = searcher._generator.ingested
    assert (top["_id"], top["loss"]) == (0, 0.25)
    assert failed["_id"] == 1
    assert math.isnan(failed["loss"])
    assert searcher._generator.width == 0.2
    assert searcher._generator.random.getstate() != make(MUTANTS, seed=4)._generator.random


def test_a_choice_has_the_numbers_of_its_values() -> None:
    searcher = make(MUTANTS, FEW)
    for trial in range(5):
        config = searcher.ask(trial)
        assert config["solver"] == "abc"[searcher._begun[trial]["solver"]]
    searcher.adopt(5, {"solver": "c", "depth": 1})
    assert searcher._begun[5]["solver"] == 2


def test_a_generator_comes_close_to_the_least() -> None:
    searcher = make(MUTANTS, PLANE)
    losses = []
    for trial in range(150):
        config = searcher.ask(trial)
        losses.append((config["x"] - 0.3) ** 2 + (config["y"] - 0.1) ** 2)
        searcher.tell(trial, 0, 1, losses[-1], {})
    assert min(losses[100:]) < 0.003


def test_a_generator_that_gives_nothing_yet_is_waited_for() -> None:
    searcher = make(GENERATIONS, PLANE)
    assert all(isinstance(searcher.ask(trial), dict) for trial in range(4))
    assert searcher.ask(4) is LATER
    for trial in range(4):
        assert searcher.ask(4) is LATER
        searcher.tell(trial, 0, 1, float(trial), {})
    assert isinstance(searcher.ask(4), dict)


@pytest.mark.parametrize("name", ["Point", "nothing"])
def test_what_is_no_generator_is_refused(name: str) -> None:
    with pytest.raises(NotThereError, match=r"is no class derived|has no 'nothing'"):
        make(f"gest:{GENERATORS}:{name}")
