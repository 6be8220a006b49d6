"""Hyperband, asynchronous: several ASHAs beside each other, which begin at different rungs.

Li et al., Hyperband, JMLR 2018 (arXiv 1603.06560), Algorithm 1, for how many trials a bracket has;
in each of them trials are promoted as by ASHA (Li et al., MLSys 2020, arXiv 1810.05934, section 3.2
on asynchronous Hyperband). Where a low resource says little, the brackets that begin higher find
what ASHA would have dropped.

Rules:

- Bracket b begins at rung b of the ladder, which is ASHA's; results are ranked within a bracket.
- Trials are given to brackets by their number: in a round, each bracket b from 0 on has
  ceil((K + 1) / (K - b + 1) * eta^(K - b)) trials, where K is the highest rung (line 3); then the
  next round begins.
- Rungs are looked through for a promotion from the top down, and in a rung the brackets from 0 on.
- Where there is no time left for the rung that a trial's bracket begins at, the trial is of the
  highest bracket that there is time for.
"""

from hpmpi.master.schedulers import OfTrials
from hpmpi.master.schedulers.asha import Eta, Positive, ladder, rung_of
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Goal, Job, Metrics


class Hyperband(OfTrials):
    """Promote one trial in `eta` from each rung of a bracket to the next."""

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        eta: Eta = 3,
        goal: Goal | None = None,
    ) -> None:
        """Raise SettingsError where there is no rung."""
        super().__init__(searcher)
        self._resources = ladder(min_resource, max_resource, eta)
        self._top = len(self._resources) - 1
        self._order = order(self._top, eta)
        self._brackets = [[rung_of(goal, eta) for _ in self._resources] for _ in self._resources]

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung, lowest first."""
        return self._resources

    @property
    def promotable(self) -> bool:
        """Whether any rung of a bracket has a trial that may go on."""
        return any(rung.promotable for rungs in self._brackets for rung in rungs[:-1])

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Promote if any rung of a bracket allows it, else start a trial in its bracket."""
        for rung in reversed(range(rungs - 1)):
            for bracket in range(rung + 1):
                trial = self._brackets[bracket][rung].promote()
                if trial is not None:
                    return self._job(trial, rung + 1, bracket)
        turn = len(self._trials.configs) % len(self._order)
        bracket = max(0, min(self._order[turn], rungs - 1))
        may_start = may_start and rungs > 0
        resource = self._resources[bracket]
        return self._trials.new(resource, may_start=may_start, rung=bracket, bracket=bracket)

    def adopt(self, job: Job) -> None:
        """Have promoted the trial of a job, or started it."""
        if job.rung > job.bracket:
            self._brackets[job.bracket][job.rung - 1].adopt(job.trial)
        else:
            self._trials.adopt(job)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Rank a result in the rung of its bracket."""
        self._brackets[job.bracket][job.rung].add(job.trial, loss, metrics)
        self._trials.tell(job, loss, metrics)
        over = job.rung == self._top or loss == WORST
        return [job.trial] if over else []

    def _job(self, trial: int, rung: int, bracket: int) -> Job:
        return Job(trial, rung, self._resources[rung], self._trials.configs[trial], bracket)


def order(top: int, eta: int) -> tuple[int, ...]:
    """List the brackets of the trials of a round, where the highest rung is `top`.

    >>> [order(4, 3).count(bracket) for bracket in range(5)], order(1, 2)
    ([81, 34, 15, 8, 5], (0, 0, 1, 1))
    """
    steps = (top - bracket for bracket in range(top + 1))
    counts = (-(-(top + 1) * eta**step // (step + 1)) for step in steps)  # line 3, exactly
    return tuple(bracket for bracket, count in enumerate(counts) for _ in range(count))
