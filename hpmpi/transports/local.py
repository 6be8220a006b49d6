"""Ranks that are processes of this machine, each connected with rank 0 by a socket pair.

The same study on a laptop: no MPI, no port. Rank 0 starts the others, and they leave with it: they
see their socket close, even those that are stopped, which the kernel wakes for it. What a rank that
is killed leaves behind comes to rank 0, which kills it.
"""

import os
import socket
import subprocess
import time
from collections.abc import Sequence

from hpmpi import program
from hpmpi.errors import TransportError
from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Family
from hpmpi.transports import LEADER, Traffic, resources, unlaunched
from hpmpi.transports.framing import Frames, await_any
from hpmpi.transports.resources import Share

VARIABLE = "HPMPI_LOCAL"
"""Tells a worker its rank, the number of ranks, and its socket."""

BURY_S = 0.1
LEAVE_S = 2.0
"""How long the orphans of a dead rank may take to end at a time, and at the end."""


class LocalTransport:
    """The connections of this process with others of the machine."""

    def __init__(
        self,
        rank: int,
        size: int,
        share: Share,
        peers: dict[int, Frames],
        started: Sequence[subprocess.Popen[bytes]] = (),
    ) -> None:
        """Speak with `peers`; `lead` and `join` make one."""
        self.rank = rank
        self.size = size
        self.share = share
        self.name = "local processes"
        self.traffic = Traffic()
        self.underway: set[int] = set()
        self._peers = peers
        self._started = started
        self._dying = dict(enumerate(started, start=LEADER + 1))

    def send(self, rank: int, message: bytes) -> None:
        """Send a message, or what goes of it."""
        if rank in self._peers:
            self._peers[rank].send(message)
            self.traffic.send(message)

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what has come in; wait for the first message at most `timeout_s`."""
        ends_at = time.monotonic() + timeout_s
        self.underway = set()
        while True:
            peers = {peer.fileno(): rank for rank, peer in self._peers.items() if not peer.closed}
            unsent = [number for number, rank in peers.items() if not self._peers[rank].flush()]
            self._bury()
            wait_s = max(0.0, ends_at - time.monotonic())
            readable = await_any([*peers, *wake], unsent, wait_s)
            messages = [
                (peers[number], message)
                for number in readable
                if number in peers
                for message in self._peers[peers[number]].receive()
            ]
            if not messages and self.rank != LEADER and self._peers[LEADER].closed:
                raise TransportError("rank 0 is gone")
            heard = {peers[number] for number in readable if number in peers}
            self.underway |= {rank for rank in heard if self._peers[rank].underway}
            woken = any(number in wake for number in readable)
            if messages or woken or time.monotonic() >= ends_at:
                self.traffic.hear(messages)
                return messages

    def close(self) -> None:
        """Hang up."""
        for peer in self._peers.values():
            peer.close()

    def forget(self, rank: int) -> None:
        """Keep the connection: a socket costs nothing, and the rank may come back."""

    def leave(self, timeout_s: float) -> None:
        """Push out what waits; the processes that were started end by then, or are ended."""
        ends_at = time.monotonic() + timeout_s
        for peer in self._peers.values():
            while not peer.flush() and time.monotonic() < ends_at:
                await_any([], [peer.fileno()], max(0.0, ends_at - time.monotonic()))
        for process in self._started:
            try:
                process.wait(max(0.0, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._started:
            Family(None, serving=True).kill(LEAVE_S)

    def _bury(self) -> None:
        """Kill what ranks that have ended leave to us."""
        ended = [
            rank
            for rank, process in self._dying.items()
            if self._peers[rank].closed and process.poll() is not None
        ]
        if ended and Family(None).kill(BURY_S):
            for rank in ended:
                del self._dying[rank]


def lead(workers: int, command: Sequence[str] | None = None) -> LocalTransport:
    """Start `workers` processes, which have to `join`, and lead them."""
    process_tree.adopt()
    peers = {}
    started = []
    for rank in range(1, workers + 1):
        ours, theirs = socket.socketpair()
        with theirs:
            told = f"{rank} {workers + 1} {theirs.fileno()}"
            process = subprocess.Popen(
                command or program("hpmpi"),
                pass_fds=[theirs.fileno()],
                env={**unlaunched(), VARIABLE: told},
            )
        started.append(process)
        peers[rank] = Frames(ours)
    return LocalTransport(LEADER, workers + 1, Share(), peers, started)


def join() -> LocalTransport | None:
    """Take the place that `lead` has given to this process; None where it has not."""
    told = os.environ.pop(VARIABLE, None)
    if told is None:
        return None
    process_tree.wake_with_parents_end()
    rank, size, descriptor = map(int, told.split())
    leader = Frames(socket.socket(fileno=descriptor))
    share = resources.divide([resources.here()] * (size - 1))[rank - 1]
    return LocalTransport(rank, size, share, {LEADER: leader})


def cores() -> int:
    """Count the cores that this process may use."""
    return resources.here().cpus
