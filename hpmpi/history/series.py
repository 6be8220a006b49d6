"""What a history tells about time and resource: the series that figures are drawn from.

Times are seconds since the study began, as in the journal. A value is that of the studied metric as
the objective returned it; one that no axis can show is NaN.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from hpmpi.history.attempts import USEFUL, Fate
from hpmpi.history.history import History
from hpmpi.model.trial import Goal

Item = TypeVar("Item")

LARGEST = 1e100
"""What is beyond is as good as infinite: differences and squares of what is below are numbers."""

MOST, FEW = 0.75, 8
"""The share of all results, and how many at least, that are taken for no outliers."""

REACH = 3
"""How many times as far from the best as those are a result may be that is none either."""

REACH_BY_POWERS = 1.5
"""The same, of logarithms."""

DECADES = 30
"""From how many times the best on those are shown by powers."""


class Answer(msgspec.Struct, frozen=True):
    """A result as it came in; `spent` is the resource that all results so far have taken."""

    at: float
    spent: int
    trial: int
    rung: int
    resource: int
    value: float
    is_best: bool


class RankShare(msgspec.Struct):
    """What a rank has done: attempts that brought a result, or nothing; and the time they took."""

    results: int = 0
    failures: int = 0
    useful_s: float = 0.0
    wasted_s: float = 0.0


def answers(history: History) -> Iterator[Answer]:
    """List the results; what a trial's checkpoint had already is not spent again."""
    best = {attempt.id for attempt in history.best}
    spent = 0
    for attempt in history.answers:
        reached = attempt.resource if attempt.fate is Fate.RESULT else attempt.saved
        spent += max(0, reached - attempt.start)
        if attempt.fate is Fate.RESULT:
            value = finite(attempt.metrics[history.goal.metric])
            trial, rung, _ = attempt.id
            is_best = attempt.id in best and not math.isnan(value)
            at = attempt.end(history.at)
            yield Answer(at, spent, trial, rung, attempt.resource, value, is_best)


def learning(history: History) -> dict[int, list[tuple[int, float]]]:
    """Collect each trial's (resource, value) pairs: what was reported, and the results at rungs."""
    metric = history.goal.metric
    points = {
        (trial, resource): metrics[metric]
        for trial in history.curves
        for resource, metrics in history.curves.of(trial).items()
        if metric in metrics
    }
    for attempt in history.answers:
        if attempt.fate is Fate.RESULT:
            points[attempt.id.trial, attempt.resource] = attempt.metrics[metric]
    lines: dict[int, list[tuple[int, float]]] = {}
    for (trial, resource), value in sorted(points.items()):
        if not math.isnan(finite(value)):
            lines.setdefault(trial, []).append((resource, value))
    return lines


def shares(history: History) -> list[RankShare]:
    """Sum up the attempts of each rank, in the order of the ranks."""
    found = {rank: RankShare() for rank in history.ranks}
    for attempt in history.attempts.values():
        took_s, is_useful = attempt.took_s(history.at), attempt.fate in USEFUL
        for rank in attempt.slot:
            found[rank].useful_s += took_s if is_useful else 0.0
            found[rank].wasted_s += 0.0 if is_useful else took_s
        found[attempt.rank].results += attempt.fate is Fate.RESULT
        found[attempt.rank].failures += not is_useful
    return list(found.values())


class Reach(msgspec.Struct, frozen=True):
    """What an axis of the metric shows: from where to where, and whether by powers."""

    low: float
    high: float
    log: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether a value is shown."""
        return self.low <= value <= self.high


def finite(value: float) -> float:
    """Take what no axis can show as NaN."""
    return value if abs(value) < LARGEST else math.nan


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Keep `most` of many, evenly spread; the last is among them."""
    if len(items) <= most:
        return list(items)
    return [items[(number + 1) * len(items) // most - 1] for number in range(most)]


def reach_of(values: Iterable[float], goal: Goal) -> Reach | None:
    """Choose what an axis shows of values: as `window`, by powers where most span decades.

    >>> reach_of([0.02, 0.5, *range(1, 17), 4e10], Goal("loss", "min"))
    Reach(low=0.02, high=16.0, log=True)
    """
    known = [value for value in values if not math.isnan(value)]
    log = spans_decades(known, goal)
    ends = window(map(math.log, known), goal, REACH_BY_POWERS) if log else window(known, goal)
    if ends is None or not log:
        return None if ends is None else Reach(*ends)
    shown = [value for value in known if ends[0] <= math.log(value) <= ends[1]]
    return Reach(float(min(shown)), float(max(shown)), log=True)


def spans_decades(values: Sequence[float], goal: Goal) -> bool:
    """Tell whether most of some values are so far from the best that only powers show both."""
    if not values or min(values) <= 0:
        return False
    ordered = sorted(values, key=goal.signed)
    ends = ordered[0], ordered[most_of(ordered) - 1]
    return max(ends) >= DECADES * min(ends)


def most_of(values: Sequence[float]) -> int:
    """Say how many of some values are taken for no outliers."""
    return max(int(MOST * len(values)), min(FEW, len(values)))


def window(values: Iterable[float], goal: Goal, reach: float = REACH) -> tuple[float, float] | None:
    """Find the range of values for an axis: all but bad outliers; None where there is none.

    >>> window([*range(1, 17), 1e9, float("nan")], Goal("loss", "min"))
    (1, 16)
    """
    losses = sorted(goal.signed(value) for value in values if not math.isnan(value))
    if not losses:
        return None
    inside = most_of(losses)
    furthest = losses[0] + reach * (losses[inside - 1] - losses[0])
    near = [loss for loss in losses if loss <= furthest]
    worst = near[-1] if furthest > losses[0] else losses[-1]
    ends = sorted((losses[0], worst) if goal.mode == "min" else (-losses[0], -worst))
    return ends[0], ends[1]
