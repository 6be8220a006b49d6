"""What papers say of schedulers that look at more than results, computed anew from all that was."""

import statistics
from itertools import combinations

import numpy as np

from hpmpi.model.trial import WORST
from tests.harness.asking import Came, Choice, History, best_of_top

Points = list[tuple[int, float]]
Values = dict[int, dict[int, float]]
"""By trial and resource, what was reported."""


class Paper:
    """PASHA, computed anew from all that was at each step."""

    def __init__(self, ladder: tuple[int, ...]) -> None:
        """Nothing was yet: `top` is K_t, `epsilon` the noise."""
        self.ladder = ladder
        self.history = History()
        self.values: Values = {}
        self.top = 1
        self.epsilon = 0.0

    def job(self) -> Choice:
        """get_job, lines 22 to 32."""
        for rung in reversed(range(self.top)):
            promoted = {choice.trial for choice in self.history.asked if choice.rung == rung + 1}
            trial = best_of_top(self.history.results(rung), self.ladder[1], promoted)
            if trial is not None:
                return Choice(trial, rung + 1)
        return Choice(self.history.trials, 0)

    def came(self, trial: int, rung: int, loss: float) -> None:
        """Lines 9 to 18."""
        self.history.events.append(Came(trial, rung, loss))
        if loss == WORST:
            return
        self.values.setdefault(trial, {})[self.ladder[rung]] = loss
        if rung == self.top < len(self.ladder) - 1:
            self.measure()
            if self.ranking_changes():
                self.top += 1

    def finite(self, rung: int) -> list[tuple[float, int, int]]:
        """List the results of a rung that are numbers, best first."""
        return [result for result in self.history.results(rung) if result[0] < WORST]

    def measure(self) -> None:
        """Section 4.3: the 90th percentile over the pairs whose curves criss-cross."""
        resource = self.ladder[self.top]
        noise = []
        for (_, _, one), (_, _, other) in combinations(self.finite(self.top), 2):
            curves = self.values[one], self.values[other]
            at = sorted(r for r in curves[0].keys() & curves[1].keys() if r < resource)
            signs = [np.sign(curves[0][r] - curves[1][r]) for r in [*at, resource]]
            last = signs[-1]
            if last and any(
                signs[low] == last and -last in signs[low + 1 : -1] for low in range(len(at))
            ):
                noise.append(abs(curves[0][resource] - curves[1][resource]))
        if noise:
            self.epsilon = float(np.percentile(noise, 90))

    def ranking_changes(self) -> bool:
        """Section 4.2: who is not in the group of those that had his place in the rung below.

        Who ties is in the order of the rung below.
        """
        before = {trial: loss for loss, _, trial in self.finite(self.top - 1)}
        came = {
            (loss, before[trial], arrival): trial for loss, arrival, trial in self.finite(self.top)
        }
        ranked = [came[place] for place in sorted(came)]
        below = [result for result in self.finite(self.top - 1) if result[2] in ranked]
        groups = [
            {other for loss, _, other in below if abs(loss - place) <= self.epsilon}
            for place, _, _ in below
        ]
        return any(trial not in group for trial, group in zip(ranked, groups, strict=True))


class Vizier:
    """Who is to be stopped, computed anew from all that was reported."""

    def __init__(self, min_resource: int, min_trials: int, most: int) -> None:
        """Nothing was reported yet."""
        self.min_resource = min_resource
        self.min_trials = min_trials
        self.most = most
        self.reported: dict[int, Points] = {}
        self.completed: list[Points] = []

    def stops(self, trial: int, points: Points) -> bool:
        """Add points to those of a trial; true if it is stopped by the last."""
        known = self.reported.setdefault(trial, [])
        before = len(known)
        for step, loss in points:
            known += [(step, loss)] * (not known or step > known[-1][0])
        if len(known) == before:
            return False
        step = known[-1][0]
        if not self.min_resource <= step < self.most or len(self.completed) < self.min_trials:
            return False
        by_then = [[loss for at, loss in points if at <= step] for points in self.completed]
        averages = [sum(losses) / len(losses) for losses in by_then if losses]
        if not averages or min(loss for _, loss in known) <= statistics.median(averages):
            return False
        self.complete(trial)
        return True

    def complete(self, trial: int) -> None:
        """Have a trial completed."""
        self.completed.append(self.reported.pop(trial))

    def end(self, trial: int, loss: float) -> None:
        """Have a trial come to its end, or be given up."""
        known = self.reported.setdefault(trial, [])
        if loss == WORST:
            del self.reported[trial]
            return
        known += [(self.most, loss)] * (not known or self.most > known[-1][0])
        self.complete(trial)
