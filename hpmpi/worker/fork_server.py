"""The fork server of a node: it imports the objective once, and forks the children of all ranks.

    socket (no port, no file) <--- rank: the descriptors of a child, and what is its own
             |
             +--- forks ---> keeper --- forks ---> child, as if it was started

It does nothing else: jobs are between a child and its rank, its end between keeper and rank. It
ends with the last rank that is connected. Another follows where it has died, and where a file has
changed that the objective is imported from.

Rules:

- What the import leaves must be as good in a fork: no threads but those that libraries end by
  themselves before a fork, no process, and nothing open: no file, no device, no connection. Else
  each rank starts its own.
- A child is not another: its GPUs and CPUs are its rank's, its random numbers its own. But what a
  module reads of the variables of GPUs while it is imported are those of the rank that was first.
"""

import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Family
from hpmpi.model.messages import Unfit, Welcome
from hpmpi.transports import resources
from hpmpi.transports.framing import Frames, await_any
from hpmpi.worker import keeper, objective, runner, spawn
from hpmpi.worker.error_text import PACKAGE, told
from hpmpi.worker.kept import Born, Ended, Refused, Request, is_of_this_user
from hpmpi.worker.process import KILL_S

MOST_BYTES = 1 << 16
"""How long a request may be."""

MOST_NAMED = 3
"""How many threads or files are named that are in the way."""

SAFE = "jemalloc_bg_thd"
"""A thread that is in no fork's way: jemalloc, which pyarrow has, starts another there (its
`background_thread_postfork_child`)."""

PLAIN = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
"""Devices that all processes may share."""


DECODE = msgspec.msgpack.Decoder(Request).decode


class Imported:
    """What the import of an objective has come to: `unfit`, what it raised; `why` no forks."""

    def __init__(self, welcome: Welcome) -> None:
        """Import it."""
        before, modules = spawn.opened(), {*sys.modules}
        gpus = resources.chosen_in(os.environ)
        self.unfit = self.why = ""
        atexit.register(gc.unfreeze)  # what is frozen is not let go at the end, nor its files
        try:
            objective.load(welcome.objective, Path(welcome.origin))
        except BaseException as error:  # noqa: BLE001 - the user's module
            self.unfit = told(error)
        else:
            self.why = "; ".join(obstacles(before))
        self.sets_gpus = resources.chosen_in(os.environ) != gpus
        self._stamps = dict(stamps({*sys.modules} - modules))
        self.handlers = {each: signal.getsignal(each) for each in runner.ENDINGS}
        gc.collect()
        gc.freeze()  # or the next collection would copy all of it, in each child

    @property
    def stale(self) -> bool:
        """Whether a file has changed that the objective is imported from."""
        return any(stamp != stamp_of(file) for file, stamp in self._stamps.items())


class ForkServer:
    """Who forks children for those that are connected."""

    def __init__(self, imported: Imported, listening: socket.socket, starter: Frames) -> None:
        """Serve who connects, as long as somebody is: first of all the rank that has started it."""
        self._imported = imported
        self._listening = listening
        self._starter = starter
        self._ranks: dict[int, socket.socket] = {}
        self._ends: set[int] = set()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def serve(self) -> socket.socket | None:
        """Serve until nobody is connected; return the connection with its rank in a child."""
        while self._ranks or not self._starter.closed:
            starter = [] if self._starter.closed else [self._starter.fileno()]
            ready = await_any([self._listening.fileno(), *starter, *self._ranks, *self._ends])
            self._bury(ready & self._ends)
            if self._listening.fileno() in ready:
                self._accept()
            if ready.intersection(starter):
                self._starter.receive()
            for number in ready & self._ranks.keys():
                if (wire := self._hear(number)) is not None:
                    return wire
        return None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it has left
            rank, _ = self._listening.accept()
            if is_of_this_user(rank):
                self._ranks[rank.fileno()] = rank
            else:
                rank.close()

    def _hear(self, number: int) -> socket.socket | None:
        """Do what a rank asks for, or forget one that has left."""
        message, received, _, _ = b"", list[int](), 0, None
        with contextlib.suppress(OSError):
            message, received, _, _ = socket.recv_fds(self._ranks[number], MOST_BYTES, 3)
        if not message:
            self._ranks.pop(number).close()
            return None
        control, wire, output = received
        with socket.socket(fileno=control) as controlled:
            child = socket.socket(fileno=wire)
            is_child = self._answer(DECODE(message), controlled, child, output)
            os.close(output)
        if is_child:
            return child
        child.close()
        return None

    def _answer(
        self, request: Request, control: socket.socket, wire: socket.socket, output: int
    ) -> bool:
        """Fork a child, or say why there is none; true in the child."""
        refused = Refused(self._imported.why, stale=self._imported.stale)
        if refused.stale or refused.why:
            say(control, refused)
            if refused.stale:
                self._listening.close()  # so that another can take the place
        elif self._imported.unfit:
            say(wire, Unfit(resources.host(), self._imported.unfit))
            say(control, Born(0, 0), Ended(0))
        elif pid := keeper.fork(control):
            self._ends.update(process_tree.end_of(pid))
        else:
            self._become(request, wire, output)
            return True
        return False

    def _become(self, request: Request, wire: socket.socket, output: int) -> None:
        """Be as if started by the rank that asks."""
        for connection in (self._listening, *self._ranks.values()):
            connection.close()
        self._starter.close()
        for each in self._ends:
            os.close(each)
        spawn.print_to(output)
        os.sched_setaffinity(0, request.cpus)
        if not self._imported.sets_gpus:
            for name in resources.VARIABLES:
                os.environ.pop(name, None)
            os.environ.update(request.gpus)
        draw_anew()
        runner.heard_by[:] = [wire]
        for number, handler in self._imported.handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _bury(self, ended: set[int]) -> None:
        """Take note of the end of keepers, and kill what those have left that were killed."""
        for each in ended:
            self._ends.discard(each)
            os.close(each)
        if ended:
            Family(None).kill(KILL_S)


