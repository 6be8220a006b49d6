"""One objective in one process: start, watch, limit, kill.

    loading --Ready--> idle --assign--> busy --its answer--> idle
       ^                                  |
       |          over its time or memory limit: TERM to its process group, KILL after a while
       +--------- dead: a report in its name, and another child is started

Whatever an objective does, all that its rank gets is a report. The child stays for the next job, so
that imports are paid once; it leads a session, and so a process group, of its own.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from hpmpi.frames import Frames
from hpmpi.messages import (
    Assign,
    Failed,
    FailureKind,
    Finished,
    Ready,
    Report,
    Unfit,
    Welcome,
)
from hpmpi.transports import unlaunched

KILL_AFTER_S = 2.0
"""How long a child may take to end after TERM."""

HANG_UP_S = 0.1
"""How long a child that has hung up may take to end."""

WEIGH_EVERY_S = 0.5
"""How often a child's memory is looked at."""

MAX_CRASHES = 3
"""How many children may die in a row while they load the objective."""

TAIL_BYTES = 2000
"""How much of a dead child's output travels with the failure."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Ending(NamedTuple):
    """Why a child is being ended, at which job, and when TERM will have had its time."""

    kind: FailureKind
    error: str
    job: Assign | None
    kill_at: float


class Child:
    """The child of a rank; times are those of one monotonic clock, in seconds."""

    def __init__(self, welcome: Welcome, output: Path, threads: int) -> None:
        """Prepare; `start` starts it. What it prints is appended to the file `output`."""
        self._welcome = welcome
        self._output = output
        self._threads = threads
        self._decoder = msgspec.msgpack.Decoder(Report)
        self._process: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None
        self._job: Assign | None = None
        self._loaded = False
        self._unfit = False
        self._crashes = 0
        self._began_at: float | None = None
        self._weighed_at = 0.0
        self._printed_before = 0
        self._ending: Ending | None = None

    def start(self) -> None:
        """Start the process and have it load the objective."""
        ours, theirs = socket.socketpair()
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hpmpi.perform", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=environment(self._threads),
            )
            self._printed_before = output.tell()
        self._frames = Frames(ours)
        self._loaded = False
        self._ending = None
        self._say(self._welcome)
        if self._job is not None:
            self._say(self._job)

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of the child."""
        if self._frames is None or self._frames.closed:
            return []
        return [self._frames.fileno()]

    def assign(self, order: Assign) -> None:
        """Have the child do a job, or the next child where this one is being ended."""
        assert self._job is None, "a child does one job at a time"
        self._job = order
        self._began_at = None
        if self._ending is None:
            self._say(order)

    def poll(self, now: float) -> list[Report]:
        """Take in what the child says; enforce its limits; speak for it when it is dead."""
        if self._process is None or self._frames is None:
            return []
        dead = self._process.poll() is not None
        self._frames.flush()
        reports = self._hear(self._frames.receive(), now)
        if self._frames.closed and not dead:
            dead = self._ends_within(HANG_UP_S)
        if dead:
            reports += self._bury()
        elif self._ending is not None:
            if now >= self._ending.kill_at:
                self._signal(signal.SIGKILL)
        elif self._frames.closed:
            self._end(FailureKind.CRASH, "closed its connection with its rank", now)
        elif self._job is not None and self._loaded:
            self._limit(now)
        return reports

    def close(self) -> None:
        """End the child now."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._hang_up()

    def _hear(self, messages: list[bytes], now: float) -> list[Report]:
        try:
            reports = [self._decoder.decode(message) for message in messages]
        except msgspec.DecodeError:
            self._end(FailureKind.CRASH, "wrote rubbish into its connection with its rank", now)
            return []
        for report in reports:
            self._note(report)
        return reports

    def _ends_within(self, limit_s: float) -> bool:
        assert self._process is not None, "only a child that was started can end"
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _note(self, report: Report) -> None:
        match report:
            case Ready():
                self._loaded = True
                self._crashes = 0
            case Unfit():
                self._unfit = True
            case Finished() | Failed():
                self._job = None
                self._printed_before = self._output.stat().st_size
            case _:
                pass

    def _limit(self, now: float) -> None:
        if self._began_at is None:
            self._began_at = now
        time_s, memory_mb = self._welcome.time_s, self._welcome.memory_mb
        if time_s is not None and now - self._began_at > time_s:
            self._end(FailureKind.TIME, f"ran for more than trial_time_s = {time_s:g}", now)
        elif memory_mb is not None and now - self._weighed_at > WEIGH_EVERY_S:
            self._weighed_at = now
            used_mb = memory_of(self.pid) / 1e6
            if used_mb > memory_mb:
                said = f"used {used_mb:.0f} MB, more than trial_memory_mb = {memory_mb:g}"
                self._end(FailureKind.MEMORY, said, now)

    def _end(self, kind: FailureKind, error: str, now: float) -> None:
        if self._ending is None:
            self._ending = Ending(kind, error, self._job, now + KILL_AFTER_S)
            self._signal(signal.SIGTERM)

    def _bury(self) -> list[Report]:
        assert self._process is not None, "only a child that was started can die"
        self._signal(signal.SIGKILL)
        kind, error = self._cause(self._process.returncode)
        self._hang_up()
        if self._unfit:
            return []
        reports: list[Report] = []
        begun = self._ending is None or self._ending.job is self._job
        if self._job is not None and begun:
            job = (self._job.trial, self._job.rung, self._job.attempt)
            reports.append(Failed(*job, kind, error))
            self._job = None
        self._crashes += not self._loaded
        if self._crashes >= MAX_CRASHES:
            host = os.uname().nodename
            return [*reports, Unfit(host, f"while the objective was loaded: {error}")]
        self.start()
        return reports

    def _hang_up(self) -> None:
        assert self._frames is not None, "a child that was started has a connection"
        self._frames.close()
        self._process = self._frames = None

    def _cause(self, code: int) -> tuple[FailureKind, str]:
        if self._ending is not None:
            return self._ending.kind, self._with_output(self._ending.error)
        if code < 0:
            return FailureKind.CRASH, self._with_output(f"killed by {name_of(-code)}")
        return FailureKind.EXIT, self._with_output(f"the process ended with exit code {code}")

    def _with_output(self, error: str) -> str:
        with self._output.open("rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(self._printed_before, size - TAIL_BYTES))
            tail = output.read().decode(errors="replace").strip()
        return f"{error}; its last output:\n{tail}" if tail else error

    def _say(self, message: Welcome | Assign) -> None:
        if self._frames is not None:
            self._frames.send(msgspec.msgpack.encode(message))

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    @property
    def pid(self) -> int:
        """The process id, also that of its group and session."""
        assert self._process is not None, "only a child that was started has a pid"
        return self._process.pid


def environment(threads: int) -> dict[str, str]:
    """Give a child our environment, its share of threads, and nothing of the launcher's."""
    return {**dict.fromkeys(THREADS, str(threads)), "PYTHONUNBUFFERED": "1", **unlaunched()}


def name_of(number: int) -> str:
    """Name a signal; most real-time signals have numbers only."""
    return next((each.name for each in signal.Signals if each == number), f"signal {number}")


def memory_of(pid: int) -> int:
    """Sum the memory, in bytes, that a process and its descendants have for themselves."""
    import psutil  # noqa: PLC0415 - only those who set a limit pay for it

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            used = member.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += used.rss - getattr(used, "shared", 0)
    return total
