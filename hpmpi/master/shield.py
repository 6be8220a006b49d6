"""Error isolation: a scheduler and its searcher, which may be anybody's code, as jobs see them.

What they raise is kept, and they are asked and told nothing any more: nothing that was heard is
lost by it, the run ends in order, and the next start derives from the journal what the code, mended
by then, comes to.

That they raised, and in which call, is a fact, which a replay tells instead of calling them.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hpmpi.errors import SearcherError
from hpmpi.master.schedulers import Scheduler, Seen, highest
from hpmpi.model.records import Raised
from hpmpi.model.trial import Job, Metrics

RAISED = "the searcher or the scheduler raised"

MOST_TOLD = 300
"""How much of what was raised is told in a line, in characters."""

Answer = TypeVar("Answer")


class GuardedScheduler:
    """Stands between the jobs and their scheduler.

    `rungs` has the resource of each rung that there is by now, `highest` that of the highest that
    there may be; `error` is what was raised, once anything was, and `raised` says so of the calls
    since `begin`.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        """Stand before a scheduler."""
        self._scheduler = scheduler
        self.rungs = tuple(scheduler.rungs)
        self.highest = highest(scheduler)
        self._observe = getattr(scheduler, "observe", None)
        self.error: BaseException | None = None
        self.why = ""
        self.raised: Raised | None = None
        self._calls = 0
        self._raises: Raised | None = None

    def begin(self, raises: Raised | None = None) -> None:
        """Begin a line of the journal; in a replay, one in which a call `raises`."""
        self._calls = 0
        self.raised, self._raises = None, raises

    @property
    def promotable(self) -> bool:
        """Whether a trial would be promoted, as far as can be asked."""
        return self._call(lambda: bool(self._scheduler.promotable), otherwise=False)

    @property
    def awaits(self) -> bool:
        """Whether nothing came of the last `ask` as the searcher has no answer yet."""
        return self.error is None and bool(self._scheduler.awaits)

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Ask for a job; there is none after an error."""
        return self._call(lambda: self._job(may_start=may_start, rungs=rungs), None)

    def teach(self, teach: Callable[[], None]) -> None:
        """Have the searcher learn, unless there was an error before."""
        self._call(teach, None)

    def adopt(self, job: Job) -> None:
        """Tell of a job that was chosen, unless there was an error before."""
        self._call(lambda: self._scheduler.adopt(job), None)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Tell what came of a job, unless there was an error before."""
        return self._call(lambda: self._told(job, loss, metrics), [])

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Show points of a job's learning curve; true if the job is to be stopped."""
        if self._observe is None:
            return False
        observe = self._observe
        return self._call(lambda: bool(observe(job, points)), otherwise=False)

    def _told(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        over = list(self._scheduler.tell(job, loss, metrics))
        self.rungs = tuple(self._scheduler.rungs)
        return over

    def _job(self, *, may_start: bool, rungs: int) -> Job | None:
        job = self._scheduler.ask(may_start=may_start, rungs=rungs)
        if job is not None and not isinstance(job, Job):
            raise TypeError(f"the scheduler must give a Job or None, not {job!r}")
        return job

    def _call(self, call: Callable[[], Answer], otherwise: Answer) -> Answer:
        if self.error is not None:
            return otherwise
        self._calls += 1
        if self._raises is not None and self._raises.call == self._calls:
            self._fail(SearcherError(self._raises.why), self._raises.why)
            return otherwise
        try:
            return call()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            told = " ".join(f"{type(error).__name__}: {error}".split())
            self._fail(error, f"{RAISED} {told:.{MOST_TOLD}}")
            return otherwise

    def _fail(self, error: BaseException, why: str) -> None:
        self.error, self.why = error, why
        self.raised = Raised(self._calls, why)
