"""The agent on a worker rank: orders in, reports and heartbeats out.

A rank does not run the objective: its child does. So the rank has always time to beat, to kill the
child, and to stop. (Unless the study wants no isolation: then there is a Bare instead of a Child.)
Jobs that come while the child is busy wait in line. Points of a learning curve wait for the next
heartbeat or the end of the job, so that the leader hears a rank rarely. They are of the job in
work: what else comes is from something that another job has left running, and is dropped.

A rank beats at its interval whatever else it says: the leader's answer to a beat is the only sign
that the leader is alive, but for one that thinks. Nobody's silence counts while the rank itself was
held up.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpmpi.errors import TransportError
from hpmpi.guard import guard, sockets
from hpmpi.model.messages import (
    Agreed,
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Fence,
    Finished,
    Goodbye,
    Order,
    Point,
    Progress,
    Ready,
    Recall,
    Report,
    Retire,
    Returned,
    Save,
    Stop,
    Suspended,
    Welcome,
)
from hpmpi.model.trial import AttemptId
from hpmpi.storage import logs
from hpmpi.transports import LEADER, Transport
from hpmpi.worker.bare import Bare
from hpmpi.worker.leader_signs import LeaderSigns
from hpmpi.worker.shared_data import SharedData
from hpmpi.worker.spawn import Forked
from hpmpi.worker.supervisor import Child

FIRST_WORD_S = 600.0
"""How long rank 0 may take to read its files before its first word."""

SILENCES = 10
"""A rank leaves when rank 0 was silent for so many times `patience_s`, and does not renew the lock
of its folder either, as it does while it thinks."""

LOOK_EVERY_S = 0.2
"""How often the child's limits are looked at."""

SEND_EVERY_S = 0.001
"""How often the rest of a large order is sent to the child, as much as there is room for."""

MOST_POINTS = 1000
"""How many points of a learning curve may wait for the next heartbeat."""

END_LOOK_S = 0.02
"""How often it is looked whether the child has ended, when it was told to."""

GOODBYE_S = 1.0
"""How long the last word may take to leave."""


