"""One objective in one process: start, watch, limit, kill.

    loading --Ready--> idle --assign--> busy --its answer--> idle
       ^                                  |
       |            over its time or memory limit, or the run is over: it is ended
       +--------- dead: what is left of its family is killed; then a report in its name, and
                  another child is started

Whatever an objective does, all that its rank gets is a report. The child stays for the next job, so
that imports are paid once, unless one has failed; what a job has left running stays with it, and
ends with it.

It ends as any program does: buffers are flushed, `finally` and atexit hooks run. What it says while
it is being ended is no answer: its pool's workers may have died of our TERM, and what is told then
comes after the cause.
"""

import math
import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Family
from hpmpi.model.messages import (
    OUTPUT,
    Assign,
    Failed,
    FailureKind,
    Finished,
    Ready,
    Report,
    Save,
    Stop,
    Suspended,
    Unfit,
    Welcome,
)
from hpmpi.transports import resources
from hpmpi.transports.framing import Frames, await_any
from hpmpi.transports.resources import Share
from hpmpi.worker import spawn
from hpmpi.worker.ending import Ending, cause, ending, explained, over_time
from hpmpi.worker.environment import environment
from hpmpi.worker.log_file import Output
from hpmpi.worker.memory import memory_of
from hpmpi.worker.spawn import Forked, Head

END_LOOK_S = 0.01
"""How often one who waits for the end looks."""

KILL_S = 0.1
CLOSE_S = 2.0
"""How long the killed are waited for at a time, and at the end."""

HANG_UP_S = 0.1
"""How long a child that has hung up may take to end."""

CHECK_EVERY_S = 0.05
"""How often it is looked whether a child lives, that has not hung up."""

COUNT_EVERY_S = 1.0
"""How old, when a job begins, the count may be of what the kernel has killed."""

LOOK_EVERY_S = 0.5
LOOK_SHARE = 0.02
"""How often memory and output are looked at, and the share of a core that this may take."""

MAX_CRASHES = 3
"""How many children may die in a row while they load the objective."""


