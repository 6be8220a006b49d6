"""The log: one line for each thing that happened, but for results that come too fast to be read."""

import logging
import math
import time

from hpmpi.history.advice import FEWEST, shortage
from hpmpi.history.attempts import Attempt, FailedAttempt
from hpmpi.history.history import History
from hpmpi.history.overview import overview
from hpmpi.history.progress import share_done
from hpmpi.leader.notices import (
    tell_deadline,
    tell_doubts,
    tell_end,
    tell_shortage,
    tell_too_few,
)
from hpmpi.model.events import Heard, Silent
from hpmpi.model.messages import Finished, Ready, Unfit, end_of, escaped, gist
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Line,
    Quarantined,
    Released,
    Result,
    Started,
    Stopped,
    Suspension,
)
from hpmpi.model.timers import Sparing
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.study import references
from hpmpi.views import live
from hpmpi.views.layout import count_of, percent, reached, resource_of, rungs_at
from hpmpi.views.rows import LONGEST_CONFIG, configuration

MOST_LINES = 50
"""How many results have a line in a second; those of incumbents always have one."""

SAVES = "trial.should_save says when to save one"
KEEPS = "what the program leaves in {folder} is one"

SHARE = 0.005
"""How much of the time it may take to work out how much is done."""

SUMMARY_S = 60.0
"""How often it is said how the study stands, where there is no live view."""

log = logging.getLogger("hpmpi")


