"""A rank's connections outlive it: its guard holds them, too.

A send to a rank whose connection was closed crashes: any of MPICH's (5.0.2, UCX over TCP), and one
of Open MPI's (5.0.11, over TCP) amid large messages. And who has just heard of a rank can't know
that it has died since. So no death closes a connection to another machine: it is for the others
what hanging is, silence.
"""

import contextlib
import os
import socket
from pathlib import Path

from hpmpi.guard.guard import HELD

_held: set[int] = set()
"""The sockets that need not be looked at again, by the kernel's numbers."""


def hold() -> None:
    """Give the guard what connections there are by now; MPI makes them as it needs them."""
    if HELD not in os.environ:
        return
    for opened in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # no socket, not connected, or closed by now
            _hold(int(opened.name))


def _hold(number: int) -> None:
    inode = os.fstat(number).st_ino
    if inode in _held:
        return
    connection = socket.socket(fileno=number)
    try:
        theirs = connection.getpeername()
        internet = connection.family in (socket.AF_INET, socket.AF_INET6)
        if internet and theirs[0] != connection.getsockname()[0]:
            with socket.fromfd(int(os.environ[HELD]), socket.AF_UNIX, socket.SOCK_STREAM) as guard:
                socket.send_fds(guard, [b"-"], [number])
        _held.add(inode)
    finally:
        connection.detach()
