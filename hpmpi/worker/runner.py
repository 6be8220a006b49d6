"""What runs in the child process: the objective, job after job.

The child speaks the ranks' own language: it is sent a Welcome, then one Assign after the other, and
it answers with Ready or Unfit, then with Progress, Finished, Failed or Suspended. What it prints
goes to a file that the rank reads when the child is dead. It dies with its rank, and after a
failure, so that no job suffers from what another has left behind in it.

It ends, as any program does, when its rank has hung up. TERM then makes a job end, too.

Rules:

- While a job is in work, nothing but Save is sent here, and that is looked for without being read:
  an objective may ask in threads and processes of its own, and what is read is missed by others.
- An answer is the last word on its attempt: what the objective has left running reports no more.
- Where a drain's Suspend was raised the answer is Suspended, whatever the objective did with it.
"""

import io
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

import msgspec

from hpmpi.errors import ObjectiveError
from hpmpi.guard import process_tree
from hpmpi.model.messages import (
    Answer,
    Assign,
    Failed,
    FailureKind,
    Finished,
    Order,
    Point,
    Progress,
    Ready,
    Report,
    Save,
    Suspended,
    Unfit,
    Welcome,
)
from hpmpi.model.trial import Metrics
from hpmpi.transports.framing import Frames
from hpmpi.worker import handle, objective
from hpmpi.worker.error_text import describe
from hpmpi.worker.metrics import check

ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""What a batch system may send to all processes of a run, and an objective may send to its own."""

NOTICES = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What it may send besides; what is forked has no more of it than this process, for it is no pool's
way to end its workers."""

HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)
"""Says that the other end has finished, even where something that it said is unread."""


class Ended(SystemExit):
    """The rank wants this process to end: its job is over its limits, or the run is over."""


class Performer:
    """The child's side of a connection with its rank."""

    def __init__(self, frames: Frames) -> None:
        """Speak over `frames`."""
        self._frames = frames
        self._decoder = msgspec.msgpack.Decoder(Order)
        self._orders: deque[Order] = deque()
        self._attempts: Attempts | None = None
        self._speaking = threading.Lock()

    def perform(self) -> None:
        """Load the objective, then do what is asked until the rank hangs up."""
        while messages := self._frames.wait():
            self._orders += map(self._decoder.decode, messages)
            while self._orders:
                if not self._obey(self._orders.popleft()):
                    return

    def _obey(self, order: Order) -> bool:
        """Follow an order; false if this process is to end."""
        match order:
            case Assign():
                assert self._attempts is not None, "a child is welcomed before its first job"
                answer = self._attempts.make(order, self._say, self._drains)
                self._say(answer)
                return not (isinstance(answer, Failed) and answer.spoils)
            case Welcome():
                return self._load(order)
            case Save():  # the job it was meant for is done
                return True
            case _:
                return False

    def _load(self, welcome: Welcome) -> bool:
        host = os.uname().nodename
        try:
            self._attempts = Attempts(welcome)
        except Ended:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's module
            self._say(Unfit(host, describe(error)))
            return False
        self._say(Ready(host, os.getpid(), self._attempts.notes))
        return True

    def _drains(self) -> bool:
        """Look whether the rank has asked for a checkpoint: nothing else is said during a job."""
        return bool(self._orders) or self._frames.unheard

    def _say(self, report: Report) -> None:
        message = msgspec.msgpack.encode(report)
        with self._speaking:  # an objective may report from threads of its own
            self._frames.send(message)
            self._frames.drain()


class Mishap(NamedTuple):
    """Why an attempt came to nothing."""

    kind: FailureKind
    error: str


