"""Schedulers: which job next? One algorithm a file, found by name.

A scheduler is a class whose constructor takes `searcher` and, as keywords with types, the settings
of its `[scheduler]` table. It is pure, as searchers are. `Trials` is the part that all share: it
numbers the trials and keeps their configurations.
"""

from typing import Any, Protocol

import msgspec

from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Config, Job


class Scheduler(Protocol):
    """Choose jobs, and learn what came of them."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung, lowest first."""

    @property
    def promotable(self) -> bool:
        """Whether `ask` would promote a trial, were all rungs looked at."""

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Choose a job for a free rank; None when there is none now, which changes nothing.

        Only the lowest `rungs` rungs are looked at: for jobs of the others no time is left. With
        `may_start` false no new trial is started.
        """

    def tell(self, job: Job, loss: float) -> list[int]:
        """Learn the loss of a job that was asked for; WORST if it was given up.

        Returns the trials that will not be asked for again.
        """

    def adopt(self, trial: int, config: Config) -> None:
        """Have a trial that was asked for last be of this configuration: what was done is a fact.

        Another processor, or another version of a library, may round what is suggested otherwise.
        """

    def state(self) -> object:
        """Return all that changes, the searcher's state included, as what JSON can hold."""

    def restore(self, state: object) -> None:
        """Go on from what `state` returned, on a scheduler built with the same arguments."""


class TrialsState(msgspec.Struct, frozen=True):
    """What changes in Trials; each of `configs` is a Config, and is kept as it was read."""

    configs: list[Any]
    searcher: object


class Trials:
    """The trials of a study, numbered as they are chosen."""

    def __init__(self, searcher: Searcher) -> None:
        """Start without trials."""
        self.searcher = searcher
        self.configs: list[Config] = []

    def new(self, resource: int) -> Job | None:
        """Start a trial at the lowest rung; None when the searcher has no other."""
        config = self.searcher.ask()
        if config is None:
            return None
        self.configs.append(config)
        return Job(len(self.configs) - 1, 0, resource, config)

    def adopt(self, trial: int, config: Config) -> None:
        """Have a trial be of this configuration."""
        self.configs[trial] = config

    def tell(self, job: Job, loss: float) -> None:
        """Pass on what came of a job; what is no number, or was given up, has no loss."""
        self.searcher.tell(dict(job.config), job.resource, None if loss == WORST else loss)

    def state(self) -> TrialsState:
        """Return all that changes."""
        return TrialsState(self.configs, self.searcher.state())

    def restore(self, state: TrialsState) -> None:
        """Go on from a state."""
        assert all(isinstance(config, dict) for config in state.configs)
        self.configs = list(state.configs)
        self.searcher.restore(state.searcher)
