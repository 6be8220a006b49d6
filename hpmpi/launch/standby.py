"""The standby: on another node than launch, it has the allocation requeued when launch is gone.

Under `--no-kill`, Slurm keeps an allocation whose first node has died, with its batch script and
rank 0, until its time is over. The ranks that are left can't be relied on: an mpirun takes them
along, and others may hang in MPI. So launch has one more process, in a step of its own, which reads
the lifeline, and needs nothing else.
"""

import contextlib
import os
import subprocess
import time
from pathlib import Path

from hpmpi import program
from hpmpi.launch.placement import Team
from hpmpi.slurm import allocation, step
from hpmpi.storage.heartbeat_file import LIFE_S, LOOK_S, Pulse

AGAIN_S = 30.0
"""How long after its start another may be started, on another node."""


class Standby:
    """Launch's end: sees to it that there is one."""

    def __init__(self, folder: Path, whole: Team, steps: str) -> None:
        """Have one on one of the other nodes, where there are any and launch may requeue.

        `steps`: how the names of launch's steps begin.
        """
        here, ours = os.environ.get("SLURMD_NODENAME"), whole.allocation
        useful = ours is not None and ours.is_ours_to_requeue
        self._nodes = [node for node in whole.nodes if node != here] if useful else []
        self._allocation = ours
        self._name = f"{steps}-standby"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        if self._nodes:
            self._start()

    def check(self, now: float) -> None:
        """Start another, if it has ended; `now` is of a monotonic clock."""
        ended = self._process is not None and self._process.poll() is not None
        if ended and now - self._started_at > AGAIN_S:
            self._nodes.append(self._nodes.pop(0))
            self._start()

    def close(self) -> None:
        """Need none any more."""
        if self._process is not None:
            assert self._allocation is not None
            allocation.cancel_steps(self._allocation, self._name)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        assert self._allocation is not None
        self._started_at = time.monotonic()
        where = ["--nodes=1", "--ntasks=1", "--ntasks-per-node=1", f"--nodelist={self._nodes[0]}"]
        how = [*step.options(), "--mpi=none", "--input=none"]
        what = [*program("hpmpi"), "standby", str(self._folder.absolute())]
        command = ["srun", f"--job-name={self._name}", *where, *how, *what, self._allocation.name]
        with contextlib.suppress(OSError):  # there is no srun: then there is none
            self._process = subprocess.Popen(
                command,
                env=step.environment(self._allocation),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def stand_by(folder: Path, ours: str) -> None:
    """Stay until launch says no more, or is gone: then have its allocation requeued."""
    pulse = Pulse(folder, ours)
    while pulse.stopped(time.monotonic()) <= LIFE_S:
        if not pulse.is_there:
            return
        time.sleep(LOOK_S)
    allocation.requeue(ours)
