"""The master: a state machine without clock, file or MPI.

`handle(event, now) -> commands` is all there is to a run; `redo(decision)` derives a line of the
journal again. Both go through the same three changes of state, so a restart can't differ:

              +---------- failed, or its rank was lost ----------+
              v                                                  |
    ask --> waiting --hand out--> held by a rank --result--> told to the scheduler
                                                 --failed too often--> told as the worst

Rules:

- An open job is in exactly one place: waiting, or held by the rank that has its newest attempt.
- The first result for an open job counts, whichever attempt it is from. A failure counts only from
  the newest attempt: an older one was given up on before.
- A decision is recorded before the order that it leads to.
- Lost ranks are never told anything. Work that waits is handed out before new work is asked for.
"""

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.messages import (
    Assign,
    Assigned,
    Back,
    Beat,
    Command,
    Curve,
    Decision,
    Discard,
    Drain,
    Event,
    Failed,
    Failure,
    FailureKind,
    Finished,
    Goodbye,
    Heard,
    Joined,
    Leave,
    Lost,
    Outcome,
    Progress,
    Ready,
    Record,
    Refused,
    Report,
    Result,
    Started,
    Tell,
    Tick,
    Unfit,
)
from hpmpi.roster import Held, Roster
from hpmpi.schedulers import Scheduler
from hpmpi.trial import WORST, Goal, Job, JobKey, seed_of

MAX_LOSSES = 3
"""Ranks that may be lost with a job before the job is suspected of killing them."""


class Rules(msgspec.Struct, frozen=True):
    """What a study says of tries and of its end; times in seconds since the study began."""

    max_failures: int = 3
    max_trials: int | None = None
    time_s: float | None = None
    target_loss: float | None = None


class OpenJob(msgspec.Struct):
    """A job without a result; `holder` is the rank that has its newest attempt."""

    job: Job
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    holder: int | None = None


class Incumbent(msgspec.Struct):
    """The best trial at the highest rung reached; `over` if it will not be asked for again."""

    trial: int
    rung: int
    loss: float
    over: bool = False


class MasterState(msgspec.Struct, frozen=True):
    """What changes in the master, as what JSON can hold."""

    scheduler: object
    trials: int
    jobs: list[OpenJob]
    waiting: list[JobKey]
    saved: dict[int, int]
    incumbent: Incumbent | None
    least_loss: float | None