class Agent:
    """A worker rank's life, from the Welcome to the Stop; `welcomed`: whether there was one."""

    def __init__(self, transport: Transport, forked: Forked | None = None) -> None:
        """Work for the leader at the other end; `forked` is to be the first child's process."""
        self.transport = transport
        self.welcomed = False
        self._forked = forked
        self._decoder = msgspec.msgpack.Decoder(Order)
        self._orders: deque[Order] = deque()
        self._jobs: deque[Assign] = deque()
        self._points: list[Point] = []
        self._job: Assign | None = None
        self._introduced = False
        self._heard_at = time.monotonic()
        self._beat_at = 0.0
        self._woke_at = self._heard_at

    def serve(self) -> int:
        """Work until told to stop, or until rank 0 is gone; return the exit code."""
        try:
            welcome = self._await_welcome()
            self.welcomed = welcome is not None
            return 0 if welcome is None else self._serve(welcome)
        except TransportError:
            return 1

    def _serve(self, welcome: Welcome) -> int:
        folder = Path(welcome.folder)
        guard.tell_guard(folder / "status", welcome.start)
        output = logs.path_of(folder, self.transport.rank)
        share = self.transport.share
        self._leader_signs = LeaderSigns(folder)
        self._data = SharedData(welcome, output)
        welcome = self._data.welcome
        child: Child | Bare
        if welcome.isolated:
            child = Child(welcome, output, share, self._forked)
        else:
            if self._forked is not None:
                self._forked.dismiss()
            child = Bare(welcome, output, share, lambda: self._breathe(welcome, child))
        try:
            while (code := self._turn(welcome, child, LOOK_EVERY_S)) is None:
                pass
        finally:
            child.close()
            self._data.close()
        return code

    def _await_welcome(self) -> Welcome | None:
        while time.monotonic() - self._heard_at < FIRST_WORD_S:
            self._listen(1.0)
            while self._orders:
                match self._orders.popleft():
                    case Welcome() as welcome:
                        return welcome
                    case Stop():
                        return None
                    case _:
                        pass
        return None

    def _turn(self, welcome: Welcome, child: Child | Bare, limit_s: float) -> int | None:
        """Do what is due, then wait for news; return the exit code when it is time to leave."""
        now = time.monotonic()
        if now - self._woke_at > welcome.patience_s:
            self._heard_at = now
        self._woke_at = now
        silent = now - self._heard_at > SILENCES * welcome.patience_s
        if silent and not self._leader_signs.show_life(now):
            return 0  # an error would have the guard wait for the end of the run
        self._beat(welcome, now)
        for report in self._data.poll(child.start, now):
            self._say(report)
        self._begin_job(child, now)
        for report in child.poll(now):
            self._pass_on(report)
        if self._jobs and self._job is None:
            limit_s = 0.0
        if child.unsent:
            limit_s = min(limit_s, SEND_EVERY_S)
        if child.is_ending:
            limit_s = min(limit_s, END_LOOK_S)
        wait_s = max(0.0, min(self._beat_at + welcome.beat_s - now, limit_s))
        expects = self._job is not None or not self._introduced or child.is_in_world
        news = [*self._data.descriptors(), *child.descriptors()] if expects else ()
        self._listen(wait_s, news)
        return 0 if self._obey(welcome, child) else None

    def _begin_job(self, child: Child | Bare, now: float) -> None:
        if self._jobs and self._job is None:
            self._job = self._jobs.popleft()
            child.assign(self._job, now)

    def _breathe(self, welcome: Welcome, child: Child | Bare) -> None:
        """Take a turn in the middle of a job, which may be the last."""
        code = self._turn(welcome, child, 0.0)
        if code is not None:
            os._exit(code)

    def _obey(self, welcome: Welcome, child: Child | Bare) -> bool:
        """Follow the orders; true if one was to leave, and that is done."""
        while self._orders:
            match self._orders.popleft():
                case Assign() as order:
                    self._jobs.append(order)
                case Cancel() as order:
                    self._cancel(order, child)
                case Recall(attempt):
                    if self._leaves_line(attempt):
                        self._say(Returned(attempt))
                case Agreed() | Fence() as word:  # of a job that has come before it
                    self._begin_job(child, time.monotonic())
                    child.tell(word, time.monotonic())
                case Save():  # it is meant for what has come before it
                    self._begin_job(child, time.monotonic())
                    child.save()
                case Retire():
                    child.retire(time.monotonic())
                case Stop():
                    self._part(welcome, child)
                    return True
                case _:
                    pass
        return False

    def _cancel(self, order: Cancel, child: Child | Bare) -> None:
        """Take an attempt out of the line, or have the child end it."""
        if self._leaves_line(order.attempt):
            self._say(Cancelled(order.attempt))
        else:
            child.cancel(order, time.monotonic())

    def _leaves_line(self, attempt: AttemptId) -> bool:
        """Take an attempt out of the line; false where it is not in it, or no more."""
        waiting = next((job for job in self._jobs if job.attempt == attempt), None)
        if waiting is not None:
            self._jobs.remove(waiting)
        return waiting is not None

    def _part(self, welcome: Welcome, child: Child | Bare) -> None:
        """Have the child end in order, and beat meanwhile; then say goodbye."""
        child.retire(time.monotonic())
        while not child.ended:
            now = time.monotonic()
            self._beat(welcome, now)
            child.poll(now)
            self._listen(END_LOOK_S, child.descriptors())
        self._data.close()  # rank 0 waits for who has not yet said goodbye
        self._say(Goodbye())
        self.transport.leave(GOODBYE_S)

    def _beat(self, welcome: Welcome, now: float) -> None:
        if now - self._beat_at >= welcome.beat_s:
            self._beat_at = now
            sockets.hold()
            self._pass_points_on()
            self._say(Beat())

    def _listen(self, limit_s: float, wake: Sequence[int] = ()) -> None:
        for _, message in self.transport.poll(limit_s, wake):
            self._heard_at = time.monotonic()
            self._orders.append(self._decoder.decode(message))
        if LEADER in self.transport.underway:
            self._heard_at = time.monotonic()

    def _pass_on(self, report: Report) -> None:
        match report:
            case Finished() | Failed() | Suspended() | Cancelled() | Done():
                self._pass_points_on()
                self._job = None
            case Progress():
                self._add_points(report)
                return
            case Ready() if self._introduced:
                return
            case Ready():
                sockets.hold()
                self._introduced = True
            case _:
                pass
        self._say(report)

    def _add_points(self, said: Progress) -> None:
        self._points += said.points
        if len(self._points) >= MOST_POINTS:
            self._pass_points_on()

    def _pass_points_on(self) -> None:
        if self._points and self._job is not None:
            self._say(Progress(self._job.attempt, self._points))
            self._points = []

    def _say(self, report: Report) -> None:
        self.transport.send(LEADER, msgspec.msgpack.encode(report))
