"""The master: a state machine without clock, file or MPI.

    event --handle--> reaction     Heard, Tick, Drain, Due  -->  a line, orders, discards

It brings the jobs of the study (what outlives the ranks) together with the roster (the ranks as
they are now), and is all there is to a run.

Rules:

- The first result for an open job counts, whichever attempt it is from. A failure counts only from
  the newest attempt: an older one was given up on before.
- Lost ranks are never told anything.
- A drain (drain.py) starts nothing new, and asks for checkpoints; it begins by itself, too, as soon
  as nothing is in work and nothing else fits in before the allocation ends.
- Where the start before ended without a word, what comes of the jobs that it had in work is decided
  first: who has saved goes on from there, the others are charged.
- Where the searcher or the scheduler raises, the run drains, and is unfit to go on until that is
  mended. Where there is no hope for the trials that are left, none is begun, and the run has failed
  when none is in work any more.
- Of a group, the first member to fail, or to be lost, decides what becomes of the attempt; only the
  first in order has its result. The others are told to end then, and are free when they have.
- Who works at a job that is closed is told to cancel that. While it is open, any of those who have
  an attempt at it may be the first.
- Where it is enough, of resource or of a plateau, nothing is handed out, and the study is complete
  when nothing is in work. What comes in meanwhile may be better, and no plateau: then it goes on.
- What is queued on a rank (dispatcher.py) that is lost waits again at once, and nothing is held
  against it; where the rank comes back and has begun it, it may still be the first.
- Silence is judged only at a Tick, when nothing is left to be heard; and nobody's silence counts
  while the master itself was held up.
"""

from hpmpi.master import remaining
from hpmpi.master.dispatcher import Dispatcher
from hpmpi.master.drain import NO_TIME, NOTHING_FITS, DrainState
from hpmpi.master.jobs import Closed, Jobs
from hpmpi.master.quarantine import Quarantine
from hpmpi.master.reaction import Reaction
from hpmpi.master.retries import cause_of
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Learnt, Silent, Tick
from hpmpi.model.messages import (
    Agreed,
    Answer,
    Beat,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Finished,
    Goodbye,
    Outcome,
    Progress,
    Ready,
    Relay,
    Report,
    Returned,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Back,
    Deadline,
    Draining,
    Ended,
    Failure,
    Late,
    Parted,
    Raised,
    Result,
    Stopped,
    Suspension,
    Unqueued,
)
from hpmpi.model.trial import AttemptId, JobKey

PARTING_S = 5.0
"""How long the members of a group may take to end when what they had to decide is decided."""


