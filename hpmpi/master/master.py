"""The master: a state machine without clock, file or MPI.

    event --handle--> commands     Heard, Tick, Drain, Due  -->  Record, Tell, Discard, Leave

It brings the jobs of the study (what outlives the ranks) together with the roster (the ranks as
they are now), and is all there is to a run.

Rules:

- The first result for an open job counts, whichever attempt it is from. A failure counts only from
  the newest attempt: an older one was given up on before.
- A decision is recorded before the order that it leads to.
- Lost ranks are never told anything.
- A drain starts nothing new, and asks for checkpoints. It is over when no rank has a job any more,
  when its grace is, or when it is asked for again.
- Where the end of the allocation is known, the drain begins by itself: so long before it that there
  is all its grace, and time to leave; or as soon as nothing is in work and nothing else fits in.
- Where the start before ended without a word, what comes of the jobs that it had in work is decided
  first: who has saved goes on from there, the others are charged.
- Where the searcher or the scheduler raises, the run drains, and is unfit to go on until that is
  mended. Where there is no hope for the trials that are left, none is begun, and the run has failed
  when none is in work any more.
- Silence is judged only at a Tick, when nothing is left to be heard; and nobody's silence counts
  while the master itself was held up.
"""

from hpmpi.master.jobs import Jobs
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.seeds import seed_of
from hpmpi.model.events import (
    Command,
    Discard,
    Drain,
    Due,
    Event,
    Heard,
    Interrupted,
    Leave,
    Record,
    Tell,
    Tick,
)
from hpmpi.model.messages import (
    Assign,
    Beat,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Outcome,
    Progress,
    Ready,
    Report,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Back,
    Curve,
    Deadline,
    Draining,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Suspension,
)
from hpmpi.model.trial import AttemptId, JobKey

LEAVE_S = 10.0
"""How long before the allocation ends a run leaves at the latest: to write all, and be gone."""

NO_TIME = "the end of the allocation"
NOTHING_FITS = "nothing else can be done before the end of the allocation"
"""Why a run drains by itself."""

NO_WORD = "the run ended without a word while this was in work"
"""What is told of a job that may have taken a run along."""


