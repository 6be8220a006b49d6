"""What a study is compared with: a function called once, without a configuration.

It runs in a child process beside the leader, as an objective does in one beside a rank, and has the
study's `[objective_args]`. It is no trial: nothing is decided by it.
"""

from pathlib import Path

import msgspec

from hpmpi.model.messages import Assign, Failed, Finished, Unfit, Welcome
from hpmpi.model.trial import Metrics
from hpmpi.transports.resources import Share
from hpmpi.worker.shared_data import SharedData
from hpmpi.worker.supervisor import Child


class BaselineRun:
    """The one call of a baseline; over when it has `metrics` or an `error`."""

    def __init__(self, reference: str, welcome: Welcome, resource: int, seed: int) -> None:
        """Prepare it, in a folder of its own; `poll` starts it."""
        folder = Path(welcome.folder) / "baseline"
        # It sees the GPUs that rank 0 does: it is no trial, and has no share of its own.
        gpus = 0 if welcome.gpus_per_trial == 0 else None
        welcome = msgspec.structs.replace(
            welcome, objective=reference, folder=str(folder), gpus_per_trial=gpus
        )
        self.metrics: Metrics | None = None
        self.error: str | None = None
        self._data = SharedData(welcome, folder / "output.log")
        self._child = Child(self._data.welcome, folder / "output.log", Share())
        self._order = Assign(0, 0, 1, resource, {}, seed)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.metrics is not None or self.error is not None

    def poll(self, now: float) -> None:
        """Start the child as soon as the data are there; take in what it says."""
        for report in [*self._data.poll(self._begin, now), *self._child.poll(now)]:
            match report:
                case Finished(metrics=metrics):
                    self.metrics = metrics
                case Failed(error=error) | Unfit(error=error):
                    self.error = error
                case _:
                    pass
        if self.over:
            self.close()

    def close(self) -> None:
        """End it."""
        self._child.leave()
        self._data.close()

    def _begin(self, now: float) -> None:
        self._child.start(now)
        self._child.assign(self._order, now)
