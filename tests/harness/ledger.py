"""The books of a study as an auditor keeps them: simple, slow, and all of it from what was said.

The ledger hears each event before the master does, and is shown what comes of it as that is done:
the entry first, then the orders, then the discards. It works out by brute force what may be done,
and asserts that nothing else is. It knows the rules that the docstrings promise, and nothing of how
the master keeps them. What happened is in the event; what was decided, it derives itself.
"""

import math

import msgspec

from hpmpi.master.dispatcher import LONG
from hpmpi.master.drain import LEAVE_S, NO_TIME, NOTHING_FITS
from hpmpi.master.incumbent import BestFront
from hpmpi.master.master import Master
from hpmpi.master.retries import ALIKE, MAX_LOSSES, NO_WORD
from hpmpi.master.shield import RAISED
from hpmpi.master.time_left import NEWEST
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Silent, Tick
from hpmpi.model.messages import (
    Answer,
    Assign,
    Beat,
    Cancel,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Progress,
    Ready,
    Recall,
    Returned,
    Save,
    Suspended,
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
    Parted,
    Quarantined,
    Released,
    Result,
    Started,
    Stopped,
    Suggestion,
    Suspension,
    Unqueued,
)
from hpmpi.model.trial import BASELINE, WORST, AttemptId, Config, JobKey, Metrics
from tests.harness import choices
from tests.harness.build import MIN_TRIALS, TOP_K, Study, goes_too_far
from tests.harness.papers import Paper, Vizier

FACTS = (Ready, Unfit, Progress)
"""Reports that are written down, whatever comes of them."""

BASELINE_JOB = JobKey(BASELINE, 0)

STOPPING = {"median", "stopping"}
"""Who stops trials in the middle of a job."""

DROPPING = {"sha", "top"}
"""Who knows of trials that they will not go on, though they have not come to the top."""


class JobEntry(msgspec.Struct):
    """A job that was ever handed out, or the baseline; without a loss it is open."""

    attempts: int = 0
    failures: int = 0
    failed_on: set[int] = set()
    lost: set[int] = set()
    said: str | None = None
    holder: int | None = None
    is_queued: bool = False
    interrupted: int | None = None
    begun_at: float = 0.0
    starts: dict[int, int] = {}
    loss: float | None = None

    @property
    def suspected(self) -> bool:
        """Whether it is given up with the next loss."""
        return len(self.lost) == MAX_LOSSES - 1


class RankEntry(msgspec.Struct):
    """A rank; `heard_at` is when it last gave a sign of life, if it is known, or was excused.

    `failed`: the jobs that it has failed since its last result, but for those that are to blame.
    """

    heard_at: float
    known: bool = False
    ready: bool = False
    unfit: bool = False
    lost: bool = False
    aside: bool = False
    on_trial: bool = False
    host: str = ""
    is_new: bool = False
    failed: set[JobKey] = set()
    held: AttemptId | None = None
    since: float = 0.0
    queued: AttemptId | None = None
    recalled: bool = False
    result_at: float = -math.inf

    @property
    def has(self) -> set[AttemptId]:
        """The attempts that it has in work or in line."""
        return {it for it in (self.held, self.queued) if it is not None}

    @property
    def able(self) -> bool:
        """Whether it works, or may come to."""
        return not (self.unfit or self.lost or self.aside)

    @property
    def idle(self) -> bool:
        """Whether it may be given work."""
        return self.ready and self.able and self.held is None


