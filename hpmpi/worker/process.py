"""A handle on an objective's process: the hold on it, its connection, its output."""

import os
import resource
import signal
import socket
import time
from typing import Protocol

import msgspec

from hpmpi.guard import oom
from hpmpi.guard.process_tree import Family, Head
from hpmpi.model.messages import Assign
from hpmpi.storage.logs import heading_of
from hpmpi.transports.framing import Frames
from hpmpi.worker.child_events import Act, Send
from hpmpi.worker.log_file import Output
from hpmpi.worker.mpi_world import MpiWorld

END_LOOK_S = 0.002
"""How often one who waits for the end looks."""

KILL_S = 0.1
"""How long the killed are waited for at a time."""

COUNT_EVERY_S = 1.0
"""How old, when a job begins, the count may be of what the kernel has killed."""


class Hold(Protocol):
    """What can be done to a child's process, and all that it has started, by who is above it."""

    pid: int

    @property
    def unborn(self) -> bool:
        """Whether there is none, and never will be, though it was wanted."""

    def poll(self) -> int | None:
        """Take note of its end; return its exit code."""

    def do(self, act: Act) -> object:
        """Do something to it."""

    def kill(self, limit_s: float) -> bool:
        """Kill it and its family, for some time; true once nobody is left."""

    def members(self) -> list[int]:
        """List those who live."""

    def at_hand(self) -> list[int]:
        """List those who live as far as the kernel tells fast."""

    @property
    def waited_s(self) -> float:
        """The CPU time of those that have ended."""

    def close(self) -> None:
        """Let go of what is over."""


class OwnHold:
    """The hold on what this process has started itself."""

    unborn = False

    def __init__(self, head: Head) -> None:
        """Look after a head that was just started."""
        self.pid = head.pid
        self._head = head
        self._family = Family(head)
        self.kill, self.members = self._family.kill, self._family.members
        self.at_hand = self._family.at_hand
        oom.offer_to_kernel(head.pid)

    def poll(self) -> int | None:
        """Take note of its end; return its exit code."""
        return self._head.poll()

    @property
    def waited_s(self) -> float:
        """The CPU time of all that this process has waited for."""
        return waited_s()

    def close(self) -> None:
        """Have nothing to let go of."""

    def do(self, act: Act) -> None:
        """Do something to it."""
        match act:
            case Act.INTERRUPT if self._head.poll() is None:
                os.kill(self.pid, signal.SIGTERM)
            case Act.TERM:
                self._family.signal(signal.SIGTERM)
            case Act.KILL:
                self.kill(KILL_S)
            case _:
                pass


def waited_s() -> float:
    """Sum up the CPU time of those that this process has waited for, in seconds."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


class ChildProcess:
    """What there is of a process: the hold on it, its connection, its output."""

    def __init__(
        self, hold: Hold, wire: socket.socket, output: Output, world: MpiWorld | None = None
    ) -> None:
        """Look after it, and its part in a world, from now on."""
        self.world = world
        self.hold = hold
        self.frames = Frames(wire)
        self.output = output
        self._has_begun = False
        self._counted_at = time.monotonic()
        self._taken_before = oom.taken_by_kernel()

    def do(self, command: Send | Act) -> None:
        """Do something to it."""
        match command:
            case Send(order):
                if isinstance(order, Assign):  # before it can print anything
                    self.output.head(heading_of(order), marks=self._has_begun)
                self.frames.send(msgspec.msgpack.encode(order))
            case Act.HANG_UP:
                self.frames.finish()
            case _:
                self.hold.do(command)

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of it."""
        found = [] if self.frames.closed else [self.frames.fileno()]
        return found if self.world is None else [*found, self.world.fileno()]

    def close(self) -> None:
        """Have no more to do with it: it is dead."""
        self.frames.close()
        self.hold.close()
        self.output.close()
        if self.world is not None:
            self.world.close()

    def await_end(self, limit_s: float) -> int | None:
        """Wait for its end for a moment; return its exit code."""
        gives_up_at = time.monotonic() + limit_s
        while (code := self.hold.poll()) is None and time.monotonic() < gives_up_at:
            time.sleep(END_LOOK_S)
        return code

    def begin_job(self) -> None:
        """Tell its output, and whom the kernel kills from now on, from what was before.

        What was sent before it was loaded it may have begun before its rank heard that it could.
        """
        self._has_begun = True
        if time.monotonic() - self._counted_at > COUNT_EVERY_S:
            self._counted_at = time.monotonic()
            self._taken_before = oom.taken_by_kernel()

    def is_taken(self) -> bool:
        """Tell whether the kernel has killed somebody on this machine since its job began."""
        return oom.taken_by_kernel() > self._taken_before
