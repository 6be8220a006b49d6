"""Ranks that have met once and serve one run after the other, as a script has them.

A rank says goodbye once to each run that it was welcomed to, and nothing after that. So while it
owes one to an earlier run, what comes from it is of that: it was lost then, and is not heard in the
run that is on. Where it comes back it is told to stop, says goodbye, and is welcome again.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from hpmpi.model.messages import Beat, Goodbye, Stop
from hpmpi.transports import LEADER, Traffic, Transport

STOP = msgspec.msgpack.encode(Stop())
GOODBYE = msgspec.msgpack.encode(Goodbye())
BEAT = msgspec.msgpack.encode(Beat())


class KeptRanks:
    """The transport of the run that is on."""

    def __init__(self, transport: Transport) -> None:
        """Have the ranks that have met over a transport; no run is on yet."""
        self._transport = transport
        self._owed: Counter[int] = Counter()
        self._welcomed: set[int] = set()
        self._stopped: set[int] = set()
        self._workers = [rank for rank in range(transport.size) if rank != LEADER]
        self.rank, self.size, self.share = transport.rank, transport.size, transport.share
        self.name, self.traffic = transport.name, Traffic()
        self.underway: set[int] = set()

    def begin(self) -> None:
        """Begin the next run: who has not said goodbye to the last owes that."""
        for rank in self._welcomed - self._stopped:  # it was lost
            self._transport.send(rank, STOP)
        self._owed.update(self._welcomed)
        self._welcomed.clear()
        self._stopped.clear()
        self.traffic = Traffic()

    def beat(self) -> None:
        """Let them know, between runs, that rank 0 is alive."""
        for rank in self._workers:
            self._transport.send(rank, BEAT)

    def dismiss(self) -> None:
        """Have all leave: there is no other run."""
        self.begin()
        for rank in self._workers:
            self._transport.send(rank, STOP)
        self._transport.leave(1.0)

    def send(self, rank: int, message: bytes) -> None:
        """Send a message; but none is told to stop that this run has not begun for."""
        if message == STOP:
            if rank not in self._welcomed:
                return
            self._stopped.add(rank)
        elif message != BEAT:
            self._welcomed.add(rank)
        self._transport.send(rank, message)
        self.traffic.send(message)

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what has come in of this run."""
        came = self._transport.poll(timeout_s, wake)
        messages = [each for each in came if self._is_of_this_run(*each)]
        self.underway = {rank for rank in self._transport.underway if not self._owed[rank]}
        self.traffic.hear(messages)
        return messages

    def forget(self, rank: int) -> None:
        """Keep what waits for a lost rank: it may come back for a later run."""

    def leave(self, timeout_s: float) -> None:
        """Push out what waits, and stay."""
        self._transport.leave(timeout_s)

    def _is_of_this_run(self, rank: int, message: bytes) -> bool:
        if self._owed[rank]:
            self._owed[rank] -= message == GOODBYE
            return False
        if message == GOODBYE:
            self._welcomed.discard(rank)
        return True