class EventLog:
    """Tells what happens as it is written.

    Where a live view `is_beside` it, results that are no incumbents are left to that.
    """

    def __init__(self, *, is_beside: bool = False) -> None:
        """Have told nothing yet."""
        self._results = logging.DEBUG if is_beside else logging.INFO
        self._summed_up_at: float | None = None
        self._share = ""
        self._sharing = Sparing(SHARE)
        self._notes: set[str] = set()
        self._sorts: set[str] = set()
        self._broken: set[str] = set()
        self._restarted: float = 0
        """How many that began from 0 again are no news: those of earlier starts, or all."""
        self._second = -math.inf
        self._lines = 0
        self._untold = 0
        self._looks_at: float = FEWEST
        """How many results there are when it is looked next whether the time will do."""

    def introduce(self, history: History, where: str, going_on: int) -> None:
        """Say what is run, by how many ranks and `where`; after how many results, if any.

        The history has come to the start that is introduced.
        """
        study, started = history.study, history.starts[-1]
        self._restarted = history.restarted
        log.info(
            "study %s: %s %s%s",
            study.name,
            count_of(started.ranks, "worker rank"),
            where,
            f"; going on after {going_on} results" if going_on else "",
        )
        if study.data.source is not None:
            log.info("data: each node reads %s", study.data.source)
        if study.stop.max_trials is not None:
            log.info("%s: up to %d trials", study.searcher["method"], study.stop.max_trials)
        if len(started.rungs) > 1:
            log.info("%s: rungs at %s", study.scheduler["method"], rungs_at(started.rungs, study))
        tell_too_few(study, started.rungs)
        tell_doubts(study, started.rungs)

    def sum_up(self, history: History, at: float) -> None:
        """Log how the study stands, a minute after the last time; `at`: by now."""
        if self._summed_up_at is None:
            self._summed_up_at = at
        elif at - self._summed_up_at >= SUMMARY_S:
            self._summed_up_at = at
            log.info("%s", escaped(live.in_a_line(overview(history, at, 1), time.time())))

    def tell(self, line: Line, history: History) -> None:
        """Log a line that was added to the history last, as far as people want to know it."""
        if isinstance(line, Started):
            return
        self._happen(line)
        for decision in line.decisions:
            self._decide(decision, history)

    def _happen(self, entry: Entry) -> None:
        match entry.event:
            case Heard(report=Finished()):  # first, as most are: each pays for a look
                pass
            case Heard(report=Ready(notes=notes)) if new := [*dict.fromkeys(notes)]:
                new = [note for note in new if note not in self._notes]
                self._notes.update(new)
                if new:
                    log.info("%s", "; ".join(map(escaped, new)))
            case Heard(rank=rank, report=Unfit(error=error)):
                log.warning("rank %d can't work: %s", rank, escaped(gist(error)))
            case Silent(ranks=ranks):
                for rank in ranks:
                    log.warning("rank %d is lost: it was silent for too long", rank)
            case _:
                pass

    def _decide(self, decision: Decision, history: History) -> None:
        match decision:
            case Result(attempt=attempt):
                self._result(history.attempts[attempt], history)
                self._look_ahead(history)
            case Assigned():
                self._begin(decision, history)
            case Failure():
                self._fail(failure_of(decision, history), history)
            case Suspension(attempt=attempt, saved=saved):
                log.info("%s: saved at %d, to go on from there", name_of(attempt), saved)
            case Stopped(attempt=attempt):
                log.info("%s: stopped by the scheduler", name_of(attempt))
            case Back() | Quarantined() | Released():
                self._move(decision, history)
            case Deadline(drains_at=drains_at) if drains_at <= history.at:
                tell_deadline(history)
            case Draining(why=why):
                log.warning("%s: draining, for at most %g s", why, history.study.limits.grace_s)
            case Ended(outcome=outcome, why=why):
                tell_end(outcome, why, history)
            case _:
                pass

    def _result(self, attempt: Attempt, history: History) -> None:
        at = attempt.end(history.at)
        improved = bool(history.best) and history.best[-1] is attempt
        best = ", the incumbent"
        if history.goal.others:
            improved, best = is_on_front(attempt.id, history), ", on the front"
        if at - self._second >= 1.0:
            self._second, self._lines = at, 0
        self._lines += 1
        if self._lines > MOST_LINES and not improved:
            self._untold += 1
            return
        log.log(
            logging.INFO if improved else self._results,
            "%s%s%s: %s at %s (rank %d, %.1f s)%s%s",
            self._share_of(history, at),
            f"after {self._untold} more results: " if self._untold else "",
            name_of(attempt.id),
            reached(history.goal, attempt.metrics),
            escaped(resource_of(attempt.resource, history.study.unit)),
            attempt.rank,
            at - attempt.begun,
            best if improved else "",
            short_form(attempt.id.trial, history),
        )
        self._untold = 0

    def _share_of(self, history: History, at: float) -> str:
        """Say how much is done; it is worked out as seldom as it costs."""
        if self._sharing.is_due(at):
            asked_at = time.perf_counter()
            done = share_done(history, at)
            self._share = "" if done is None else f"[{percent(done)}] "
            self._sharing.took(time.perf_counter() - asked_at, at)
        return self._share

    def _fail(self, failed: FailedAttempt, history: History) -> None:
        """Log a failure, and the end of its text where it is the first of its sort."""
        is_new = failed.sort not in self._sorts
        self._sorts.add(failed.sort)
        end = end_of(failed.error) if is_new else []
        log.warning(
            "%s%s attempt %d: %s (rank %d): %s%s%s%s",
            self._share_of(history, failed.at),
            name_of(failed.attempt),
            failed.attempt.number,
            failed.kind.value,
            failed.rank,
            escaped(gist(failed.error)),
            "; given up" if failed.final else "",
            short_form(failed.attempt.trial, history),
            "".join(f"\n    {escaped(line)}" for line in end),
        )

    def _move(self, decision: Back | Quarantined | Released, history: History) -> None:
        """Log what a rank may do from now on, and once of a node that none of its ranks works."""
        match decision:
            case Back(rank=rank):
                log.warning("rank %d is back", rank)
                return
            case Released(rank=rank, on_trial=on_trial):
                log.info("rank %d gets %s", rank, "a job to try" if on_trial else "work again")
                return
            case Quarantined(rank=rank):
                host = history.ranks.find(rank).host
                log.warning("rank %d on %s fails job after job: it is put aside", rank, host)
        if host in history.ranks.broken_hosts and host not in self._broken:
            self._broken.add(host)
            log.warning("node %s is broken: a requeue will leave it out (limits.quarantine)", host)

    def _begin(self, assigned: Assigned, history: History) -> None:
        """Say once a start that a promoted trial is trained from the beginning again.

        Of objectives of ours that is known: some models can't go on.
        """
        attempt = assigned.attempt
        if log.isEnabledFor(logging.DEBUG):
            does = "has it queued" if assigned.queued else "begins"
            which = name_of(attempt), attempt.number, assigned.rank, does
            log.debug("%s attempt %d: rank %d %s%s", *which, short_form(attempt.trial, history))
        if history.restarted <= self._restarted:  # each job that is handed out pays for it
            return
        self._restarted, study = math.inf, history.study
        if study.objective is None or not references.is_ours(study.objective):
            said = "%s begins from 0, and so do all that are promoted without a checkpoint: %s"
            log.warning(said, name_of(attempt), SAVES if study.command is None else KEEPS)

    def _look_ahead(self, history: History) -> None:
        """Say once that all that the searcher has can't be tried in time; look ever more seldom."""
        if history.results < self._looks_at:
            return
        self._looks_at = 2 * history.results
        if (short := shortage(history)) is not None:
            tell_shortage(short, history)
            self._looks_at = math.inf


def failure_of(decision: Failure, history: History) -> FailedAttempt:
    """Find a failure that was added of late: a line may tell of several."""
    newest_first = reversed(history.failures)
    return next(it for it in newest_first if it.attempt == decision.attempt)


def is_on_front(attempt: AttemptId, history: History) -> bool:
    """Tell whether a result, the newest one, is on the front."""
    front = history.standings.front
    return bool(front) and (front[-1].trial, front[-1].rung) == (attempt.trial, attempt.rung)


def short_form(trial: int, history: History) -> str:
    """Write the configuration of a trial, to end a line with."""
    config = {} if trial == BASELINE else history.space.shown(history.trials[trial].config)
    return f"; {escaped(configuration(config, LONGEST_CONFIG))}" if config else ""


def name_of(attempt: AttemptId) -> str:
    """Name a job."""
    trial, rung, _ = attempt
    return "the baseline" if trial == BASELINE else f"trial {trial} rung {rung}"
