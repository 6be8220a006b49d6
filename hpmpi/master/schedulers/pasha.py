"""PASHA: ASHA whose rungs grow as long as the two highest do not agree on who is better.

Bohdal et al., PASHA: Efficient HPO and NAS with Progressive Resource Allocation, ICLR 2023 (arXiv
2207.06940), Algorithm 1. There are two rungs at first. With each result in the highest, the ranking
of those that have come there is compared with that which they had in the rung below: where it is
another, there is one rung more. What is best at a rung whose ranking has settled is best for good,
as far as can be told, and the resources of the rungs above are saved.

Rules:

- The ladder that the rungs grow along, and the promotions, are ASHA's.
- Rankings are soft: of the trials in the highest rung, the i-th best must have had in the rung
  below a loss within epsilon of the i-th best there.
- Epsilon is measured, as the noise of the learning curves: two trials in the highest rung whose
  order at its resource is that of an earlier resource, but not of one between, differ by noise.
  It is the 90th percentile (linearly interpolated) of their differences at the highest rung's
  resource; while there are no such pairs, what it was in the rung below, and 0 at first.
- The curve of a trial is what it has reported, and its results. Of a resource that was reported
  twice the first counts, and a result before both; reports between hundredths of `max_resource`
  are passed over.
- What is no number, or was given up, is ranked in its rung as ASHA does, and has no part in these
  comparisons. Who ties in the highest rung is ranked there as in the rung below: a metric that has
  few values, as accuracy on few examples has, would have the rungs grow by its ties alone.
- There is no "top" for good before the ladder's end: `[stop] target` without a `target_resource`
  counts in what is the highest rung by then.
"""

from bisect import bisect, insort
from collections.abc import Sequence

from hpmpi.master.schedulers import Seen
from hpmpi.master.schedulers.asha import Asha, Eta, Positive
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Job, Metrics

FIRST = 2
"""How many rungs there are at first."""

PERCENTILE = 90
"""Of the differences by noise, N in the paper."""

POINTS = 100
"""How many points of a curve are kept at most, beside the results."""

Curve = dict[int, float]


class Pasha(Asha):
    """Promote as ASHA does, up to a rung that is raised while rankings change."""

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        eta: Eta = 3,
    ) -> None:
        """Raise SettingsError where there is no rung."""
        super().__init__(searcher, max_resource=max_resource, min_resource=min_resource, eta=eta)
        self.max_resource = max_resource
        self._count = min(FIRST, len(self._resources))
        self._every = max(1, max_resource // POINTS)
        self._curves: dict[int, Curve] = {}
        self._settling = Settling(*self._resources[self._count - 2 : self._count])

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung there is by now, lowest first."""
        return self._resources[: self._count]

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Note points of a learning curve; no job is stopped by them."""
        super().observe(job, points)
        if self._may_grow:
            curve = self._curves.setdefault(job.trial, {})
            for resource, loss, _ in points:
                if resource % self._every == 0 and loss is not None and loss < WORST:
                    curve.setdefault(resource, loss)
        return False

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Rank a result in its rung, and have another rung where the highest is not settled."""
        over = super().tell(job, loss, metrics)
        if self._may_grow and loss < WORST:
            self._curves.setdefault(job.trial, {})[job.resource] = loss
            if job.rung == self._count - 1:
                self._compare(job.trial)
        return over

    @property
    def _may_grow(self) -> bool:
        return self._count < len(self._resources)

    def _compare(self, trial: int) -> None:
        """Have a rung more, unless the two highest agree (Algorithm 1, lines 11 to 18)."""
        if self._settling.add(self._curves[trial]):
            return
        self._count += 1
        below, top = self._resources[self._count - 2 : self._count]
        self._settling = Settling(below, top, self._settling.epsilon)
        if not self._may_grow:
            self._curves.clear()  # nothing is compared any more


class Settling:
    """The trials that have come to the highest rung: whether their ranking is that of below.

    `epsilon` is by how much they differ by noise.
    """

    def __init__(self, below: int, top: int = 0, epsilon: float = 0.0) -> None:
        """Start without trials, with the resources of the two rungs."""
        self.epsilon = epsilon
        self._below = below
        self._top = top
        self._curves: list[Curve] = []
        self._differences: list[float] = []
        self._ranked: list[tuple[float, float, int]] = []
        self._losses: list[float] = []
        """By rank in the highest rung: loss, loss below, arrival; and the losses below, sorted."""

    def add(self, curve: Curve) -> bool:
        """Have another trial; true if all are where they were below, but for epsilon."""
        before = self.epsilon
        self._measure(curve)
        self._curves.append(curve)
        place = (curve[self._top], curve[self._below], len(self._curves))
        rank, rank_below = bisect(self._ranked, place), bisect(self._losses, curve[self._below])
        self._ranked.insert(rank, place)
        self._losses.insert(rank_below, curve[self._below])
        if self.epsilon < before:  # else who is above both, or below, is where he was
            rank, rank_below = 0, len(self._losses) - 1
        first, last = sorted((rank, rank_below))
        return all(
            abs(self._ranked[it][1] - self._losses[it]) <= self.epsilon
            for it in range(first, last + 1)
        )

    def _measure(self, curve: Curve) -> None:
        """Measure epsilon by another trial."""
        steps = sorted((step for step in curve if step <= self._top), reverse=True)
        for other in self._curves:
            if criss_cross(curve, other, steps):
                insort(self._differences, abs(curve[self._top] - other[self._top]))
        if self._differences:
            self.epsilon = percentile(self._differences, PERCENTILE)


def criss_cross(one: Curve, other: Curve, steps: list[int]) -> bool:
    """Tell whether two are in the order of before, and were not between; from the last step on.

    >>> one, other = {1: 0.3, 2: 0.1, 3: 0.2}, {1: 0.4, 2: 0.0, 3: 0.3}
    >>> criss_cross(one, other, [3, 2, 1]), criss_cross(one, other, [3, 2])
    (True, False)
    """
    order = sign(one[steps[0]] - other[steps[0]])
    turned = False
    for step in steps if order else ():
        if step in other:
            before = sign(one[step] - other[step])
            if turned and before == order:
                return True
            turned = turned or before == -order
    return False


def sign(difference: float) -> int:
    """Tell which is more.

    >>> sign(0.5), sign(-0.5), sign(0.0)
    (1, -1, 0)
    """
    return (difference > 0) - (difference < 0)


def percentile(ascending: Sequence[float], percent: int) -> float:
    """Interpolate a percentile linearly, as numpy does.

    >>> percentile([1.0, 2.0, 3.0], 90), percentile([4.0], 90)
    (2.8, 4.0)
    """
    index, rest = divmod(percent * (len(ascending) - 1), 100)
    if rest == 0:
        return ascending[index]
    low, high = ascending[index], ascending[index + 1]
    return low + (high - low) * rest / 100