class Attempts:
    """One attempt after the other, in one process.

    After each, the process goes back to the folder that it began in, and a timer that was set is
    stopped: it would go off in the middle of another job. What modules have in memory stays, and
    so do the environment, the import path and the handlers of signals, on which modules rely that
    were imported meanwhile. Who must have none of it asks for another process.
    """

    def __init__(self, welcome: Welcome) -> None:
        """Load the objective, and keep its `notes`; whatever the user's module raises comes out."""
        self._welcome = welcome
        self._function, self.notes = objective.prepare(welcome)
        self._request = handle.SuspendRequest()
        self._used = False
        self._timed = signal.getitimer(signal.ITIMER_REAL)[0] > 0.0

    def make(self, order: Assign, say: Callable[[Progress], None], drains: handle.Drains) -> Answer:
        """Make an attempt; whatever the objective does, but to end the process, is an answer."""
        job = (order.trial, order.rung, order.attempt)
        used, self._used = self._used, True

        def publish(point: Point) -> None:
            say(Progress(*job, [point]))

        try:
            trial, checkpoints = handle.open_trial(
                self._welcome, order, publish, drains, self._request
            )
        except BaseException as error:  # noqa: BLE001 - a file system
            return Failed(*job, FailureKind.EXCEPTION, describe(error), used)
        came = self._call(order, trial)
        if not self._timed:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        suspended = trial.end()
        newest = checkpoints.look() if suspended else checkpoints.newest
        saved = newest.resource if newest else 0
        if suspended:  # and it may have caught what told it so, in any of its processes
            return Suspended(*job, saved)
        if isinstance(came, Mishap):
            return Failed(*job, came.kind, came.error, used)
        return Finished(*job, came, saved)

    def _call(self, order: Assign, trial: handle.Trial) -> Metrics | Mishap:
        pid = os.getpid()
        try:
            with handle.working_folder(trial, own=self._welcome.own_folder):
                return check(self._function(order.config, trial), self._welcome.metric)
        except ObjectiveError as error:
            return Mishap(FailureKind.BAD_VALUE, str(error))
        except Ended:
            raise
        except SystemExit as error:
            return Mishap(FailureKind.EXIT, f"the objective called exit({error.code!r})")
        except BaseException as error:  # noqa: BLE001 - the user's objective
            return Mishap(FailureKind.EXCEPTION, describe(error))
        finally:
            if os.getpid() != pid:  # the objective forked and came back twice: one has to answer
                os._exit(1)


def leave_signals_to_the_rank(wire: socket.socket | None = None) -> None:
    """Install handlers that do nothing: a batch system signals all processes of a run.

    Rank 0 alone decides what follows. But TERM raises Ended in the job where the rank has hung up.

    What the objective forks is as it would be without this: pools end their workers by TERM. What
    it starts, too: handlers end with a process's program, and only what is ignored stays so.
    """
    forking = threading.local()

    def hold() -> None:
        forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, forking.mask)

    def reset() -> None:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        release()

    def heed(_number: int, _frame: FrameType | None) -> None:
        if wire is not None and is_hung_up(wire):
            raise Ended

    for number in (*ENDINGS, *NOTICES):
        if signal.getsignal(number) != signal.SIG_IGN:  # by nohup, say
            signal.signal(number, heed if number == signal.SIGTERM else lambda *_: None)
    # AttemptId meanwhile: one that comes to what was just forked is for that, and would be lost.
    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=reset)


def is_hung_up(wire: socket.socket) -> bool:
    """Tell whether the other end of a connection says nothing more, or this one is closed."""
    poll = select.poll()
    try:
        poll.register(wire, HUNG_UP)
    except ValueError:
        return True
    return bool(poll.poll(0))


def main(descriptor: str) -> None:
    """Be the child whose rank is at the other end of a socket."""
    process_tree.die_with_parent()
    unbuffer()
    wire = socket.socket(fileno=int(descriptor))
    leave_signals_to_the_rank(wire)
    perform(wire)


def unbuffer() -> None:
    """Write what is printed at once: what is not yet written when a process crashes is missed.

    And whatever it is, where few letters are known.

    Not by PYTHONUNBUFFERED, which all that the objective starts would have, too.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        raw = io.FileIO(stream.fileno(), "wb", closefd=False)
        stream = io.TextIOWrapper(raw, stream.encoding, "backslashreplace", write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def perform(wire: socket.socket) -> None:
    """Do what the rank at the other end asks for."""
    del sys.argv[1:]  # not meant for the objective
    Performer(Frames(wire)).perform()


if __name__ == "__main__":
    main(sys.argv[1])
