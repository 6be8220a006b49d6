"""The fold of a journal: what it says of a study, told once, line by line.

    line --add--> starts, ranks, attempts, rungs, standings, curves, failures

Whoever shows a run reads it here, whoever watches one adds the lines that have come since. An entry
is an event, whose facts are taken first, and decisions, in order.

Rules: a journal may be anybody's, so what can't be is refused with the number of its line, where it
would be told; and nothing takes more memory than the lines do. A history that has refused a line is
of no use any more.
"""

from collections.abc import Iterable

from hpmpi.errors import ReplayError
from hpmpi.history.attempts import (
    Attempt,
    Attempts,
    FailedAttempt,
    Fate,
    decider_of,
    error_of,
    pack,
)
from hpmpi.history.bounds import check_job, check_saved, check_start, check_time, deadline_of
from hpmpi.history.curves import Curves
from hpmpi.history.ranks import Ranks
from hpmpi.history.rungs import RungCounts, Rungs
from hpmpi.history.standings import Standing, Standings, Status
from hpmpi.history.studied import Studied
from hpmpi.master.time_left import AllocationEnd
from hpmpi.model.events import Event, Heard, Learnt, Silent
from hpmpi.model.messages import (
    FailureKind,
    Finished,
    Measured,
    Outcome,
    Progress,
    Ready,
    Report,
    Returned,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Chosen,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Late,
    Line,
    Parted,
    Quarantined,
    Released,
    Result,
    Started,
    Stopped,
    Suspension,
    Unqueued,
)
from hpmpi.model.space import Space
from hpmpi.model.trial import BASELINE, Goal, Metrics
from hpmpi.study.settings import Settings


