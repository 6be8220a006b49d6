"""Searchers that learn, where several metrics are studied: they come close to the front."""

import math
from collections.abc import Callable

import pytest

from hpmpi.history.hypervolume import hypervolume
from hpmpi.master.searchers import Searcher
from hpmpi.master.searchers.evolution import Evolution
from hpmpi.master.searchers.gp import Gp
from hpmpi.master.searchers.random import Random
from hpmpi.model.dimensions import Float
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Metrics
from tests.harness.insides import insides
from tests.harness.searching import ask_and_tell

CUBE = Space({name: Float(0.0, 1.0) for name in "abcd"})
GOAL = Goal("first", "max", (Goal("second", "min"),))

Make = Callable[[], Searcher]
MAKES: dict[str, Make] = {
    "aging": lambda: Evolution(CUBE, 3, [], rungs=(1,), goal=GOAL, form="aging"),
    "one rung": lambda: Evolution(CUBE, 3, [], rungs=(1,), goal=GOAL),
    "differential": lambda: Evolution(CUBE, 3, [], rungs=(1, 3), goal=GOAL),
    "gp": lambda: Gp(CUBE, 3, [], goal=GOAL),
}
every_learner = pytest.mark.parametrize("name", MAKES)


def metrics_of(config: Config) -> Metrics:
    """Compute ZDT1 (Zitzler, Deb and Thiele, Evolutionary Computation 8, 2000, equation 7).

    Its front is where all but the first are 0.
    """
    first, others = config["a"], 1 + 3 * (config["b"] + config["c"] + config["d"])
    return {"first": -first, "second": others * (1 - math.sqrt(first / others))}


def go_on(searcher: Searcher, trials: range) -> list[Config]:
    """Ask for trials; one in seven fails, one in three goes on to the next rung."""
    return ask_and_tell(searcher, trials, tell)


def tell(searcher: Searcher, trial: int, config: Config) -> None:
    """Tell of a trial."""
    metrics = metrics_of(config)
    searcher.tell(trial, 0, 1, None if trial % 7 == 6 else GOAL.loss(metrics), metrics)
    if trial % 3 == 0:
        searcher.tell(trial, 1, 3, GOAL.loss(metrics), metrics)


@every_learner
@pytest.mark.parametrize("before", [0, 13])
def test_who_is_told_what_was_goes_on_as_who_did_it(name: str, before: int) -> None:
    searcher, other = MAKES[name](), MAKES[name]()
    for trial, config in enumerate(go_on(searcher, range(before))):
        other.adopt(trial, config)
        tell(other, trial, config)
    assert insides(other) == insides(searcher)
    further = range(before, before + 3)
    assert go_on(other, further) == go_on(searcher, further)


def dominated(configs: list[Config]) -> float:
    """Measure how much configurations dominate, up to the worst that there is."""
    losses = [GOAL.losses(metrics_of(config)) for config in configs]
    return hypervolume([(first, min(1.0, second / 10)) for first, second in losses])


@pytest.mark.parametrize(
    ("name", "trials"), [("aging", 400), ("one rung", 250), ("differential", 250), ("gp", 25)]
)
def test_it_comes_closer_to_the_front_than_chance(name: str, trials: int) -> None:
    found = dominated(go_on(MAKES[name](), range(trials)))
    assert found > dominated(go_on(Random(CUBE, 3, []), range(trials))) + 0.02
