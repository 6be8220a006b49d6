"""Transports: bytes from rank to rank. Rank 0 leads; the others speak with rank 0 only.

Rules for every transport: `send` never blocks, whatever became of the other rank; messages between
two ranks arrive whole and in order, or not at all; nothing but what was heard says that a rank is
alive; nobody is waited for at the end.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from hpmpi.guard import variables
from hpmpi.transports.resources import Share

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

    underway: set[int]
    """Of whom the last `poll` has heard a part of a message: they are alive, however slow."""

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
    """Tell what a launcher of ranks says of this process; None where none has started it.

    srun says the same to a shell (`srun --pty bash`), and so to all that is typed there.
    """
    for rank, size in LAUNCHERS:
        if rank in os.environ and size in os.environ:
            told = Launched(int(os.environ[rank]), int(os.environ[size]))
            return told if is_rank() else None
    return None


def is_rank() -> bool:
    """Tell whether this is what was meant: srun's ranks have no terminal, unless they ask for it.

    Then srun has started them itself, and not a shell.
    """
    if "SLURM_PROCID" not in os.environ or os.environ.keys() & OF_MPIRUN:
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{os.getppid()}/cmdline").read_bytes().startswith(b"slurmstepd")
    return False


def unlaunched() -> dict[str, str]:
    """Return the environment without what would make a program believe that it is a rank.

    What the user has set stays, of MPI's too, for the mpirun that an objective may start.
    """
    ours = variables.set_here()
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not is_of_a_rank(name)
    }


def is_of_a_rank(name: str) -> bool:
    """Tell whether a launcher sets a variable for each rank, or we do."""
    set_for_it = name.startswith(PREFIXES) and not name.startswith(SETTINGS)
    return set_for_it or name in OPEN_MPI or name in SLURM_TASK


PREFIXES = (
    *("PMI_", "PMIX_", "PRTE_", "HYDI_", "MPI_LOCAL", "HPMPI_"),
    *("OMPI_COMM_WORLD_", "OMPI_WORLD_", "OMPI_UNIVERSE_", "OMPI_MCA_orte_", "OMPI_MCA_ess"),
    *("SLURM_STEP_", "SLURM_PMI"),
)
"""What the names begin with of the variables that launchers set, and of our own."""

SETTINGS = ("PMIX_MCA_", "PRTE_MCA_")
"""What begins like them, and is the user's."""

OPEN_MPI = {
    *("OMPI_APP_CTX_NUM_PROCS", "OMPI_ARGV", "OMPI_COMMAND", "OMPI_FILE_LOCATION"),
    *("OMPI_FIRST_RANKS", "OMPI_LIBDIR_LOC", "OMPI_NUM_APP_CTX", "OMPI_TOOL_NAME", "OMPI_VERSION"),
    *("OMPI_MCA_PREFIXES", "OMPI_MCA_cpu_type", "OMPI_MCA_initial_wdir", "OMPI_MCA_num_procs"),
    *("OMPI_MCA_mpi_oversubscribe", "OMPI_MCA_shmem_RUNTIME_QUERY_hint", "OPAL_USER_PARAMS_GIVEN"),
}
"""What Open MPI's launcher sets besides, among names that users have, too."""

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

OF_MPIRUN = {"OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID"}
"""What an mpirun says, and srun does not."""