class History:
    """All that a journal says, up to the line that was added last.

    `attempts` are all of them, as they were handed out, and `trials` the standings by number.
    `answers` are the attempts that brought a result or a checkpoint, as they came in, and `best`
    those that brought another or a better incumbent; `learnt` counts results of earlier runs, and
    `restarted` the promotions that began from 0 again, for lack of a checkpoint. With each start
    begin anew: `ranks`, `deadline`, `draining`, `outcome` and `why` it ended so.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        """Begin before the first line, and take in what is given; raises as `add` does."""
        self.lines = 0
        self.at = 0.0
        self.starts: list[Started] = []
        self.outcome: Outcome | None = None
        self.why = ""
        self.draining: str | None = None
        self.deadline: AllocationEnd | None = None
        self.baseline: Metrics | None = None
        self.refusal = ""
        self.notes: dict[str, None] = {}
        self.ranks = Ranks()
        self.learnt = 0
        self.restarted = 0
        self.standings = Standings()
        self.trials = self.standings.trials
        self.answers: list[Attempt] = []
        self.best: list[Attempt] = []
        self.failures: list[FailedAttempt] = []
        self.curves = Curves()
        self._attempts = Attempts()
        self.attempts = self._attempts.all
        self._rungs = Rungs()
        self._studied: Studied | None = None
        for line in lines:
            self.add(line)

    # -- what it says ------------------------------------------------------------------------------

    @property
    def study(self) -> Settings:
        """The study as it ran last; raises ReplayError where that can't be read."""
        return self._as_it_ran.study

    @property
    def goal(self) -> Goal:
        """What is studied."""
        return self._as_it_ran.goal

    @property
    def space(self) -> Space:
        """What is tuned, for its names; empty where the settings are those of another version."""
        return self._as_it_ran.space

    @property
    def _as_it_ran(self) -> Studied:
        if self._studied is None:
            raise ReplayError("the journal does not say which study it is of")
        return self._studied

    @property
    def results(self) -> int:
        """How many results there are, but for the baseline's."""
        return self.standings.results

    @property
    def incumbent(self) -> Standing | None:
        """The best trial at the highest rung reached."""
        return self.standings.incumbent

    @property
    def open_jobs(self) -> list[Attempt]:
        """The newest attempts at the open jobs of trials, in work or not."""
        return [it for it in self._attempts.open.values() if it.id.trial != BASELINE]

    def rungs(self, *, going_on: bool = True) -> list[RungCounts]:
        """Count the jobs of each rung, lowest first; where nobody goes on, none is running."""
        return self._rungs.counted(self._attempts.open.values(), going_on=going_on)

    # -- lines -------------------------------------------------------------------------------------

    def add(self, line: Line) -> None:
        """Take in the next line; raises ReplayError for nonsense."""
        self.lines += 1
        try:
            check_time(line.at)
            if isinstance(line, Entry):
                self._enter(line)
            else:
                self._start(line)
        except ReplayError as error:
            raise ReplayError(f"the journal is damaged: {error} (line {self.lines})") from error
        self.at = line.at

    def _start(self, started: Started) -> None:
        check_start(started)
        before = self.study.baseline if self.starts else None
        self.starts.append(started)
        self._studied = Studied(started.settings)
        self.outcome = self.draining = self.deadline = None
        if self.starts[1:] and self.study.baseline != before:
            self.baseline = None
        self.ranks.start(started.ranks, started.at)
        for rung, resource in enumerate(started.rungs):
            self._rungs.at(rung, resource).resource = resource

    def _enter(self, entry: Entry) -> None:
        if not self.starts:
            raise ReplayError("it lacks the start of the study")
        event = entry.event
        # Of a result a decision tells; most lines are one, and each pays for a call.
        if not (isinstance(event, Heard) and isinstance(event.report, Finished)):
            self._happen(event, entry.at)
        for suggestion in entry.suggested:
            self.standings.suggest(suggestion, entry.at)
        for decision in entry.decisions:
            self._decide(decision, entry)

    # -- events ------------------------------------------------------------------------------------

    def _happen(self, event: Event, at: float) -> None:
        if isinstance(event, Heard):
            self.ranks.find(event.rank)
            self._hear(event.rank, event.report, at)
        elif isinstance(event, Silent):
            for rank in event.ranks:
                self.ranks.lose(rank, at)
        elif isinstance(event, Learnt):
            self.learnt += len(event.observations)

    def _hear(self, rank: int, report: Report, at: float) -> None:
        match report:
            case Progress(attempt=attempt, points=points):
                self._attempts.find(attempt)
                if attempt.trial != BASELINE:
                    self.curves.draw(attempt.trial, points)
            case Ready(host=host, notes=notes, has=has):
                self.ranks.meet(rank, host, fit=True)
                self.ranks.arrive(rank, has, at)
                self.notes.update(dict.fromkeys(notes))
            case Unfit(host=host, error=error):
                self.ranks.meet(rank, host, fit=False)
                self.refusal = error
            case _:
                pass

    # -- decisions ---------------------------------------------------------------------------------

    def _decide(self, decision: Decision, entry: Entry) -> None:
        match decision:
            case Assigned():
                self._hand_out(decision, entry.at)
            case Result():
                self._finish(decision, entry)
            case Failure():
                self._fail(decision, entry)
            case Suspension():
                self._suspend(decision, entry)
            case Stopped():
                self._stop(decision, entry.at)
            case Late() | Parted() | Unqueued():
                self._let_go(decision, entry)
            case Back() | Quarantined() | Released():
                self._move(decision, entry.at)
            case Deadline() | Draining() | Ended() | Chosen():  # that counts when it is handed out
                self._end(decision, entry)

    def _hand_out(self, assigned: Assigned, at: float) -> None:
        check_job(assigned)
        rank = self.ranks.find(assigned.rank)
        start = 0 if assigned.attempt.trial == BASELINE else self._begin(assigned)
        attempt = self._attempts.begin(assigned, at, rank.host, start)
        if assigned.queued:
            rank.queued = attempt
            return
        rank.held = attempt
        for other in assigned.others:
            self.ranks.find(other).held = attempt

    def _begin(self, assigned: Assigned) -> int:
        """Count a job of a trial; return the resource that it goes on from."""
        standing, rung = self.standings.begin(assigned), assigned.attempt.rung
        self._rungs.at(rung, assigned.resource)
        if rung != standing.reached:
            self._rungs.at(standing.reached).promoted += 1
            self.restarted += standing.saved == 0
            standing.reached = rung
        standing.status = Status.RUNNING
        return standing.saved

    def _finish(self, result: Result, entry: Entry) -> None:
        report = entry.event.report if isinstance(entry.event, Heard) else None
        if not isinstance(report, Finished) or report.attempt != result.attempt:
            raise ReplayError(f"nothing says what {result.attempt} came to")
        goal = self.goal
        if not goal.is_in(report.metrics):
            lacks = next(name for name in goal.names if name not in report.metrics)
            raise ReplayError(f"a result lacks the metric {lacks!r}")
        attempt = self._attempts.close_job(result.attempt)
        attempt.packed = pack(report.metrics)
        attempt.close(Fate.RESULT, entry.at)
        self.ranks.free(attempt, attempt.rank, entry.at, report.usage)
        if attempt.id.trial == BASELINE:
            self.baseline = report.metrics
            return
        standing = self.standings.find(attempt.id.trial)
        self._save(attempt, standing, report.saved)
        self._rungs.at(attempt.id.rung).results += 1
        losses = goal.losses(report.metrics) if goal.others else ()
        if self.standings.compare(attempt, standing, goal.loss(report.metrics), losses):
            self.best.append(attempt)
        self.standings.finish(result.over)

    def _fail(self, failure: Failure, entry: Entry) -> None:
        attempt = self._attempts.at_open_job(failure.attempt)
        rank = decider_of(entry.event, attempt)
        failed = FailedAttempt(
            attempt=attempt.id,
            rank=rank,
            kind=failure.kind,
            error=error_of(entry.event, attempt, rank),
            final=failure.final,
            at=entry.at,
        )
        self.failures.append(failed)
        lost = failure.kind is FailureKind.LOST
        attempt.close(Fate.LOST if lost else Fate.FAILED, entry.at)
        self._free(attempt, rank, entry)
        if failure.final:
            self._attempts.close_job(attempt.id)
            if attempt.id.trial != BASELINE:
                self._rungs.at(attempt.id.rung).given_up += 1
                self.standings.find(attempt.id.trial).status = Status.GIVEN_UP
        self.standings.finish(failure.over)

    def _suspend(self, suspension: Suspension, entry: Entry) -> None:
        attempt = self._attempts.at_open_job(suspension.attempt)
        self._answer(attempt, Fate.SAVED, entry)
        if attempt.id.trial != BASELINE:
            self._save(attempt, self.standings.find(attempt.id.trial), suspension.saved)

    def _stop(self, stopped: Stopped, at: float) -> None:
        attempt = self._attempts.close_job(stopped.attempt)
        standing = self.standings.find(attempt.id.trial)
        attempt.close(Fate.STOPPED, at)  # its rank is busy until it has answered
        self._rungs.at(attempt.id.rung).stopped += 1
        standing.status = Status.STOPPED
        self.standings.finish(stopped.over)

    def _move(self, decision: Back | Quarantined | Released, at: float) -> None:
        match decision:
            case Back(rank=rank, held=held):
                again = None if held is None else self._attempts.find(held)
                self.ranks.take_back(rank, again, at)
            case Quarantined(rank=rank):
                self.ranks.put_aside(rank, at)
            case Released(rank=rank, on_trial=on_trial):
                self.ranks.release(rank, at, on_trial=on_trial)

    def _answer(self, attempt: Attempt, fate: Fate, entry: Entry) -> None:
        attempt.close(fate, entry.at)
        self._free(attempt, attempt.rank, entry)

    def _let_go(self, decision: Late | Parted | Unqueued, entry: Entry) -> None:
        """Have a rank be done with an attempt that counts for nothing, or not any more."""
        attempt = self._attempts.find(decision.attempt)
        match decision:
            case Late():
                self._answer(attempt, Fate.LATE, entry)
            case Parted(rank=rank):
                self._free(attempt, rank, entry)
            case Unqueued():
                attempt.give_back(entry.at)
                if isinstance(entry.event, Heard) and isinstance(entry.event.report, Returned):
                    self.ranks.find(attempt.rank).queued = None

    def _free(self, attempt: Attempt, rank: int, entry: Entry) -> None:
        report = entry.event.report if isinstance(entry.event, Heard) else None
        usage = report.usage if isinstance(report, Measured) else None
        self.ranks.free(attempt, rank, entry.at, usage)

    def _save(self, attempt: Attempt, standing: Standing, saved: int) -> None:
        check_saved(saved)
        standing.saved = max(standing.saved, saved)
        attempt.saved = saved
        self.answers.append(attempt)

    def _end(self, decision: Deadline | Draining | Ended | Chosen, entry: Entry) -> None:
        match decision:
            case Deadline(drains_at=drains_at):
                self.deadline = deadline_of(entry.event, drains_at)
            case Draining(why=why):
                self.draining = why
            case Ended(outcome=outcome, why=why):
                self.outcome, self.why = outcome, why
                self.ranks.end(entry.at)
