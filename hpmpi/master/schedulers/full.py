"""Full training: every trial goes straight to the top, and none is stopped early.

The yardstick for any other scheduler, and what a model wants that has no resource.
"""

from typing import Annotated

import msgspec

from hpmpi.master.schedulers import OfTrials
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import Goal, Job, Metrics


class Full(OfTrials):
    """Train each trial to `max_resource` at once."""

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_resource: Annotated[int, msgspec.Meta(ge=1)] = 1,
        goal: Goal | None = None,
    ) -> None:
        """Have one rung, in which nothing is ranked, whatever the goal."""
        del goal
        super().__init__(searcher)
        self._max_resource = max_resource

    @property
    def rungs(self) -> tuple[int, ...]:
        """The one rung."""
        return (self._max_resource,)

    @property
    def promotable(self) -> bool:
        """There is nowhere to go."""
        return False

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Start a trial."""
        return self._trials.new(self._max_resource, may_start=may_start and rungs > 0)

    def adopt(self, job: Job) -> None:
        """Have started a trial."""
        self._trials.adopt(job)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Pass a result on to the searcher."""
        self._trials.tell(job, loss, metrics)
        return [job.trial]
