"""The supervisor of an objective's process: what its Lifecycle decides is done here.

Whatever an objective does, all that its rank gets is a report. The child stays for the next job, so
that imports are paid once, unless one has failed; what a job has left running stays with it, and
ends with it. It ends as any program does: buffers are flushed, `finally` and atexit hooks run.
"""

import os
import signal
import socket
import time
from pathlib import Path

import msgspec

from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Family, Head
from hpmpi.model.messages import Assign, Failed, Report, Retire, Save, Unfit, Welcome
from hpmpi.transports import resources
from hpmpi.transports.framing import Frames, await_any
from hpmpi.transports.resources import Share
from hpmpi.worker import spawn
from hpmpi.worker.ending import explain
from hpmpi.worker.environment import environment
from hpmpi.worker.lifecycle import (
    BUSY,
    IDLE,
    NEW,
    Act,
    Died,
    Event,
    HungUp,
    Lifecycle,
    PassOn,
    Send,
    Started,
    Tick,
)
from hpmpi.worker.log_file import Output
from hpmpi.worker.memory import memory_of
from hpmpi.worker.spawn import Forked

END_LOOK_S = 0.002
"""How often one who waits for the end looks."""

KILL_S = 0.1
"""How long the killed are waited for at a time."""

CLOSE_S = 2.0
"""How long they are waited for at the end."""

HANG_UP_S = 0.1
"""How long a child that has hung up may take to end."""

CHECK_EVERY_S = 0.05
"""How often it is looked whether a child lives, that has not hung up."""

COUNT_EVERY_S = 1.0
"""How old, when a job begins, the count may be of what the kernel has killed."""

LOOK_EVERY_S = 0.5
"""How often memory and output are looked at."""

LOOK_SHARE = 0.02
"""The share of a core that this may take."""