class Child:
    """The child of a rank; times are those of one monotonic clock, in seconds."""

    def __init__(
        self, welcome: Welcome, output: Path, share: Share, forked: Forked | None = None
    ) -> None:
        """Prepare; `start` starts it. What it prints is appended to the file `output`."""
        self._forked = forked
        self._welcome = welcome
        self._path = output
        self._share = share
        self._decoder = msgspec.msgpack.Decoder(Report)
        self._process: Head | None = None
        self._family = Family(None)
        self._output: Output | None = None
        self._frames: Frames | None = None
        self._job: Assign | None = None
        self._used = self._saves = False
        self._loaded = False
        self._unfit = False
        self._retired = False
        self._crashes = 0
        self._refusal: Unfit | None = None
        self._began_at: float | None = None
        self._check_at = 0.0
        self._look_at = 0.0
        self._taken_before = 0
        self._counted_at = -math.inf
        self._ending: Ending | None = None

    def start(self) -> None:
        """Start the process and have it load the objective."""
        process_tree.adopt()
        if no_gpus := resources.refusal(self._share, self._welcome.gpus_per_trial):
            self._refuse(no_gpus)
            return
        try:
            self._start()
        except OSError as error:
            self._hang_up()
            self._refuse(f"the objective's process can't be started: {error}")

    def _refuse(self, error: str) -> None:
        self._unfit = True
        self._refusal = Unfit(resources.host(), error)

    def _start(self) -> None:
        self._output = Output(self._path)
        output, env = self._output.fileno(), environment(self._share, self._welcome.gpus_per_trial)
        forked, self._forked = self._forked, None
        self._process, wire = spawn.start(output, env, forked)
        self._frames = Frames(wire)
        self._family = Family(self._process)
        process_tree.offer_to_kernel(self.pid)
        self._loaded = self._used = False
        self._ending = None
        self._counted_at = -math.inf  # the one before may have been taken
        self._begin()
        self._say(self._welcome)
        if self._job is not None:
            self._say(self._job)
            if self._saves:
                self._say(Save())

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of the child."""
        if self._frames is None or self._frames.closed:
            return []
        return [self._frames.fileno()]

    @property
    def unsent(self) -> bool:
        """Whether the child is being sent more than goes at once: `poll` goes on with it."""
        return self._frames is not None and self._frames.unsent

    def assign(self, order: Assign) -> None:
        """Have the child do a job, or the next child where this one ends or would not do."""
        assert self._job is None, "a child does one job at a time"
        if order.fresh and self._used:
            self._end(FailureKind.EXIT, "", time.monotonic())
        self._job = order
        self._saves = False
        self._begin()
        if self._ending is None:
            self._say(order)

    def save(self) -> None:
        """Pass on that the job in work is to end with its next checkpoint."""
        self._saves = True
        if self._job is not None and self._ending is None:
            self._say(Save())

    def poll(self, now: float) -> list[Report]:
        """Take in what the child says; enforce its limits; speak for it when it is dead."""
        if self._process is None or self._frames is None:
            refusal, self._refusal = self._refusal, None
            return [] if refusal is None else [refusal]
        self._frames.flush()
        reports = self._hear(self._frames.receive(), now)
        if self._began_at is None:
            self._began_at = now
        answered = any(isinstance(each, Finished | Failed | Suspended) for each in reports)
        if (answered or now < self._check_at) and not self._frames.closed:
            return reports  # a rank waits for its next job
        self._check_at = now + CHECK_EVERY_S
        process_tree.bury_orphans()
        dead = self._process.poll() is not None
        reports += self._hear(self._frames.receive(), now)
        if self._frames.closed and not dead:
            dead = self._ends_within(HANG_UP_S)
        if dead:
            reports += self._bury()
        elif self._ending is not None:
            self._press(self._ending, now)
        elif self._frames.closed:
            did = "wrote rubbish into" if self._frames.malformed else "closed"
            self._end(FailureKind.CRASH, f"{did} its connection with its rank", now)
        else:
            self._limit(now)
        return reports

    def retire(self, now: float) -> None:
        """Have the child end in order, and no other follow: `poll` sees to it until it has."""
        self._retired = True
        self._end(FailureKind.EXIT, "", now)

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
        self._family.kill(CLOSE_S)
        self._hang_up()

    def _hear(self, messages: list[bytes], now: float) -> list[Report]:
        try:
            reports = [self._decoder.decode(message) for message in messages]
        except msgspec.DecodeError:
            self._end(FailureKind.CRASH, "wrote rubbish into its connection with its rank", now)
            return []
        heard = [self._take(report, now) for report in reports]
        return [report for report in heard if report is not None]

    def _ends_within(self, limit_s: float) -> bool:
        assert self._process is not None, "only a child that was started can end"
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _take(self, report: Report, now: float) -> Report | None:
        """Take note of a report; None where it only tells what came of ending the child."""
        match report:
            case Ready():
                self._loaded = True
                self._crashes = 0
                self._begin()
            case Unfit() | Finished() | Failed() | Suspended() if self._ending is not None:
                if isinstance(report, Failed):
                    self._ending = self._ending.said(report.error)
                return None
            case Unfit():
                self._unfit = True
            case Finished() | Suspended() | Failed():
                self._job = None
                self._used = True
                if self._output is not None:
                    self._output.mark()
                if isinstance(report, Failed):
                    if report.spoils:  # it ends by itself
                        self._end(FailureKind.EXIT, "", now)
                    return explained(report, self._is_taken)
            case _:
                pass
        return report

    def _begin(self) -> None:
        self._began_at = None
        if time.monotonic() - self._counted_at > COUNT_EVERY_S:
            self._counted_at = time.monotonic()
            self._taken_before = process_tree.taken_by_kernel()

    def _limit(self, now: float) -> None:
        overrun = None
        if self._began_at is not None and self._is_at_work:
            spent_s = now - self._began_at
            overrun = over_time(spent_s, self._welcome.time_s, loaded=self._loaded)
        if overrun is not None:
            self._end(FailureKind.TIME, overrun, now)
        elif now >= self._look_at:
            began_at = time.monotonic()
            self._look(now)
            took_s = time.monotonic() - began_at
            self._look_at = now + max(LOOK_EVERY_S, took_s / LOOK_SHARE)

    def _look(self, now: float) -> None:
        assert self._output is not None, "a child that was started prints somewhere"
        self._output.trim()
        memory_mb = self._welcome.memory_mb
        if memory_mb is not None and self._job is not None and self._loaded:
            data = self._welcome.data and os.path.realpath(self._welcome.data)
            used_mb = memory_of(self._family.members(), memory_mb * 1e6, data) / 1e6
            if used_mb > memory_mb:
                said = f"used {used_mb:.0f} MB, more than trial_memory_mb = {memory_mb:g}"
                self._end(FailureKind.MEMORY, said, now)

    def _end(self, kind: FailureKind, error: str, now: float) -> None:
        """Hang up on the child, and have it leave its job."""
        if self._ending is not None or self._process is None or self._frames is None:
            return
        self._ending = ending(kind, error, self._job, now)
        self._frames.finish()
        if now >= self._ending.term_at:
            self._press(self._ending, now)
        elif self._is_at_work and self._process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def _press(self, ending: Ending, now: float) -> None:
        if now >= ending.kill_at:
            self._family.kill(KILL_S)
        elif now >= ending.term_at:
            self._family.signal(signal.SIGTERM)
            self._ending = ending._replace(term_at=math.inf)

    def _bury(self) -> list[Report]:
        assert self._process is not None, "only a child that was started can die"
        if not self._family.kill(KILL_S):
            return []  # the next has the memory only when they are gone
        kind, error = self._cause(self._process.returncode)
        self._hang_up()
        if self._unfit or self._retired:
            return []
        reports: list[Report] = []
        begun = self._ending is None or self._ending.job is self._job
        if self._job is not None and begun:
            job = (self._job.trial, self._job.rung, self._job.attempt)
            reports.append(Failed(*job, kind, error, self._used))
            self._job = None
        self._crashes += not self._loaded
        if self._crashes >= MAX_CRASHES:
            return [*reports, Unfit(resources.host(), f"while the objective was loaded: {error}")]
        self.start()
        return reports

    def _hang_up(self) -> None:
        for end in (self._frames, self._output):
            if end is not None:
                end.close()
        self._process = self._frames = self._output = None

    def _cause(self, code: int) -> tuple[FailureKind, str]:
        if self._ending is not None:
            return self._ending.kind, self._with_output(self._ending.error)
        kind, error = cause(code, taken=self._is_taken())
        return kind, self._with_output(error)

    @property
    def _is_at_work(self) -> bool:
        return self._job is not None or not self._loaded

    def _is_taken(self) -> bool:
        return process_tree.taken_by_kernel() > self._taken_before

    def _with_output(self, error: str) -> str:
        tail = self._output.tail() if self._output is not None else ""
        return f"{error}{OUTPUT}\n{tail}" if tail else error

    def _say(self, message: Welcome | Assign | Save | Stop) -> None:
        if self._frames is not None:
            self._frames.send(msgspec.msgpack.encode(message))

    @property
    def pid(self) -> int:
        """The process id, also that of its group and session."""
        assert self._process is not None, "only a child that was started has a pid"
        return self._process.pid
