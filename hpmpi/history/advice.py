"""What a run can tell its user by itself: that its settings can't come to what they are for.

Only numbers are worked out here; who says it has the words.
"""

from collections.abc import Sequence

import msgspec

from hpmpi.history.history import History
from hpmpi.history.ranks import RankState
from hpmpi.model.trial import BASELINE
from hpmpi.study.settings import Settings

HALVING = ("asha", "hyperband")
"""The schedulers that bring one in eta from a rung to the next, and nobody else."""

EXHAUSTIVE = ("grid", "list")
"""The searchers that are to give all that they have."""

FEWEST = 8
"""How many trials must have a result before it is told how long others take."""

ABLE = (RankState.BUSY, RankState.IDLE, RankState.AWAITED)


class TooFew(msgspec.Struct, frozen=True):
    """Of so many `trials`, none is likely to come to the highest rung; `enough` are.

    `resource`: that of the lowest rung from which they suffice.
    """

    trials: int
    enough: int
    resource: int


def too_few(study: Settings, rungs: Sequence[int]) -> TooFew | None:
    """Tell whether a study has fewer trials than it takes to bring one of them to the top."""
    trials, eta = study.stop.max_trials, study.scheduler.get("eta")
    if study.scheduler.get("method") not in HALVING or trials is None or not isinstance(eta, int):
        return None
    needed = [eta**steps for steps in reversed(range(len(rungs)))]
    if not needed or trials >= needed[0]:
        return None
    resource = next(at for at, enough in zip(rungs, needed, strict=True) if trials >= enough)
    return TooFew(trials, needed[0], resource)


class Shortage(msgspec.Struct, frozen=True):
    """So many trials of all are not begun, and take longer than is left.

    `until_deadline`: whether it is the allocation that ends by then, and not the study's time.
    """

    trials: int
    total: int
    needs_s: float
    left_s: float
    until_deadline: bool


def shortage(history: History) -> Shortage | None:
    """Tell whether a searcher that is to give all that it has has too much for the time left.

    Others take as long as those that have results, with what failed and what was promoted.
    """
    study, results = history.study, sum(standing.rung >= 0 for standing in history.trials)
    total, left = study.stop.max_trials, time_left(history)
    able = ranks_able(history)
    if study.searcher.get("method") not in EXHAUSTIVE or total is None or left is None or not able:
        return None
    if results < FEWEST:
        return None
    ended = [it for it in history.attempts.values() if it.ended is not None]
    trained = [it for it in ended if it.id.trial != BASELINE]
    took_s = sum(it.took_s(history.at) * len(it.slot) for it in trained)
    trials = total - len(history.trials)
    needs_s = trials * took_s / results / able
    left_s, until_deadline = left
    too_much = trials > 0 and needs_s > left_s
    return Shortage(trials, total, needs_s, left_s, until_deadline) if too_much else None


def time_left(history: History) -> tuple[float, bool] | None:
    """Tell how many seconds are left, if that is known, and whether the allocation ends then."""
    ends = []
    if history.study.stop.time_s is not None:
        ends.append((max(0.0, history.study.stop.time_s - history.at), False))
    if history.deadline is not None:
        ends.append((max(0.0, history.deadline.drains_at - history.at), True))
    return min(ends, default=None)


def ranks_able(history: History) -> int:
    """Count the ranks that work, or will, at once."""
    counts = history.ranks.counts()
    able = sum(counts[state] for state in ABLE)
    return min(able, history.study.run.max_concurrent or able)
