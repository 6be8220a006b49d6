"""How much the front of two or three metrics dominates: its hypervolume, and how that has grown.

It is the volume of what is dominated, up to a reference point (Zitzler and Thiele, Multiobjective
Evolutionary Algorithms: A Comparative Case Study and the Strength Pareto Approach, IEEE
Transactions on Evolutionary Computation 3, 1999), as a share of the box between that point and the
ideal one, which has the best of each metric. It is exact, by slices (While et al., A Faster
Algorithm for Calculating Hypervolume, IEEE Transactions on Evolutionary Computation 10, 2006); with
more metrics that takes too long.

The reference point lies a tenth of the way beyond the worst of each metric, seen from its best,
among the results at the highest rung reached, but for bad outliers (hpmpi.history.series.window):
what is worse counts for nothing.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter

import msgspec

from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.history.series import finite, thinned, window
from hpmpi.model.fronts import PAIR, dominates
from hpmpi.model.trial import BASELINE, WORST, Goal, Losses, Metrics

MOST_METRICS = 3
BEYOND = 0.1
"""How far beyond the worst the reference point lies, of the way from the best."""


class Volumes(msgspec.Struct, frozen=True):
    """By a time, in seconds since the study began, the share that was dominated from then on.

    `reference`: up to where, by metric, as the objective returns them.
    """

    reference: Metrics
    shares: list[tuple[float, float]]


def hypervolumes(history: History, most: int = 1) -> Volumes | None:
    """Compute the hypervolume at `most` times at which the front has changed, the last included.

    None of more metrics than three, and where there is no result of all.
    """
    goal, results = history.goal, at_the_top(history)
    ends = [ends_of(each, results) for each in goal.each]
    known = [each for each in ends if each is not None]
    if not PAIR <= len(ends) <= MOST_METRICS or len(known) < len(ends):
        return None
    changes: list[tuple[float, list[Losses]]] = []
    front: list[Losses] = []
    for attempt in results:
        point = in_box(goal.losses(attempt.metrics), known)
        if max(point) < 1 and not any(it == point or dominates(it, point) for it in front):
            front = [it for it in front if not dominates(point, it)] + [point]
            changes.append((attempt.end(history.at), front))
    shares = [(at, hypervolume(its)) for at, its in thinned(changes, most)]
    pairs = zip(goal.each, known, strict=True)
    return Volumes({it.metric: it.signed(worst) for it, (_, worst) in pairs}, shares)


def at_the_top(history: History) -> list[Attempt]:
    """List the results of all metrics at the highest rung that has any, as they came in."""
    of_trials = (it for it in history.answers if it.id.trial != BASELINE)
    results = [it for it in of_trials if it.fate is Fate.RESULT]
    results = [it for it in results if history.goal.loss(it.metrics) < WORST]
    top = max((it.id.rung for it in results), default=-1)
    return [it for it in results if it.id.rung == top]


def ends_of(goal: Goal, results: Iterable[Attempt]) -> tuple[float, float] | None:
    """Find the best loss in a metric, and that of the reference point; None where there is none."""
    ends = window((finite(it.metrics[goal.metric]) for it in results), goal)
    if ends is None:
        return None
    best, worst = sorted(map(goal.signed, ends))
    return best, worst + (BEYOND * (worst - best) or 1.0)


def in_box(losses: Losses, ends: Sequence[tuple[float, float]]) -> Losses:
    """Say how far losses are from the best, 0, to the reference point, 1."""
    pairs = zip(losses, ends, strict=True)
    return tuple(max(0.0, (loss - best) / (worst - best)) for loss, (best, worst) in pairs)


def hypervolume(points: Sequence[Losses]) -> float:
    """Compute what of [0, 1] points dominate in two metrics or more, each up to 1.

    >>> hypervolume([(0.0, 0.5), (0.5, 0.0)]), hypervolume([(0.5, 0.5, 0.5), (0.5, 0.5, 0.75)])
    (0.75, 0.125)
    """
    total, end = 0.0, 1.0
    if len(points[0]) == PAIR:
        for first, second in sorted(points):
            total += (1.0 - first) * max(0.0, end - second)
            end = min(end, second)
        return total
    ascending = sorted(points, key=itemgetter(-1))
    for count in range(len(ascending), 0, -1):  # the slice that so many reach into
        begin = ascending[count - 1][-1]
        total += (end - begin) * hypervolume([it[:-1] for it in ascending[:count]])
        end = begin
    return total
