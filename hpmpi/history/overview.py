"""How a study stands at a moment: what whoever looks at it wants to see first, as one value.

What it takes to make one goes with the ranks and the rungs, and a little with the trials: rank 0
makes them while it leads.
"""

from bisect import bisect_left
from collections import Counter

import msgspec

from hpmpi.history.attempts import Attempt, FailedAttempt, Fate
from hpmpi.history.history import History
from hpmpi.history.progress import left_s, share_done
from hpmpi.history.ranks import Ranks
from hpmpi.history.rungs import RungCounts
from hpmpi.history.standings import Standing
from hpmpi.model.messages import Point
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal, Metrics
from hpmpi.study.settings import Settings

RECENT_S = 600.0
"""How far back results count for the rate."""


class RunningTrial(msgspec.Struct, frozen=True):
    """An attempt in work, the trial that it is of, and what that has come to: its `newest` point.

    That is what its objective has reported last, or the result that it was promoted with.
    """

    attempt: Attempt
    standing: Standing
    newest: Point | None


class FailureSort(msgspec.Struct, frozen=True):
    """How often attempts failed in one way, and how the newest of them did."""

    times: int
    newest: FailedAttempt


class Overview(msgspec.Struct, frozen=True):
    """A study at the time `at`, in seconds since it began.

    `tried`: the trials whose first job is closed; `done`: the share of the study, from 0 to 1;
    `left_s`: until it ends; `rate`: results an hour, of late; `improved_at`: when the incumbent
    last changed; `best`: the best trials, best first; `fronts`: of several metrics, those of all by
    trial; `running`: the trials in work, highest rung first.
    """

    study: Settings
    goal: Goal
    space: Space
    at: float
    tried: int
    done: float | None
    left_s: float | None
    drains_in_s: float | None
    rate: float
    rungs: list[RungCounts]
    ranks: Ranks
    best: list[Standing]
    fronts: dict[int, int]
    improved_at: float | None
    baseline: Metrics | None
    running: list[RunningTrial]
    failures: list[FailureSort]
    draining: str | None


def overview(history: History, at: float, top: int, *, going_on: bool = True) -> Overview:
    """Make the overview of a run, with its `top` best trials; where nobody goes on, none runs."""
    running = running_trials(history) if going_on else []
    deadline = history.deadline
    untried = sum(history.trials[it.id.trial].rung < 0 for it in history.open_jobs)
    return Overview(
        study=history.study,
        goal=history.goal,
        space=history.space,
        at=at,
        tried=len(history.trials) - untried,
        done=share_done(history, at),
        left_s=left_s(history, at),
        drains_in_s=None if deadline is None else deadline.drains_at - at,
        rate=rate(history, at),
        rungs=history.rungs(going_on=going_on),
        ranks=history.ranks,
        best=history.standings.top(top),
        fronts=history.standings.fronts() if history.goal.others else {},
        improved_at=history.best[-1].ended if history.best else None,
        baseline=history.baseline,
        running=running,
        failures=failure_sorts(history),
        draining=history.draining,
    )


def running_trials(history: History) -> list[RunningTrial]:
    """List the trials in work, highest rung first, and what each has come to."""
    running = [
        RunningTrial(attempt, standing, newest(history, standing))
        for attempt in history.open_jobs
        if attempt.fate is Fate.OPEN
        for standing in (history.trials[attempt.id.trial],)
    ]
    return sorted(running, key=lambda it: (-it.attempt.id.rung, it.attempt.id.trial))


def newest(history: History, standing: Standing) -> Point | None:
    """Find what a trial has come to: what it reported last, or its result where that is more."""
    result = Point(standing.resource, standing.metrics) if standing.rung >= 0 else None
    reported = history.curves.newest(standing.trial)
    if reported is None or (result is not None and result.resource >= reported.resource):
        return result
    return reported


def rate(history: History, at: float) -> float:
    """Tell how many results an hour came in of late."""
    span_s = min(at, RECENT_S)
    first = bisect_left(history.answers, at - span_s, key=lambda it: it.end(at))
    return (len(history.answers) - first) * 3600.0 / span_s if span_s > 0 else 0.0


def failure_sorts(history: History) -> list[FailureSort]:
    """Sort failures by kind, most frequent first."""
    times = Counter(failed.kind for failed in history.failures)
    last = {failed.kind: failed for failed in history.failures}
    return [FailureSort(count, last[kind]) for kind, count in times.most_common()]
