"""The jobs of a study: which are open, where each is, and what came of the others.

              +---------- failed, or its rank was lost ----------+
              v                                                  |
    ask --> waiting --hand out--> held by a rank --result--> told to the scheduler
                                                 --failed too often--> told as the worst

Few changes of state are all there is, and each is a decision of the journal: `hand_out` and the
ones that begin with `take`. A run makes them; a restart, by `redo`, derives them again from the
journal, and finds out where one comes out otherwise.

Rules:

- An open job is in exactly one place, waiting or held by the rank that has its newest attempt.
- Work that waits is handed out before new work is asked for, but to a rank that it failed on only
  where it failed on as many as there are: so a node that fails whatever it is given costs each job
  one attempt.
- Nothing is handed out that there is no time for before the allocation ends.
- A job is given up when it has failed `max_failures` times; after two times where it says the same
  each time, and the second time in a process that had done nothing else: two that have done the
  same before may both be spoilt by it. So a job that has failed is tried again in one of its own.
- It is given up, too, when it has taken MAX_LOSSES ranks with it. A rank that was lost and is heard
  again was not taken.
- The incumbent is the best trial at the highest rung reached; its checkpoint is kept even when it
  will not be asked for again.
"""

import math

import msgspec

from hpmpi.decisions import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Ended,
    Failure,
    Result,
    Started,
    Suspension,
)
from hpmpi.errors import ReplayError
from hpmpi.messages import FailureKind, Outcome, gist
from hpmpi.pace import Pace, PaceState
from hpmpi.schedulers import Scheduler
from hpmpi.trial import WORST, Goal, Job, JobKey

MAX_LOSSES = 3
"""Ranks that may be lost with a job before the job is suspected of killing them."""

TALKATIVE = (FailureKind.EXCEPTION, FailureKind.BAD_VALUE)
"""Failures whose message tells whether another attempt would come to the same."""


class OpenJob(msgspec.Struct):
    """A job without a result.

    `holder`: the rank that has its newest attempt; `failed_on`: the ranks of this start that it has
    failed on; `lost`: the attempts whose ranks were lost and not heard since; `said`: what its
    newest error came to; `held_since`: when its newest attempt was handed out.
    """

    job: Job
    attempts: int = 0
    failures: int = 0
    failed_on: list[int] = []
    lost: list[int] = []
    said: str | None = None
    holder: int | None = None
    held_since: float = 0.0


class Incumbent(msgspec.Struct):
    """The best trial at the highest rung reached; `over` if it will not be asked for again."""

    trial: int
    rung: int
    loss: float
    over: bool = False


class JobsState(msgspec.Struct, frozen=True):
    """What changes in Jobs, as what JSON can hold.

    One without a pace is from before jobs were timed, and is derived anew.
    """

    scheduler: object
    trials: int
    open_jobs: list[OpenJob]
    waiting: list[JobKey]
    saved: dict[int, int]
    incumbent: Incumbent | None
    least_loss: float | None
    pace: PaceState | None = None


