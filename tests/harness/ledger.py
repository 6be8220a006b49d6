"""The books of a study as an auditor keeps them: simple, slow, and all of it from what was said.

The ledger hears each event before the master does, and is shown each command as it is performed. It
works out by brute force what may be done, and asserts that nothing else is. It knows the rules that
the docstrings promise, and nothing of how the master keeps them.
"""

import math

import msgspec

from hpmpi.master.blame import ALIKE, MAX_LOSSES
from hpmpi.master.master import LEAVE_S, NO_TIME, NOTHING_FITS, Master
from hpmpi.master.shield import RAISED
from hpmpi.master.time_left import NEWEST
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Save,
    Suspended,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import WORST, AttemptId, Config, JobKey
from tests.harness.build import Study


class Entry(msgspec.Struct):
    """A job that was ever handed out; without a loss it is open."""

    attempts: int = 0
    failures: int = 0
    failed_on: set[int] = set()
    lost: set[int] = set()
    said: str | None = None
    holder: int | None = None
    interrupted: int | None = None
    begun_at: float = 0.0
    loss: float | None = None

    @property
    def suspected(self) -> bool:
        """Whether it is given up with the next loss."""
        return len(self.lost) == MAX_LOSSES - 1


class RankEntry(msgspec.Struct):
    """A rank; `heard_at` is when it last gave a sign of life, if it is known, or was excused."""

    heard_at: float
    known: bool = False
    ready: bool = False
    unfit: bool = False
    lost: bool = False
    held: AttemptId | None = None

    @property
    def idle(self) -> bool:
        """Whether it may be given work."""
        return self.ready and not self.unfit and not self.lost and self.held is None


