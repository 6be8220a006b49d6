"""The hold on a child that the node's fork server has forked: a keeper is above it, far from here.

    rank --- requests ---> fork server --- forks ---> keeper --- forks ---> child
      +------ control -------------------------------> +                      +
      +------ wire, as with any child -------------------------------------- > +

The keeper is told what to do to its child, and tells of its end. When it has ended itself, nobody
is left of the family; and it ends when this rank does.
"""

import os
import socket
import struct
import time

import msgspec

from hpmpi.guard import process_tree
from hpmpi.transports.framing import Frames, await_any
from hpmpi.worker.child_events import Act

CREDENTIALS = struct.Struct("3i")
"""Who is at the other end of a connection, as Linux says it: process, user, group."""


class Request(msgspec.Struct, frozen=True):
    """What is a rank's own, of the child that it asks for: its GPUs by variable, and its CPUs.

    With it come descriptors: of the control connection, of the child's own, and of its output.
    """

    gpus: dict[str, str]
    cpus: list[int]


class Born(msgspec.Struct, tag=True, frozen=True):
    """There is a child, `pid`, below the process `keeper`; 0 where there need be none."""

    pid: int
    keeper: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    """The child has ended with this code, or was killed by a signal, minus which it is.

    `waited_s`: the CPU time of all of its family that has ended.
    """

    code: int
    waited_s: float = 0.0


class Refused(msgspec.Struct, tag=True, frozen=True):
    """The fork server forks none: it has become `stale`, or can't; then `why`."""

    why: str
    stale: bool = False


Told = Born | Ended | Refused
"""What a rank hears on a control connection; on it, it says an Act."""

DECODE = msgspec.msgpack.Decoder(Told).decode


class KeptHold:
    """The hold on a child that was asked for, and may come."""

    def __init__(self, control: socket.socket) -> None:
        """Hear of it at this end of a connection."""
        self.pid = 0
        self.waited_s = 0.0
        self.refused: Refused | None = None
        self._frames = Frames(control)
        self._keeper: int | None = None
        self._code: int | None = None
        self._gives_up = self._kills = False

    @property
    def unborn(self) -> bool:
        """Whether there is no child, and never will be, though it was wanted."""
        self._hear()
        return self._frames.closed and self._keeper is None and not self._gives_up

    def poll(self) -> int | None:
        """Take note of its end; return its exit code: without a keeper, it was killed."""
        self._hear()
        return -9 if self._code is None and self._frames.closed else self._code

    def do(self, act: Act) -> None:
        """Have the keeper do something to it."""
        self._frames.send(msgspec.msgpack.encode(act))

    def kill(self, limit_s: float) -> bool:
        """Have it and its family killed; true once nobody is left."""
        self._hear()
        if self._keeper is None:  # a keeper that comes yet finds nobody who wants it
            self._gives_up = True
            self.close()
        if not self._kills:
            self._kills = True
            self.do(Act.KILL)
        gives_up_at = time.monotonic() + limit_s
        while not self._frames.closed and (left_s := gives_up_at - time.monotonic()) > 0:
            await_any([self._frames.fileno()], limit_s=left_s)
            self._hear()
        return self._frames.closed

    def members(self) -> list[int]:
        """List those who live."""
        self._hear()
        return process_tree.descendants(self._keeper) if self._keeper else []

    def at_hand(self) -> list[int]:
        """List those who live as far as the kernel tells fast."""
        self._hear()
        return process_tree.below([self._keeper])[1:] if self._keeper else []

    def close(self) -> None:
        """Hang up: a keeper that is there ends, with all of its family."""
        self._frames.close()

    def _hear(self) -> None:
        for message in self._frames.receive():
            match DECODE(message):
                case Born(pid, keeper):
                    self.pid, self._keeper = pid, keeper
                case Ended(code, waited_s):
                    self._code, self.waited_s = code, waited_s
                case Refused() as refused:
                    self.refused = refused


def is_of_this_user(connection: socket.socket) -> bool:
    """Tell whether this user's process is at the other end of a connection of this machine."""
    seen = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(seen)
    return bool(user == os.geteuid())
