"""What a journal tells about time: the series that figures are drawn from.

Times are seconds since the study began, as in the journal. A value is that of the studied metric as
the objective returned it; one that no axis can show is NaN.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TypeVar

import msgspec

from hpmpi.history.leaderboard import Leaderboard, curves
from hpmpi.model.messages import FailureKind
from hpmpi.model.records import (
    Assigned,
    Back,
    Decision,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import Goal

Item = TypeVar("Item")

LARGEST = 1e100
"""What is beyond is as good as infinite: differences and squares of what is below are numbers."""

MOST, FEW = 0.75, 8
"""The share of all results, and how many at least, that are taken for no outliers."""

REACH = 3
"""How many times as far from the best as those are a result may be that is none either."""


class Fate(Enum):
    """What became of an attempt; OPEN is in work still, CUT went down with a start of the study."""

    RESULT = "result"
    SAVED = "saved for a drain"
    FAILED = "failed"
    LOST = "lost with its rank"
    LATE = "answered too late"
    CUT = "cut off"
    OPEN = "in work"


USEFUL = frozenset({Fate.RESULT, Fate.SAVED, Fate.OPEN})
"""The fates that time was not lost with."""


class Attempt(msgspec.Struct):
    """A try at a job: who made it, from when until when, and what became of it."""

    trial: int
    rung: int
    attempt: int
    rank: int
    begun: float
    ended: float
    fate: Fate = Fate.OPEN


class Answer(msgspec.Struct, frozen=True):
    """A result as it came in; `spent` is the resource that all results so far have taken."""

    at: float
    spent: int
    trial: int
    rung: int
    resource: int
    value: float


class Absence(msgspec.Struct):
    """A rank was lost from `begun` until it was heard again, or the start was over."""

    rank: int
    begun: float
    ended: float


class Share(msgspec.Struct):
    """What a rank has done: attempts that brought a result, or nothing; and the time they took."""

    results: int = 0
    failures: int = 0
    useful_s: float = 0.0
    wasted_s: float = 0.0


class Story(msgspec.Struct, frozen=True):
    """All series of a run; `best` are the answers that brought another or a better incumbent.

    `restarts` are the times of all starts but the first.
    """

    answers: list[Answer]
    best: list[Answer]
    attempts: list[Attempt]
    absences: list[Absence]
    curves: dict[int, list[tuple[int, float]]]
    ranks: list[int]
    restarts: list[float]
    ended: float


def tell(decisions: Sequence[Decision], goal: Goal) -> Story:
    """Collect the series of a journal that has passed the audit."""
    found = list(answers(decisions, goal))
    ended = decisions[-1].at if decisions else 0.0
    return Story(
        answers=found,
        best=improvements(decisions, found, goal),
        attempts=attempts(decisions, ended),
        absences=absences(decisions, ended),
        curves=learning(decisions, found, goal),
        ranks=ranks(decisions),
        restarts=[each.at for each in decisions if isinstance(each, Started)][1:],
        ended=ended,
    )


def answers(decisions: Iterable[Decision], goal: Goal) -> Iterator[Answer]:
    """List the results; what a trial's checkpoint had already is not spent again."""
    saved: dict[int, int] = {}
    spent = 0
    for each in decisions:
        match each:
            case Result():
                spent += max(0, each.resource - saved.get(each.trial, 0))
                value = finite(each.metrics[goal.metric])
                yield Answer(each.at, spent, each.trial, each.rung, each.resource, value)
                saved[each.trial] = each.saved
            case Suspension():
                spent += max(0, each.saved - saved.get(each.trial, 0))
                saved[each.trial] = each.saved
            case _:
                pass


def improvements(
    decisions: Iterable[Decision], found: Iterable[Answer], goal: Goal
) -> list[Answer]:
    """Pick the answers that brought another or a better incumbent."""
    top = max((each.rung for each in decisions if isinstance(each, Assigned)), default=0)
    board = Leaderboard(goal, top)
    waiting = iter(found)
    best = []
    for decision in decisions:
        better = board.add(decision)
        if isinstance(decision, Result):
            answer = next(waiting)
            if better and not math.isnan(answer.value):
                best.append(answer)
    return best


