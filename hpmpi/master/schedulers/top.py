"""Top-k: all trials for one short rung, then the best k to the end.

Egele et al., Is One Epoch All You Need For Multi-Fidelity Hyperparameter Optimization?, ESANN 2023
(arXiv 2307.15422), who train for one epoch and find this hard to beat.

Rules:

- The best k go on when nothing more may be started, or the searcher has no other, and all of the
  short jobs have come; best first, ties by who came in earlier.
- Where more may be started after that, as when a start raises `stop.max_trials`, they go on as soon
  as they are among the best k of all.
- A result that is no number, and a job that was given up, never go on.
"""

from hpmpi.errors import SettingsError
from hpmpi.master.ranking import ranking_by
from hpmpi.master.schedulers import OfTrials
from hpmpi.master.schedulers.asha import Positive
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Goal, Job, Metrics


class Top(OfTrials):
    """Train each trial to `min_resource`, and the best `k` to `max_resource`.

    `trials`: how many are tried; all that the study has, if not given.
    """

    def __init__(  # noqa: PLR0913 - the settings, and the goal
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        k: Positive = 3,
        trials: Positive | None = None,
        goal: Goal | None = None,
    ) -> None:
        """Raise SettingsError where there are no two rungs, or too few trials."""
        if min_resource >= max_resource:
            given = f"scheduler.min_resource = {min_resource}"
            raise SettingsError([f"{given} must be less than max_resource = {max_resource}"])
        if trials is not None and trials < k:
            raise SettingsError([f"scheduler.trials = {trials} must be at least k = {k}"])
        super().__init__(searcher)
        self._resources = (min_resource, max_resource)
        self._k = k
        self._most = trials
        self._results = 0
        self._ranking = ranking_by(goal)
        self._promoted: set[int] = set()

    @property
    def rungs(self) -> tuple[int, ...]:
        """The short rung, and the end."""
        return self._resources

    @property
    def promotable(self) -> bool:
        """Whether a trial would go on, if no other were started."""
        return self._next() is not None

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Start a trial, else go on with one of the best; None while short jobs are awaited."""
        begun = len(self._trials.configs)
        may_start = may_start and rungs > 0 and (self._most is None or begun < self._most)
        job = self._trials.new(self._resources[0], may_start=may_start)
        trial = self._next()
        if job is not None or self._trials.awaits or trial is None or rungs < len(self._resources):
            return job
        self._promoted.add(trial)
        return Job(trial, 1, self._resources[1], self._trials.configs[trial])

    def adopt(self, job: Job) -> None:
        """Have started a trial, or gone on with it."""
        if job.rung == 0:
            self._trials.adopt(job)
        else:
            self._promoted.add(job.trial)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Take a result in; who by one loss is not among the best k by now never is."""
        self._trials.tell(job, loss, metrics)
        if job.rung:
            return [job.trial]
        self._results += 1
        if loss == WORST:
            return [job.trial]
        self._ranking.add(job.trial, loss, metrics)
        over = self._ranking.cut(self._k)
        return [trial for trial in over if trial not in self._promoted]

    def _next(self) -> int | None:
        """Find the best trial that has not gone on, once all short jobs have come."""
        if self._results < len(self._trials.configs):
            return None
        best = self._ranking.best(self._k)
        return next((trial for trial in best if trial not in self._promoted), None)
