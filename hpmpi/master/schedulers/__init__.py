"""Schedulers: which job next? One algorithm a file, found by name.

A scheduler is a class whose constructor takes `searcher` and, as keywords with types, the settings
of its `[scheduler]` table. It is pure, as searchers are, and like them it is told what was when a
run is gone on with. `Trials` is the part that all share: it numbers the trials and keeps their
configurations.
"""

from typing import Protocol

from hpmpi.master.searchers import LATER, Searcher
from hpmpi.model.trial import WORST, Config, Job, Metrics


class Scheduler(Protocol):
    """Choose jobs, and learn what came of them."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung, lowest first."""

    @property
    def promotable(self) -> bool:
        """Whether `ask` would promote a trial, were all rungs looked at."""

    @property
    def awaits(self) -> bool:
        """Whether `ask` gave none as the searcher has no answer yet."""

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Choose a job for a free rank; None when there is none now, which changes nothing.

        Only the lowest `rungs` rungs are looked at: for jobs of the others no time is left. With
        `may_start` false no new trial is started.
        """

    def adopt(self, job: Job) -> None:
        """Have chosen this job, whatever `ask` would say: what was done is a fact."""

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Learn the loss of a job that was chosen; WORST if it was given up.

        Returns the trials that will not be asked for again.
        """


class Trials:
    """The trials of a study, numbered as they are chosen."""

    def __init__(self, searcher: Searcher) -> None:
        """Start without trials; `awaits`: whether the searcher, asked last, had no answer yet."""
        self.searcher = searcher
        self.configs: list[Config] = []
        self.awaits = False

    def new(self, resource: int, *, may_start: bool) -> Job | None:
        """Start a trial at the lowest rung; None when the searcher has no other, or none now."""
        self.awaits = False
        if not may_start:
            return None
        trial = len(self.configs)
        config = self.searcher.ask(trial)
        self.awaits = config is LATER
        if config is None or config is LATER:
            return None
        self.configs.append(config)
        return Job(trial, 0, resource, config)

    def adopt(self, job: Job) -> None:
        """Have started the trial of a job, the next by number."""
        self.searcher.adopt(job.trial, job.config)
        self.configs.append(job.config)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> None:
        """Pass on what came of a job; what is no number, or was given up, has no loss."""
        told = None if loss == WORST else loss
        self.searcher.tell(job.trial, job.rung, job.resource, told, metrics)
