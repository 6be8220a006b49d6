"""The members of a trial: ranks that train one model together, as mpi4py's communicators have it.

Alone, a trial has one member, and MPI is not imported. All members call the same in the same order.
"""

from typing import Any, Protocol

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.worker.handle import Trial


class Communicator(Protocol):
    """What is used of mpi4py's Comm; root is 0 always."""

    @property
    def rank(self) -> int:
        """Which member this is."""

    @property
    def size(self) -> int:
        """How many there are."""

    def bcast(self, obj: Any) -> Any:
        """Give all members what member 0 has."""

    def gather(self, sendobj: Any) -> list[Any] | None:
        """Give member 0 what each has, in their order; the others get None."""

    def Allreduce(self, sendbuf: Array, recvbuf: Array) -> None:  # noqa: N802 - mpi4py's name
        """Sum the arrays of all members, for all."""


class Alone:
    """The one member of a trial on one rank."""

    rank = 0
    size = 1

    def bcast(self, obj: Any) -> Any:
        """Have what it has."""
        return obj

    def gather(self, sendobj: Any) -> list[Any]:
        """Have what it has."""
        return [sendobj]

    def Allreduce(self, sendbuf: Array, recvbuf: Array) -> None:  # noqa: N802 - mpi4py's name
        """Take its own as the sum."""
        recvbuf[...] = sendbuf


ALONE = Alone()


def members_of(trial: Trial) -> Communicator:
    """Meet the other members of a trial; raises ObjectiveError where MPI does not know them."""
    if trial.size == 1:
        return ALONE
    from mpi4py import MPI  # noqa: PLC0415 - importing it starts MPI

    world = MPI.COMM_WORLD
    if world.size != trial.size:
        raise ObjectiveError(
            f"the trial has {trial.size} ranks, and MPI knows {world.size} of them: "
            'set [run] world = "mpi"'
        )
    members: Communicator = world
    return members
