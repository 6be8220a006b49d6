"""What of an earlier run can be learnt, and why the rest of it can't."""

import math
from typing import Any

import pytest

from hpmpi.history.earlier import Lessons, lessons
from hpmpi.model.dimensions import Choice, Dimension, Float, Int
from hpmpi.model.events import Observation
from hpmpi.model.records import Line
from hpmpi.model.space import Space
from hpmpi.model.trial import BASELINE, Config, Goal
from hpmpi.study.settings import Settings
from tests.harness.histories import assigned, failure, history, result, suspension

RATE = Float(0.0, 1.0)
TABLE = {
    "rate": {"type": "float", "low": 0.0, "high": 1.0},
    "layers": {"type": "int", "low": 1, "high": 8},
}
GOAL = Goal("loss", "min")


def tried(config: Config, loss: Any, trial: int = 0) -> list[Line]:
    """Have a trial of a configuration."""
    return [assigned(trial, config=config), result(trial, loss)]


def learnt(
    *lines: Line, goal: Goal = GOAL, rungs: tuple[int, ...] = (1, 3, 9), **dimensions: Dimension
) -> Lessons:
    """Learn from a run that had a rate and layers."""
    before = Settings(name="old", objective="old.py:train", space=TABLE).toml()
    return lessons(history(*lines, settings=before), Space(dimensions), goal, rungs)


def test_results_of_all_rungs_are_learnt_in_the_order_in_which_they_came() -> None:
    config = {"rate": 0.5, "layers": 2}
    climbs = [*tried(config, 0.5), assigned(0, 1), result(0, 0.25, 1)]
    found = learnt(*climbs, rate=RATE, layers=Int(1, 4))
    assert found.observations == [
        Observation(config, 0, 1, 0.5, {"loss": 0.5}),
        Observation(config, 1, 3, 0.25, {"loss": 0.25}),
    ]
    assert (dict(found.left_out), found.left_away) == ({}, [])


@pytest.mark.parametrize(
    ("rungs", "rung"), [((1, 2), 0), ((1,), 0), ((2, 4), -1), ((9,), -1), ((1, 3), 0)]
)
def test_a_result_is_of_the_highest_rung_that_it_comes_to(
    rungs: tuple[int, ...], rung: int
) -> None:
    found = learnt(*tried({"rate": 0.5, "layers": 2}, 0.5), rungs=rungs, rate=RATE)
    assert [(it.rung, it.resource) for it in found.observations] == [(rung, 1)]


def test_what_is_out_of_the_range_is_left_out_and_counted() -> None:
    lines = [*tried({"rate": 0.5, "layers": 2}, 0.5), *tried({"rate": 0.5, "layers": 8}, 0.5, 1)]
    found = learnt(*lines, rate=RATE, layers=Int(1, 4))
    assert [it.config["layers"] for it in found.observations] == [2]
    assert found.left_out == {"layers is out of its range": 1}


def test_what_is_not_tuned_any_more_is_left_away() -> None:
    found = learnt(*tried({"rate": 0.5, "layers": 8}, 0.5), rate=RATE)
    assert [it.config for it in found.observations] == [{"rate": 0.5}]
    assert found.left_away == ["layers"]


@pytest.mark.parametrize(
    ("dimensions", "why"),
    [
        ({"rate": RATE, "units": Int(1, 9)}, "units was not tuned there"),
        ({"layers": Float(1, 8)}, "layers was of type int there, and is of type float"),
        ({"layers": Choice([1, 2, 3])}, "layers was of type int there, and is of type choice"),
    ],
)
def test_spaces_that_do_not_agree_teach_nothing(dimensions: dict[str, Any], why: str) -> None:
    found = learnt(*tried({"rate": 0.5, "layers": 2}, 0.5), **dimensions)
    assert (found.observations, dict(found.left_out)) == ([], {why: 1})


def test_the_loss_is_by_the_metric_and_mode_of_the_study() -> None:
    both = {"loss": 0.5, "accuracy": 0.75}
    found = learnt(*tried({"rate": 0.5}, both), goal=Goal("accuracy", "max"), rate=RATE)
    assert found.observations == [Observation({"rate": 0.5}, 0, 1, -0.75, both)]
    other = learnt(*tried({"rate": 0.5}, {"loss": 0.5}), goal=Goal("accuracy", "max"), rate=RATE)
    assert other.left_out == {"there is no accuracy in it": 1}


def test_of_several_metrics_all_must_have_been_measured() -> None:
    goal = Goal("loss", "min", (Goal("size", "min"),))
    both = {"loss": 0.5, "size": 3.0}
    lines = [*tried({"rate": 0.5}, both), *tried({"rate": 0.25}, 0.5, 1)]
    found = learnt(*lines, goal=goal, rate=RATE)
    assert found.observations == [Observation({"rate": 0.5}, 0, 1, 0.5, both)]
    assert found.left_out == {"there is no size in it": 1}


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_what_was_no_number_has_no_loss(loss: float) -> None:
    found = learnt(*tried({"rate": 0.5}, {"loss": loss, "size": 3.0}), rate=RATE)
    assert found.observations == [Observation({"rate": 0.5}, 0, 1, None, {"size": 3.0})]


def test_what_has_no_result_teaches_nothing() -> None:
    lines = [
        *(assigned(BASELINE), result(BASELINE, 0.5)),
        *(assigned(0, config={"rate": 0.5}), failure(0, final=True)),
        *(assigned(1, config={"rate": 0.5}), suspension(1, saved=1)),
    ]
    found = learnt(*lines, rate=RATE)
    assert (found.observations, dict(found.left_out)) == ([], {})
