"""The world "mpi": the processes of a group have an MPI_COMM_WORLD of their own, which we launch.

What stands for a launcher is in pmi.py; its lines go between a process and its rank over a pair of
sockets, and between ranks as all that they say, by rank 0: there is no port. A world that is killed
leaves shared memory behind, which is unlinked when a process of it has ended.
"""

import contextlib
import socket
from pathlib import Path

from hpmpi.model.messages import Assign, Fence, Relay, Welcome
from hpmpi.worker.pmi import PmiDesk, segment_of

SHM = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory is on Linux

CHUNK_BYTES = 1 << 16


class MpiWorld:
    """A rank's part in the world of an attempt: its process at one end, the other ranks' beyond."""

    def __init__(self, welcome: Welcome, order: Assign) -> None:
        """Wait for a process that is started with `kept` and `environment`."""
        assert order.member is not None, "it is a group's"
        self.attempt = order.attempt
        self._member = order.member
        trial, rung, number = order.attempt
        name = f"hpmpi_{welcome.start}_{trial}_{rung}_{number}"
        self._desk = PmiDesk(order.attempt, order.member, name)
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(0.0)
        self._unread = b""

    @property
    def kept(self) -> int:
        """The descriptor that the process is to keep, until `begin`."""
        return self._theirs.fileno()

    @property
    def environment(self) -> dict[str, str]:
        """What MPI looks for."""
        numbers = {"FD": self.kept, "RANK": self._member.index, "SIZE": len(self._member.ranks)}
        return {f"PMI_{name}": str(number) for name, number in numbers.items()}

    def begin(self) -> None:
        """Leave the other end to the process, which has been started."""
        self._theirs.close()

    def fileno(self) -> int:
        """Return what to wait on."""
        return self._ours.fileno()

    def poll(self) -> list[Relay]:
        """Answer what the process has said; return what is for other ranks."""
        chunk = b""
        with contextlib.suppress(OSError):  # nothing is there, or the process is gone
            chunk = self._ours.recv(CHUNK_BYTES)
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        relays: list[Relay] = []
        for line in lines:
            answer = self._desk.hear(line.decode(errors="replace"))
            if isinstance(answer, Fence):
                relays += self._come(answer)
            elif answer is not None:
                self._say(answer)
        return relays

    def hear(self, fence: Fence) -> list[Relay]:
        """Take in what another rank says; return what is for others."""
        if self._member.leads:
            return self._come(fence)
        self._say(self._desk.open(fence))
        return []

    def close(self) -> None:
        """Have no more to do with it, and unlink what it may have left."""
        self._ours.close()
        self._theirs.close()
        for segment in SHM.glob(f"{segment_of(self._desk.name)}*"):
            segment.unlink(missing_ok=True)

    def _come(self, fence: Fence) -> list[Relay]:
        if not self._member.leads:
            return [Relay(self._member.ranks[:1], fence)]
        opened = self._desk.gather(fence)
        if opened is None:
            return []
        self._say(self._desk.open(opened))
        return [Relay(self._member.ranks[1:], opened)]

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the process is gone
            self._ours.sendall(f"{line}\n".encode())
