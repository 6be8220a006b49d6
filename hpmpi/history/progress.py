"""How much of a study is done, and how long the rest takes.

A job costs what it adds to its trial, in resource. Of each rung as many jobs are expected as come
to it if one trial in eta goes on from each; where there were more already, as many as there were.
"""

from collections.abc import Sequence
from itertools import pairwise

from hpmpi.history.history import History
from hpmpi.history.rungs import RungCounts
from hpmpi.model.messages import Outcome
from hpmpi.study.settings import Settings

ETA = 3
"""One trial in how many is promoted, where a scheduler does not say."""


LEAST_KNOWN = 0.02
"""How much must be done before anything is said of how long the rest takes."""


def share_done(history: History, at: float) -> float | None:
    """Tell how much is done, from 0 to 1, of the trials or of the time, whichever is more.

    `at`: seconds since the study began, by now. None where neither is limited.
    """
    if history.outcome is Outcome.COMPLETE:
        return 1.0
    stop = history.study.stop
    shares = [work_done(history.study, history.rungs())] if stop.max_trials else []
    shares += [min(1.0, at / stop.time_s)] if stop.time_s else []
    return max(shares, default=None)


def work_done(study: Settings, rungs: Sequence[RungCounts]) -> float:
    """Tell how much is done of all that the trials of a study cost."""
    costs = [above.resource - below.resource for below, above in pairwise(rungs)]
    closed = [it.results + it.given_up + it.stopped for it in rungs]
    jobs = map(max, expected(study, len(rungs)), closed)
    pairs = list(zip([it.resource for it in rungs[:1]] + costs, closed, jobs, strict=True))
    whole = sum(cost * count for cost, _, count in pairs)
    return sum(cost * count for cost, count, _ in pairs) / whole if whole else 0.0


def expected(study: Settings, rungs: int) -> Sequence[int]:
    """Count the jobs of each rung, if one trial in eta goes on from each.

    >>> from hpmpi.study.settings import StopTable
    >>> study = Settings("s", {}, "s:s", scheduler={"eta": 3}, stop=StopTable(max_trials=81))
    >>> expected(study, 3)
    [81, 27, 9]
    """
    eta = study.scheduler.get("eta")
    divisor = eta if isinstance(eta, int) and eta > 1 else ETA
    return [(study.stop.max_trials or 0) // divisor**rung for rung in range(rungs)]


def left_s(history: History, at: float) -> float | None:
    """Tell in how many seconds the study ends or drains, at the pace that it had so far.

    None where nothing tells.
    """
    done = share_done(history, at) or 0.0
    known = [at * (1 - done) / done] if done >= LEAST_KNOWN else []
    if history.study.stop.time_s is not None:
        known.append(history.study.stop.time_s - at)
    if history.deadline is not None:
        known.append(history.deadline.drains_at - at)
    return max(0.0, min(known)) if known else None