def attempts(decisions: Iterable[Decision], ended: float) -> list[Attempt]:
    """List all attempts as they were handed out; the last word on each counts."""
    known: dict[tuple[int, int, int], Attempt] = {}
    still_open: dict[tuple[int, int, int], Attempt] = {}
    for each in decisions:
        match each:
            case Started():
                close(still_open.values(), each.at, Fate.CUT)
                still_open.clear()
            case Assigned():
                key = (each.trial, each.rung, each.attempt)
                made = Attempt(*key, each.rank, each.at, ended)
                known[key] = still_open[key] = made
            case Result() | Failure() | Suspension() | Late():
                key = (each.trial, each.rung, each.attempt)
                still_open.pop(key, None)
                if key in known:
                    close([known[key]], each.at, fate_of(each))
            case _:
                pass
    return list(known.values())


def close(those: Iterable[Attempt], at: float, fate: Fate) -> None:
    """Say what became of attempts, and when."""
    for attempt in those:
        attempt.ended, attempt.fate = max(at, attempt.begun), fate


def fate_of(answer: Result | Failure | Suspension | Late) -> Fate:
    """Tell what an answer says of its attempt."""
    match answer:
        case Result():
            return Fate.RESULT
        case Suspension():
            return Fate.SAVED
        case Late():
            return Fate.LATE
        case Failure(kind=FailureKind.LOST):
            return Fate.LOST
        case Failure():
            return Fate.FAILED


def absences(decisions: Iterable[Decision], ended: float) -> list[Absence]:
    """List when which rank was lost, in the order in which they were."""
    found = []
    missing: dict[int, Absence] = {}
    for each in decisions:
        match each:
            case Started(at=at):
                for absence in missing.values():
                    absence.ended = at
                missing.clear()
            case Lost(at=at, rank=rank):
                missing[rank] = Absence(rank, at, ended)
                found.append(missing[rank])
            case Back(at=at, rank=rank) if rank in missing:
                missing.pop(rank).ended = at
            case _:
                pass
    return found


def learning(
    decisions: Sequence[Decision], found: Iterable[Answer], goal: Goal
) -> dict[int, list[tuple[int, float]]]:
    """Collect each trial's (resource, value) pairs: what was reported, and the results at rungs."""
    points = {
        (trial, resource): finite(metrics[goal.metric])
        for (trial, resource), metrics in curves(decisions).items()
        if goal.metric in metrics
    }
    points |= {(each.trial, each.resource): each.value for each in found}
    lines: dict[int, list[tuple[int, float]]] = {}
    for (trial, resource), value in sorted(points.items()):
        if not math.isnan(value):
            lines.setdefault(trial, []).append((resource, value))
    return lines


def ranks(decisions: Iterable[Decision]) -> list[int]:
    """List the ranks that were heard of."""
    of_rank = Joined | Refused | Assigned | Lost
    return sorted({each.rank for each in decisions if isinstance(each, of_rank)})


def finite(value: float) -> float:
    """Take what no axis can show as NaN."""
    return value if abs(value) < LARGEST else math.nan


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Keep `most` of many, evenly spread; the last is among them."""
    if len(items) <= most:
        return list(items)
    return [items[(number + 1) * len(items) // most - 1] for number in range(most)]


def window(values: Iterable[float], goal: Goal) -> tuple[float, float] | None:
    """Find the range of values for an axis: all but bad outliers; None where there is none.

    >>> window([*range(1, 17), 1e9, float("nan")], Goal("loss", "min"))
    (1, 16)
    """
    losses = sorted(goal.signed(value) for value in values if not math.isnan(value))
    if not losses:
        return None
    inside = max(int(MOST * len(losses)), min(FEW, len(losses)))
    furthest = losses[0] + REACH * (losses[inside - 1] - losses[0])
    near = [each for each in losses if each <= furthest]
    worst = near[-1] if furthest > losses[0] else losses[-1]
    ends = sorted((losses[0], worst) if goal.mode == "min" else (-losses[0], -worst))
    return ends[0], ends[1]


def shares(story: Story) -> list[Share]:
    """Sum up the attempts of each rank, in the order of the ranks."""
    found = {rank: Share() for rank in story.ranks}
    for each in story.attempts:
        share, took_s = found[each.rank], each.ended - each.begun
        share.results += each.fate is Fate.RESULT
        share.failures += each.fate not in USEFUL
        if each.fate in USEFUL:
            share.useful_s += took_s
        else:
            share.wasted_s += took_s
    return list(found.values())
