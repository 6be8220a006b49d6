"""Successive halving, synchronous: a rung is left when all of its jobs have come.

Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization,
AISTATS 2016 (arXiv 1502.07943); Li et al., MLSys 2020 (arXiv 1810.05934), Algorithm 1. For
comparison with ASHA: ranks idle while the last jobs of a rung are in work.

Rules:

- The rungs are ASHA's. Trials come in batches, one after the other; of the n that have come to a
  rung, the best floor(n / eta) go on to the next, best first, ties by who came in earlier.
- A batch that can't be filled, as no more trials may be started or the searcher has no other, goes
  on with those that it has; of few, at least one does.
- A result that is no number, and a job that was given up, count in n, and never go on.
"""

from hpmpi.errors import SettingsError
from hpmpi.master.ranking import ranking_by
from hpmpi.master.schedulers import OfTrials
from hpmpi.master.schedulers.asha import Eta, Positive, ladder
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Goal, Job, Metrics


class Sha(OfTrials):
    """Halve batches of trials, rung by rung.

    `batch`: how many trials a batch has; the fewest of which one comes to the top, if not given.
    """

    def __init__(  # noqa: PLR0913 - the settings, and the goal
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        eta: Eta = 3,
        batch: Positive | None = None,
        goal: Goal | None = None,
    ) -> None:
        """Raise SettingsError where there is no rung, or a batch has too few trials."""
        super().__init__(searcher)
        self._resources = ladder(min_resource, max_resource, eta)
        self._top = len(self._resources) - 1
        fewest = eta**self._top
        if batch is not None and batch < fewest:
            given = f"scheduler.batch = {batch} must be at least {fewest}"
            raise SettingsError([f"{given}: of fewer, none comes to the highest rung"])
        self._batch = batch or fewest
        self._eta = eta
        self._rung = 0
        self._begun = 0
        self._goal = goal
        self._results: list[tuple[float, int]] = []
        self._ranking = ranking_by(goal)
        self._waiting: dict[int, None] = {}
        self._dropped: list[int] = []

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung, lowest first."""
        return self._resources

    @property
    def promotable(self) -> bool:
        """Whether a trial may go on, if no other is started."""
        return bool(self._waiting or (self._has_come and self._survivors()))

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Go on with the batch; None while results of the rung are awaited."""
        if self._rung == 0 and self._begun < self._batch:
            job = self._trials.new(self._resources[0], may_start=may_start and rungs > 0)
            if job is not None:
                self._begun += 1
                return job
            if not self._trials.awaits and self.promotable and rungs > 1:
                self._dropped += self._close()  # it can't be filled
        if not self._waiting or self._rung >= rungs:
            return None
        trial = next(iter(self._waiting))
        del self._waiting[trial]
        self._begun += 1
        return Job(trial, self._rung, self._resources[self._rung], self._trials.configs[trial])

    def adopt(self, job: Job) -> None:
        """Have gone on with the batch by this job."""
        if job.rung == 0:
            self._trials.adopt(job)
        elif job.rung > self._rung:  # the batch was not filled
            self._dropped += self._close()
        self._waiting.pop(job.trial, None)
        self._begun += 1

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Take a result in, and leave the rung with the last one."""
        self._trials.tell(job, loss, metrics)
        self._results.append((loss, job.trial))
        self._ranking.add(job.trial, loss, metrics)
        over, self._dropped = self._dropped, []
        if loss == WORST or job.rung == self._top:
            over.append(job.trial)
        if self._has_come and not self._waiting and (self._rung or self._begun == self._batch):
            over += self._close()
        return over

    @property
    def _has_come(self) -> bool:
        """Whether all jobs that were begun at the rung have come."""
        return 0 < self._begun == len(self._results)

    def _survivors(self) -> list[int]:
        """List who would go on from the rung by now, best first."""
        count = max(1, len(self._results) // self._eta)
        return self._ranking.best(count) if self._rung < self._top else []

    def _close(self) -> list[int]:
        """Leave the rung, for the next or for another batch; return who was dropped by it."""
        survivors = dict.fromkeys(self._survivors())
        ranked = [trial for loss, trial in self._results if loss < WORST and self._rung < self._top]
        self._rung = self._rung + 1 if survivors else 0
        self._waiting, self._results, self._begun = survivors, [], 0
        self._ranking = ranking_by(self._goal)
        return [trial for trial in ranked if trial not in survivors]