class Child:
    """The child of a rank; times are those of one monotonic clock, in seconds."""

    def __init__(
        self, welcome: Welcome, output: Path, share: Share, forked: Forked | None = None
    ) -> None:
        """Prepare; `start` starts it. What it prints is appended to the file `output`."""
        self._welcome = welcome
        self._path = output
        self._share = share
        self._forked = forked
        self._life = Lifecycle(welcome, resources.host())
        self._decoder = msgspec.msgpack.Decoder(Report)
        self._process: Process | None = None
        self._reports: list[Report] = []
        self._check_at = self._look_at = 0.0

    def start(self, now: float) -> None:
        """Start a process and have it load the objective, where one is to be started."""
        if self._life.state is not NEW:
            return
        process_tree.adopt()
        error = resources.refusal(self._share, self._welcome.gpus_per_trial)
        if error is None:
            try:
                self._process = self._spawn()
            except OSError as raised:
                error = f"the objective's process can't be started: {raised}"
        self._handle(Started() if error is None else Unfit(resources.host(), error), now)

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of the child."""
        if self._process is None or self._process.frames.closed:
            return []
        return [self._process.frames.fileno()]

    @property
    def unsent(self) -> bool:
        """Whether the child is being sent more than goes at once: `poll` goes on with it."""
        return self._process is not None and self._process.frames.unsent

    def assign(self, order: Assign, now: float) -> None:
        """Have the child do a job, or the next child where this one ends or would not do."""
        self._handle(order, now)

    def save(self) -> None:
        """Pass on that the job in work is to end with its next checkpoint."""
        self._handle(Save(), 0.0)

    def poll(self, now: float) -> list[Report]:
        """Take in what the child says; enforce its limits; speak for it when it is dead."""
        if self._process is not None:
            self._poll(self._process, now)
        reports, self._reports = self._reports, []
        return reports

    def retire(self, now: float) -> None:
        """Have the child end in order, and no other follow: `poll` sees to it until it has."""
        self._handle(Retire(), now)

    @property
    def ended(self) -> bool:
        """Whether there is no process."""
        return self._process is None

    def leave(self) -> None:
        """End the child in order, and wait for that."""
        self.retire(time.monotonic())
        while not self.ended:
            self.poll(time.monotonic())
            await_any(self.descriptors(), limit_s=END_LOOK_S)

    def close(self) -> None:
        """End the child, and all it has started, now."""
        if self._process is not None:
            self._process.family.kill(CLOSE_S)
            self._release(self._process)

    def _poll(self, process: "Process", now: float) -> None:
        frames = process.frames
        frames.flush()
        self._hear(frames, now)
        answered = bool(self._reports) and self._life.state is IDLE
        if (answered or now < self._check_at) and not frames.closed:
            return  # a rank waits for its next job
        self._check_at = now + CHECK_EVERY_S
        process_tree.bury_orphans()
        code = process.head.poll()
        self._hear(frames, now)  # its last words
        if code is None and frames.closed:
            code = process.await_end(HANG_UP_S)
        if code is not None:
            self._bury(process, code, now)
            return
        if frames.closed:
            self._handle(HungUp(rubbish=frames.malformed), now)
        used_mb = self._measure_mb(process, now) if now >= self._look_at else 0.0
        self._handle(Tick(used_mb), now)

    def _hear(self, frames: Frames, now: float) -> None:
        try:
            reports = [self._decoder.decode(message) for message in frames.receive()]
        except msgspec.DecodeError:
            self._handle(HungUp(rubbish=True), now)
        else:
            for report in reports:
                self._handle(report, now)

    def _bury(self, process: "Process", code: int, now: float) -> None:
        if process.family.kill(KILL_S):  # the next has the memory only when they are gone
            died = Died(code, process.is_taken(), process.output.tail())
            self._release(process)
            self._handle(died, now)
            self.start(now)

    def _measure_mb(self, process: "Process", now: float) -> float:
        """Measure the memory of a job that has a limit, and hold the output to its own."""
        began_at = time.monotonic()
        process.output.trim()
        used, memory_mb = 0, self._welcome.memory_mb
        if memory_mb is not None and self._life.state is BUSY:
            data = self._welcome.data and os.path.realpath(self._welcome.data)
            used = memory_of(process.family.members(), memory_mb * 1e6, data)
        took_s = time.monotonic() - began_at
        self._look_at = now + max(LOOK_EVERY_S, took_s / LOOK_SHARE)
        return used / 1e6

    def _handle(self, event: Event, now: float) -> None:
        was = self._life.state
        commands = self._life.handle(event, now)
        if self._life.state is BUSY is not was and self._process is not None:
            self._process.begin_job(loaded=was is IDLE)
        for command in commands:
            if isinstance(command, PassOn):
                self._pass_on(command.report)
            elif self._process is not None:
                self._process.do(command)

    def _pass_on(self, report: Report) -> None:
        if isinstance(report, Failed) and self._process is not None:
            report = explain(report, self._process.is_taken)
        self._reports.append(report)

    def _spawn(self) -> "Process":
        output = Output(self._path)
        env = environment(self._share, self._welcome.gpus_per_trial)
        forked, self._forked = self._forked, None
        try:
            return Process(*spawn.start(output.fileno(), env, forked), output)
        except OSError:
            output.close()
            raise

    def _release(self, process: "Process") -> None:
        process.frames.close()
        process.output.close()
        self._process = None


class Process:
    """What there is of a process that was started: the head of a family, its connection, output."""

    def __init__(self, head: Head, wire: socket.socket, output: Output) -> None:
        """Look after it from now on."""
        self.head = head
        self.frames = Frames(wire)
        self.output = output
        self.family = Family(head)
        process_tree.offer_to_kernel(head.pid)
        self._counted_at = time.monotonic()
        self._taken_before = process_tree.taken_by_kernel()

    def do(self, command: Send | Act) -> None:
        """Do something to it."""
        match command:
            case Send(order):
                self.frames.send(msgspec.msgpack.encode(order))
            case Act.HANG_UP:
                self.frames.finish()
            case Act.INTERRUPT if self.head.poll() is None:
                os.kill(self.head.pid, signal.SIGTERM)
            case Act.TERM:
                self.family.signal(signal.SIGTERM)
            case Act.KILL:
                self.family.kill(KILL_S)
            case _:
                pass

    def await_end(self, limit_s: float) -> int | None:
        """Wait for its end for a moment; return its exit code."""
        gives_up_at = time.monotonic() + limit_s
        while (code := self.head.poll()) is None and time.monotonic() < gives_up_at:
            time.sleep(END_LOOK_S)
        return code

    def begin_job(self, *, loaded: bool) -> None:
        """Tell its output, and whom the kernel kills from now on, from what was before."""
        if loaded:  # or it may have begun before its rank has heard that it could
            self.output.mark()
        if time.monotonic() - self._counted_at > COUNT_EVERY_S:
            self._counted_at = time.monotonic()
            self._taken_before = process_tree.taken_by_kernel()

    def is_taken(self) -> bool:
        """Tell whether the kernel has killed somebody on this machine since its job began."""
        return process_tree.taken_by_kernel() > self._taken_before
