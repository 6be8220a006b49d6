"""Transports: bytes from rank to rank. Rank 0 leads; the others speak with rank 0 only.

Rules for every transport: `send` never blocks, whatever became of the other rank; messages between
two ranks arrive whole and in order, or not at all; nothing but what was heard says that a rank is
alive; nobody is waited for at the end.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hpmpi.place import Share

LEADER = 0
"""The rank that leads."""


class Traffic:
    """What has gone through a rank's transport: whole messages, and the bytes in them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sent = self.sent_bytes = self.heard = self.heard_bytes = 0

    def send(self, message: bytes) -> None:
        """Count a message that leaves."""
        self.sent += 1
        self.sent_bytes += len(message)

    def hear(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Count messages that have come in."""
        self.heard += len(messages)
        self.heard_bytes += sum(len(message) for _, message in messages)

    def __str__(self) -> str:
        """Tell it, for the log and for who reads that."""
        return (
            f"sent {self.sent} messages ({self.sent_bytes} bytes), "
            f"heard {self.heard} ({self.heard_bytes} bytes)"
        )


class Transport(Protocol):
    """A rank's connection with the others."""

    rank: int
    size: int
    share: Share
    """What of this node is this rank's."""

    name: str
    """What carries the messages, for people."""

    traffic: Traffic

    def send(self, rank: int, message: bytes) -> None:
        """Send a message, at once or with later calls of `poll`."""

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return the messages that have come in, by rank; wait for the first at most `timeout_s`.

        Returns early when one of the descriptors in `wake` can be read. Raises TransportError where
        rank 0 is known to be gone.
        """

    def forget(self, rank: int) -> None:
        """Give up sending what a lost rank has not taken."""

    def leave(self, timeout_s: float) -> None:
        """Send what waits, for at most `timeout_s`; nothing is sent after this."""


class Launched(NamedTuple):
    """What a launcher's environment says of this process."""

    rank: int
    size: int


def launched() -> Launched | None:
    """Tell what a launcher of ranks says of this process; None where there was no launcher."""
    for rank, size in LAUNCHERS:
        if rank in os.environ and size in os.environ:
            return Launched(int(os.environ[rank]), int(os.environ[size]))
    return None


def unlaunched() -> dict[str, str]:
    """Return the environment without what would make a program believe that it is a rank."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIXES) and name not in SLURM_TASK
    }


PREFIXES = (
    *("PMI_", "PMIX_", "OMPI_", "PRTE_", "HYDRA_", "HYDI_", "MPI_", "MPIR_", "HPMPI_"),
    "SLURM_STEP_",
)
"""What the names begin with of the variables that launchers set, and of our own."""

SLURM_TASK = {
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"),
    *("SLURM_TASKS_PER_NODE", "SLURM_STEPID", "SLURM_GTIDS", "SLURM_TASK_PID"),
}
"""What Slurm says of a task: some programs take it for their place in a distributed training."""

LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
"""Where launchers say rank and size: Open MPI; MPICH, Intel and Cray; PMIx under srun; and srun
where it speaks no MPI's language, so that each rank will find itself alone."""
