"""The results of a rung, ranked: here what objectives returned becomes who is better.

By one metric that is the lower loss, and of equal ones the one that came in earlier. By several it
is the front, and then who is least crowded in it (hpmpi.model.fronts). What is no number in any of
them, and what was given up, is nobody's better.
"""

from bisect import insort
from typing import Protocol

from hpmpi.model.fronts import Fronts, in_order
from hpmpi.model.trial import WORST, Goal, Metrics


class Ranking(Protocol):
    """Rank trials by their results."""

    def add(self, trial: int, loss: float, metrics: Metrics) -> None:
        """Rank a result."""

    def best(self, count: int) -> list[int]:
        """List the best so many trials, best first."""

    def cut(self, count: int) -> list[int]:
        """Forget trials that will never be among the best so many, and list them."""


def ranking_by(goal: Goal | None) -> Ranking:
    """Begin a ranking; without a goal, by one loss."""
    return ByLoss() if goal is None or not goal.others else ByFronts(goal)


class ByLoss:
    """Rank by the loss."""

    def __init__(self) -> None:
        """Start without results."""
        self._results = 0
        self._ranked: list[tuple[float, int, int]] = []

    def add(self, trial: int, loss: float, metrics: Metrics) -> None:
        """Rank a result."""
        del metrics
        self._results += 1
        if loss < WORST:
            insort(self._ranked, (loss, self._results, trial))

    def best(self, count: int) -> list[int]:
        """List the best so many trials, best first."""
        return [trial for _, _, trial in self._ranked[:count]]

    def cut(self, count: int) -> list[int]:
        """Forget all but the best so many, and list them."""
        over = [trial for _, _, trial in self._ranked[count:]]
        del self._ranked[count:]
        return over


class ByFronts:
    """Rank by fronts."""

    def __init__(self, goal: Goal) -> None:
        """Start without results."""
        self._goal = goal
        self._trials: list[int] = []
        self._fronts = Fronts()

    def add(self, trial: int, loss: float, metrics: Metrics) -> None:
        """Rank a result."""
        if loss < WORST:
            self._fronts.add(self._goal.losses(metrics), len(self._trials))
        self._trials.append(trial)

    def best(self, count: int) -> list[int]:
        """List the best so many trials, best first."""
        return [self._trials[number] for number in self._fronts.best(count)]

    def cut(self, count: int) -> list[int]:
        """Forget nobody: whom another pushes back, others pass."""
        del count
        return []


class FrontRung(ByFronts):
    """A rung of ASHA by several metrics; finds the best trial that may be promoted.

    (Schmucker et al., Multi-objective Asynchronous Successive Halving, arXiv 2106.12639, who rank
    by fronts, too.) Of n results, the best floor(n / eta) may be. It takes as long as the fronts
    are many, and their members: a millisecond or two with 10,000 results.
    """

    def __init__(self, goal: Goal, eta: int, *, delay: bool = False) -> None:
        """Start without results; with `delay`, not beyond floor(n / eta) promotions."""
        super().__init__(goal)
        self._eta = eta
        self._delay = delay
        self._promoted = 0
        self._waiting: set[int] = set()
        self._next: int | None = None

    def add(self, trial: int, loss: float, metrics: Metrics) -> None:
        """Rank a result, and find out who may be promoted now."""
        super().add(trial, loss, metrics)
        if loss < WORST:
            self._waiting.add(trial)
        self._next = self._promotable()

    @property
    def promotable(self) -> bool:
        """Whether a trial of this rung may go on."""
        return self._next is not None

    def promote(self) -> int | None:
        """Mark as promoted, and return, the best trial that may be."""
        trial = self._next
        if trial is not None:
            self.adopt(trial)
        return trial

    def adopt(self, trial: int) -> None:
        """Have promoted a trial, the best that may be or not."""
        if trial in self._waiting:
            self._waiting.remove(trial)
            self._promoted += 1
            self._next = self._promotable()

    def _promotable(self) -> int | None:
        left = len(self._trials) // self._eta
        if self._delay and self._promoted >= left:
            return None
        for front in self._fronts.fronts:
            if left <= 0:
                break
            if any(self._trials[it.number] in self._waiting for it in front):
                ordered = (self._trials[number] for number in in_order(front)[:left])
                best = next((trial for trial in ordered if trial in self._waiting), None)
                if best is not None:
                    return best
            left -= len(front)
        return None