def perform(wire: socket.socket) -> None:
    """Be the fork server that the rank at the other end has started."""
    process_tree.outlive_parent()
    process_tree.adopt()
    runner.heard_by.clear()
    del sys.argv[1:]  # not meant for the objective
    _, (listening,), _, _ = socket.recv_fds(wire, 1, 1)
    starter, name = Frames(wire), process_tree.rename(process_tree.FORK_SERVER)
    orders = starter.wait()
    if not orders:
        return
    imported = Imported(msgspec.msgpack.decode(orders[0], type=Welcome))
    child = ForkServer(imported, socket.socket(fileno=listening), starter).serve()
    if child is None:
        os._exit(0)  # no hook of the objective's is for this process
    process_tree.rename(name)
    runner.perform(child)


def main(descriptor: str) -> None:
    """Be the fork server whose starter is at the other end of a socket."""
    runner.unbuffer()
    wire = socket.socket(fileno=int(descriptor))
    wire.set_inheritable(False)  # what an objective starts would hold its end
    runner.leave_signals_to_the_rank()
    perform(wire)


# -- what an import leaves -------------------------------------------------------------------------


def obstacles(before: set[int]) -> Iterator[str]:
    """Say what an import has left that no fork could have, or should not share."""
    if (pid := os.fork()) == 0:  # libraries that know of forks end their threads before one
        os._exit(0)
    os.waitpid(pid, 0)
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    names = sorted({(task / "comm").read_text().strip() for task in tasks} - {SAFE})
    if names:  # those without one have ours
        yield f"starts threads: {', '.join(names[:MOST_NAMED])}"
    if process_tree.children():
        yield "starts a process"
    names = sorted(name for each in spawn.opened() - before if (name := unshared(each)))
    if names:
        yield f"opens {', '.join(names[:MOST_NAMED])}"


def unshared(descriptor: int) -> str:
    """Name what is open, where processes can't share it: of a file, they would share the place."""
    name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    return "" if name in PLAIN else name


def stamps(modules: set[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Stamp the files of modules that are no part of what is installed."""
    installed = {*sysconfig.get_paths().values(), str(PACKAGE)}
    for name in modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and not file.startswith(tuple(installed)):
            yield file, stamp_of(file)


def stamp_of(file: str) -> tuple[int, int]:
    """Return what a file differs by when it has changed; zeros where it is gone."""
    with contextlib.suppress(OSError):
        seen = os.stat(file)  # noqa: PTH116 - for each child
        return seen.st_mtime_ns, seen.st_size
    return 0, 0


# -- what a child is given -------------------------------------------------------------------------


def draw_anew() -> None:
    """Seed by the machine what it seeds in a process that is started; Python does so itself."""
    if (numpy := sys.modules.get("numpy")) is not None and "numpy.random" in sys.modules:
        numpy.random.seed()


def say(connection: socket.socket, *told: msgspec.Struct) -> None:
    """Send what is small, and hang up."""
    frames = Frames(connection)
    for each in told:
        frames.send(msgspec.msgpack.encode(each))


if __name__ == "__main__":
    main(sys.argv[1])
