"""What runs in the child process: the objective, job after job.

The child speaks the ranks' own language: it is sent a Welcome, then one Assign after the other, and
it answers with Ready or Unfit, then with Progress, Finished, Failed or Suspended. What it prints
goes to a file that the rank reads when the child is dead. It dies with its rank, and after a
failure, so that no job suffers from what another has left behind in it.

It ends, as any program does, when its rank has hung up. TERM then makes a job end, too.
"""

import io
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from hpmpi import guard, objective
from hpmpi.errors import ObjectiveError
from hpmpi.frames import Frames
from hpmpi.messages import (
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

ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""What a batch system may send to all processes of a run, and an objective may send to its own."""

NOTICES = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What it may send besides; what is forked has no more of it than this process, for it is no pool's
way to end its workers."""

HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)
"""Says that the other end has finished, even where something that it said is unread."""

ERROR_CHARACTERS = 4000
"""How much of an error's text is kept, from its end."""


class Ended(SystemExit):
    """The rank wants this process to end: its job is over its limits, or the run is over."""


class Performer:
    """The child's side of a connection with its rank."""

    def __init__(self, frames: Frames) -> None:
        """Speak over `frames`."""
        self._frames = frames
        self._decoder = msgspec.msgpack.Decoder(Order)
        self._draining = False
        self._speaking = threading.Lock()

    def perform(self) -> None:
        """Load the objective, then do what is asked until the rank hangs up."""
        host = os.uname().nodename
        welcome: Welcome | None = None
        function: objective.Function | None = None
        while messages := self._frames.wait():
            for message in messages:
                match self._decoder.decode(message):
                    case Welcome() as welcome:
                        try:
                            function, notes = objective.prepare(welcome)
                        except Ended:
                            raise
                        except BaseException as error:  # noqa: BLE001 - the user's module
                            self._say(Unfit(host, told(error)))
                            return
                        self._say(Ready(host, os.getpid(), notes))
                    case Assign() as order:
                        assert welcome is not None, "a child is welcomed before its first job"
                        assert function is not None, (
                            "a child has its objective before its first job"
                        )
                        self._draining = False
                        answer = attempt(function, welcome, order, self._say, self._drains)
                        self._say(answer)
                        if isinstance(answer, Failed) and answer.spoils:
                            return
                    case Save():  # the job it was meant for is done
                        pass
                    case _:
                        return

    def _drains(self) -> bool:
        """Look whether the rank has asked for a checkpoint: nothing else is said during a job."""
        self._draining = self._draining or bool(self._frames.receive()) or self._frames.closed
        return self._draining

    def _say(self, report: Report) -> None:
        message = msgspec.msgpack.encode(report)
        with self._speaking:  # an objective may report from threads of its own
            self._frames.send(message)
            self._frames.drain()


def attempt(
    function: objective.Function,
    welcome: Welcome,
    order: Assign,
    say: Callable[[Progress], None],
    drains: objective.Drains,
) -> Finished | Failed | Suspended:
    """Do a job; whatever the objective does, but to end the process, is an answer."""
    job = (order.trial, order.rung, order.attempt)
    pid = os.getpid()

    def publish(point: Point) -> None:
        say(Progress(*job, [point]))

    try:
        trial, checkpoints = objective.open_trial(welcome, order, publish, drains)
        with objective.working_folder(trial, own=welcome.own_folder):
            metrics = objective.check(function(order.config, trial), welcome.metric)
    except objective.Suspend as suspend:
        return Suspended(*job, suspend.saved)
    except ObjectiveError as error:
        return Failed(*job, FailureKind.BAD_VALUE, str(error))
    except Ended:
        raise
    except SystemExit as error:
        return Failed(*job, FailureKind.EXIT, f"the objective called exit({error.code!r})")
    except BaseException as error:  # noqa: BLE001 - the user's objective
        return Failed(*job, FailureKind.EXCEPTION, told(error))
    finally:
        if os.getpid() != pid:  # the objective forked and came back twice: one has to answer
            os._exit(1)
    newest = checkpoints.newest
    return Finished(*job, metrics, saved=newest.resource if newest else 0)


def told(error: BaseException) -> str:
    """Tell an error as Python does, without the lines that are ours."""
    if isinstance(error, ObjectiveError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace)).strip()
    return text[-ERROR_CHARACTERS:].encode(errors="backslashreplace").decode()


def is_ours(file: str) -> bool:
    """Tell the lines between the user's code and us, the import system's included."""
    return Path(file).parent == Path(__file__).parent or file.startswith("<frozen ")


def leave_signals_to_the_rank(wire: socket.socket | None = None) -> None:
    """Let nothing happen where a batch system signals all processes of a run: rank 0 decides.

    But TERM ends the job, and this process, when its rank has hung up: raises Ended, in it.

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
    # Held meanwhile: one that comes to what was just forked is for that, and would be lost.
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
    guard.die_with_parent()
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