class Ledger:
    """What is known of a study, and what may be done next."""

    def __init__(self, study: Study) -> None:
        """Open the books."""
        self.study = study
        self.resources = study.ladder
        self.ranks: dict[int, RankEntry] = {}
        self.jobs: dict[JobKey, JobEntry] = {}
        if study.baseline is not None:
            self.jobs[BASELINE_JOB] = JobEntry()
        self.rungs: list[list[choices.Result]] = [[] for _ in self.resources]
        self.best: tuple[int, float, int, int] | None = None
        self.discarded: set[int] = set()
        self.outcome: Outcome | None = None
        self._configs: list[Config] = []
        self._brackets: dict[int, int] = {}
        self._dropped: set[int] = set()
        self._raised = self._is_out = False
        self._stopped: set[int] = set()
        self._pasha = Paper(self.resources)
        self._vizier = Vizier(study.low, MIN_TRIALS, study.high)
        self._is_poor = False
        self._seeds: dict[int, int] = {}
        self._saved: dict[int, int] = {}
        self._owed: list[Assigned] = []
        self._owed_cancels: set[tuple[int, AttemptId]] = set()
        self._cancelled: set[tuple[int, AttemptId]] = set()
        self._owed_saves: set[int] = set()
        self._owes_beat: int | None = None
        self._event: Event = Tick()
        self._now = -math.inf
        self._arrivals = 0
        self._least: list[float] = [WORST for _ in self.resources]
        self._succeeded = False
        self._given_up: list[str] = []
        self.told_at = math.inf
        self.drains_at: float | None = None
        self._due: Due | None = None
        self._saves = False
        self._spent = 0
        self._came: list[tuple[bool, int, float]] = []
        self._took_s: list[list[float]] = [[] for _ in self.resources]
        self._drained_at: float | None = None
        self._drains = 0
        self._asked_to_save: set[int] = set()
        self._held_before: AttemptId | None = None
        self._had_before: set[AttemptId] = set()
        self._succeeded_now: int | None = None
        self._owes_recall = False

    # -- what happens -----------------------------------------------------------------------------

    def hear(self, event: Event, now: float) -> None:
        """Take note of what the master is about to be told."""
        if not isinstance(event, Interrupted):
            self._reopen()
        if now - self._now > self.study.patience_s / 2:
            for entry in self.ranks.values():
                entry.heard_at = now
        self._event, self._now = event, now
        self._succeeded_now, self._owes_recall = None, False
        if isinstance(event, Tick) and (silent := tuple(self._overdue())):
            self._event = Silent(silent)
        match event:
            case Drain():
                self._drains += 1
            case Heard(rank, report):
                self._hear_of(rank, report)
            case _:
                pass

    def _hear_of(self, rank: int, report: object) -> None:
        entry = self.ranks[rank]
        entry.heard_at, entry.known = self._now, True
        self._held_before, self._had_before = entry.held, entry.has
        match report:
            case Ready(host=host):
                entry.ready = entry.is_new = True
                entry.host = host
            case Unfit():
                entry.unfit, entry.held, entry.queued = True, None, None
                self._acquit(rank)
            case Beat():
                self._owes_beat = rank
            case _ if isinstance(report, Answer) and report.attempt in entry.has:
                if entry.held == report.attempt:
                    entry.held, entry.since = entry.queued, self._now
                entry.queued = None
            case _:
                pass

    def enter(self, entry: Entry | None) -> None:
        """Check what is to be written, and that all of it follows from what happened."""
        if entry is None:
            assert not self._is_fact(), "what happened is written"
            return
        assert self._is_fact() or entry.decisions or entry.suggested or entry.raised, "it says much"
        assert entry.at == self._now
        self._recognise(entry.event)
        assert entry.raised is None or not self._raised, "who has raised is not called again"
        self._raised |= entry.raised is not None
        self._note(entry.suggested)
        self._lose(entry.event)
        self._judge(entry.event)
        for decision in entry.decisions:
            assert self.outcome is None, "nothing is decided after the end"
            self._decide(decision)
        assert not self._is_poor, "who is worse than the median is stopped"
        if entry.raised is not None:
            self._answer_for(entry)

    def _judge(self, event: Event) -> None:
        """Tell whether a job is to be stopped by what it has reported."""
        match event:
            case Heard(report=Progress(attempt=attempt, points=points)) if (
                self.study.method == "median" and attempt.trial != BASELINE
            ):
                entry = self.jobs[attempt.job]
                if entry.loss is None and entry.attempts == attempt.number:
                    goal = self.study.goal
                    seen = [(it.resource, goal.signed(it.metrics[goal.metric])) for it in points]
                    self._is_poor = self._vizier.stops(attempt.trial, seen)
            case _:
                pass

    def _recognise(self, event: Event) -> None:
        """Check that an entry has the event as it was; a Tick tells who is silent, in any order."""
        if isinstance(event, Silent) and isinstance(self._event, Silent):
            assert sorted(event.ranks) == list(self._event.ranks), "silence alone is a loss"
            self._event = event
        assert repr(event) == repr(self._event)

    def _is_fact(self) -> bool:
        match self._event:
            case Silent() | Interrupted() | Drain():
                return True
            case Heard(_, report):
                return isinstance(report, FACTS)
            case _:
                return False

    def _note(self, suggested: tuple[Suggestion, ...]) -> None:
        for trial, config, _ in suggested:
            assert trial == len(self._configs), "each trial is suggested once, in order"
            assert not self._is_out, "who has no other is not asked again"
            if config is None:
                self._is_out = True
            else:
                self._configs.append(config)

    def _lose(self, event: Event) -> None:
        """Have silent ranks be lost; what becomes of their jobs is decided."""
        if not isinstance(event, Silent):
            return
        for rank in event.ranks:
            self.ranks[rank].lost = True
            self._acquit(rank)
            self._asked_to_save.discard(rank)

    def _answer_for(self, entry: Entry) -> None:
        """See that a run drains when the code of others has raised, or ends otherwise."""
        assert entry.raised is not None
        assert entry.raised.call > 0
        assert entry.raised.why.startswith(RAISED)
        assert self._drained_at is not None or self.outcome is not None

    def _decide(self, decision: Decision) -> None:
        match decision:
            case Back():
                self._back(decision)
            case Deadline():
                self._learn_end(decision)
            case Draining():
                self._begin_to_drain(decision.why)
            case Ended():
                self._end(decision)
            case Quarantined(rank=rank):
                self._put_aside(self.ranks[rank])
            case Released(rank=rank, on_trial=on_trial):
                self._release(self.ranks[rank], on_trial=on_trial)
            case Chosen():
                self._choose(decision)
            case Parted():
                raise AssertionError("all jobs take one rank")
            case _:
                self._decide_on_attempt(decision)

    def _decide_on_attempt(
        self, decision: Assigned | Result | Failure | Suspension | Late | Stopped | Unqueued
    ) -> None:
        match decision:
            case Assigned():
                self._assign(decision)
            case Result():
                self._result(decision)
            case Failure():
                self._failure(decision)
            case Suspension():
                self._suspension(decision)
            case Late():
                self._late(decision)
            case Stopped():
                self._stop(decision)
            case Unqueued():
                self._unqueue(decision)

    def _reopen(self) -> None:
        for entry in self._open().values():
            entry.interrupted = None

    def tell(self, rank: int, order: Assign | Cancel | Recall | Beat | Save) -> None:
        """Check an order."""
        assert not self.ranks[rank].lost, "a lost rank is told nothing"
        match order:
            case Beat():
                assert self._owes_beat == rank, "a beat answers a beat"
                self._owes_beat = None
            case Save():
                assert rank in self._owed_saves, "only who has a job is asked to save, and once"
                self._owed_saves.remove(rank)
                self._asked_to_save.add(rank)
            case Cancel(attempt):
                assert attempt in self.ranks[rank].has, "only who has an attempt can end it"
                assert self.jobs[attempt.job].loss is not None, "an open job is waited for"
                assert (rank, attempt) not in self._cancelled, "it is cancelled once"
                self._cancelled.add((rank, attempt))
                self._owed_cancels.discard((rank, attempt))
                self.ranks[rank].recalled |= attempt == self.ranks[rank].queued
            case Recall(attempt):
                entry = self.ranks[rank]
                assert attempt == entry.queued, "what has begun is not recalled"
                assert not entry.recalled, "it is recalled once"
                assert self._is_to_recall(rank) or self._may_take() or self._owes_recall
                self._owes_recall = False
                entry.recalled = True
            case Assign():
                self._order(rank, order)

    def _order(self, rank: int, order: Assign) -> None:
        assert self._owed, "a decision precedes its order"
        owed = self._owed.pop(0)
        assert (order.attempt, order.resource, rank) == (owed.attempt, owed.resource, owed.rank)
        trial = order.attempt.trial
        assert order.config == ({} if trial == BASELINE else self._configs[trial])
        assert order.seed == self._seeds.setdefault(trial, order.seed)
        assert order.saved == self._saved.get(trial, 0)
        assert order.fresh == (self.jobs[order.attempt.job].failures > 0)
        assert order.deadline_s == (self._due and self._due.ends_at - self._now)

    def discard(self, trial: int) -> None:
        """Check that a trial's checkpoints may go."""
        assert trial in self._superfluous(), "what may be asked for again, or is best, is kept"
        assert trial not in self.discarded, "a trial is discarded once"
        self.discarded.add(trial)

    def _end(self, ended: Ended) -> None:
        """Check that the end is the one that was to come."""
        self.outcome = ended.outcome
        self._judge_end(ended.outcome)
        self._owed_cancels.clear()  # all are told to stop
        for entry in self._open().values():
            entry.holder, entry.is_queued = None, False

    def _judge_end(self, outcome: Outcome) -> None:
        ranks = self.ranks.values()
        match outcome:
            case Outcome.DRAINED:
                assert self._drained_at is not None, "that a run drains is recorded"
                assert self._winding_up_is_over()
                assert not self._is_complete, "what is complete is not called drained"
            case Outcome.UNFIT:
                assert self._drained_at is not None or all(rank.unfit for rank in ranks)
            case Outcome.DESERTED:
                assert all(rank.unfit or rank.lost for rank in ranks)
                assert any(rank.lost for rank in ranks)
            case Outcome.FAILED:
                assert self._hopeless(), "as long as there is hope, it goes on"
                assert not self._holders(), "who is in work may succeed"
                assert not self._is_complete
            case Outcome.COMPLETE:
                assert self._over() or self._has_ended(), "there may be more when there is time"

    # -- what must be so between events -----------------------------------------------------------

    def compare(self, master: Master) -> None:
        """Assert that the master is where these books say."""
        assert not self._owed, "a decision is followed by its order"
        assert not self._owed_cancels, "what nobody waits for is cancelled"
        assert not self._owes_recall, "a rank comes to what is long before what is in line"
        recalled = (it.recalled for n, it in self.ranks.items() if self._is_to_recall(n))
        assert self.outcome is not None or all(recalled), "what is held up is recalled"
        if master.jobs.scheduler.error is None:  # who raises says no more what is over
            assert self.discarded == self._superfluous()
        assert master.jobs.trials == len(self._brackets)
        self._compare_incumbent(master)
        self._compare_jobs(master)
        self._compare_ranks(master)

    def compare_duties(self, *, awaits: bool) -> None:
        """Assert that nothing is left undone, and nobody idle who could work.

        `awaits`: whether the searcher has no answer yet.
        """
        assert not self._over()
        assert not self._enough() or self._holders(), "where it is enough, only who works may end"
        assert self._owes_beat is None, "a beat is answered"
        assert not isinstance(self._event, Due) or self._due == self._event, "an end is noticed"
        assert self._drained_at is not None or not self._drains, "who asks for a drain gets one"
        if self._drained_at is not None:
            assert not self._winding_up_is_over(), "a drain comes to its end"
            assert not self._owed_saves, "who has a job is asked to save"
            assert self._asked_to_save >= self._holders()
        else:
            assert not self._no_time(), "a drain begins in time"
            idle = [number for number, rank in self.ranks.items() if rank.idle]
            self._compare_idle(idle, awaits=awaits)
            self._compare_queue(awaits=awaits)
        if isinstance(self._event, Tick | Silent):
            assert self._overdue() == [], "silence is noticed"
            assert any(rank.able for rank in self.ranks.values()), "somebody is left to work"
            assert not all(rank.unfit or rank.lost for rank in self.ranks.values())

    def _is_full(self) -> bool:
        """Whether no more may be in work; ranks that have only what was given up on don't count."""
        busy = sum(rank.held is not None and not rank.lost for rank in self.ranks.values())
        most = self.study.max_concurrent
        return most is not None and bool(self._holders()) and busy >= most

    def _compare_idle(self, idle: list[int], *, awaits: bool) -> None:
        if not idle or self._is_full():
            return
        if self._enough():
            return
        if self._hopeless() and not self._is_complete:
            assert self._holders(), "where nobody is in work who may succeed, it is over"
            return
        waiting = any(self._waiting_for(rank) for rank in idle)
        assert not waiting, "no rank is idle while work waits that it may be given"
        if awaits:
            following = self._next(self._rungs(), self._limit)
            assert following is not None, "an answer is awaited only where there is a question"
            assert following.trial not in self._brackets, "who can go on waits for no thought"
            return
        following = self._next(self._rungs())
        assert following is None, "no rank is idle while there is work to ask for"
        fits = any(key.rung < self._rungs() for key in self._open())
        assert self._holders() or fits, "nothing is left that there is time for, so it is over"

    def _compare_queue(self, *, awaits: bool) -> None:
        """See that a rank which goes on with a short job has the next queued, if there is any.

        And that nobody is idle who may do it.
        """
        able = (it for it in self.ranks.values() if not (it.lost or it.unfit))
        in_line = [it for it in able if it.queued is not None]
        recalled = sum(it.recalled for it in in_line)
        lets_go = self._enough() or self._hopeless()
        assert lets_go or recalled >= min(len(self._may_take()), len(in_line)), "it is given back"
        if self._succeeded_now is None:
            return
        rank = self.ranks[self._succeeded_now]
        if not rank.able or rank.held is None or rank.queued is not None:
            return
        if not self._is_short(rank.held.job):
            return
        if awaits or self._enough() or self._waiting() or self._hopeless():
            return
        assert self._next(self._rungs()) is None, "the next one is queued"

    def _is_to_recall(self, rank: int) -> bool:
        """Whether what is queued on a rank is to be done by others, if it has not begun."""
        entry = self.ranks[rank]
        gone = entry.lost or entry.unfit
        if entry.queued is None or gone or self.jobs[entry.queued.job].loss is not None:
            return False
        is_long = self._now - entry.since > LONG * self.study.short_s
        return (
            self._drained_at is not None
            or not self._holds(rank, entry.queued)
            or (isinstance(self._event, Tick) and is_long)
        )

    def _may_take(self) -> list[int]:
        """List who is idle, and may do what others have in line."""
        idle = [number for number, rank in self.ranks.items() if rank.idle]
        return [] if self._is_full() or self._drained_at is not None else idle

    def _holds(self, rank: int, attempt: AttemptId) -> bool:
        """Whether a rank has the newest attempt at an open job, in work or in line."""
        entry = self.jobs[attempt.job]
        return (entry.loss, entry.holder, entry.attempts) == (None, rank, attempt.number)

    def _let_go(self, entry: JobEntry) -> None:
        """Have nobody hold a job; who has another queued behind it begins that, or will."""
        self._begin_queued(entry.holder)
        entry.holder = None

    def _begin_queued(self, rank: int | None) -> None:
        """Have what is queued on a rank begin."""
        for it in self._open().values():
            it.is_queued = it.is_queued and it.holder != rank

    def _is_short(self, key: JobKey) -> bool:
        """Whether jobs of a rung are, in the median of the newest."""
        newest = sorted(self._took_s[key.rung][-NEWEST:])
        if key == BASELINE_JOB or not newest:
            return False
        return newest[len(newest) // 2] <= self.study.short_s

    def _waiting(self) -> set[JobKey]:
        """Find the jobs that nobody has."""
        entries = self._open().items()
        return {key for key, it in entries if it.holder is None and it.interrupted is None}

    @property
    def incumbent(self) -> tuple[int, float, int] | None:
        """Name the rung, turned so that less is better, and the loss and trial that are best."""
        return self.best and (self.best[0], self.best[1], self.best[3])

    @property
    def exhausted(self) -> bool:
        """Whether no job is open and none can be."""
        return not self._open() and self._next(self._count_rungs) is None

    @property
    def _is_complete(self) -> bool:
        """Whether that is known without asking the searcher."""
        if self._enough():
            return True
        return not self._open() and self._next(self._count_rungs, self._limit) is None

    @property
    def _limit(self) -> float:
        """How many trials there can be, for all that is known without asking the searcher."""
        return math.inf if self.study.limit is None else self.study.limit

    def _compare_incumbent(self, master: Master) -> None:
        best = master.jobs.best
        if isinstance(best, BestFront):
            assert best.members.keys() == self._best_ones()
        else:
            found = best.incumbent
            assert (found and (-found.rung, found.loss, found.trial)) == self.incumbent

    def _compare_jobs(self, master: Master) -> None:
        entries = self._open()
        assert master.jobs.open.keys() == entries.keys()
        for key, entry in entries.items():
            found = master.jobs.open[key]
            holder = entry.holder if entry.interrupted is None else entry.interrupted
            assert (found.attempts, found.failures, found.said, found.holder) == (
                entry.attempts,
                entry.failures,
                entry.said,
                holder,
            )
            assert (set(found.failed_on), set(found.lost)) == (entry.failed_on, entry.lost)
            assert (key in master.jobs.waiting) == (holder is None), "in one place"
            assert (key in master.jobs.interrupted) == (entry.interrupted is not None)
            if entry.holder is not None:
                assert AttemptId(*key, entry.attempts) in self.ranks[entry.holder].has
                assert not self.ranks[entry.holder].lost, "a lost rank is not waited for"
        assert master.jobs.waiting.keys() <= entries.keys()

    def _compare_ranks(self, master: Master) -> None:
        workers = master.roster.workers
        assert workers.keys() == self.ranks.keys()
        for rank, entry in self.ranks.items():
            found = workers[rank]
            assert found.queued == entry.queued
            assert (found.ready, found.unfit, found.lost, found.aside, found.held) == (
                entry.ready,
                entry.unfit,
                entry.lost,
                entry.aside,
                entry.held,
            )
            assert (rank in master.roster.idle) == entry.idle

    # -- the decisions ----------------------------------------------------------------------------

    def start(self, started: Started) -> None:
        """Enter a start: fresh ranks, and what was in work until then is interrupted."""
        self._owed, self._event, self._now = [], Tick(), -math.inf
        self._owes_recall = False
        self._owed_cancels, self._cancelled, self._owed_saves = set(), set(), set()
        self._owes_beat = self.outcome = self.drains_at = self._due = None
        for entry in self._open().values():
            if entry.is_queued:
                entry.holder, entry.is_queued = None, False  # it had not begun
        self.ranks = {rank: RankEntry(started.at) for rank in range(1, started.ranks + 1)}
        self._drained_at, self._drains, self._asked_to_save = None, 0, set()
        self._given_up = []
        self._raised = self._is_out = False
        for entry in self._open().values():
            entry.failed_on = set()
            if entry.holder is not None:
                entry.interrupted, entry.holder = entry.holder, None
        # What was to be discarded when the master was killed is for whoever owns the folder.
        self.discarded = self._superfluous()

    def _assign(self, assigned: Assigned) -> None:
        assert self._drained_at is None, "a drain starts nothing new"
        assert not self._enough(), "nothing is begun where it is enough"
        self._owed.append(assigned)
        trial, key = assigned.attempt.trial, assigned.attempt.job
        if assigned.queued:
            assert not self._waiting(), "what waits is not overtaken"
        if waiting := self._waiting_for(assigned.rank):
            assert key in waiting, "work that waits goes first"
            assert key == BASELINE_JOB or not self._baseline_is_first(), "the baseline goes first"
        else:
            self._open_next(key)
        assert assigned.bracket == self._brackets.get(trial, 0), "a trial has one bracket"
        assert key.rung < self._rungs(), "what can't be done in time is not begun"
        assert assigned.queued or not self._is_full(), "no more are in work than may be"
        assert not self._hopeless() or self._is_complete, "nothing is begun without hope"
        assert trial == BASELINE or trial < len(self._configs), "what is begun was suggested"
        resource = self.study.baseline if trial == BASELINE else self.resources[key.rung]
        assert assigned.resource == resource
        entry = self.jobs[key]
        entry.attempts += 1
        assert assigned.attempt.number == entry.attempts, "attempts grow by one"
        assert entry.loss is None, "only an open job is handed out"
        assert entry.holder is None, "a job has one holder"
        assert trial not in self.discarded
        self._give(self.ranks[assigned.rank], assigned)
        entry.holder, entry.begun_at = assigned.rank, self._now
        self._begin_queued(assigned.rank)
        entry.is_queued = assigned.queued
        entry.starts[entry.attempts] = self._saved.get(trial, 0)

    def _open_next(self, key: JobKey) -> None:
        assert key == self._next(self._rungs()), "no other job is as good"
        self.jobs[key] = JobEntry()
        bracket = key.rung if self.study.method == "hyperband" else 0
        self._brackets.setdefault(key.trial, bracket)

    def _give(self, rank: RankEntry, assigned: Assigned) -> None:
        if not assigned.queued:
            assert rank.idle, "only an idle rank is given work"
            rank.held, rank.since = assigned.attempt, self._now
            return
        assert rank.able, "nothing is queued on who can't do it"
        assert not rank.failed, "nor on who fails"
        assert rank.held is not None
        assert rank.queued is None, "there is one in line"
        assert self._is_short(rank.held.job), "it is queued behind a short job"
        assert self._is_short(assigned.attempt.job), "and is one"
        rank.queued, rank.recalled = assigned.attempt, False

    def _choose(self, chosen: Chosen) -> None:
        """Have a job wait that is too long to be queued."""
        key = JobKey(chosen.trial, chosen.rung)
        assert self.study.short_s > 0, "all jobs take one rank"
        assert self._drained_at is None, "a drain chooses nothing"
        assert not self._waiting(), "what waits goes first"
        self._open_next(key)
        assert not self._is_short(key), "what is short is queued"
        in_line = (it for it in self.ranks.values() if it.queued is not None and not it.lost)
        self._owes_recall = not all(it.recalled for it in in_line)
        assert chosen.bracket == self._brackets[key.trial]
        assert chosen.resource == self.resources[key.rung]

    def _unqueue(self, unqueued: Unqueued) -> None:
        key, number = unqueued.attempt.job, unqueued.attempt.number
        entry = self.jobs[key]
        rank = entry.holder
        assert rank is not None, "only what is held can be given back"
        assert self._holds(rank, unqueued.attempt)
        match self._event:
            case Heard(speaker, Returned(attempt)):
                assert (speaker, attempt) == (rank, unqueued.attempt)
                assert self.ranks[rank].recalled, "nobody gives back what was not recalled"
                assert attempt in self._had_before
            case Heard(speaker, Unfit()):
                assert speaker == rank
                assert unqueued.attempt in self._had_before
            case _:
                assert isinstance(self._event, Silent)
                assert rank in self._event.ranks
                assert self.ranks[rank].queued == unqueued.attempt
        assert number == 1, "what has failed is not queued"
        self._let_go(entry)

    def _result(self, result: Result) -> None:
        assert isinstance(self._event, Heard)
        rank, report = self._event.rank, self._event.report
        assert isinstance(report, Finished)
        assert report.attempt == result.attempt
        trial, key = result.attempt.trial, result.attempt.job
        self._saved[trial] = max(report.saved, self._saved.get(trial, 0))
        entry = self.jobs[key]
        newest = (entry.holder, entry.attempts) == (rank, result.attempt.number)
        self._begin_queued(rank)
        self._believe(rank)
        if trial == BASELINE:
            self._close(key, WORST)
            assert result.over == ()
            return
        if newest:
            began_at = max(entry.begun_at, self.ranks[rank].result_at)
            self._took_s[key.rung].append(self._now - began_at)
        self.ranks[rank].result_at = self._now
        self._succeeded_now = rank
        self._saves = self._saves or report.saved > 0
        loss = self._loss(report)
        self._spend(result.attempt, self.resources[key.rung])
        self._count(key, loss)
        self._close(key, loss, report.metrics)
        self._check_over(result.over, key, loss)
        self._least[key.rung] = min(self._least[key.rung], loss)
        self._succeeded = True
        if loss < WORST:
            place = (-key.rung, loss, self._arrivals, trial)
            self.best = place if self.best is None else min(self.best, place)

    def _check_over(self, over: tuple[int, ...], key: JobKey, loss: float) -> None:
        if self._raised:  # who has raised says nothing more
            assert set(over) <= {key.trial}
        else:
            is_over = key.rung == len(self.rungs) - 1 or loss == WORST
            assert key.trial in over or not is_over
            if self.study.method not in DROPPING:
                assert over == ((key.trial,) if is_over else ())
            self._dropped |= set(over)

    def _failure(self, failure: Failure) -> None:
        key, number = failure.attempt.job, failure.attempt.number
        entry = self.jobs[key]
        assert entry.loss is None, "only an open job fails"
        charged = isinstance(self._event, Interrupted)
        rank = entry.interrupted if charged else entry.holder
        assert rank is not None, "only what is held fails"
        assert number == entry.attempts, "the newest one"
        self._let_go(entry)
        entry.interrupted = None
        kind, error, used = self._mishap(rank, failure.attempt)
        assert failure.kind is kind
        if kind is FailureKind.LOST:
            assert not charged or not self._has_got_on(key.trial), "who gets on is no killer"
            entry.lost.add(number)
            last = len(entry.lost) == MAX_LOSSES
        else:
            entry.failures += 1
            entry.failed_on.add(rank)
            is_held_against = self.study.quarantine and kind is not FailureKind.BAD_VALUE
            if is_held_against and not self.ranks[rank].unfit:
                self.ranks[rank].failed.add(key)
            last = entry.failures == self.study.failures
        if kind in {FailureKind.EXCEPTION, FailureKind.BAD_VALUE}:
            said = error.splitlines()[0]
            last = last or (said == entry.said and not used)
            entry.said = said
        last = last or kind is FailureKind.BAD_VALUE
        assert failure.final == last
        if last:
            self._give_up(failure, error)
        else:
            assert failure.over == ()

    def _give_up(self, failure: Failure, error: str) -> None:
        key = failure.attempt.job
        self._close(key, WORST)
        if key == BASELINE_JOB:
            assert failure.over == ()
            return
        self._check_over(failure.over, key, WORST)
        no_result = failure.kind is FailureKind.BAD_VALUE
        said = "" if no_result else error.splitlines()[-1]
        self._given_up.append(f"{failure.kind} {said}")

    def _mishap(self, rank: int, attempt: AttemptId) -> tuple[FailureKind, str, bool]:
        """Say what the event has made of the attempt that a rank had."""
        match self._event:
            case Heard(speaker, Failed() as report):
                assert (speaker, report.attempt) == (rank, attempt)
                assert report.kind is not FailureKind.LOST
                return report.kind, report.error, report.used
            case Heard(speaker, Unfit() as report):
                assert speaker == rank
                return FailureKind.CRASH, report.error, False
            case Silent(ranks):
                assert rank in ranks
                return FailureKind.LOST, f"rank {rank} was silent for too long", False
            case Interrupted():
                return FailureKind.LOST, NO_WORD, False
        raise AssertionError(f"nothing fails by {self._event}")

    def _begin_to_drain(self, why: str) -> None:
        assert self._drained_at is None, "a drain begins once"
        self._drained_at = self._now
        self._owed_saves = self._holders()
        if why == NO_TIME:
            assert self._no_time()
        elif why.startswith(RAISED):
            assert self._raised
        elif why == NOTHING_FITS:
            assert not self._holders()
            assert not any(key.rung < self._rungs() for key in self._open())
            assert self._next(self._rungs()) is None
            assert not self._is_complete, "what is complete does not drain"
        else:
            assert self._event == Drain(why)

    def _learn_end(self, deadline: Deadline) -> None:
        assert isinstance(self._event, Due)
        assert self._due != self._event, "what is known is not decided again"
        assert deadline.drains_at == self._event.ends_at - (self.study.grace_s + LEAVE_S)
        self._due, self.drains_at, self.told_at = self._event, deadline.drains_at, self._now

    def _suspension(self, suspension: Suspension) -> None:
        trial, key = suspension.attempt.trial, suspension.attempt.job
        entry = self.jobs[key]
        assert entry.loss is None, "only an open job is suspended"
        assert suspension.attempt.number == entry.attempts
        if isinstance(self._event, Interrupted):
            assert entry.interrupted is not None
            assert self._has_got_on(trial)
            assert suspension.saved == self._event.saved[trial]
        else:
            assert entry.holder is not None
            report = Suspended(suspension.attempt, suspension.saved)
            assert self._event == Heard(entry.holder, report)
        self._let_go(entry)
        entry.interrupted = None
        self._spend(suspension.attempt, suspension.saved)
        self._saved[trial] = max(suspension.saved, self._saved.get(trial, 0))
        self._saves = self._saves or trial != BASELINE

    def _late(self, late: Late) -> None:
        assert isinstance(self._event, Heard)
        assert isinstance(self._event.report, Answer)
        assert late.attempt in self._had_before
        assert late.attempt == self._event.report.attempt
        entry = self.jobs[late.attempt.job]
        newest = (entry.holder, entry.attempts) == (self._event.rank, late.attempt.number)
        assert entry.loss is not None or not newest, "the newest attempt counts"

    def _stop(self, stopped: Stopped) -> None:
        assert self.study.method in STOPPING, "nobody else stops what is in work"
        assert isinstance(self._event, Heard)
        report = self._event.report
        assert isinstance(report, Progress)
        assert report.attempt.job == stopped.attempt.job
        is_median = self.study.method == "median"
        assert self._is_poor if is_median else goes_too_far(report.points)
        self._is_poor = False
        trial, entry = stopped.attempt.trial, self.jobs[stopped.attempt.job]
        assert trial != BASELINE, "nobody judges the baseline"
        assert stopped.over == (trial,)
        self._let_go(entry)
        self._stopped.add(trial)
        self._count(stopped.attempt.job, WORST)
        self._end_job(stopped.attempt.job, WORST)

    def _put_aside(self, rank: RankEntry) -> None:
        assert not rank.aside
        assert len(rank.failed) >= self.study.quarantine > 0
        rank.aside = rank.on_trial = True
        assert any(it.able for it in self.ranks.values()), "somebody is left to work"

    def _release(self, rank: RankEntry, *, on_trial: bool) -> None:
        """Check that a rank is put aside, or was and has shown by now that it works."""
        assert rank.on_trial
        assert rank.aside or not on_trial
        rank.aside, rank.on_trial = False, on_trial

    def _believe(self, rank: int) -> None:
        """Blame the jobs that a rank had failed, now that it has a result."""
        to_blame, self.ranks[rank].failed = self.ranks[rank].failed, set()
        self.ranks[rank].is_new = False
        for it in self.ranks.values():
            it.failed = it.failed - to_blame

    def _acquit(self, rank: int) -> None:
        """Hold nothing against a rank any more: it works, or is not there."""
        self.ranks[rank].failed = set()
        self.ranks[rank].aside = self.ranks[rank].on_trial = self.ranks[rank].is_new = False

    def _back(self, back: Back) -> None:
        rank, held = back.rank, back.held
        assert isinstance(self._event, Heard)
        assert self._event.rank == rank
        assert self.ranks[rank].lost, "only a lost rank comes back"
        self.ranks[rank].lost = False
        assert held == self._held_before
        queued = self.ranks[rank].queued
        if queued is not None and self.jobs[queued.job].loss is not None:
            self._cancelled.discard((rank, queued))
            self._owed_cancels.add((rank, queued))
        if held is None:
            return
        entry = self.jobs[held.job]
        entry.lost.discard(held.number)
        if entry.loss is None and entry.holder is None:
            entry.holder = rank if entry.attempts == held.number else None
        if entry.loss is not None and self.ranks[rank].held == held:
            self._cancelled.discard((rank, held))
            self._owed_cancels.add((rank, held))
        if self._drained_at is not None and entry.holder == rank and self.ranks[rank].held:
            self._owed_saves.add(rank)

    def _close(self, key: JobKey, loss: float, metrics: Metrics | None = None) -> None:
        self._end_job(key, loss)
        if key == BASELINE_JOB:
            return
        self._arrivals += 1
        several = self.study.several and loss < WORST and metrics is not None
        ranked = (loss, metrics["bytes"]) if several and metrics else loss
        self.rungs[key.rung].append((ranked, self._arrivals, key.trial))
        if self.study.method == "pasha":
            self._pasha.came(key.trial, key.rung, loss)
        if self.study.method == "median":
            self._vizier.end(key.trial, loss)

    @property
    def _count_rungs(self) -> int:
        """How many rungs there are by now."""
        grown = self._pasha.top + 1 if self.study.method == "pasha" else len(self.rungs)
        return min(grown, len(self.rungs))

    def _end_job(self, key: JobKey, loss: float) -> None:
        """Close a job; whoever has another attempt at it is to be told."""
        entry = self.jobs[key]
        assert entry.loss is None, "the first result counts, and no other"
        self._let_go(entry)
        entry.loss = loss
        for rank, it in self.ranks.items():
            for attempt in it.has:
                if attempt.job == key and not it.lost and not it.unfit:
                    self._owed_cancels.add((rank, attempt))

    def _baseline_is_first(self) -> bool:
        entry = self.jobs.get(BASELINE_JOB)
        return entry is not None and entry.attempts == 0

    def _has_got_on(self, trial: int) -> bool:
        """Whether a trial of an interrupted job has saved more than was known."""
        assert isinstance(self._event, Interrupted)
        return self._event.saved.get(trial, 0) > self._saved.get(trial, 0)

    # -- brute force ------------------------------------------------------------------------------

    def _loss(self, report: Finished) -> float:
        if not all(map(math.isfinite, report.metrics.values())):
            return WORST
        value = report.metrics[self.study.goal.metric]
        return value if self.study.mode == "min" else -value

    def _next(self, rungs: int, limit: float | None = None) -> JobKey | None:
        """Tell which job the paper has next."""
        limit = self.study.most_trials if limit is None else limit
        may_start = limit is None or len(self._brackets) < limit
        eta = self.study.eta
        past = choices.Past(self.jobs, self.rungs, self._brackets, eta, rungs, may_start)
        match self.study.method:
            case "hyperband":
                return choices.hyperband(past)
            case "sha":
                return choices.sha(past)
            case "top":
                return choices.top(past, TOP_K)
            case method:
                return choices.asha(past, delay=method == "delayed")

    def _rungs(self) -> int:
        """Count the lowest rungs of which most jobs would be done before the drain."""
        if self.drains_at is None or self._saves:
            return self._count_rungs
        left_s = self.drains_at - self._now
        for rung, took_s in enumerate(self._took_s[: self._count_rungs]):
            newest = took_s[-NEWEST:]
            if newest and sum(took > left_s for took in newest) >= len(newest) / 2:
                return rung
        return self._count_rungs

    def _no_time(self) -> bool:
        return self.drains_at is not None and self._now >= self.drains_at

    def _open(self) -> dict[JobKey, JobEntry]:
        return {key: entry for key, entry in self.jobs.items() if entry.loss is None}

    def _waiting_for(self, rank: int) -> set[JobKey]:
        """Find the jobs that wait, and that this rank may be given."""
        able = {number: it for number, it in self.ranks.items() if it.able}
        bad = {it.host for it in self.ranks.values() if it.failed}
        doubted = {n for n, it in able.items() if it.failed or (it.is_new and it.host in bad)}
        entries = self._open()
        waiting = {
            key
            for key, entry in entries.items()
            if entry.holder is None
            and key.rung < self._rungs()
            and rank not in self._unsuited(entry, doubted, len(able))
        }
        sound = {key for key in waiting if not entries[key].suspected}
        watched = any(it.suspected and it.holder is not None for it in entries.values())
        return sound or (set() if watched else waiting)

    def _unsuited(self, entry: JobEntry, doubted: set[int], able: int) -> set[int]:
        """Find the ranks that are not to try again what has failed."""
        failed_on = entry.failed_on
        all_of_them = failed_on | doubted if failed_on else set()
        return next((it for it in (all_of_them, failed_on) if len(it) < able), set())

    def _holders(self) -> set[int]:
        return {entry.holder for entry in self._open().values() if entry.holder is not None}

    def _winding_up_is_over(self) -> bool:
        """Whether a drain has nothing to wait for any more, now."""
        assert self._drained_at is not None
        ends_at = math.inf if self._due is None else self._due.ends_at
        late = self._now >= min(self._drained_at + self.study.grace_s, ends_at - LEAVE_S)
        return late or not self._holders() or self._drains > 1

    def _superfluous(self) -> set[int]:
        top = len(self.rungs) - 1
        over = {
            trial
            for rung, results in enumerate(self.rungs)
            for loss, _, trial in results
            if rung == top or loss == WORST
        }
        over |= self._stopped | self._dropped
        return over - self._best_ones()

    def _best_ones(self) -> set[int]:
        """Name who is best: of several metrics, whom nobody beats at the highest rung reached."""
        if self.best is None or not self.study.several:
            return set() if self.best is None else {self.best[3]}
        results = [it for it in self.rungs[-self.best[0]] if it[0] != WORST]
        return {
            trial
            for losses, _, trial in results
            if not any(choices.beats(other, losses) for other, _, _ in results)
        }

    def _overdue(self) -> list[int]:
        """List who is not lost, and was not heard for too long."""
        return [
            rank
            for rank, it in self.ranks.items()
            if not it.lost
            and self._now - it.heard_at
            > (self.study.patience_s if it.known else self.study.start_s)
        ]

    def _hopeless(self) -> bool:
        """Whether trials enough were given up for the same reason, and none has succeeded."""
        alike = max((self._given_up.count(it) for it in self._given_up), default=0)
        return not self._succeeded and alike >= ALIKE

    def _spend(self, attempt: AttemptId, reached: int) -> None:
        """Count what an attempt has trained."""
        if attempt.trial != BASELINE:
            self._spent += max(0, reached - self.jobs[attempt.job].starts[attempt.number])

    def _count(self, key: JobKey, loss: float) -> None:
        """Note what came of a job, and whether its trial had come to nothing before."""
        closed = [it for it, entry in self.jobs.items() if entry.loss is not None]
        self._came.append((key.trial not in {it.trial for it in closed}, key.rung, loss))

    def _enough(self) -> bool:
        """Whether all of the resource is spent, or nothing better has come for too long."""
        most = self.study.max_resource_total
        return (most is not None and self._spent >= most) or self._is_flat()

    def _is_flat(self) -> bool:
        if self.study.plateau is None:
            return False
        trials, epsilon = self.study.plateau
        firsts = [place for place, (is_first, _, _) in enumerate(self._came) if is_first]
        if len(firsts) < trials:
            return False
        before, now = (
            min((loss for _, rung, loss in came if rung == self._count_rungs - 1), default=WORST)
            for came in (self._came[: firsts[-trials]], self._came)
        )
        return before < WORST and before - now <= epsilon

    def _has_ended(self) -> bool:
        """Whether nothing is left, or it is enough and who is in work has had the time to end."""
        if not self._enough():
            return self.exhausted
        drained = self._drained_at is not None and self._winding_up_is_over()
        return not self._holders() or drained

    def _over(self) -> bool:
        """Whether the time is up or the target reached, now."""
        time_s, target_loss = self.study.time_s, self.study.target_loss
        counts_from = self.study.target_resource or self.resources[self._count_rungs - 1]
        for resource, least in zip(self.resources, self._least, strict=True):
            if target_loss is not None and resource >= counts_from and least <= target_loss:
                return True
        return time_s is not None and self._now >= time_s