class Master:
    """Decide what happens next in a study."""

    def __init__(self, jobs: Jobs, roster: Roster, rules: Rules, seed: int) -> None:
        """Lead `roster` through `jobs`; `seed` is the study's."""
        self.jobs = jobs
        self.roster = roster
        self.outcome: Outcome | None = None
        self.drains_until: float | None = None
        self._rules = rules
        self._seed = seed
        self._asked_to_drain = False
        self._woke_at: float | None = None
        self._notes: set[str] = set()

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take in an event; return what is to be done, in that order.

        `now` is in seconds since the study began and never goes back.
        """
        if self.outcome is not None:
            return []
        self._notice_hold_up(now)
        if self.jobs.interrupted and not isinstance(event, Interrupted):
            self.jobs.reopen()
        match event:
            case Heard(rank, report):
                commands = self._hear(rank, report, now)
            case Tick():
                commands = self._judge_silence(now)
            case Drain(why):
                commands = self._drain(why, now)
            case Due():
                commands = self._set_deadline(event, now)
            case Interrupted(saved):
                commands = self._charge(saved, now)
        return commands if self.outcome is not None else commands + self._go_on(now)

    def _notice_hold_up(self, now: float) -> None:
        held_up = self._woke_at is None or now - self._woke_at > self.roster.patience_s / 2
        if held_up:
            self.roster.excuse(now)
        self._woke_at = now

    def _hear(self, rank: int, report: Report, now: float) -> list[Command]:
        commands = self._take_back(rank, now) if self.roster.heard(rank, now) else []
        match report:
            case Ready(host, pid, notes):
                self.roster.ready(rank)
                unheard = tuple(note for note in notes if note not in self._notes)
                self._notes.update(unheard)
                commands.append(Record(Joined(now, rank, host, pid, unheard)))
            case Unfit(host, error):
                commands += self._refuse(rank, host, error, now)
            case Beat():
                commands.append(Tell(rank, Beat()))
            case Progress(trial, rung, attempt, points):
                commands.append(Record(Curve(now, trial, rung, attempt, points)))
            case Finished() | Failed() | Suspended():
                commands += self._answered(rank, report, now)
            case Goodbye():
                pass
        return commands

    def _take_back(self, rank: int, now: float) -> list[Command]:
        back = Back(now, rank, self.roster.workers[rank].held)
        self.jobs.take_back(back)
        draining = self.drains_until is not None and rank in self.jobs.holders()
        return [Record(back), *([Tell(rank, Save())] if draining else [])]

    def _refuse(self, rank: int, host: str, error: str, now: float) -> list[Command]:
        self.roster.unfit(rank)
        commands: list[Command] = [Record(Refused(now, rank, host, error))]
        held = self.roster.workers[rank].held
        if held is not None and self.jobs.is_newest(held.job, held.attempt, rank):
            commands += self._fail(held.job, rank, FailureKind.CRASH, error, now)
        if self.roster.all_unfit:
            commands.append(self._leave(Outcome.UNFIT))
        elif self.roster.deserted:
            commands.append(self._leave(Outcome.DESERTED))
        return commands

    def _answered(
        self, rank: int, answer: Finished | Failed | Suspended, now: float
    ) -> list[Command]:
        held = AttemptId(JobKey(answer.trial, answer.rung), answer.attempt)
        had_it = self.roster.answered(rank, held)
        match answer:
            case Finished() if held.job in self.jobs.open:
                return self._finish(rank, answer, now)
            case Failed(kind=kind, error=error, used=used) if self.jobs.is_newest(*held, rank):
                return self._fail(held.job, rank, kind, error, now, used=used)
            case Suspended(saved=saved) if self.jobs.is_newest(*held, rank):
                suspension = Suspension(now, *held.job, held.attempt, rank, saved)
                self.jobs.take_suspension(suspension)
                return [Record(suspension)]
        return [Record(Late(now, *held.job, held.attempt, rank))] if had_it else []

    def _finish(self, rank: int, report: Finished, now: float) -> list[Command]:
        result = Result(
            at=now,
            trial=report.trial,
            rung=report.rung,
            attempt=report.attempt,
            resource=self.jobs.open[JobKey(report.trial, report.rung)].job.resource,
            rank=rank,
            metrics=report.metrics,
            saved=report.saved,
        )
        return [Record(result), *map(Discard, self.jobs.take_result(result))]

    def _judge_silence(self, now: float) -> list[Command]:
        commands: list[Command] = []
        silent = self.roster.silent(now)
        for rank in silent:
            commands.append(Record(Lost(now, rank)))
            held = self.roster.workers[rank].held
            if held is not None and self.jobs.is_newest(held.job, held.attempt, rank):
                said = f"rank {rank} was silent for more than {self.roster.patience_s:g} s"
                commands += self._fail(held.job, rank, FailureKind.LOST, said, now)
        if silent and self.roster.deserted:
            commands.append(self._leave(Outcome.DESERTED))
        return commands

    def _fail(  # noqa: PLR0913 - all that a failure is
        self,
        key: JobKey,
        rank: int,
        kind: FailureKind,
        error: str,
        now: float,
        *,
        used: bool = False,
    ) -> list[Command]:
        failure = Failure(
            at=now,
            trial=key.trial,
            rung=key.rung,
            attempt=self.jobs.open[key].attempts,
            rank=rank,
            kind=kind,
            error=error,
            final=self.jobs.is_last(key, kind, error, used=used),
            used=used,
        )
        return [Record(failure), *map(Discard, self.jobs.take_failure(failure))]

    def _charge(self, saved: dict[int, int], now: float) -> list[Command]:
        """Decide what comes of the jobs that a start had in work that ended without a word."""
        commands: list[Command] = []
        for key in list(self.jobs.interrupted):
            opened = self.jobs.open[key]
            assert opened.holder is not None, "what is interrupted was held"
            reached = saved.get(key.trial, 0)
            if reached > self.jobs.saved.get(key.trial, 0):
                suspension = Suspension(now, *key, opened.attempts, opened.holder, reached)
                self.jobs.take_suspension(suspension)
                commands.append(Record(suspension))
            else:
                commands += self._fail(key, opened.holder, FailureKind.LOST, NO_WORD, now)
        return commands

    def _drain(self, why: str, now: float) -> list[Command]:
        if self._asked_to_drain:
            return [self._leave(self._drained_to())]
        self._asked_to_drain = True
        return self._begin_to_drain(why, now) if self.drains_until is None else []

    def _begin_to_drain(self, why: str, now: float) -> list[Command]:
        self.drains_until = now + self._rules.grace_s
        return [Record(Draining(now, why)), *(Tell(it, Save()) for it in self.jobs.holders())]

    def _set_deadline(self, due: Due, now: float) -> list[Command]:
        known = self.jobs.time_left.deadline
        if known is not None and (known.ends_at, known.epoch_s) == (due.ends_at, due.epoch_s):
            return []
        drains_at = due.ends_at - (self._rules.grace_s + LEAVE_S)
        deadline = Deadline(now, due.ends_at, drains_at, due.epoch_s)
        self.jobs.time_left.deadline = deadline
        return [Record(deadline)]

    def _go_on(self, now: float) -> list[Command]:
        if self._rules.time_is_up(now) or self._target_is_reached():
            return [self._leave(Outcome.COMPLETE)]
        commands: list[Command] = []
        if self.drains_until is None:
            deadline = self.jobs.time_left.deadline
            no_time = deadline is not None and now >= deadline.drains_at
            commands = self._begin_to_drain(NO_TIME, now) if no_time else self._work(now)
        if self.drains_until is not None and self._drained(self.drains_until, now):
            commands.append(self._leave(self._drained_to()))
        return commands

    def _drained_to(self) -> Outcome:
        """Tell what a drain that is over comes to."""
        if self.jobs.scheduler.error is not None:
            return Outcome.UNFIT
        return Outcome.DRAINED if self._is_unfinished() else Outcome.COMPLETE

    def _is_unfinished(self) -> bool:
        """Tell whether there may be more to do."""
        return bool(self.jobs.open) or self._may_start() or self.jobs.scheduler.promotable

    def _drained(self, drains_until: float, now: float) -> bool:
        deadline = self.jobs.time_left.deadline
        if deadline is not None:  # it may have been known too late for all the grace
            drains_until = min(drains_until, deadline.ends_at - LEAVE_S)
        return now >= drains_until or not self.jobs.held

    def _work(self, now: float) -> list[Command]:
        if self.jobs.hope.is_lost and self._is_unfinished():
            return [] if self.jobs.held else [self._leave(Outcome.FAILED)]
        commands = self._dispatch(now) if self.jobs.scheduler.error is None else []
        if self.jobs.scheduler.error is not None:
            return commands + self._begin_to_drain(self.jobs.scheduler.why, now)
        # Only an idle rank shows that nothing is left: as long as none is, nothing was asked for.
        if not self.roster.idle or self.jobs.held or self.jobs.waits_at(now):
            return commands
        if self.jobs.scheduler.awaits:
            return commands
        if self.jobs.open or self._has_more(now):
            return commands + self._begin_to_drain(NOTHING_FITS, now)
        return [*commands, self._leave(Outcome.COMPLETE)]

    def _has_more(self, now: float) -> bool:
        """Tell whether the scheduler, that gave nothing, would give a job if there were time."""
        begins = self.jobs.time_left.rungs_at(now) == 0 and self._may_start()
        return begins or self.jobs.scheduler.promotable

    def _dispatch(self, now: float) -> list[Command]:
        commands: list[Command] = []
        able = self.roster.able
        passed_over: set[int] = set()
        while (rank := self.roster.next_idle(passed_over)) is not None and not self._is_busy():
            assigned = self.jobs.hand_out(rank, now, may_start=self._may_start(), able=able)
            if assigned is not None:
                key = JobKey(assigned.trial, assigned.rung)
                self.roster.give(rank, AttemptId(key, assigned.attempt))
                commands += [Record(assigned), Tell(rank, self._order(key, now))]
            elif self.jobs.waits_at(now):
                passed_over.add(rank)
            else:
                break
        return commands

    def _is_busy(self) -> bool:
        """Tell whether no more may be in work; what was given up on alone holds nothing up."""
        return self.jobs.held > 0 and self._rules.is_full(len(self.roster.busy))

    def _target_is_reached(self) -> bool:
        least = zip(self.jobs.scheduler.rungs, self.jobs.least, strict=True)
        return self._rules.target_is_reached(least)

    def _may_start(self) -> bool:
        return self._rules.may_start(self.jobs.trials)

    def _order(self, key: JobKey, now: float) -> Assign:
        opened = self.jobs.open[key]
        deadline = self.jobs.time_left.deadline
        return Assign(
            trial=key.trial,
            rung=key.rung,
            attempt=opened.attempts,
            resource=opened.job.resource,
            config=opened.job.config,
            seed=seed_of(self._seed, key.trial),
            saved=self.jobs.saved.get(key.trial, 0),
            deadline_s=None if deadline is None else deadline.ends_at - now,
            fresh=opened.failures > 0,
        )

    def _leave(self, outcome: Outcome) -> Leave:
        self.outcome = outcome
        return Leave(outcome)