class Jobs:
    """Everything about a study that outlives its ranks."""

    def __init__(self, scheduler: Scheduler, goal: Goal, max_failures: int) -> None:
        """Start a study; to go on with one, `restore` and `redo` first."""
        self.scheduler = scheduler
        self.trials = 0
        self.open: dict[JobKey, OpenJob] = {}
        self.waiting: dict[JobKey, None] = {}
        self.saved: dict[int, int] = {}
        self.incumbent: Incumbent | None = None
        self.least_loss: float | None = None
        self.pace = Pace(len(scheduler.rungs))
        self._goal = goal
        self.max_failures = max_failures

    def hand_out(self, rank: int, at: float, *, may_start: bool, able: float) -> Assigned | None:
        """Hand a job out to one of `able` ranks; None when there is none now: nothing changes."""
        rungs = self.pace.rungs_at(at)
        key = self._next_waiting(rank, able, rungs)
        if key is None:
            job = self.scheduler.ask(may_start=may_start, rungs=rungs)
            if job is None:
                return None
            key = job.key
            self.open[key] = OpenJob(job)
            self.trials = max(self.trials, job.trial + 1)
        self.waiting.pop(key, None)
        opened = self.open[key]
        opened.attempts += 1
        opened.holder = rank
        opened.held_since = at
        first = key.rung == 0 and opened.attempts == 1
        return Assigned(
            at=at,
            trial=key.trial,
            rung=key.rung,
            attempt=opened.attempts,
            resource=opened.job.resource,
            rank=rank,
            config=opened.job.config if first else None,
        )

    def take_result(self, result: Result) -> list[int]:
        """Close a job with its result; return the trials whose checkpoints nobody needs."""
        key = JobKey(result.trial, result.rung)
        if self.is_newest(key, result.attempt, result.rank):
            self.pace.learn(key.rung, result.at - self.open[key].held_since)
        self.pace.saves |= result.saved > 0
        self.saved[result.trial] = max(result.saved, self.saved.get(result.trial, 0))
        return self._close(key, self._goal.loss(result.metrics))

    def take_failure(self, failure: Failure) -> list[int]:
        """Have a job wait again, or close it as the worst; return as `take_result` does."""
        opened = self.open[JobKey(failure.trial, failure.rung)]
        if failure.final:
            return self._close(opened.job.key, WORST)
        if failure.kind is FailureKind.LOST:
            opened.lost.append(failure.attempt)
        else:
            opened.failures += 1
            if failure.rank not in opened.failed_on:
                opened.failed_on.append(failure.rank)
        if failure.kind in TALKATIVE:
            opened.said = gist(failure.error)
        self._put_back(opened)
        return []

    def take_suspension(self, suspension: Suspension) -> None:
        """Have a job wait again, to go on from its checkpoint."""
        self.pace.saves = True
        self.saved[suspension.trial] = max(suspension.saved, self.saved.get(suspension.trial, 0))
        self._put_back(self.open[JobKey(suspension.trial, suspension.rung)])

    def take_back(self, back: Back) -> None:
        """Count a rank that is heard again as not lost; what it held and still waits is its own."""
        held = back.held
        opened = None if held is None else self.open.get(held.job)
        if opened is None or held is None:
            return
        if held.attempt in opened.lost:
            opened.lost.remove(held.attempt)
        if held.job in self.waiting and held.attempt == opened.attempts:
            del self.waiting[held.job]
            opened.holder = back.rank

    def is_newest(self, key: JobKey, attempt: int, rank: int) -> bool:
        """Tell whether a rank holds a job by its newest attempt."""
        opened = self.open.get(key)
        return opened is not None and opened.holder == rank and opened.attempts == attempt

    def is_last(self, key: JobKey, kind: FailureKind, error: str, *, used: bool) -> bool:
        """Tell whether a job is given up with another failure, in a process that was `used`."""
        opened = self.open[key]
        if kind is FailureKind.LOST:
            return len(opened.lost) + 1 >= MAX_LOSSES
        repeats = kind in TALKATIVE and not used and gist(error) == opened.said
        return repeats or opened.failures + 1 >= self.max_failures

    def holders(self) -> list[int]:
        """List the ranks that have the newest attempt at an open job."""
        return [opened.holder for opened in self.open.values() if opened.holder is not None]

    @property
    def held(self) -> int:
        """How many jobs are held by a rank."""
        return len(self.open) - len(self.waiting)

    def waits_at(self, at: float) -> bool:
        """Tell whether a job waits that there is time for."""
        rungs = self.pace.rungs_at(at)
        return any(key.rung < rungs for key in self.waiting)

    def _next_waiting(self, rank: int, able: float, rungs: int) -> JobKey | None:
        for key in self.waiting:
            if key.rung >= rungs:
                continue
            failed_on = self.open[key].failed_on
            if rank not in failed_on or len(failed_on) >= able:
                return key
        return None

    def _put_back(self, opened: OpenJob) -> None:
        opened.holder = None
        self.waiting[opened.job.key] = None

    def _close(self, key: JobKey, loss: float) -> list[int]:
        self.waiting.pop(key, None)
        over = self.scheduler.tell(self.open.pop(key).job, loss)
        for trial in over:
            self.saved.pop(trial, None)
        if loss < WORST:
            over += self._compare(key, loss)
        if self.incumbent is None or self.incumbent.trial not in over:
            return over
        self.incumbent.over = True
        return [trial for trial in over if trial != self.incumbent.trial]

    def _compare(self, key: JobKey, loss: float) -> list[int]:
        """Make a result the incumbent if it is better; return the one before, if that is over."""
        self.least_loss = loss if self.least_loss is None else min(loss, self.least_loss)
        before = self.incumbent
        if before is not None and (-key.rung, loss) >= (-before.rung, before.loss):
            return []
        self.incumbent = Incumbent(key.trial, key.rung, loss)
        return [before.trial] if before is not None and before.over else []

    # -- a restart --------------------------------------------------------------------------------

    def state(self) -> JobsState:
        """Return all that changes."""
        return JobsState(
            scheduler=self.scheduler.state(),
            trials=self.trials,
            open_jobs=list(self.open.values()),
            waiting=list(self.waiting),
            saved=self.saved,
            incumbent=self.incumbent,
            least_loss=self.least_loss,
            pace=self.pace.state(),
        )

    def restore(self, state: JobsState) -> None:
        """Go on from a state, on jobs built with the same arguments."""
        self.scheduler.restore(state.scheduler)
        self.trials = state.trials
        self.open = {opened.job.key: opened for opened in state.open_jobs}
        self.waiting = dict.fromkeys(state.waiting)
        self.saved = dict(state.saved)
        self.incumbent = state.incumbent
        self.least_loss = state.least_loss
        if state.pace is not None:
            self.pace.restore(state.pace)

    def redo(self, decision: Decision) -> None:
        """Derive a decision of the journal again; raises ReplayError where it comes out otherwise.

        `Started` reopens the jobs that nobody holds any more, and knows of no deadline yet.
        """
        match decision:
            case Started():
                self._reopen()
            case Assigned():
                self._hand_out_again(decision)
            case Result():
                self._find(decision)
                self.take_result(decision)
            case Failure():
                self._fail_again(decision)
            case Suspension():
                self._find(decision)
                self.take_suspension(decision)
            case Back():
                self.take_back(decision)
            case Deadline():
                self.pace.deadline = decision
            case Ended(outcome=Outcome.COMPLETE):
                self.saved.clear()  # what was kept is found; nobody waits for what was not
            case _:
                pass

    def _reopen(self) -> None:
        self.pace.deadline = None
        for key, opened in self.open.items():
            opened.holder = None
            opened.failed_on = []
            self.waiting.setdefault(key)

    def _hand_out_again(self, assigned: Assigned) -> None:
        able = self._able_then(assigned)
        # The limit on trials may have been another then: that one was started is given.
        again = self.hand_out(assigned.rank, assigned.at, may_start=True, able=able)
        if again != assigned:
            raise ReplayError(f"{assigned} can't be derived; it comes out as {again}")

    def _fail_again(self, failure: Failure) -> None:
        key, kind, error = self._find(failure), failure.kind, failure.error
        if failure.final != self.is_last(key, kind, error, used=failure.used):
            raise ReplayError(f"{failure} can't be derived; final comes out otherwise")
        self.take_failure(failure)

    def _able_then(self, assigned: Assigned) -> float:
        """Tell the most ranks that can have been able, from what one of them was given."""
        opened = self.open.get(JobKey(assigned.trial, assigned.rung))
        if opened is None or assigned.rank not in opened.failed_on:
            return math.inf
        return len(opened.failed_on)

    def _find(self, decision: Result | Failure | Suspension) -> JobKey:
        key = JobKey(decision.trial, decision.rung)
        if key not in self.open or decision.attempt > self.open[key].attempts:
            raise ReplayError(f"{decision} is of a job that is not open")
        newest = self.is_newest(key, decision.attempt, decision.rank)
        if not newest and not isinstance(decision, Result):
            raise ReplayError(f"{decision} is not of the newest attempt")
        return key
