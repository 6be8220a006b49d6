"""How a process of ours comes to be: forked before its rank loads MPI, or started.

Another Python with the same modules is half of what a start costs, for a thousand ranks at once. A
fork has them all, and shares their memory with its rank. But once MPI is there, with threads and
memory that a fork breaks, none is possible. So a rank forks a process before anything else; that
waits to be sent what it is to be (a child, or the node's fork server), its output and its
environment, and becomes what a started one is, down to its session and its descriptors. Later ones
are started.

A child heads a family of processes (guard/process_tree.py), and is asked for its end as a Popen is.
"""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpmpi import program
from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Head
from hpmpi.worker import runner

READY = b"!"
"""What a forked process says when it leads a session."""

LONGEST_NAME = 100
"""Of the module that it hears of, with its descriptors."""

ENCODE = msgspec.msgpack.Encoder().encode
DECODE = msgspec.msgpack.Decoder(dict[str, str]).decode


class ForkedHead:
    """A process that this one has forked, and waits for."""

    def __init__(self, pid: int) -> None:
        """Know its number."""
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Take note of its end; return its exit code, or minus the signal, as a Popen does."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


class Forked(ForkedHead):
    """A forked process that waits to become something; `fork` makes one."""

    def __init__(self, pid: int, wire: socket.socket) -> None:
        """Hold the rank's end of its connection."""
        super().__init__(pid)
        self._wire = wire

    def become(self, module: str, output: int, env: Mapping[str, str]) -> socket.socket | None:
        """Have it be a module that prints to `output`; return its connection, if it lives."""
        variables = os.memfd_create("hpmpi")  # an environment may be larger than a socket's buffer
        try:
            if self._wire.recv(1) == READY:  # it has a session of its own by now
                os.write(variables, ENCODE(env))
                socket.send_fds(self._wire, [module.encode()], [output, variables])
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
    runner.heard_by[:] = [theirs]
    runner.leave_signals_to_the_rank()
    os.setsid()  # as the head of a family does
    module, descriptors = b"", list[int]()
    with contextlib.suppress(OSError):  # the rank has left, and had nothing to do
        theirs.sendall(READY)
        module, descriptors, _, _ = socket.recv_fds(theirs, LONGEST_NAME, 2)
    if descriptors:
        _become(theirs, *descriptors)
        importlib.import_module(module.decode()).perform(theirs)
    sys.exit()


def start(
    module: str,
    output: int,
    env: Mapping[str, str],
    forked: Forked | None = None,
    kept: Sequence[int] = (),
) -> tuple[Head, socket.socket]:
    """Start a module: in what was forked, if it lives, or another; return its connection, too.

    It keeps the descriptors `kept`, which what was forked does not know. Raises OSError.
    """
    if forked is not None and (wire := forked.become(module, output, env)) is not None:
        return forked, wire
    return wired(module, kept=kept, stdout=output, stderr=output, start_new_session=True, env=env)


def wired(
    module: str, *words: str, kept: Sequence[int] = (), **how: Any
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a module as a program, whose first word is the descriptor of a connection.

    `how` is subprocess.Popen's. Returns our end of the connection, too; raises OSError.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [*program(module), str(theirs.fileno()), *words]
        kept = [theirs.fileno(), *kept]
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=kept, **how), ours
        except OSError:
            ours.close()
            raise


def print_to(output: int) -> None:
    """Have what is printed from now on go to another file."""
    for stream in (1, 2):
        os.dup2(output, stream)


def _become(wire: socket.socket, output: int, variables: int) -> None:
    """Be as if started: environment, standard streams, and no other descriptors."""
    env = DECODE(os.pread(variables, os.fstat(variables).st_size, 0))
    os.environ.clear()  # of what the launcher has for its ranks
    os.environ.update(env)
    print_to(output)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    runner.unbuffer()
    close_all_but({wire.fileno()})


def opened() -> set[int]:
    """List what this process has open."""
    listed = list(Path("/proc/self/fd").iterdir())
    return {int(each.name) for each in listed if each.is_symlink()}  # not what has listed them


def close_all_but(kept: set[int]) -> None:
    """Close what this process has open, but these and the standard streams."""
    for descriptor in opened() - kept - {0, 1, 2}:
        os.close(descriptor)