class Master:
    """Decide what happens next in a study."""

    def __init__(self, jobs: Jobs, roster: Roster, rules: Rules, seed: int) -> None:
        """Lead `roster` through `jobs`; `seed` is the study's."""
        self.jobs = jobs
        self.roster = roster
        self.outcome: Outcome | None = None
        self._rules = rules
        self._drain = DrainState(rules.grace_s)
        self._quarantine = Quarantine(roster, rules.quarantine)
        self._dispatcher = Dispatcher(roster, rules, self._quarantine, seed)
        self._astray: dict[JobKey, set[int]] = {}
        """Who came back with an attempt at an open job that is not the newest."""
        self._reaction = Reaction()

    def handle(self, event: Event, now: float, raises: Raised | None = None) -> Reaction:
        """Take in an event; return what is to be done.

        `now` is in seconds since the study began and never goes back; `raises` is for a replay:
        which call of the scheduler raised then.
        """
        reaction = self._reaction = Reaction()
        if self.outcome is not None:
            return reaction
        self._dispatcher.succeeded = None
        self.jobs.scheduler.begin(raises)
        self.roster.wake(now)
        if self.jobs.interrupted and not isinstance(event, Interrupted):
            self.jobs.reopen()
        if isinstance(event, Heard):
            self._hear(event, now)
        else:
            event = self._take_in(event, now)
        if self.outcome is None:
            self._go_on(now)
        suggested = self.jobs.suggestions.take_noted()
        reaction.settle(event, now, suggested, self.jobs.scheduler.raised)
        return reaction

    def _take_in(self, event: Event, now: float) -> Event:
        """Take in what no rank has said; return what it was: at a Tick ranks may be silent."""
        match event:
            case Tick() if overdue := self.roster.overdue(now):
                return self._take_in(Silent(tuple(overdue)), now)
            case Tick():
                self._dispatcher.recall_from_behind_long(now, self._reaction)
            case Silent(ranks):
                self._lose(event, ranks)
            case Drain(why):
                self._ask_to_drain(why, now)
            case Due():
                self._set_deadline(event)
            case Interrupted():
                self._charge(event)
            case Learnt(observations):
                self.jobs.teach(observations)
            case _:
                pass
        return event

    # -- what ranks say ---------------------------------------------------------------------------

    def _hear(self, event: Heard, now: float) -> None:
        rank, report = event.rank, event.report
        if self.roster.heard(rank, now):
            self._take_back(rank, report)
        match report:
            case Finished() | Failed() | Suspended() | Cancelled() | Done() | Returned():
                self._answered(event, rank, report, now)
            case Beat():
                self._reaction.tell(rank, Beat())
            case Progress():
                self._observe(rank, report)
            case Ready(host=host):
                self.roster.ready(rank, host)
                self._quarantine.meet(rank, host)
            case Unfit():
                self._refuse(event, rank)
            case Goodbye() | Relay() | Agreed():
                pass

    def _take_back(self, rank: int, report: Report) -> None:
        worker = self.roster.workers[rank]
        back = Back(rank, worker.held)
        self.jobs.take_back(back)
        self._reaction.decide(back)
        answered = report.attempt if isinstance(report, Answer) else None
        for attempt in (worker.held, worker.queued):
            if attempt is not None and attempt != answered:
                self._reclaim(rank, attempt, in_group=worker.in_group)
        if answered is None:  # else it has begun what was queued
            self._dispatcher.recall(rank, self._reaction)

    def _reclaim(self, rank: int, attempt: AttemptId, *, in_group: bool) -> None:
        """Say what becomes of an attempt that a lost rank still has."""
        if attempt.job not in self.jobs.open or in_group:
            self._cancel(rank, attempt)
        elif not self.jobs.is_newest(attempt, rank):
            self._astray.setdefault(attempt.job, set()).add(rank)
        elif self._drain.until is not None:
            self._reaction.tell(rank, Save())

    def _refuse(self, event: Heard, rank: int) -> None:
        self._unqueue(rank)
        self._fail_held(event, rank)
        self.roster.unfit(rank)
        self._reaction.unsettled += self._quarantine.lose([rank])
        if self.roster.all_unfit:
            self._leave(Outcome.UNFIT)
        elif self.roster.deserted:
            self._leave(Outcome.DESERTED)

    def _answered(self, event: Heard, rank: int, answer: Answer, now: float) -> None:
        attempt = answer.attempt
        had_it = self.roster.answered(rank, attempt, now)
        if isinstance(answer, Finished) and self.roster.workers[rank].held is not None:
            self._dispatcher.succeeded = rank
        match answer:
            case Finished() if attempt.job in self.jobs.open:
                closed = self.jobs.take_result(answer, rank, now)
                self._reaction.decide(Result(attempt, closed.over))
                self._close(attempt, closed, rank, PARTING_S)
                slot = closed.slot if rank in closed.slot else (rank,)
                self._reaction.unsettled += self._quarantine.succeed(slot)
            case Failed(kind=kind) if self.jobs.is_newest(attempt, rank):
                self._fail(event, attempt, rank)
                self._reaction.unsettled += self._quarantine.fail(rank, attempt.job, kind)
            case Suspended(saved=saved) if self.jobs.is_newest(attempt, rank):
                slot = self.jobs.open[attempt.job].slot
                self._suspend(attempt, saved)
                self._part(attempt, slot, rank, PARTING_S)
            case Returned() if self.jobs.is_newest(attempt, rank):
                self._take_from_queue(attempt)
            case _ if had_it:
                in_group = self.roster.workers[rank].in_group
                self._reaction.decide(Parted(attempt, rank) if in_group else Late(attempt))
            case _:
                pass

    def _observe(self, rank: int, progress: Progress) -> None:
        attempt = progress.attempt
        if self.jobs.observe(attempt, progress.points) and self.jobs.is_newest(attempt, rank):
            closed = self.jobs.stop(attempt.job)
            self._reaction.decide(Stopped(attempt, closed.over))
            self._close(attempt, closed)

    # -- what becomes of jobs ---------------------------------------------------------------------

    def _close(
        self,
        attempt: AttemptId,
        closed: Closed,
        answered: int | None = None,
        grace_s: float = 0.0,
    ) -> None:
        """Discard what nobody needs, and cancel what others than who has answered do for a job.

        The others of its group have `grace_s`.
        """
        self._reaction.discards += closed.needless
        if not self._astray and closed.slot in ((), (answered,)):
            return
        key = attempt.job
        working = self._astray.pop(key, set()).union(closed.slot)
        for rank in sorted(working - {answered}):
            worker = self.roster.workers[rank]
            for has in (worker.held, worker.queued):
                if has is not None and has.job == key:
                    self._cancel(rank, has, grace_s if has == attempt else 0.0)

    def _cancel(self, rank: int, attempt: AttemptId, grace_s: float = 0.0) -> None:
        """Have a rank end an attempt that it has still, if it is not lost."""
        worker = self.roster.workers[rank]
        if attempt in (worker.held, worker.queued) and not worker.lost:
            self._reaction.tell(rank, Cancel(attempt, grace_s))
            worker.recalled |= attempt == worker.queued

    def _unqueue(self, rank: int) -> None:
        """Have what is queued on a rank wait again: as far as is known, it is not done there."""
        queued = self.roster.workers[rank].queued
        if queued is not None and self.jobs.is_newest(queued, rank):
            self._take_from_queue(queued)

    def _take_from_queue(self, attempt: AttemptId) -> None:
        self.jobs.take_from_queue(attempt)
        self._reaction.decide(Unqueued(attempt))

    def _fail(self, event: Event, attempt: AttemptId, rank: int) -> None:
        """Charge a job with what has happened, and give it up where that is enough."""
        why = cause_of(event, rank)
        final = self.jobs.is_last(attempt.job, why)
        slot = self.jobs.open[attempt.job].slot
        closed = self.jobs.take_failure(attempt, rank, why, final=final)
        self._reaction.decide(Failure(attempt, why.kind, final, closed.over))
        if final:
            self._close(attempt, closed, rank)
        elif len(slot) > 1:
            self._part(attempt, slot, rank)

    def _part(
        self, attempt: AttemptId, slot: tuple[int, ...], decider: int, grace_s: float = 0.0
    ) -> None:
        """Have the others of a group end that what one of them has decided is over."""
        for rank in slot:
            if rank != decider:
                self._cancel(rank, attempt, grace_s)

    def _fail_held(self, event: Event, rank: int) -> None:
        """Charge the job that a rank has, if it has the newest attempt."""
        held = self.roster.workers[rank].held
        if held is not None and self.jobs.is_newest(held, rank):
            self._fail(event, held, rank)

    def _suspend(self, attempt: AttemptId, saved: int) -> None:
        self.jobs.take_suspension(attempt, saved)
        self._reaction.decide(Suspension(attempt, saved))

    def _lose(self, event: Silent, ranks: tuple[int, ...]) -> None:
        for rank in ranks:
            self.roster.lose(rank)
        for rank in ranks:
            self._unqueue(rank)
            self._fail_held(event, rank)
        self._reaction.unsettled += self._quarantine.lose(ranks)
        if self.roster.deserted:
            self._leave(Outcome.DESERTED)

    def _charge(self, event: Interrupted) -> None:
        """Decide what comes of the jobs that a start had in work that ended without a word."""
        for key in list(self.jobs.interrupted):
            opened = self.jobs.open[key]
            assert opened.holder is not None, "what is interrupted was held"
            reached = event.saved.get(key.trial, 0)
            if reached > self.jobs.saved.get(key.trial, 0):
                self._suspend(opened.newest, reached)
            else:
                self._fail(event, opened.newest, opened.holder)

    # -- the end of a start -----------------------------------------------------------------------

    def _ask_to_drain(self, why: str, now: float) -> None:
        if self._drain.is_repeated():
            self._leave(remaining.outcome_of(self.jobs, self._rules))
        elif self._drain.until is None:
            self._begin_to_drain(why, now)

    def _begin_to_drain(self, why: str, now: float) -> None:
        self._drain.begin(why, now)
        self._reaction.decide(Draining(why))
        self._dispatcher.recall_all(self._reaction)
        for rank in self.jobs.holders():
            self._reaction.tell(rank, Save())

    def _set_deadline(self, due: Due) -> None:
        known = self.jobs.time_left.deadline
        if known is not None and (known.ends_at, known.epoch_s) == (due.ends_at, due.epoch_s):
            return
        self.jobs.time_left.deadline = end = self._drain.before(due)
        self._reaction.decide(Deadline(end.drains_at))

    def _go_on(self, now: float) -> None:
        if remaining.is_over(self.jobs, self._rules, now):
            self._leave(Outcome.COMPLETE)
            return
        if not self.jobs.held and (why := remaining.enough(self.jobs, self._rules)):
            self._leave(Outcome.COMPLETE, why)
            return
        end = self.jobs.time_left.deadline
        if self._drain.until is None:
            if end is not None and now >= end.drains_at:
                self._begin_to_drain(NO_TIME, now)
            else:
                self._work(now)
        if self._drain.is_over(end, self.jobs.held, now):
            self._leave(remaining.outcome_of(self.jobs, self._rules))

    def _work(self, now: float) -> None:
        if self.jobs.hope.is_lost and remaining.is_any(self.jobs, self._rules):
            if not self.jobs.held:
                self._leave(Outcome.FAILED)
            return
        is_any = bool(self.roster.idle) or self._dispatcher.succeeded is not None
        may = is_any and self.jobs.scheduler.error is None
        if may and not remaining.enough(self.jobs, self._rules):
            self._dispatcher.dispatch(self.jobs, now, self._reaction)
        if self.jobs.scheduler.error is not None:
            self._begin_to_drain(self.jobs.scheduler.why, now)
            return
        # Only an idle rank shows that nothing is left: as long as none is, nothing was asked for.
        if not self.roster.idle or self.jobs.held or self.jobs.waits_at(now):
            return
        if self._dispatcher.is_short or self.jobs.scheduler.awaits:
            return
        if self.jobs.open or remaining.would_fit(self.jobs, self._rules, now):
            self._begin_to_drain(NOTHING_FITS, now)
        else:
            self._leave(Outcome.COMPLETE)

    def _leave(self, outcome: Outcome, why: str = "") -> None:
        self.outcome = outcome
        self._reaction.decide(Ended(outcome, self._drain.why or why or outcome.value))
