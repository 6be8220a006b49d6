"""The jobs of a study: which are open, where each is, and what came of the others.

              +---------- failed, or its rank was lost ----------+
              v                                                  |
    ask --> waiting --hand out--> held by a rank --result--> told to the scheduler
                                                 --failed too often--> told as the worst

Three changes of state are all there is, and each is a decision of the journal: `hand_out`,
`take_result`, `take_failure`. A run makes them; a restart, by `redo`, derives them again from the
journal, and finds out where one comes out otherwise.

Rules: an open job is in exactly one place, waiting or held by the rank that has its newest attempt.
Work that waits is handed out before new work is asked for. The incumbent is the best trial at the
highest rung reached; its checkpoint is kept even when it will not be asked for again.
"""

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.messages import Assigned, Decision, Failure, FailureKind, Result, Started
from hpmpi.schedulers import Scheduler
from hpmpi.trial import WORST, Goal, Job, JobKey

MAX_LOSSES = 3
"""Ranks that may be lost with a job before the job is suspected of killing them."""


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


class JobsState(msgspec.Struct, frozen=True):
    """What changes in Jobs, as what JSON can hold."""

    scheduler: object
    trials: int
    open_jobs: list[OpenJob]
    waiting: list[JobKey]
    saved: dict[int, int]
    incumbent: Incumbent | None
    least_loss: float | None


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
        self._goal = goal
        self._max_failures = max_failures

    def hand_out(self, rank: int, at: float, *, may_start: bool) -> Assigned | None:
        """Hand a job out to a rank; None when there is none now, which changes nothing."""
        if self.waiting:
            key = next(iter(self.waiting))
            del self.waiting[key]
        else:
            job = self.scheduler.ask(may_start=may_start)
            if job is None:
                return None
            key = job.key
            self.open[key] = OpenJob(job)
            self.trials = max(self.trials, job.trial + 1)
        opened = self.open[key]
        opened.attempts += 1
        opened.holder = rank
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
        self.saved[result.trial] = max(result.saved, self.saved.get(result.trial, 0))
        return self._close(JobKey(result.trial, result.rung), self._goal.loss(result.metrics))

    def take_failure(self, failure: Failure) -> list[int]:
        """Have a job wait again, or close it as the worst; return as `take_result` does."""
        opened = self.open[JobKey(failure.trial, failure.rung)]
        if failure.final:
            return self._close(opened.job.key, WORST)
        if failure.kind is FailureKind.LOST:
            opened.losses += 1
        else:
            opened.failures += 1
        opened.holder = None
        self.waiting[opened.job.key] = None
        return []

    def is_newest(self, key: JobKey, attempt: int, rank: int) -> bool:
        """Tell whether a rank holds a job by its newest attempt."""
        opened = self.open.get(key)
        return opened is not None and opened.holder == rank and opened.attempts == attempt

    def is_last(self, key: JobKey, kind: FailureKind) -> bool:
        """Tell whether a job is given up with another failure of a kind."""
        opened = self.open[key]
        if kind is FailureKind.LOST:
            return opened.losses + 1 >= MAX_LOSSES
        return opened.failures + 1 >= self._max_failures

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

    def redo(self, decision: Decision) -> None:
        """Derive a decision of the journal again; raises ReplayError where it comes out otherwise.

        `Started` reopens the jobs that nobody holds any more.
        """
        match decision:
            case Started():
                for key, opened in self.open.items():
                    opened.holder = None
                    self.waiting.setdefault(key)
            case Assigned():
                # The limit on trials may have been another then: that one was started is given.
                again = self.hand_out(decision.rank, decision.at, may_start=True)
                if again != decision:
                    raise ReplayError(f"{decision} can't be derived; it comes out as {again}")
            case Result():
                self._find(decision)
                self.take_result(decision)
            case Failure(kind=kind, final=final):
                if final != self.is_last(self._find(decision), kind):
                    raise ReplayError(f"{decision} can't be derived; final comes out otherwise")
                self.take_failure(decision)
            case _:
                pass

    def _find(self, decision: Result | Failure) -> JobKey:
        key = JobKey(decision.trial, decision.rung)
        if key not in self.open:
            raise ReplayError(f"{decision} is of a job that is not open")
        return key
