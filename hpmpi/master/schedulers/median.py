"""Median stopping: every trial goes straight to the top, unless its curve is a poor one.

Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.2.1: a
trial is stopped at a step if its best value by then is strictly worse than the median of the
running averages, up to that step, of all completed trials.

Rules that the paper leaves open:

- A step is a resource that a point was reported for; the result of a job is the point at its
  resource. Only what goes on from where the curve was counts: what a second attempt reports again
  does not.
- Completed are the trials that have come to a result, and those that were stopped: their averages
  are of what they had reported by that step. What was given up, or came to what is no number, is
  left out.
- A trial is judged at the newest point that it has reported.
- The median of an even number is the mean of the two in the middle.
- None is stopped below `min_resource`, before `min_trials` are completed, or at the top.
- The searcher is told the last value of a trial that is stopped, and the resource that it is of.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers import Seen
from hpmpi.master.schedulers.asha import Positive
from hpmpi.master.schedulers.full import Full
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Job, Metrics

MOST_STEPS = 1000
"""Of how many steps the averages are kept in order; of the others they are, when asked for."""


class Median(Full):
    """Train each trial to `max_resource`, unless it is stopped on the way."""

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        min_trials: Positive = 5,
    ) -> None:
        """Raise SettingsError where none could be stopped."""
        if min_resource > max_resource:
            given = f"scheduler.min_resource = {min_resource}"
            limit = f"scheduler.max_resource = {max_resource}"
            raise SettingsError([f"{given} must not be greater than {limit}"])
        super().__init__(searcher, max_resource=max_resource)
        self._min_resource = min_resource
        self._min_trials = min_trials
        self._curves: dict[int, Curve] = {}
        self._averages = Averages()

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Stop a trial whose best is worse than the median of what the others had by then."""
        self._trials.observe(job, points)
        curve = self._curves.setdefault(job.trial, Curve())
        new = [point for point in points if point.loss is not None and curve.add(point)]
        if not new or not self._is_poor(curve):
            return False
        self._averages.add(self._curves.pop(job.trial))
        last = new[-1]
        reached = Job(job.trial, job.rung, last.resource, job.config, job.bracket)
        assert last.loss is not None, "those without were left out"
        self._trials.tell(reached, last.loss, last.metrics)
        return True

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Pass a result on to the searcher, and compare the others with it from now on."""
        self._trials.tell(job, loss, metrics)
        curve = self._curves.pop(job.trial, None) or Curve()
        if loss < WORST:
            curve.add(Seen(job.resource, loss, metrics))
            self._averages.add(curve)
        return [job.trial]

    def _is_poor(self, curve: "Curve") -> bool:
        step = curve.steps[-1]
        if not self._min_resource <= step < self._max_resource:
            return False
        if self._averages.completed < self._min_trials:
            return False
        return curve.least > self._averages.median(step)


class Curve:
    """What a trial has reported: by when, the average up to each step, and its `least` loss."""

    def __init__(self) -> None:
        """Start without points."""
        self.steps: list[int] = []
        self.least = WORST
        self._sum = 0.0
        self._averages: list[float] = []

    def add(self, point: Seen) -> bool:
        """Go on with a point; false if it is none that the curve goes on with."""
        if point.loss is None or (self.steps and point.resource <= self.steps[-1]):
            return False
        self.steps.append(point.resource)
        self.least = min(self.least, point.loss)
        self._sum += point.loss
        self._averages.append(self._sum / len(self.steps))
        return True

    def average(self, step: int) -> float | None:
        """Average what was reported up to a step."""
        count = bisect_right(self.steps, step)
        return self._averages[count - 1] if count else None


class Averages:
    """The running averages of the completed trials, in order, at each step that is asked for."""

    def __init__(self) -> None:
        """Start without trials."""
        self._curves: list[Curve] = []
        self._at: dict[int, tuple[int, list[float]]] = {}

    @property
    def completed(self) -> int:
        """How many trials are completed."""
        return len(self._curves)

    def add(self, curve: Curve) -> None:
        """Have another completed trial."""
        self._curves.append(curve)

    def median(self, step: int) -> float:
        """Tell the median at a step; WORST where none has reported by then."""
        if len(self._at) >= MOST_STEPS and step not in self._at:
            self._at.clear()
        known, averages = self._at.get(step, (0, []))
        for curve in self._curves[known:]:
            average = curve.average(step)
            if average is not None:
                insort(averages, average)
        self._at[step] = len(self._curves), averages
        if not averages:
            return WORST
        middle = len(averages) // 2
        return (averages[middle] + averages[~middle]) / 2
