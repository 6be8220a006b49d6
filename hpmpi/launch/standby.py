"""The standby: on another node than launch, it has the allocation requeued when launch is gone.

Under `--no-kill`, Slurm keeps an allocation whose first node has died, with its batch script and
rank 0, until its time is over. The ranks that are left can't be relied on: an mpirun takes them
along, and others may hang in MPI. So launch has one more process, in a step of its own, which reads
launch's heartbeat, and needs nothing else.
"""

import contextlib
import os
import subprocess
import time
from collections import deque
from pathlib import Path

from hpmpi import program
from hpmpi.launch.placement import Placement
from hpmpi.model.timers import Every
from hpmpi.slurm import allocation, step
from hpmpi.slurm.squeue import Allocation
from hpmpi.storage.heartbeat_file import LIFE_S, HeartbeatMonitor

LOOK_S = 1.0
"""How often it looks."""

AGAIN_S = 30.0
"""How long after its start another may be started, on another node."""


class Standby:
    """Launch's end: sees to it that there is one."""

    def __init__(self, folder: Path, whole: Placement, steps: str) -> None:
        """Be for the other nodes, where there are any and launch may requeue.

        `steps`: how the names of launch's steps begin.
        """
        ours = whole.allocation
        self._allocation = ours if ours is not None and ours.is_ours_to_requeue else None
        self._nodes = deque(
            node for node in whole.nodes if node != os.environ.get("SLURMD_NODENAME")
        )
        self._name = f"{steps}-standby"
        self._folder = folder
        self._start_again = Every(AGAIN_S)
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, now: float) -> None:
        """Start one where there is none, or none any more; `now` is of a monotonic clock."""
        if self._allocation is None or not self._nodes:
            return
        is_there = self._process is not None and self._process.poll() is None
        if not is_there and self._start_again.is_due(now):
            self._start(self._allocation)
            self._nodes.rotate(-1)

    def close(self) -> None:
        """Need none any more."""
        if self._allocation is not None and self._process is not None:
            allocation.cancel_steps(self._allocation, self._name)
            self._process.kill()
            self._process.wait()

    def _start(self, ours: Allocation) -> None:
        where = ["--nodes=1", "--ntasks=1", "--ntasks-per-node=1", f"--nodelist={self._nodes[0]}"]
        how = [*step.options(), "--mpi=none", "--input=none"]
        what = [*program("hpmpi"), "standby", str(self._folder.absolute())]
        command = ["srun", f"--job-name={self._name}", *where, *how, *what, ours.name]
        with contextlib.suppress(OSError):  # there is no srun: then there is none
            self._process = subprocess.Popen(
                command,
                env=step.environment(ours),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def stand_by(folder: Path, ours: str) -> None:
    """Stay until launch says no more, or is gone: then have its allocation requeued."""
    monitor = HeartbeatMonitor(folder, ours)
    while (silent_s := monitor.silent_s(time.monotonic())) is not None:
        if silent_s > LIFE_S:
            allocation.requeue(ours)
            return
        time.sleep(LOOK_S)
