"""What runs in the child process: the objective, job after job.

The child speaks the ranks' own language: it is sent a Welcome, then one Assign after the other, and
it answers with Ready or Unfit, then with Progress, Finished, Failed or Suspended. What it prints
goes to a file that the rank reads when the child is dead. It dies with its rank, and after a
failure, so that no job suffers from what another has left behind in it.

It ends, as any program does, when its rank has hung up. TERM then makes a job end, too.

Rules:

- While a job is in work, nothing but Save is sent here, and that is looked for without being read:
  an objective may ask in threads and processes of its own, and what is read is missed by others.
  But members of a group, other than the first, are told what that has decided.
"""

import io
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from types import FrameType

import msgspec

from hpmpi.guard import process_tree
from hpmpi.model.messages import (
    Agreed,
    Assign,
    Failed,
    Order,
    Ready,
    Report,
    Save,
    Unfit,
    Welcome,
)
from hpmpi.model.trial import AttemptId
from hpmpi.transports.framing import Frames
from hpmpi.worker.attempts import AttemptEnded, AttemptRunner
from hpmpi.worker.error_text import told
from hpmpi.worker.group import Voice

ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""What a batch system may send to all processes of a run, and an objective may send to its own."""

NOTICES = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What it may send besides; what is forked has no more of it than this process, for it is no pool's
way to end its workers."""

HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)
"""Says that the other end has finished, even where something that it said is unread."""


class Performer:
    """The child's side of a connection with its rank."""

    def __init__(self, frames: Frames) -> None:
        """Speak over `frames`."""
        self._frames = frames
        self._decoder = msgspec.msgpack.Decoder(Order)
        self._orders: deque[Order] = deque()
        self._words: dict[tuple[AttemptId, str, int], Agreed] = {}
        self._attempts: AttemptRunner | None = None
        self._speaking, self._hearing = threading.Lock(), threading.Lock()
        self._voice = Voice(self._say, self._hear)
        self._is_told = False

    def perform(self) -> None:
        """Load the objective, then do what is asked until the rank hangs up."""
        while messages := self._frames.wait():
            self._take_in(messages)
            while self._orders:
                if not self._obey(self._orders.popleft()):
                    return

    def _take_in(self, messages: list[bytes]) -> None:
        for order in map(self._decoder.decode, messages):
            if isinstance(order, Agreed):
                self._words[order.attempt, order.topic, order.number] = order
            else:
                self._orders.append(order)

    def _hear(self, attempt: AttemptId, topic: str, number: int) -> Agreed:
        """Wait for a word of the first member; a rank that hangs up ends the attempt."""
        with self._hearing:
            while (attempt, topic, number) not in self._words:
                messages = self._frames.wait()
                if not messages:
                    raise AttemptEnded
                self._take_in(messages)
            return self._words.pop((attempt, topic, number))

    def _obey(self, order: Order) -> bool:
        """Follow an order; false if this process is to end."""
        match order:
            case Assign():
                assert self._attempts is not None, "a child is welcomed before its first job"
                self._is_told = order.member is not None and not order.member.leads
                answer = self._attempts.make(order, self._say, self._drains, self._voice)
                self._words.clear()
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
            self._attempts = AttemptRunner(welcome)
        except AttemptEnded:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's module
            self._say(Unfit(host, told(error)))
            return False
        self._say(Ready(host, os.getpid(), self._attempts.notes))
        return True

    def _drains(self) -> bool:
        """Look whether the rank has asked for a checkpoint: nothing else is said during a job.

        But to a member of a group that is told what another decides.
        """
        if self._is_told:
            with self._hearing:
                self._take_in(self._frames.receive())
            return bool(self._orders)
        return bool(self._orders) or self._frames.unheard

    def _say(self, report: Report) -> None:
        message = msgspec.msgpack.encode(report)
        with self._speaking:  # an objective may report from threads of its own
            self._frames.send(message)
            self._frames.drain()


def leave_signals_to_the_rank() -> None:
    """Install handlers that do nothing: a batch system signals all processes of a run.

    Rank 0 alone decides what follows. But TERM raises AttemptEnded in the job where the rank has
    hung up that this process is `heard_by`.

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
        if any(map(is_hung_up, heard_by)):
            raise AttemptEnded

    for number in (*ENDINGS, *NOTICES):
        if signal.getsignal(number) != signal.SIG_IGN:  # by nohup, say
            signal.signal(number, heed if number == signal.SIGTERM else lambda *_: None)
    # Held meanwhile: one that comes to what was just forked is for that, and would be lost.
    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=reset)


heard_by: list[socket.socket] = []
"""The connection with the rank whose child this process is, if it is one's."""


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
    wire.set_inheritable(False)  # what an objective starts would hold its end
    heard_by[:] = [wire]
    leave_signals_to_the_rank()
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
