"""What a study is compared with: a function called once, without a configuration.

It runs in a child process beside the leader, as an objective does in one beside a rank, and has the
study's `[objective_args]`. It is no trial: nothing is decided by it.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from hpmpi.child import Child
from hpmpi.messages import Assign, Failed, Finished, Unfit, Welcome
from hpmpi.place import Share
from hpmpi.trial import Metrics


class BaselineRun:
    """The one call of a baseline; over when it has `metrics` or an `error`."""

    def __init__(
        self,
        reference: str,
        welcome: Welcome,
        resource: int,
        seed: int,
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start it, in a folder of its own, as soon as it may."""
        folder = Path(welcome.folder) / "baseline"
        # It sees the GPUs that rank 0 does: it is no trial, and has no share of its own.
        gpus = 0 if welcome.gpus_per_trial == 0 else None
        welcome = msgspec.structs.replace(
            welcome, objective=reference, folder=str(folder), gpus_per_trial=gpus
        )
        self.metrics: Metrics | None = None
        self.error: str | None = None
        self._child = Child(welcome, folder / "output.log", Share())
        self._order: Assign | None = Assign(0, 0, 1, resource, {}, seed)
        self._may_start = may_start
        self._start()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.metrics is not None or self.error is not None

    def poll(self, now: float) -> None:
        """Take in what the child says."""
        self._start()
        for report in self._child.poll(now):
            match report:
                case Finished(metrics=metrics):
                    self.metrics = metrics
                case Failed(error=error) | Unfit(error=error):
                    self.error = error
                case _:
                    pass
        if self.over:
            self.close()

    def descriptors(self) -> list[int]:
        """Return what to wait on for news."""
        return self._child.descriptors()

    def close(self) -> None:
        """End it."""
        self._child.close()

    def _start(self) -> None:
        if self._order is not None and self._may_start():
            self._child.start()
            self._child.assign(self._order)
            self._order = None
