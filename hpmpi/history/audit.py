"""What a journal can say at all: checked before anything is shown or done by it.

Checksums tell damage; this tells nonsense, from whoever wrote it. It is no replay: which job comes
next is not derived, only that each decision is about ranks, trials and attempts that are there.
"""

import math
from collections.abc import Sequence

from hpmpi.errors import ReplayError
from hpmpi.model.records import (
    Assigned,
    Back,
    Baseline,
    Curve,
    Deadline,
    Decision,
    Failure,
    Joined,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import JobKey, Metrics
from hpmpi.model.values import unfit

MOST = 2**53
"""The greatest whole number that every program reads exactly."""

MOST_RANKS = 2**20
MOST_RUNGS = 10_000
"""More than any study has: each costs who reads a journal some memory."""

LONGEST_S = 1e10
"""No study takes 300 years."""

OfRank = Joined | Refused | Assigned | Result | Failure | Suspension | Lost | Back
OfAttempt = Result | Failure | Suspension | Curve


def audit(decisions: Sequence[Decision], metric: str) -> None:
    """Raise ReplayError for the first decision that can't be, where results have this `metric`."""
    books = Books(metric)
    for number, decision in enumerate(decisions, start=1):
        wrong = books.enter(decision)
        if wrong is not None:
            raise ReplayError(f"the journal is damaged: {wrong} (line {number})")


class Books:
    """What there is by a line of the journal."""

    def __init__(self, metric: str) -> None:
        """Start before the first line."""
        self._metric = metric
        self._ranks = 0
        self._rungs = 0
        self._trials = 0
        self._attempts: dict[JobKey, int] = {}
        self._closed: set[JobKey] = set()

    def enter(self, decision: Decision) -> str | None:
        """Take a decision in, or say what is wrong with it."""
        return self._frame(decision) or self._matter(decision)

    def _frame(self, decision: Decision) -> str | None:
        if not 0 <= decision.at <= LONGEST_S:
            return f"{decision.at} is no time"
        if self._ranks == 0 and not isinstance(decision, Started):
            return "it lacks the start of the study"
        if isinstance(decision, OfRank) and not 0 < decision.rank <= self._ranks:
            return f"there is no rank {decision.rank}"
        return None

    def _matter(self, decision: Decision) -> str | None:
        match decision:
            case Started():
                return self._start(decision)
            case Assigned():
                return self._assign(decision)
            case Result(metrics=metrics):
                return self._answer(decision, last=True) or self._measure(metrics)
            case Failure(final=final):
                return self._answer(decision, last=final)
            case Suspension():
                return self._answer(decision, last=False)
            case Curve():
                return self._find(decision)
            case Deadline():
                return self._time(decision)
            case Baseline(metrics=metrics):
                return self._measure(metrics)
            case _:
                return None

    def _start(self, started: Started) -> str | None:
        wrong = wrong_start(started)
        if wrong is None:
            # A rank of the start before may be what a job was lost with.
            self._ranks = max(self._ranks, started.ranks)
            self._rungs = len(started.rungs)
        return wrong

    def _time(self, deadline: Deadline) -> str | None:
        ends_at, epoch_s = deadline.ends_at, deadline.epoch_s
        dated = abs(ends_at) <= LONGEST_S and 0 <= epoch_s <= LONGEST_S
        drained = -math.inf < deadline.drains_at <= ends_at
        return None if dated and drained else f"{deadline} is no deadline"

    def _assign(self, assigned: Assigned) -> str | None:
        key = JobKey(assigned.trial, assigned.rung)
        known = self._trials if assigned.config is None else self._trials + 1
        if not 0 <= key.trial < known:
            return f"it lacks the beginning of trial {key.trial}"
        if key.rung < 0 or (self._rungs and key.rung >= self._rungs):
            return f"there is no rung {key.rung}"
        if not 0 < assigned.resource <= MOST:
            return f"{assigned.resource} is no resource"
        for value in (assigned.config or {}).values():
            for problem in unfit(value):
                return problem
        if key in self._closed or assigned.attempt != self._attempts.get(key, 0) + 1:
            return f"{named(assigned)} is not the next"
        self._trials = max(self._trials, key.trial + 1)
        self._attempts[key] = assigned.attempt
        return None

    def _answer(self, decision: Result | Failure | Suspension, *, last: bool) -> str | None:
        key = JobKey(decision.trial, decision.rung)
        if key in self._closed:
            return f"{named(decision)} was answered before"
        if last:
            self._closed.add(key)
        return self._find(decision)

    def _find(self, decision: OfAttempt) -> str | None:
        key = JobKey(decision.trial, decision.rung)
        if not 0 <= key.trial < self._trials:
            return f"it lacks the beginning of trial {key.trial}"
        there = 0 < decision.attempt <= self._attempts.get(key, 0)
        return None if there else f"{named(decision)} was not handed out"

    def _measure(self, metrics: Metrics) -> str | None:
        return None if self._metric in metrics else f"a result lacks the metric {self._metric!r}"


def wrong_start(started: Started) -> str | None:
    """Say what is wrong with a start."""
    if not 0 < started.ranks <= MOST_RANKS:
        return f"there can't be {started.ranks} ranks"
    rungs = started.rungs
    if len(rungs) > MOST_RUNGS:
        return f"there can't be {len(rungs)} rungs"
    if list(rungs) != sorted(set(rungs)) or not all(0 < rung <= MOST for rung in rungs):
        return f"{rungs} are no rungs"
    return None


def named(decision: Assigned | OfAttempt) -> str:
    """Name an attempt."""
    return f"trial {decision.trial} rung {decision.rung} attempt {decision.attempt}"
