"""Whole messages, in order, over a stream socket, without ever blocking.

A message goes in pieces, most in one. The length of a piece goes before it, as four bytes, whose
first bit says that the message goes on. Used between a rank and its child, and between ranks on one
machine.
"""

import contextlib
import select
import socket
import struct
from collections import deque
from collections.abc import Collection, Iterator

LENGTH = struct.Struct(">I")
CHUNK_BYTES = 1 << 16

MOST_CHUNKS = 64
"""How much is received at a time: who floods us must not keep us from all else."""

MOST_BYTES = 1 << 28
"""What claims to be longer is no piece of a message."""

MORE = 1 << 31
"""Marks a length: another piece follows."""

LEAST_POLL_S = 10e-3
MOST_SELECTED = 1024
"""Poll knows whole milliseconds only; select is exact, but knows no descriptor from here on."""


class Frames:
    """One end of a connection; `closed` once the other end is gone, or `malformed` what it said.

    `underway`: whether the last look found a part of a message, and none that is whole.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        sock.settimeout(0)
        self._socket = sock
        self._incoming = bytearray()
        self._begun = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self.closed = False
        self.malformed = False
        self.underway = False

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._outgoing)

    @property
    def unheard(self) -> bool:
        """Whether something has come that nobody has received, if only the end; takes nothing."""
        try:
            return bool(await_any([self.fileno()], limit_s=0.0))
        except OSError:  # somebody has closed it
            return True

    def send(self, message: bytes) -> None:
        """Send as much as goes; the rest goes with later calls of `flush`."""
        if not self.closed:
            for start in range(0, len(message) or 1, MOST_BYTES):
                piece = message[start : start + MOST_BYTES]
                more = MORE if start + MOST_BYTES < len(message) else 0
                self._outgoing.append(memoryview(LENGTH.pack(more | len(piece)) + piece))
            self.flush()

    def flush(self) -> bool:
        """Send what waits; true once nothing does."""
        while self._outgoing and not self.closed:
            try:
                sent = self._socket.send(self._outgoing[0])
            except BlockingIOError:
                return False
            except OSError:  # the other end is gone, but its last words may still be here
                self._outgoing.clear()
                break
            rest = self._outgoing.popleft()[sent:]
            if rest:
                self._outgoing.appendleft(rest)
        return True

    def receive(self) -> list[bytes]:
        """Return the messages that have come in whole; that it has closed shows when none has."""
        before = len(self._incoming)
        for _ in range(MOST_CHUNKS):
            if self.closed:
                break
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            self._incoming += chunk
            self.closed = not chunk
            if len(chunk) < CHUNK_BYTES:  # there was no more, but perhaps the end
                break
        came = len(self._incoming) > before
        messages = list(self._whole())
        self.underway = came and not messages
        return messages

    def wait(self) -> list[bytes]:
        """Sleep until a message has come in whole; empty once the other end is gone."""
        while not (messages := self.receive()) and not self.closed:
            await_any([self.fileno()], [] if self.flush() else [self.fileno()])
        return messages

    def drain(self) -> None:
        """Sleep until everything is sent."""
        while not self.flush():
            await_any([], [self.fileno()])

    def finish(self) -> None:
        """Say no more, so that the other end knows it; its last words can still be heard."""
        self._outgoing.clear()
        with contextlib.suppress(OSError):  # it is gone
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._socket.close()

    def _whole(self) -> Iterator[bytes]:
        while len(self._incoming) >= LENGTH.size:
            (told,) = LENGTH.unpack_from(self._incoming)
            length = told & ~MORE
            if length > MOST_BYTES:
                self.closed = self.malformed = True
                return
            end = LENGTH.size + length
            if len(self._incoming) < end:
                return
            piece = bytes(self._incoming[LENGTH.size : end])
            del self._incoming[:end]
            if told & MORE or self._begun:
                self._begun += piece
                if told & MORE:
                    continue
                piece, self._begun = bytes(self._begun), bytearray()
            yield piece


def await_any(
    readable: Collection[int], writable: Collection[int] = (), limit_s: float | None = None
) -> set[int]:
    """Sleep until a descriptor can be read or written; return those that can be read."""
    is_short = limit_s is not None and limit_s < LEAST_POLL_S
    if is_short and max([*readable, *writable], default=0) < MOST_SELECTED:
        return set(select.select(readable, writable, [], limit_s)[0])
    poll = select.poll()
    for descriptor in readable:
        poll.register(descriptor, select.POLLIN)
    for descriptor in writable:
        both = descriptor in readable
        poll.register(descriptor, select.POLLIN | select.POLLOUT if both else select.POLLOUT)
    found = poll.poll(None if limit_s is None else limit_s * 1e3)
    return {descriptor for descriptor, events in found if events & ~select.POLLOUT}
