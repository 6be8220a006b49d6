"""Whole messages, in order, over a stream socket, without ever blocking.

The length of a message goes before it, as four bytes. Used between a rank and its child, and
between ranks on one machine.
"""

import select
import socket
import struct
from collections import deque
from collections.abc import Iterator

LENGTH = struct.Struct(">I")
CHUNK_BYTES = 1 << 16


class Frames:
    """One end of a connection; `closed` once the other end is gone."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        sock.settimeout(0)
        self._socket = sock
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self.closed = False

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._socket.fileno()

    def send(self, message: bytes) -> None:
        """Send as much as goes; the rest goes with later calls of `flush`."""
        if not self.closed:
            self._outgoing.append(memoryview(LENGTH.pack(len(message)) + message))
            self.flush()

    def flush(self) -> bool:
        """Send what waits; true once nothing does."""
        while self._outgoing and not self.closed:
            try:
                sent = self._socket.send(self._outgoing[0])
            except BlockingIOError:
                return False
            except OSError:
                self.closed = True
                break
            rest = self._outgoing.popleft()[sent:]
            if rest:
                self._outgoing.appendleft(rest)
        return True

    def receive(self) -> list[bytes]:
        """Return the messages that have come in whole."""
        while not self.closed:
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            self._incoming += chunk
            self.closed = not chunk
        return list(self._whole())

    def wait(self) -> list[bytes]:
        """Sleep until a message has come in whole; empty once the other end is gone."""
        while not (messages := self.receive()) and not self.closed:
            select.select([self], [] if self.flush() else [self], [])
        return messages

    def drain(self) -> None:
        """Sleep until everything is sent."""
        while not self.flush():
            select.select([], [self], [])

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._socket.close()

    def _whole(self) -> Iterator[bytes]:
        while len(self._incoming) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._incoming)
            end = LENGTH.size + length
            if len(self._incoming) < end:
                return
            yield bytes(self._incoming[LENGTH.size : end])
            del self._incoming[:end]
