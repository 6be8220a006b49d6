"""How a child process comes to be: forked before its rank loads MPI, or started.

A process of its own is another Python with the same modules: half of what a start costs, for a
thousand ranks at once. A fork has them all, and shares their memory with its rank. But once MPI is
there, with threads and memory that a fork breaks, none is possible. So a rank forks its first child
before anything else; that waits to be sent its output and its environment, and becomes what a
started one is, down to its session and its descriptors. Later ones are started.

It heads a family of processes (guard/process_tree.py), and is asked for its end as a Popen is.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hpmpi import program
from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Head
from hpmpi.worker import runner

READY = b"!"
"""What a forked process says when it leads a session, and hears with its descriptors."""

ENCODE = msgspec.msgpack.Encoder().encode
DECODE = msgspec.msgpack.Decoder(dict[str, str]).decode


class Forked:
    """A forked process that waits to become a child; `fork` makes one."""

    def __init__(self, pid: int, wire: socket.socket) -> None:
        """Hold the rank's end of its connection."""
        self.pid = pid
        self._wire = wire
        self._code: int | None = None

    def become(self, output: int, env: Mapping[str, str]) -> socket.socket | None:
        """Have it become a child that prints to `output`; return its connection, if it lives."""
        variables = os.memfd_create("hpmpi")  # an environment may be larger than a socket's buffer
        try:
            if self._wire.recv(1) == READY:  # it has a session of its own by now
                os.write(variables, ENCODE(env))
                socket.send_fds(self._wire, [READY], [output, variables])
                return self._wire
        except OSError:
            pass  # it has been killed
        finally:
            os.close(variables)
        self.dismiss()
        return None

    def dismiss(self) -> None:
        """End it, where none is needed."""
        self._wire.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def poll(self) -> int | None:
        """Take note of its end; return its exit code, or minus the signal, as a Popen does."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def fork() -> Forked | None:
    """Fork, where that can be done; the child's side leaves by SystemExit when it is done."""
    if sys.platform != "linux":
        return None
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Forked(pid, ours)
    ours.close()  # or it would not see that its rank is gone
    process_tree.die_with_parent()
    runner.leave_signals_to_the_rank(theirs)
    os.setsid()  # as the head of a family does
    descriptors: list[int] = []
    with contextlib.suppress(OSError):  # the rank has left, and had nothing to do
        theirs.sendall(READY)
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 2)
    if descriptors:
        _become(theirs, *descriptors)
        runner.perform(theirs)
    sys.exit()


def start(
    output: int, env: Mapping[str, str], forked: Forked | None = None
) -> tuple[Head, socket.socket]:
    """Start a child: what was forked, if it lives, or another; return its connection, too.

    Raises OSError.
    """
    if forked is not None and (wire := forked.become(output, env)) is not None:
        return forked, wire
    return wired(
        "hpmpi.worker.runner", stdout=output, stderr=output, start_new_session=True, env=env
    )


def wired(module: str, *words: str, **how: Any) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a module as a program, whose first word is the descriptor of a connection.

    `how` is subprocess.Popen's. Returns our end of the connection, too; raises OSError.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [*program(module), str(theirs.fileno()), *words]
        kept = [theirs.fileno()]
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=kept, **how), ours
        except OSError:
            ours.close()
            raise


def _become(wire: socket.socket, output: int, variables: int) -> None:
    """Be as if started: environment, standard streams, and no other descriptors."""
    env = DECODE(os.pread(variables, os.fstat(variables).st_size, 0))
    os.environ.clear()  # of what the launcher has for its ranks
    os.environ.update(env)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    runner.unbuffer()
    kept = {0, 1, 2, wire.fileno()}
    for descriptor in {int(each.name) for each in Path("/proc/self/fd").iterdir()} - kept:
        with contextlib.suppress(OSError):  # what listed them
            os.close(descriptor)
