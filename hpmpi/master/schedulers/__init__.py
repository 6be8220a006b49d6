"""Schedulers: which job next? One algorithm a file, found by name.

A scheduler is a class whose constructor takes `searcher` and, as keywords with types, the settings
of its `[scheduler]` table; it asks the searcher nothing, and what rungs there are at the beginning
follows from the settings. It is pure, as searchers are, and like them it is told what was when a
run is gone on with. `Trials` numbers the trials and keeps their configurations; `OfTrials` is what
those of ours have in common that have such.

Where its constructor names `goal` (hpmpi.model.trial.Goal), it is given it, and can lead a study of
several metrics: `goal.losses(metrics)` are their losses, and `loss` is that of the first, or WORST
where any is no number. It ranks by them as hpmpi.master.ranking does, or as it likes. One that does
not name it ranks by one loss, and such a study is refused. It is no setting.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hpmpi.master.searchers import LATER, Later, Over, Searcher
from hpmpi.model.messages import Point
from hpmpi.model.trial import WORST, Config, Goal, Job, Metrics


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


class Seen(NamedTuple):
    """A point of a learning curve, with its loss; None where it has not the studied metric."""

    resource: int
    loss: float | None
    metrics: Metrics

    @classmethod
    def of(cls, point: Point, goal: Goal) -> "Seen":
        """See a point as what the study is about."""
        loss = goal.loss(point.metrics) if goal.is_in(point.metrics) else None
        return cls(point.resource, loss, point.metrics)


class Observer(Protocol):
    """What a scheduler has, too, that wants to see learning curves while they grow."""

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Look at new points of a job in work; true if it is to be stopped, and told no more of.

        The trial of such a job is not asked for again. Only the newest attempt at a job is seen.
        """


def highest(scheduler: Scheduler) -> int:
    """Tell how far a trial may be trained: to `max_resource`, where a scheduler's rungs grow."""
    return int(getattr(scheduler, "max_resource", scheduler.rungs[-1]))


class Trials:
    """The trials of a study, numbered as they are chosen."""

    def __init__(self, searcher: Searcher) -> None:
        """Start without trials; `awaits`: whether the searcher, asked last, had no answer yet."""
        self.searcher = searcher
        self._observe = getattr(searcher, "observe", None)
        self.configs: list[Config] = []
        self.awaits = False

    def new(self, resource: int, *, may_start: bool, rung: int = 0, bracket: int = 0) -> Job | None:
        """Start a trial at a rung; None when the searcher has no other, or none now."""
        self.awaits = False
        if not may_start:
            return None
        trial = len(self.configs)
        config = self.searcher.ask(trial)
        self.awaits = config is LATER
        if isinstance(config, Later | Over):
            return None
        self.configs.append(config)
        return Job(trial, rung, resource, config, bracket)

    def adopt(self, job: Job) -> None:
        """Have started the trial of a job, the next by number."""
        self.searcher.adopt(job.trial, job.config)
        self.configs.append(job.config)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> None:
        """Pass on what came of a job; what is no number, or was given up, has no loss."""
        told = None if loss == WORST else loss
        self.searcher.tell(job.trial, job.rung, job.resource, told, metrics)

    def observe(self, job: Job, points: Sequence[Seen]) -> None:
        """Pass on points of a learning curve, to a searcher that wants them."""
        if self._observe is not None:
            self._observe(job.trial, points)


class OfTrials:
    """What a scheduler says of its trials, whichever it chooses."""

    def __init__(self, searcher: Searcher) -> None:
        """Start without trials."""
        self._trials = Trials(searcher)

    @property
    def awaits(self) -> bool:
        """Whether the searcher has no answer yet."""
        return self._trials.awaits

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Pass points of a learning curve on to the searcher; no job is stopped by them."""
        self._trials.observe(job, points)
        return False
