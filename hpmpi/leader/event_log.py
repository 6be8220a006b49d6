"""The log: one line for each thing that happened, but for results that come too fast to be read."""

import logging
import math

from hpmpi.history.leaderboard import Leaderboard
from hpmpi.model.messages import FailureKind, Outcome, escaped, gist
from hpmpi.model.records import (
    Assigned,
    Back,
    Decision,
    Ended,
    Failure,
    Joined,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.study.settings import Settings
from hpmpi.views.run_view import MENDED

MOST_LINES = 50
"""How many results have a line in a second; those of incumbents always have one."""

log = logging.getLogger("hpmpi")


class EventLog:
    """Tells the decisions as they are made, and keeps the leaderboard that they lead to."""

    def __init__(self, board: Leaderboard) -> None:
        """Go on with a leaderboard."""
        self.board = board
        self._assigned_at: dict[tuple[int, int, int], float] = {}  # by trial, rung and attempt
        self._second = -math.inf
        self._lines = 0
        self._untold = 0
        self._said = ""

    def introduce(self, study: Settings, started: Started, where: str, going_on: int) -> None:
        """Say what is run, by how many ranks and `where`; after how many results, if any."""
        log.info(
            "study %s: %d worker rank%s %s%s",
            study.name,
            started.ranks,
            "s" if started.ranks > 1 else "",
            where,
            f"; going on after {going_on} results" if going_on else "",
        )
        if study.data.source is not None:
            log.info("data: each node reads %s", study.data.source)
        if study.stop.max_trials is not None:
            log.info("%s: up to %d trials", study.searcher["method"], study.stop.max_trials)
        if len(started.rungs) > 1:
            method, rungs = study.scheduler["method"], ", ".join(map(str, started.rungs))
            log.info("%s: rungs at %s", method, rungs)

    def tell(self, decision: Decision) -> None:
        """Take a decision into account, and log it if people want to know."""
        improved = self.board.add(decision)
        match decision:
            case Joined(notes=notes) if notes:
                log.info("%s", "; ".join(map(escaped, notes)))
            case Assigned(trial=trial, rung=rung, attempt=attempt):
                self._assigned_at[trial, rung, attempt] = decision.at
            case Result():
                self._result(decision, improved=improved)
            case Failure():
                self._failure(decision)
                self._said = decision.error if decision.final else self._said
            case Suspension(trial=trial, rung=rung, saved=saved):
                log.info("trial %d rung %d: saved at %d, to go on from there", trial, rung, saved)
            case Lost(rank=rank):
                log.warning("rank %d is lost: it was silent for too long", rank)
            case Back(rank=rank):
                log.warning("rank %d is back", rank)
            case Refused(rank=rank, error=error):
                log.warning("rank %d can't work: %s", rank, escaped(gist(error)))
            case Ended(outcome=outcome, why=why):
                self._end(outcome, why)

    def _end(self, outcome: Outcome, why: str) -> None:
        if outcome is Outcome.DRAINED:
            log.warning("drained (%s): the same command goes on from here", why)
        elif outcome is Outcome.DESERTED:
            log.warning("no rank is left: the same command goes on from here")
        elif outcome is Outcome.FAILED:
            said = "\n".join(map(escaped, self._said.splitlines()))
            log.error("trials fail alike, and none has succeeded:\n%s\n%s", said, MENDED)

    def _result(self, result: Result, *, improved: bool) -> None:
        began_at = self._assigned_at.pop((result.trial, result.rung, result.attempt), result.at)
        if result.at - self._second >= 1.0:
            self._second, self._lines = result.at, 0
        self._lines += 1
        if self._lines > MOST_LINES and not improved:
            self._untold += 1
            return
        metric = self.board.goal.metric
        log.info(
            "%strial %d rung %d: %s %g (rank %d, %.1f s)%s",
            f"after {self._untold} more results: " if self._untold else "",
            result.trial,
            result.rung,
            metric,
            result.metrics[metric],
            result.rank,
            result.at - began_at,
            ", the incumbent" if improved else "",
        )
        self._untold = 0

    def _failure(self, failure: Failure) -> None:
        if failure.kind is not FailureKind.LOST:  # who was lost may answer yet
            self._assigned_at.pop((failure.trial, failure.rung, failure.attempt), None)
        log.warning(
            "trial %d rung %d attempt %d: %s (rank %d): %s%s",
            failure.trial,
            failure.rung,
            failure.attempt,
            failure.kind.value,
            failure.rank,
            escaped(gist(failure.error)),
            "; given up" if failure.final else "",
        )
