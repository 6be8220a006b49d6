"""How the process of an objective comes to be: forked by the node's fork server, or started.

The only place that chooses. All ranks of a node whose children find the same surroundings share a
fork server: whoever can take its name, which is no file and no port, starts it, and the others
connect. The kernel frees the name with the process.
"""

import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Head
from hpmpi.model.messages import Welcome
from hpmpi.transports import resources
from hpmpi.transports.framing import Frames
from hpmpi.worker import spawn
from hpmpi.worker.kept import KeptHold, Request, is_of_this_user
from hpmpi.worker.log_file import Output
from hpmpi.worker.mpi_world import MpiWorld
from hpmpi.worker.process import ChildProcess, OwnHold
from hpmpi.worker.spawn import Forked

FORK_SERVER = "hpmpi.worker.fork_server"
CHILD = "hpmpi.worker.runner"
"""The modules that run as programs."""

TRIES = 5
"""How often a fork server is looked for: others may start or lose one meanwhile."""

CONNECT_S = 5.0
"""How long a fork server may take that more ranks ask than it can hear."""

BACKLOG = 4096
"""How many may ask at once."""

STEP_GPUS = "SLURM_STEP_GPUS"
"""Tells ranks apart that Slurm lets see other GPUs of the same numbers."""

_others: list[Head] = []
"""Fork servers that this process has started, and that go on for other ranks."""

TASK = re.compile(r"/task_\d+")
"""What Slurm counts each rank's processes in: no child is another for that."""


class Starts:
    """The starts of a rank's children, one after the other."""

    def __init__(self, welcome: Welcome, env: Mapping[str, str], forked: Forked | None) -> None:
        """Have a child's environment be `env`; `forked` may become the first that is started."""
        self._welcome = welcome
        self._env = env
        self._forked = forked
        self._forks = welcome.forks and process_tree.LINUX
        self._server: socket.socket | None = None
        self._own: tuple[Head, Frames] | None = None
        self._asked: KeptHold | None = None
        self._proven = self._skips = False
        self.note = "" if self._forks is welcome.forks else not_forked("needs Linux")

    def start(self, output: Output, world: MpiWorld | None = None) -> ChildProcess:
        """Start a process that prints to `output`, forked if it may be; raises OSError.

        One in a world is not: MPI is begun in a process that knows of it from the first.
        """
        if world is not None:
            return self._start_in(world, output)
        skips, self._skips = self._skips, False
        if self._forks and not skips and (asked := self._ask(output)) is not None:
            self._dismiss()
            return ChildProcess(*asked, output)
        forked, self._forked = self._forked, None
        head, wire = spawn.start(CHILD, output.fileno(), self._env, forked)
        return ChildProcess(OwnHold(head), wire, output)

    def _start_in(self, world: MpiWorld, output: Output) -> ChildProcess:
        env = {**self._env, **world.environment}
        head, wire = spawn.start(CHILD, output.fileno(), env, kept=[world.kept])
        world.begin()
        return ChildProcess(OwnHold(head), wire, output, world)

    def miss(self, child: ChildProcess) -> None:
        """Take note that a process has not come to be: ask another fork server next, or none.

        One that dies before it has forked any may die of the import: the next child tells of what.
        """
        refused = child.hold.refused if isinstance(child.hold, KeptHold) else None
        self._skips = refused is None and not self._proven
        if refused is not None and refused.why:
            self._forks, self.note = False, not_forked(refused.why)
        self._part()

    def close(self) -> None:
        """Need no more; a fork server of ours that is not done with the import will not be."""
        loads = not (self._proven or (self._asked is not None and self._asked.pid))
        if self._own is not None and loads and self._own[0].poll() is None:
            os.kill(self._own[0].pid, signal.SIGKILL)
        self._part()
        self._dismiss()

    def _dismiss(self) -> None:
        if self._forked is not None:
            self._forked.dismiss()
            self._forked = None

    def _part(self) -> None:
        """Leave the fork server."""
        if self._server is not None:
            self._server.close()
        if self._own is not None:
            head, starter = self._own
            starter.close()
            _others[:] = [each for each in (*_others, head) if each.poll() is None]
        self._server = self._own = self._asked = None
        self._proven = False

    def _ask(self, output: Output) -> tuple[KeptHold, socket.socket] | None:
        """Ask the fork server for a child; None where there can't be one."""
        self._proven = self._proven or (self._asked is not None and self._asked.pid > 0)
        gpus = resources.chosen_in(self._env)
        request = msgspec.msgpack.encode(Request(gpus, [*resources.affinity()]))
        for _ in range(TRIES):
            (control, its_control), (wire, its_wire) = socket.socketpair(), socket.socketpair()
            with its_control, its_wire:
                given = [its_control.fileno(), its_wire.fileno(), output.fileno()]
                try:
                    self._server = self._server or self._reach(output)
                    socket.send_fds(self._server, [request], given)
                except OSError:  # it has died; or another rank has just begun to start one
                    control.close()
                    wire.close()
                    self._part()
                else:
                    self._asked = KeptHold(control)
                    return self._asked, wire
        return None

    def _reach(self, output: Output) -> socket.socket:
        """Connect with the fork server, which is started if there is none; raises OSError."""
        name = f"\0hpmpi-{self._surroundings()}"
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.settimeout(CONNECT_S)
        try:
            try:
                server.connect(name)
            except ConnectionRefusedError:
                self._launch(name, output)
                server.connect(name)
            if not is_of_this_user(server):
                raise PermissionError("somebody else has the name")
        except OSError:
            server.close()
            raise
        return server

    def _launch(self, name: str, output: Output) -> None:
        """Start the fork server, unless another rank does; raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(name)
            listening.listen(BACKLOG)
            forked, self._forked = self._forked, None
            head, wire = spawn.start(FORK_SERVER, output.fileno(), self._env, forked)
            process_tree.know(head.pid)
            self._own = head, Frames(wire)
            socket.send_fds(wire, [b"-"], [listening.fileno()])
        self._own[1].send(msgspec.msgpack.encode(self._welcome))
        self._own[1].drain()

    def _surroundings(self) -> str:
        """Digest what must be the same for ranks that share a fork server."""
        from hpmpi.storage.digests import digest  # noqa: PLC0415 - loads OpenSSL

        env = {name: it for name, it in self._env.items() if name not in resources.VARIABLES}
        bound = [os.environ.get(name) for name in (*resources.VARIABLES, STEP_GPUS)]
        spaces = [os.stat(f"/proc/self/ns/{name}").st_ino for name in ("mnt", "pid")]  # noqa: PTH116
        groups = TASK.sub("", Path("/proc/self/cgroup").read_text())
        there = (self._welcome, sorted(env.items()), bound, spaces, groups, str(Path.cwd()))
        return digest(msgspec.msgpack.encode(there))


def not_forked(why: str) -> str:
    """Say why children are started one by one."""
    return (
        f"each rank imports the objective for itself: to fork what one has imported {why}; "
        '[run] start = "spawn" has it so'
    )
