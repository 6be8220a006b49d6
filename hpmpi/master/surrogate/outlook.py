"""The prediction at points not tried yet, from the results so far.

Everything is computed from the first so many results, and from them alone: who was told the same
has the same outlook, whenever it is asked for it. The last ones are remembered.
"""

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

import numpy as np

from hpmpi.master.surrogate.beliefs import BETA, Beliefs
from hpmpi.master.surrogate.candidates import candidates
from hpmpi.master.surrogate.features import Features
from hpmpi.master.surrogate.gaussian_process import (
    Array,
    Hyperparameters,
    Indices,
    Posterior,
    learn,
)
from hpmpi.master.surrogate.results import Results, comparable, spread, squeezed, trusted
from hpmpi.model.space import NEUTRAL, Space
from hpmpi.model.trial import Metrics

Fidelity = Literal["joint", "top"]

FEWEST = 10
"""How many results there are before a model is made."""

MOST_LEARNT_FROM = 100
MOST_KNOWN = 300
"""How many results hyperparameters are learnt from, and the model has."""

PARENTS = 10

GROWTH = 10
"""Hyperparameters are learnt anew when the results have grown by a share of one in so many."""


class Outlook(NamedTuple):
    """Points, one a row, with the mean and the deviation of the loss to be expected of each.

    `beliefs`: by how much priors have it be less.
    """

    points: Array
    means: Array
    deviations: Array
    beliefs: Array

    def order(self, kappa: float) -> list[int]:
        """Sort the points by their lower confidence bounds, best first."""
        bounds = self.means - kappa * self.deviations - self.beliefs
        return list(map(int, np.argsort(bounds, kind="stable")))


class Surrogate:
    """A model of all rungs together (`joint`), or of the highest one that has enough (`top`)."""

    def __init__(self, space: Space, seed: int, fidelity: Fidelity) -> None:
        """Know of no result yet."""
        self._space = space
        self._features = Features(space)
        self._beliefs = Beliefs(space, self._features)
        self._seed = seed
        self._fidelity = fidelity
        self._points: dict[int, Sequence[float]] = {}
        self._trials, self._rungs_of, self._losses = array("q"), array("q"), array("d")
        self._resources: dict[int, int] = {}
        self.outlook = lru_cache(maxsize=1)(self._outlook)
        self._hyperparameters = lru_cache(maxsize=4)(self._learn)

    @property
    def count(self) -> int:
        """How many results it was told."""
        return len(self._trials)

    def place(self, trial: int, point: Sequence[float]) -> None:
        """Have a trial at a point of the unit cube."""
        self._points[trial] = point

    def tell(
        self,
        trial: int,
        rung: int,
        resource: int,
        loss: float | None,
        metrics: Metrics | None = None,
    ) -> None:
        """Take in a result; what failed has no loss. What else was measured says nothing."""
        del metrics
        self._resources[rung] = resource
        self._trials.append(trial)
        self._rungs_of.append(rung)
        self._losses.append(math.nan if loss is None else loss)

    def _outlook(self, count: int) -> Outlook | None:
        """Look ahead, from the first `count` results; None for too few."""
        if count < FEWEST:
            return None
        results = self._results(count)
        rungs = self._rungs(results)
        learnable = results.of(rungs)
        known = comparable(learnable)
        if not len(known.losses):  # all have failed
            return None
        hyperparameters = self._hyperparameters(rungs, last_learning(len(learnable.losses)))
        losses = squeezed(known.losses)
        chosen = spread(losses, MOST_KNOWN)
        features, groups = self._columns(known.rows(chosen), rungs)
        posterior = Posterior(features, losses[chosen], groups, hyperparameters)
        return self._predict(posterior, known.rows(chosen), rungs, count)

    def _predict(
        self, posterior: Posterior, known: Results, rungs: tuple[int, ...], count: int
    ) -> Outlook:
        """Draw candidates around those that are best by the model, and ask it about them."""
        tried = self._cube(np.unique(known.trials))
        means = posterior.mean(self._at_the_top(tried, rungs))
        best = tried[np.argsort(means, kind="stable")[:PARENTS]]
        digest = blake2b(f"{self._seed}/{count}".encode(), digest_size=16).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "big"))
        weight = BETA / len(tried)
        points = candidates(generator, self._features, best)
        active = self._active(points)
        beliefs = weight * self._beliefs.logarithm(points, active)
        if active is not None:  # as it is in the points of trials
            points = np.where(active, points, NEUTRAL)
        return Outlook(points, *posterior.predict(self._at_the_top(points, rungs)), beliefs)

    def _active(self, points: Array) -> Indices | None:
        """Tell what is active at each point; None where all is."""
        if not self._space.conditions:
            return None
        names = list(self._space.dimensions)
        configs = map(self._space.at, points.tolist())
        return np.array([[name in config for name in names] for config in configs])

    def _learn(self, rungs: tuple[int, ...], count: int) -> Hyperparameters:
        """Learn from the first `count` results of the rungs."""
        known = comparable(self._results(self.count).of(rungs).rows(slice(count)))
        losses = squeezed(known.losses) if len(known.losses) else known.losses
        chosen = spread(losses, MOST_LEARNT_FROM)
        features, groups = self._columns(known.rows(chosen), rungs)
        return learn(features, losses[chosen], groups)

    def _results(self, count: int) -> Results:
        columns = (self._trials, self._rungs_of, self._losses)
        return Results(*(np.array(column[:count]) for column in columns))

    def _rungs(self, results: Results) -> tuple[int, ...]:
        """Choose the rungs of the model, highest first."""
        needed = self._features.dimensions + 1
        rungs = trusted(results, needed)
        if self._fidelity == "joint":
            return rungs
        counts = (np.count_nonzero(results.rungs == rung) for rung in rungs)
        enough = (rung for rung, there in zip(rungs, counts, strict=True) if there >= needed)
        return (next(enough, rungs[-1]),)

    def _columns(self, known: Results, rungs: tuple[int, ...]) -> tuple[Array, Indices]:
        """Compute the features of results, and how they are grouped."""
        heights = np.array([self._height(int(rung), rungs) for rung in known.rungs])
        features = self._features.of(self._cube(known.trials))
        groups = self._features.groups
        if len(rungs) == 1:
            return features, groups
        return np.column_stack([features, heights]), np.append(groups, groups.max() + 1)

    def _at_the_top(self, points: Array, rungs: tuple[int, ...]) -> Array:
        """Compute the features that points have at the highest rung of the model."""
        features = self._features.of(points)
        return features if len(rungs) == 1 else np.column_stack([features, np.ones(len(points))])

    def _height(self, rung: int, rungs: tuple[int, ...]) -> float:
        """Say how high a rung is, from 0 to 1, by the logarithm of its resource."""
        low, high = self._resources[rungs[-1]], self._resources[rungs[0]]
        if low == high:
            return 1.0
        return math.log(self._resources[rung] / low) / math.log(high / low)

    def _cube(self, trials: Indices) -> Array:
        return self._features.snapped(np.array([self._points[trial] for trial in trials.tolist()]))


def last_learning(count: int) -> int:
    """Find with how many results hyperparameters were learnt last.

    >>> [last_learning(count) for count in (7, 10, 12, 13, 99, 100, 1000)]
    [7, 10, 11, 13, 94, 94, 963]
    """
    learning = min(count, FEWEST)
    while (after := learning + -(-learning // GROWTH)) <= count:
        learning = after
    return learning
