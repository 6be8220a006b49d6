"""Drive a child, or anything that answers with reports, as its rank does; see processes end."""

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from hpmpi.model.messages import Assign, Failed, Finished, Measured, Report, Welcome
from hpmpi.model.trial import AttemptId, Value
from hpmpi.model.usage import Usage
from hpmpi.transports.resources import Share
from hpmpi.worker.supervisor import Child

LIMIT_S = 60.0
"""How long anything may take on a machine that is busy with other things."""

Kind = TypeVar("Kind", bound=msgspec.Struct)
Answer = Finished | Failed


def welcome(folder: Path, objective: str = "square", **changes: object) -> Welcome:
    """Welcome to a study in `folder` of one of objectives.py, or of `file.py:function`."""
    told = Welcome(
        objective=objective if ":" in objective else f"objectives.py:{objective}",
        origin=str(folder if ":" in objective else Path(__file__).parent),
        metric=None,
        folder=str(folder),
        args={},
        start="this-start",
        patience_s=30.0,
        beat_s=0.2,
    )
    return msgspec.structs.replace(told, **changes)


def order(number: int = 0, resource: int = 1, attempt: int = 1, **config: Value) -> Assign:
    """Give the job of a trial at rung 0."""
    return Assign(AttemptId(number, 0, attempt), resource, config, seed=number)


class Listener:
    """What was heard and not yet asked for; `usage` is what the last answer said of that."""

    def __init__(self) -> None:
        """Hear nothing so far."""
        self.usage: Usage | None = None
        self.passed: list[Report] = []
        self._heard: deque[Report] = deque()

    def hear(self) -> list[Report]:
        """Listen for a moment."""
        raise NotImplementedError

    def until(self, *kinds: type[Kind]) -> Kind:
        """Return the next report of these kinds, without its usage; the others are `passed`."""
        gives_up_at = time.monotonic() + LIMIT_S
        while time.monotonic() < gives_up_at:
            while self._heard:
                report = self._heard.popleft()
                if isinstance(report, Measured):
                    self.usage, report = report.usage, msgspec.structs.replace(report, usage=None)
                if isinstance(report, kinds):
                    return report
                self.passed.append(report)
            self._heard += self.hear()
        raise AssertionError(f"no {kinds} among {self.passed}")

    def left(self) -> list[Report]:
        """Return what was heard and nobody has asked for."""
        return [*self.passed, *self._heard]


class ChildRig(Listener):
    """A child in the hands of this process."""

    def __init__(self, child: Child) -> None:
        """Drive a child that was started."""
        super().__init__()
        self.child = child
        self.skipped_s = 0.0
        self._attempts = 0

    @property
    def now(self) -> float:
        """The time, with what was skipped of it."""
        return time.monotonic() + self.skipped_s

    @property
    def pid(self) -> int:
        """Whose the child's process is."""
        return pid_of(self.child)

    def assign(self, job: Assign) -> None:
        """Have a job begun."""
        self.child.assign(job, self.now)

    def hear(self) -> list[Report]:
        """Poll the child."""
        reports = self.child.poll(self.now)
        if not reports:
            select.select(self.child.descriptors(), [], [], 0.05)
        return reports

    def do(self, **config: Value) -> Answer:
        """Have a job done, well or badly."""
        self._attempts += 1
        attempt = AttemptId(0, 0, self._attempts)
        self.assign(Assign(attempt, 1, config, seed=0))
        answer = self.until(Finished, Failed)
        assert isinstance(answer, Finished | Failed)
        assert answer.attempt == attempt
        return answer

    def await_output(self, text: str) -> None:
        """Poll until the child has printed something, among its first words."""
        gives_up_at = time.monotonic() + LIMIT_S
        while text not in self._first_output():
            assert time.monotonic() < gives_up_at, f"{text!r} was not printed"
            self._heard += self.hear()

    def _first_output(self) -> str:
        with self.child._path.open("rb") as file:
            return file.read(1 << 16).decode(errors="replace")

    def fail(self, **config: Value) -> Failed:
        """Have a job done that fails."""
        answer = self.do(**config)
        assert isinstance(answer, Failed), answer
        return answer

    def succeed(self, **config: Value) -> Finished:
        """Have a job done that succeeds."""
        answer = self.do(**config)
        assert isinstance(answer, Finished), answer
        return answer


def pid_of(child: Child) -> int:
    """Return the process id, also that of its group and session."""
    assert child._process is not None, "only a child that was started has a pid"
    hold = child._process.hold
    gives_up_at = time.monotonic() + LIMIT_S
    while hold.pid == 0 and hold.poll() is None:  # it is to be forked
        assert time.monotonic() < gives_up_at, "no child has come"
        time.sleep(0.01)
    return hold.pid


@contextlib.contextmanager
def child_of(told: Welcome, share: Share | None = None) -> Iterator[ChildRig]:
    """Start a child; nothing of it is left at the end."""
    child = Child(told, Path(told.folder) / "logs" / "rank-1.log", share or Share())
    child.start(time.monotonic())
    try:
        yield ChildRig(child)
    finally:
        child.close()


def ends(*pids: int) -> bool:
    """Tell whether processes end, before the limit."""
    return all(_ends(pid) for pid in pids)


def lives(pid: int) -> bool:
    """Tell whether a process is there and is no zombie."""
    try:
        return state(pid) != "Z"
    except FileNotFoundError:
        return False


def nobody_lives(file: Path) -> bool:
    """Tell whether all end whose pids are in a file, before the limit."""
    return ends(*pids_in(file))


def pids_in(file: Path) -> list[int]:
    """Read pids, one a line."""
    return [int(line) for line in file.read_text().split()]


def state(pid: int) -> str:
    """Tell what the kernel has a process do: R, S, T, Z."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def memory_cgroup(limit_mb: int) -> Iterator[Path]:
    """Make a control group with a limit of its memory; skip the test where that can't be done."""
    group = _own_memory_cgroup() / f"hpmpi-test-{os.getpid()}"
    limits = ("memory.limit_in_bytes", "memory.max")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    try:
        limit = next((group / each for each in limits if (group / each).exists()), None)
        if limit is None:
            pytest.skip(f"{group} has no limit of memory")
        limit.write_text(str(limit_mb << 20))
        yield group
    finally:
        assert ends(*pids_in(group / "cgroup.procs"))
        group.rmdir()


def _own_memory_cgroup() -> Path:
    """Find where this process is: in version 1 a tree for memory, in version 2 one for all."""
    root = Path("/sys/fs/cgroup")
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    places = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    if "memory" in places:
        return root / "memory" / places["memory"].strip("/")
    return root / places.get("", "").strip("/")


def _ends(pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, FileNotFoundError):  # it is gone, or a thread has its number by now
        return True
    try:
        return bool(select.select([descriptor], [], [], LIMIT_S)[0])
    finally:
        os.close(descriptor)