class Ledger:
    """What is known of a study, and what may be done next."""

    def __init__(self, study: Study) -> None:
        """Open the books."""
        self.study = study
        self.resources = study.scheduler().rungs
        self.ranks: dict[int, RankEntry] = {}
        self.jobs: dict[JobKey, Entry] = {}
        self.rungs: list[list[tuple[float, int, int]]] = [[] for _ in self.resources]
        self.best: tuple[int, float, int, int] | None = None
        self.discarded: set[int] = set()
        self._configs: list[Config] = []
        self._seeds: dict[int, int] = {}
        self._saved: dict[int, int] = {}
        self._owed: Assigned | None = None
        self._event: Event = Tick()
        self._now = -math.inf
        self._arrivals = 0
        self._least: list[float] = [WORST for _ in self.resources]
        self._succeeded = False
        self._given_up: list[str] = []
        self.deadline: Deadline | None = None
        self._due: Due | None = None
        self._saves = False
        self._took_s: list[list[float]] = [[] for _ in self.resources]
        self._drained_at: float | None = None
        self._drains = 0
        self._asked_to_save: set[int] = set()
        self._held_before: AttemptId | None = None

    # -- what happens -----------------------------------------------------------------------------

    def hear(self, event: Event, now: float) -> None:
        """Take note of what the master is about to be told."""
        if not isinstance(event, Interrupted):
            self._reopen()
        if now - self._now > self.study.patience_s / 2:
            for entry in self.ranks.values():
                entry.heard_at = now
        self._event, self._now = event, now
        match event:
            case Drain():
                self._drains += 1
            case Due():
                self._due = event
            case Interrupted():
                pass
            case Heard(rank, report):
                self.ranks[rank].heard_at = now
                self.ranks[rank].known = True
                self._held_before = self.ranks[rank].held
                if isinstance(report, Finished | Failed | Suspended):
                    attempt = AttemptId(JobKey(report.trial, report.rung), report.attempt)
                    if self.ranks[rank].held == attempt:
                        self.ranks[rank].held = None

    def record(self, decision: Decision) -> None:
        """Check a decision, and enter it."""
        if isinstance(decision, Started):
            self._start(decision)
            return
        assert self._owed is None, "an order follows its decision at once"
        assert decision.at == self._now
        if isinstance(decision, Assigned | Result | Failure | Suspension | Late):
            self._record_attempt(decision)
            return
        match decision:
            case Joined() | Refused() | Lost() | Back():
                self._hear_of(decision)
            case Deadline():
                self._learn_end(decision)
            case Draining(why=why):
                self._begin_to_drain(why)
            case Ended():
                for entry in self._open().values():
                    entry.holder = None

    def _record_attempt(self, decision: Assigned | Result | Failure | Suspension | Late) -> None:
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

    def _reopen(self) -> None:
        for entry in self._open().values():
            entry.interrupted = None

    def tell(self, rank: int, order: Assign | Beat | Save) -> None:
        """Check an order."""
        assert not self.ranks[rank].lost, "a lost rank is told nothing"
        if isinstance(order, Beat):
            assert self._event == Heard(rank, Beat()), "a beat answers a beat"
            return
        if isinstance(order, Save):
            assert self._drained_at is not None
            assert rank in self._holders(), "only who has a job is asked for a checkpoint"
            assert rank not in self._asked_to_save, "and is asked once"
            self._asked_to_save.add(rank)
            return
        assert self._drained_at is None, "a drain starts nothing new"
        owed, self._owed = self._owed, None
        assert owed is not None, "a decision precedes its order"
        assert (order.trial, order.rung, order.attempt, rank) == (
            owed.trial,
            owed.rung,
            owed.attempt,
            owed.rank,
        )
        assert order.resource == owed.resource == self.resources[order.rung]
        assert order.config == self._configs[order.trial]
        assert order.seed == self._seeds.setdefault(order.trial, order.seed)
        assert order.saved == self._saved.get(order.trial, 0)
        assert order.fresh == (self.jobs[JobKey(order.trial, order.rung)].failures > 0)
        assert order.deadline_s == (self._due and self._due.ends_at - self._now)

    def discard(self, trial: int) -> None:
        """Check that a trial's checkpoints may go."""
        assert trial in self._superfluous(), "what may be asked for again, or is best, is kept"
        assert trial not in self.discarded, "a trial is discarded once"
        self.discarded.add(trial)

    def leave(self, outcome: Outcome) -> None:
        """Check that the end is the one that was to come."""
        ranks = self.ranks.values()
        match outcome:
            case Outcome.DRAINED:
                assert self._drained_at is not None, "that a run drains is recorded"
                assert self._winding_up_is_over()
                assert not self.exhausted, "what is complete is not called drained"
            case Outcome.UNFIT:
                assert self._drained_at is not None or all(rank.unfit for rank in ranks)
            case Outcome.DESERTED:
                assert all(rank.unfit or rank.lost for rank in ranks)
                assert any(rank.lost for rank in ranks)
            case Outcome.FAILED:
                assert self._hopeless(), "as long as there is hope, it goes on"
                assert not self._holders(), "who is in work may succeed"
                assert not self.exhausted
            case Outcome.COMPLETE:
                assert self._over() or self.exhausted, "there may be more when there is time"

    # -- what must be so between events -----------------------------------------------------------

    def compare(self, master: Master) -> None:
        """Assert that the master is where these books say."""
        assert self._owed is None, "a decision is followed by its order"
        if master.jobs.scheduler.error is None:  # who raises says no more what is over
            assert self.discarded == self._superfluous()
        assert master.jobs.trials == len(self._configs)
        self._compare_incumbent(master)
        self._compare_jobs(master)
        self._compare_ranks(master)

    def compare_duties(self, *, awaits: bool) -> None:
        """Assert that nothing is left undone, and nobody idle who could work.

        `awaits`: whether the searcher has no answer yet.
        """
        assert not self._over()
        assert self._due == (self.deadline and Due(self.deadline.ends_at, self.deadline.epoch_s))
        assert self._drained_at is not None or not self._drains, "who asks for a drain gets one"
        if self._drained_at is not None:
            assert not self._winding_up_is_over(), "a drain comes to its end"
            assert self._asked_to_save >= self._holders(), "who has a job is asked to save"
        else:
            assert not self._no_time(), "a drain begins in time"
            idle = [number for number, rank in self.ranks.items() if rank.idle]
            self._compare_idle(idle, awaits=awaits)
        if isinstance(self._event, Tick):
            missed = [rank for rank, it in self.ranks.items() if not it.lost and self._silent(rank)]
            assert missed == [], "silence is noticed"
            assert not all(rank.unfit or rank.lost for rank in self.ranks.values())

    def _is_full(self) -> bool:
        """Whether no more may be in work; ranks that have only what was given up on don't count."""
        busy = sum(rank.held is not None and not rank.lost for rank in self.ranks.values())
        most = self.study.max_concurrent
        return most is not None and bool(self._holders()) and busy >= most

    def _compare_idle(self, idle: list[int], *, awaits: bool) -> None:
        if not idle or self._is_full():
            return
        if self._hopeless() and not self.exhausted:
            assert self._holders(), "where nobody is in work who may succeed, it is over"
            return
        waiting = any(self._waiting_for(rank) for rank in idle)
        assert not waiting, "no rank is idle while work waits that it may be given"
        following = self._next(self._rungs())
        if awaits:
            assert following is not None, "an answer is awaited only where there is a question"
            assert following.rung == 0, "who can be promoted waits for no thought"
            return
        assert following is None, "no rank is idle while there is work to ask for"
        fits = any(key.rung < self._rungs() for key in self._open())
        assert self._holders() or fits, "nothing is left that there is time for, so it is over"

    @property
    def incumbent(self) -> tuple[int, float, int] | None:
        """Name the rung, turned so that less is better, and the loss and trial that are best."""
        return self.best and (self.best[0], self.best[1], self.best[3])

    @property
    def exhausted(self) -> bool:
        """Whether no job is open and none can be."""
        return not self._open() and self._next(len(self.rungs)) is None

    def _compare_incumbent(self, master: Master) -> None:
        found = master.jobs.incumbent
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
                assert self.ranks[entry.holder].held == AttemptId(key, entry.attempts)
        assert master.jobs.waiting.keys() <= entries.keys()

    def _compare_ranks(self, master: Master) -> None:
        workers = master.roster.workers
        assert workers.keys() == self.ranks.keys()
        for rank, entry in self.ranks.items():
            found = workers[rank]
            assert (found.ready, found.unfit, found.lost, found.held) == (
                entry.ready,
                entry.unfit,
                entry.lost,
                entry.held,
            )
            assert (rank in master.roster.idle) == entry.idle

    # -- the decisions ----------------------------------------------------------------------------

    def _start(self, started: Started) -> None:
        self._owed, self._event, self._now = None, Tick(), -math.inf
        self.ranks = {rank: RankEntry(started.at) for rank in range(1, started.ranks + 1)}
        self._drained_at, self._drains, self._asked_to_save = None, 0, set()
        self.deadline = self._due = None
        self._given_up = []
        for entry in self._open().values():
            entry.failed_on = set()
            if entry.holder is not None:
                entry.interrupted, entry.holder = entry.holder, None
        # What was to be discarded when the master was killed is for whoever owns the folder.
        self.discarded = self._superfluous()

    def _assign(self, assigned: Assigned) -> None:
        self._owed = assigned
        key = JobKey(assigned.trial, assigned.rung)
        if waiting := self._waiting_for(assigned.rank):
            assert key in waiting, "work that waits goes first"
        else:
            assert key == self._next(self._rungs()), "no other job is as good"
            self.jobs[key] = Entry()
        assert key.rung < self._rungs(), "what can't be done in time is not begun"
        assert not self._is_full(), "no more are in work than may be"
        assert not self._hopeless() or self.exhausted, "nothing is begun without hope"
        if assigned.attempt == 1 and assigned.rung == 0:
            assert assigned.config is not None
            self._configs.append(assigned.config)
        else:
            assert assigned.config is None, "a configuration is written once"
        entry = self.jobs[key]
        entry.attempts += 1
        assert assigned.attempt == entry.attempts, "attempts grow by one"
        assert entry.loss is None, "only an open job is handed out"
        assert entry.holder is None, "a job has one holder"
        assert assigned.trial not in self.discarded
        assert self.ranks[assigned.rank].idle, "only an idle rank is given work"
        self.ranks[assigned.rank].held = AttemptId(key, assigned.attempt)
        entry.holder, entry.begun_at = assigned.rank, assigned.at

    def _result(self, result: Result) -> None:
        assert isinstance(self._event, Heard)
        report = self._event.report
        assert isinstance(report, Finished)
        assert (result.trial, result.rung, result.attempt, result.rank) == (
            report.trial,
            report.rung,
            report.attempt,
            self._event.rank,
        )
        assert (result.metrics, result.saved) == (report.metrics, report.saved)
        assert result.resource == self.resources[result.rung]
        loss = self._loss(report)
        entry = self.jobs[JobKey(result.trial, result.rung)]
        if (entry.holder, entry.attempts) == (result.rank, result.attempt):
            self._took_s[result.rung].append(result.at - entry.begun_at)
        self._saves = self._saves or result.saved > 0
        self._saved[result.trial] = max(result.saved, self._saved.get(result.trial, 0))
        self._close(JobKey(result.trial, result.rung), loss)
        self._least[result.rung] = min(self._least[result.rung], loss)
        self._succeeded = True
        if loss < WORST:
            place = (-result.rung, loss, self._arrivals, result.trial)
            self.best = place if self.best is None else min(self.best, place)

    def _failure(self, failure: Failure) -> None:
        key = JobKey(failure.trial, failure.rung)
        entry = self.jobs[key]
        assert entry.loss is None, "only an open job fails"
        charged = isinstance(self._event, Interrupted)
        holder = entry.interrupted if charged else entry.holder
        assert (holder, entry.attempts) == (failure.rank, failure.attempt), "the newest one"
        entry.holder = entry.interrupted = None
        if failure.kind is FailureKind.LOST:
            assert charged or self.ranks[failure.rank].lost
            assert not charged or not self._has_got_on(failure.trial), "who gets on is no killer"
            entry.lost.add(failure.attempt)
            last = len(entry.lost) == MAX_LOSSES
        else:
            assert isinstance(self._event, Heard)
            entry.failures += 1
            entry.failed_on.add(failure.rank)
            last = entry.failures == self.study.failures
        if failure.kind in {FailureKind.EXCEPTION, FailureKind.BAD_VALUE}:
            said = failure.error.splitlines()[0]
            last = last or (said == entry.said and not failure.used)
            entry.said = said
        last = last or failure.kind is FailureKind.BAD_VALUE
        assert failure.final == last
        if last:
            no_result = failure.kind is FailureKind.BAD_VALUE
            said = "" if no_result else failure.error.splitlines()[-1]
            self._given_up.append(f"{failure.kind} {said}")
            self._close(key, WORST)

    def _hear_of(self, decision: Joined | Refused | Lost | Back) -> None:
        """Enter what became of a rank."""
        match decision:
            case Joined(rank=rank):
                self.ranks[rank].ready = True
            case Refused(rank=rank):
                self.ranks[rank].unfit = True
            case Lost(rank=rank):
                assert not self.ranks[rank].lost, "a rank is lost once"
                assert self._silent(rank), "only silence makes a rank lost"
                self.ranks[rank].lost = True
                self._asked_to_save.discard(rank)
            case Back(rank=rank, held=held):
                assert self.ranks[rank].lost, "only a lost rank comes back"
                self._take_back(rank, held)
                assert isinstance(self._event, Heard)
                assert self._event.rank == rank
                self.ranks[rank].lost = False

    def _begin_to_drain(self, why: str) -> None:
        assert self._drained_at is None, "a drain begins once"
        self._drained_at = self._now
        if why == NO_TIME:
            assert self._no_time()
        elif why.startswith(RAISED):
            pass
        elif why == NOTHING_FITS:
            assert not self._holders()
            assert not any(key.rung < self._rungs() for key in self._open())
            assert self._next(self._rungs()) is None
            assert not self.exhausted, "what is complete does not drain"
        else:
            assert self._event == Drain(why)

    def _learn_end(self, deadline: Deadline) -> None:
        assert self._event == Due(deadline.ends_at, deadline.epoch_s)
        before = self.deadline and Due(self.deadline.ends_at, self.deadline.epoch_s)
        assert before != self._event, "what is known is not recorded"
        assert deadline.drains_at == deadline.ends_at - (self.study.grace_s + LEAVE_S)
        self.deadline = deadline

    def _suspension(self, suspension: Suspension) -> None:
        key = JobKey(suspension.trial, suspension.rung)
        entry = self.jobs[key]
        holder = entry.holder
        if isinstance(self._event, Interrupted):
            assert self._has_got_on(key.trial)
            assert suspension.saved == self._event.saved[key.trial]
            holder = entry.interrupted
        else:
            assert self._event == Heard(
                suspension.rank, Suspended(*key, suspension.attempt, suspension.saved)
            )
        assert entry.loss is None, "only an open job is suspended"
        assert (holder, entry.attempts) == (suspension.rank, suspension.attempt)
        entry.interrupted = None
        self._saved[key.trial] = max(suspension.saved, self._saved.get(key.trial, 0))
        entry.holder = None
        self._saves = True

    def _late(self, late: Late) -> None:
        held = AttemptId(JobKey(late.trial, late.rung), late.attempt)
        assert isinstance(self._event, Heard)
        assert isinstance(self._event.report, Finished | Failed | Suspended)
        assert self._held_before == held, "only who had an attempt can answer it too late"
        entry = self.jobs[held.job]
        newest = (entry.holder, entry.attempts) == (late.rank, late.attempt)
        assert entry.loss is not None or not newest, "the newest attempt counts"

    def _take_back(self, rank: int, held: AttemptId | None) -> None:
        assert held == self._held_before
        entry = Entry(loss=WORST) if held is None else self.jobs[held.job]
        if held is not None:
            entry.lost.discard(held.attempt)
        if held is not None and entry.loss is None and entry.holder is None:
            entry.holder = rank if entry.attempts == held.attempt else None

    def _close(self, key: JobKey, loss: float) -> None:
        entry = self.jobs[key]
        assert entry.loss is None, "the first result counts, and no other"
        entry.loss, entry.holder = loss, None
        self._arrivals += 1
        self.rungs[key.rung].append((loss, self._arrivals, key.trial))

    def _has_got_on(self, trial: int) -> bool:
        """Whether a trial of an interrupted job has saved more than was known."""
        assert isinstance(self._event, Interrupted)
        return self._event.saved.get(trial, 0) > self._saved.get(trial, 0)

    # -- brute force ------------------------------------------------------------------------------

    def _loss(self, report: Finished) -> float:
        value = report.metrics[self.study.goal.metric]
        if math.isnan(value) or math.isinf(value):
            return WORST
        return value if self.study.mode == "min" else -value

    def _next(self, rungs: int) -> JobKey | None:
        """Algorithm 2 as it stands in the paper: sort each rung, from the top down."""
        for rung in reversed(range(rungs - 1)):
            results = sorted(self.rungs[rung])
            for loss, _, trial in results[: len(results) // self.study.eta]:
                if loss < WORST and JobKey(trial, rung + 1) not in self.jobs:
                    return JobKey(trial, rung + 1)
        trials = len(self._configs)
        limit = self.study.limit
        return JobKey(trials, 0) if rungs and (limit is None or trials < limit) else None

    def _rungs(self) -> int:
        """Count the lowest rungs of which most jobs would be done before the drain."""
        if self.deadline is None or self._saves:
            return len(self.rungs)
        left_s = self.deadline.drains_at - self._now
        for rung, took_s in enumerate(self._took_s):
            newest = took_s[-NEWEST:]
            if newest and sum(took > left_s for took in newest) >= len(newest) / 2:
                return rung
        return len(self.rungs)

    def _no_time(self) -> bool:
        return self.deadline is not None and self._now >= self.deadline.drains_at

    def _open(self) -> dict[JobKey, Entry]:
        return {key: entry for key, entry in self.jobs.items() if entry.loss is None}

    def _waiting_for(self, rank: int) -> set[JobKey]:
        """Find the jobs that wait, and that this rank may be given."""
        able = [it for it in self.ranks.values() if not it.lost and not it.unfit]
        entries = self._open()
        waiting = {
            key
            for key, entry in entries.items()
            if entry.holder is None
            and key.rung < self._rungs()
            and (rank not in entry.failed_on or len(entry.failed_on) >= len(able))
        }
        sound = {key for key in waiting if not entries[key].suspected}
        watched = any(it.suspected and it.holder is not None for it in entries.values())
        return sound or (set() if watched else waiting)

    def _holders(self) -> set[int]:
        return {entry.holder for entry in self._open().values() if entry.holder is not None}

    def _winding_up_is_over(self) -> bool:
        """Whether a drain has nothing to wait for any more, now."""
        assert self._drained_at is not None
        ends_at = math.inf if self.deadline is None else self.deadline.ends_at
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
        return over - {self.best[3]} if self.best else over

    def _silent(self, rank: int) -> bool:
        entry = self.ranks[rank]
        limit_s = self.study.patience_s if entry.known else self.study.start_s
        return self._now - entry.heard_at > limit_s

    def _hopeless(self) -> bool:
        """Whether trials enough were given up for the same reason, and none has succeeded."""
        alike = max((self._given_up.count(it) for it in self._given_up), default=0)
        return not self._succeeded and alike >= ALIKE

    def _over(self) -> bool:
        """Whether the time is up or the target reached, now."""
        time_s, target_loss = self.study.time_s, self.study.target_loss
        counts_from = self.study.target_resource or self.resources[-1]
        for resource, least in zip(self.resources, self._least, strict=True):
            if target_loss is not None and resource >= counts_from and least <= target_loss:
                return True
        return time_s is not None and self._now >= time_s
