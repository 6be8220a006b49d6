"""What is to be expected of points where several metrics are studied: each time of another sum.

For each outlook the losses of a result become one, by weights that are drawn anew: the augmented
Chebyshev norm, the greatest weighted loss and a little of all (Knowles, ParEGO: A Hybrid Algorithm
with On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems, IEEE
Transactions on Evolutionary Computation 10, 2006, equation 2). So what is suggested goes for one
part of the front after the other.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from random import Random

import numpy as np

from hpmpi.master.surrogate.outlook import Fidelity, Outlook, Surrogate
from hpmpi.master.surrogate.results import squeezed
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal, Losses, Metrics

RHO = 0.05
"""How much of all weighted losses counts beside the greatest."""


class SeveralSurrogate:
    """A surrogate for each outlook, of losses that are made one."""

    def __init__(self, space: Space, seed: int, fidelity: Fidelity, goal: Goal) -> None:
        """Know of no result yet."""
        self._make = partial(Surrogate, space, seed, fidelity)
        self._seed = seed
        self._goal = goal
        self._points: dict[int, Sequence[float]] = {}
        self._results: list[tuple[int, int, int]] = []
        self._losses: list[Losses | None] = []
        self.outlook = lru_cache(maxsize=1)(self._outlook)

    @property
    def count(self) -> int:
        """How many results it was told."""
        return len(self._results)

    def place(self, trial: int, point: Sequence[float]) -> None:
        """Have a trial at a point of the unit cube."""
        self._points[trial] = point

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Take in a result; what failed has no loss."""
        self._results.append((trial, rung, resource))
        self._losses.append(None if loss is None else self._goal.losses(metrics))

    def _outlook(self, count: int) -> Outlook | None:
        """Look ahead, from the first `count` results, by weights of their own."""
        surrogate = self._make()
        for trial, point in self._points.items():
            surrogate.place(trial, point)
        draw = Random(f"{self._seed}/{count}/weights").random  # noqa: S311 - not for secrets
        # Exponential numbers over their sum are drawn evenly from all weights that add up to 1.
        parts = [-math.log1p(-draw()) for _ in self._goal.names]
        losses = joined(self._losses[:count], [part / sum(parts) for part in parts])
        for (trial, rung, resource), loss in zip(self._results, losses, strict=False):
            surrogate.tell(trial, rung, resource, loss)
        return surrogate.outlook(count)


def joined(losses: Sequence[Losses | None], weights: Sequence[float]) -> list[float | None]:
    """Make one loss of several, each from 0 to 1 first; how bad the bad ones are matters little.

    >>> joined([(0.0, 8.0), None, (2.0, 4.0)], [0.75, 0.25])
    [0.2625, None, 0.7875]
    """
    known = np.array([each for each in losses if each is not None])
    if not len(known):
        return list[float | None]([None] * len(losses))
    columns = [squeezed(column) for column in known.T]
    scaled = [(it - it.min()) / ((it.max() - it.min()) or 1.0) for it in columns]
    weighted = np.array(weights)[:, None] * np.array(scaled)
    sums = iter((weighted.max(axis=0) + RHO * weighted.sum(axis=0)).tolist())
    return [None if each is None else next(sums) for each in losses]
