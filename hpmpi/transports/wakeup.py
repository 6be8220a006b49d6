"""A bell for each rank: MPI wakes nobody, so who sends to a rank on its machine rings afterwards.

A bell is a datagram socket in Linux's abstract namespace: no file, no port, gone with its process.
A ring says no more than: look. One that comes too early, or for nothing, costs a look.
"""

import contextlib
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NAMESPACE = "/proc/self/ns/net"
"""Who has the same one can reach an abstract socket; in containers, ranks of a node may not."""


class Address(NamedTuple):
    """Where a bell hangs: the network namespace, and the socket's name in it."""

    namespace: int
    name: bytes


class Wakeup:
    """The bell of this rank, and the way to those of others."""

    def __init__(self) -> None:
        """Hang it up, where the system has such sockets."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._others: dict[int, bytes] = {}
        self.address: Address | None = None
        with contextlib.suppress(OSError):
            namespace = Path(NAMESPACE).stat().st_ino
            name = b"\0hpmpi-" + secrets.token_bytes(8)
            self._socket.bind(name)
            self.address = Address(namespace, name)

    def learn(self, addresses: Mapping[int, Address | None]) -> None:
        """Hear where the other ranks of the node have theirs."""
        for rank, address in addresses.items():
            if address and self.address and address.namespace == self.address.namespace:
                self._others[rank] = address.name

    def reaches(self, rank: int) -> bool:
        """Tell whether this rank and another hear each other ring."""
        return rank in self._others

    def ring(self, rank: int) -> None:
        """Wake a rank, if it has a bell that can be reached."""
        if name := self._others.get(rank):
            try:  # noqa: SIM105 - for each message: contextlib takes longer than the call
                self._socket.sendto(b"!", name)
            except OSError:  # it is gone, or rung already and asleep for long
                pass

    def fileno(self) -> int:
        """Return what to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Take it down."""
        self._socket.close()

    def hush(self) -> None:
        """Forget the rings so far: to be done before one looks."""
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            pass
