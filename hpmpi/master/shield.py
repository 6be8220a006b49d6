"""A scheduler and its searcher, which may be anybody's code, as the jobs see them.

What they raise is kept, and they are asked and told nothing any more: nothing that was heard is
lost by it, the run ends in order, and the next start derives from the journal what the code, mended
by then, comes to.
"""

from hpmpi.master.schedulers import Scheduler
from hpmpi.model.trial import Job, Metrics

RAISED = "the searcher or the scheduler raised"

MOST_TOLD = 300
"""How much of what was raised is told in a line, in characters."""


class GuardedScheduler:
    """Stands between the jobs and their scheduler; `error` is what was raised."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Stand before a scheduler."""
        self._scheduler = scheduler
        self.rungs = tuple(scheduler.rungs)
        self.error: BaseException | None = None

    @property
    def why(self) -> str:
        """Say in a line what was raised."""
        said = " ".join(f"{type(self.error).__name__}: {self.error}".split())
        return f"{RAISED} {said:.{MOST_TOLD}}"

    @property
    def promotable(self) -> bool:
        """Whether a trial would be promoted, as far as can be asked."""
        try:
            return self.error is None and bool(self._scheduler.promotable)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            self.error = error
            return False

    @property
    def awaits(self) -> bool:
        """Whether nothing came of the last `ask` as the searcher has no answer yet."""
        return self.error is None and bool(self._scheduler.awaits)

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Ask for a job; there is none after an error."""
        if self.error is not None:
            return None
        try:
            job = self._scheduler.ask(may_start=may_start, rungs=rungs)
            if job is not None and not isinstance(job, Job):
                raise TypeError(f"the scheduler must give a Job or None, not {job!r}")  # noqa: TRY301
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            self.error = error
            return None
        return job

    def adopt(self, job: Job) -> None:
        """Tell of a job that was chosen, unless there was an error before."""
        if self.error is not None:
            return
        try:
            self._scheduler.adopt(job)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            self.error = error

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Tell what came of a job, unless there was an error before."""
        if self.error is not None:
            return []
        try:
            return list(self._scheduler.tell(job, loss, metrics))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything
            self.error = error
            return []