class Master:
    """Decide what happens next in a study."""

    def __init__(
        self, scheduler: Scheduler, roster: Roster, goal: Goal, rules: Rules, seed: int
    ) -> None:
        """Start a study; to go on with one, `restore` and `redo` first."""
        self.roster = roster
        self.scheduler = scheduler
        self.trials = 0
        self.jobs: dict[JobKey, OpenJob] = {}
        self.waiting: dict[JobKey, None] = {}
        self.incumbent: Incumbent | None = None
        self.least_loss: float | None = None
        self.outcome: Outcome | None = None
        self._saved: dict[int, int] = {}
        self._goal = goal
        self._rules = rules
        self._seed = seed
        self._woke_at: float | None = None

    # -- live ---------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take in an event; return what is to be done, in that order.

        `now` is in seconds since the study began and never goes back.
        """
        if self.outcome is not None:
            return []
        self._notice_hold_up(now)
        match event:
            case Heard(rank, report):
                commands = self._hear(rank, report, now)
            case Tick():
                commands = self._judge_silence(now)
            case Drain():
                commands = [self._leave(Outcome.DRAINED)]
        return commands if self.outcome is not None else commands + self._dispatch(now)

    def _notice_hold_up(self, now: float) -> None:
        held_up = self._woke_at is None or now - self._woke_at > self.roster.patience_s / 2
        if held_up:
            self.roster.excuse(now)
        self._woke_at = now

    def _hear(self, rank: int, report: Report, now: float) -> list[Command]:
        commands: list[Command] = []
        if self.roster.heard(rank, now):
            commands.append(Record(Back(now, rank)))
        match report:
            case Ready(host, pid):
                self.roster.ready(rank)
                commands.append(Record(Joined(now, rank, host, pid)))
            case Unfit(host, error):
                commands += self._refuse(rank, host, error, now)
            case Beat():
                commands.append(Tell(rank, Beat()))
            case Progress(trial, rung, attempt, points):
                commands.append(Record(Curve(now, trial, rung, attempt, points)))
            case Finished():
                commands += self._finished(rank, report, now)
            case Failed():
                commands += self._failed(rank, report, now)
            case Goodbye():
                pass
        return commands

    def _refuse(self, rank: int, host: str, error: str, now: float) -> list[Command]:
        self.roster.unfit(rank)
        commands: list[Command] = [Record(Refused(now, rank, host, error))]
        held = self.roster.workers[rank].held
        if held is not None and self._is_newest(held.job, held.attempt, rank):
            commands += self._fail(held.job, rank, FailureKind.CRASH, error, now)
        if self.roster.all_unfit:
            commands.append(self._leave(Outcome.UNFIT))
        return commands

    def _finished(self, rank: int, report: Finished, now: float) -> list[Command]:
        key = JobKey(report.trial, report.rung)
        self.roster.answered(rank, Held(key, report.attempt))
        if key not in self.jobs:
            return []
        result = Result(
            at=now,
            trial=report.trial,
            rung=report.rung,
            attempt=report.attempt,
            resource=self.jobs[key].job.resource,
            rank=rank,
            metrics=report.metrics,
            saved=report.saved,
        )
        return [Record(result), *self._take_result(result)]

    def _failed(self, rank: int, report: Failed, now: float) -> list[Command]:
        key = JobKey(report.trial, report.rung)
        self.roster.answered(rank, Held(key, report.attempt))
        if not self._is_newest(key, report.attempt, rank):
            return []
        return self._fail(key, rank, report.kind, report.error, now)

    def _judge_silence(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for rank in self.roster.silent(now):
            commands.append(Record(Lost(now, rank)))
            held = self.roster.workers[rank].held
            if held is not None and self._is_newest(held.job, held.attempt, rank):
                said = f"rank {rank} was silent for more than {self.roster.patience_s:g} s"
                commands += self._fail(held.job, rank, FailureKind.LOST, said, now)
        if self.roster.deserted:
            commands.append(self._leave(Outcome.DESERTED))
        return commands

    def _fail(
        self, key: JobKey, rank: int, kind: FailureKind, error: str, now: float
    ) -> list[Command]:
        failure = Failure(
            at=now,
            trial=key.trial,
            rung=key.rung,
            attempt=self.jobs[key].attempts,
            rank=rank,
            kind=kind,
            error=error,
            final=self._is_last(self.jobs[key], kind),
        )
        return [Record(failure), *self._take_failure(failure)]

    def _dispatch(self, now: float) -> list[Command]:
        time_s = self._rules.time_s
        if self._target_reached() or (time_s is not None and now >= time_s):
            return [self._leave(Outcome.COMPLETE)]
        commands: list[Command] = []
        while self.roster.idle:
            rank = next(iter(self.roster.idle))
            assigned = self._hand_out(rank, now, may_start=self._may_start())
            if assigned is None:
                break
            key = JobKey(assigned.trial, assigned.rung)
            self.roster.give(rank, Held(key, assigned.attempt))
            commands += [Record(assigned), Tell(rank, self._order(key))]
        # Only an idle rank shows that nothing is left: as long as none is, nothing was asked for.
        if self.roster.idle and not self.jobs:
            commands.append(self._leave(Outcome.COMPLETE))
        return commands

    def _target_reached(self) -> bool:
        least, target = self.least_loss, self._rules.target_loss
        return least is not None and target is not None and least <= target

    def _may_start(self) -> bool:
        return self._rules.max_trials is None or self.trials < self._rules.max_trials

    def _order(self, key: JobKey) -> Assign:
        opened = self.jobs[key]
        return Assign(
            trial=key.trial,
            rung=key.rung,
            attempt=opened.attempts,
            resource=opened.job.resource,
            config=opened.job.config,
            seed=seed_of(self._seed, key.trial),
            saved=self._saved.get(key.trial, 0),
        )

    def _leave(self, outcome: Outcome) -> Leave:
        self.outcome = outcome
        return Leave(outcome)

    # -- the three changes of state, live and again ---------------------------------------------

    def _hand_out(self, rank: int, now: float, *, may_start: bool) -> Assigned | None:
        if self.waiting:
            key = next(iter(self.waiting))
            del self.waiting[key]
        else:
            job = self.scheduler.ask(may_start=may_start)
            if job is None:
                return None
            key = job.key
            self.jobs[key] = OpenJob(job)
            self.trials = max(self.trials, job.trial + 1)
        opened = self.jobs[key]
        opened.attempts += 1
        opened.holder = rank
        first = key.rung == 0 and opened.attempts == 1
        return Assigned(
            at=now,
            trial=key.trial,
            rung=key.rung,
            attempt=opened.attempts,
            resource=opened.job.resource,
            rank=rank,
            config=opened.job.config if first else None,
        )

    def _take_result(self, result: Result) -> list[Command]:
        self._saved[result.trial] = max(result.saved, self._saved.get(result.trial, 0))
        return self._close(JobKey(result.trial, result.rung), self._goal.loss(result.metrics))

    def _take_failure(self, failure: Failure) -> list[Command]:
        opened = self.jobs[JobKey(failure.trial, failure.rung)]
        if failure.final:
            return self._close(opened.job.key, WORST)
        if failure.kind is FailureKind.LOST:
            opened.losses += 1
        else:
            opened.failures += 1
        opened.holder = None
        self.waiting[opened.job.key] = None
        return []

    def _close(self, key: JobKey, loss: float) -> list[Command]:
        self.waiting.pop(key, None)
        over = self.scheduler.tell(self.jobs.pop(key).job, loss)
        if loss < WORST:
            self.least_loss = loss if self.least_loss is None else min(loss, self.least_loss)
        before = self.incumbent
        if loss < WORST and (before is None or (-key.rung, loss) < (-before.rung, before.loss)):
            self.incumbent = Incumbent(key.trial, key.rung, loss)
            if before is not None and before.over and before.trial != key.trial:
                over = [*over, before.trial]
        for trial in over:
            self._saved.pop(trial, None)
        assert self.incumbent is not None or loss == WORST, "a real result makes an incumbent"
        if self.incumbent is not None and self.incumbent.trial in over:
            self.incumbent.over = True
        return [Discard(trial) for trial in over if not self._is_incumbent(trial)]

    def _is_incumbent(self, trial: int) -> bool:
        return self.incumbent is not None and self.incumbent.trial == trial

    def _is_newest(self, key: JobKey, attempt: int, rank: int) -> bool:
        opened = self.jobs.get(key)
        return opened is not None and opened.holder == rank and opened.attempts == attempt

    def _is_last(self, opened: OpenJob, kind: FailureKind) -> bool:
        if kind is FailureKind.LOST:
            return opened.losses + 1 >= MAX_LOSSES
        return opened.failures + 1 >= self._rules.max_failures

    # -- a restart --------------------------------------------------------------------------------

    def state(self) -> MasterState:
        """Return all that changes, but for the ranks: a restart has others."""
        return MasterState(
            scheduler=self.scheduler.state(),
            trials=self.trials,
            jobs=list(self.jobs.values()),
            waiting=list(self.waiting),
            saved=self._saved,
            incumbent=self.incumbent,
            least_loss=self.least_loss,
        )

    def restore(self, state: MasterState) -> None:
        """Go on from a state, on a master built with the same arguments."""
        self.scheduler.restore(state.scheduler)
        self.trials = state.trials
        self.jobs = {opened.job.key: opened for opened in state.jobs}
        self.waiting = dict.fromkeys(state.waiting)
        self._saved = dict(state.saved)
        self.incumbent = state.incumbent
        self.least_loss = state.least_loss

    def redo(self, decision: Decision) -> None:
        """Derive a decision of the journal again; raises ReplayError where it comes out otherwise.

        `Started` reopens the jobs that nobody holds any more.
        """
        match decision:
            case Started():
                for key, opened in self.jobs.items():
                    opened.holder = None
                    self.waiting.setdefault(key)
            case Assigned():
                # The limit on trials may have been another then: that one was started is given.
                again = self._hand_out(decision.rank, decision.at, may_start=True)
                if again != decision:
                    raise ReplayError(f"{decision} can't be derived; it comes out as {again}")
            case Result():
                self._open(decision)
                self._take_result(decision)
            case Failure(kind=kind, final=final):
                if final != self._is_last(self._open(decision), kind):
                    raise ReplayError(f"{decision} can't be derived; final comes out otherwise")
                self._take_failure(decision)
            case _:
                pass

    def _open(self, decision: Result | Failure) -> OpenJob:
        key = JobKey(decision.trial, decision.rung)
        if key not in self.jobs:
            raise ReplayError(f"{decision} is of a job that is not open")
        return self.jobs[key]
