"""Where runs are to go: whether it is writable, fast, has locks, and of which file system it is."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hpmpi.data.scratch import file_system, free_bytes, told
from hpmpi.doctor.finding import Finding, Verdict
from hpmpi.storage import files, lock
from hpmpi.storage.lock import Guarded
from hpmpi.views.layout import time_of

WRITES = 5
SLOW_S = 0.2
"""How often a small file is written for a measurement; and what is slow: rank 0 waits for it."""

ROOM_BYTES = 10**9
"""With less, checkpoints may not find room."""


class RunPlace:
    """The folder in which run folders are to be made, or the nearest above it that is there."""

    def __init__(self, folder: Path) -> None:
        """Find it; `probe` is a file there while it is looked at, None where there can be none."""
        path = folder.absolute()
        self.folder = next(it for it in (path, *path.parents) if it.is_dir())
        self.probe: Path | None = self.folder / f".hpmpi-doctor-{os.getpid()}"

    def findings(self) -> Iterator[Finding]:
        """Write a file, and lock it."""
        assert self.probe is not None, "it is looked at once"
        try:
            yield self._written(self.probe)
            yield self._locked(self.probe)
        except OSError as error:
            self.probe = None
            seen = f"{self.folder} can't be written: {error.strerror}"
            yield Finding("run folder", Verdict.WRONG, seen, "name another: hpmpi doctor DIR")

    def clean(self) -> None:
        """Leave nothing there."""
        if self.probe is not None:
            with contextlib.suppress(OSError):
                self.probe.unlink(missing_ok=True)

    def _written(self, probe: Path) -> Finding:
        began_at = time.monotonic()
        for _ in range(WRITES):
            files.replace(probe, b"?")
        each_s = (time.monotonic() - began_at) / WRITES
        free = free_bytes(self.folder)
        seen = (
            f"{self.folder}, {file_system(self.folder) or 'an unknown file system'}, "
            f"{told(free)} free; a small file is safe in {time_of(each_s)}"
        )
        if free < ROOM_BYTES:
            todo = "make room, or name another: hpmpi doctor DIR"
            return Finding("run folder", Verdict.NOTE, seen, todo)
        if each_s > SLOW_S:
            todo = "short trials will wait for it: name a faster one, by hpmpi doctor DIR"
            return Finding("run folder", Verdict.NOTE, seen, todo)
        return Finding("run folder", Verdict.WELL, seen)

    @staticmethod
    def _locked(probe: Path) -> Finding:
        descriptor = os.open(probe, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            guarded = lock.guard(descriptor)
        finally:
            os.close(descriptor)
        if guarded is Guarded.MINE:
            return Finding("locks", Verdict.WELL, "the file system has them")
        seen = "the file system has none: who holds a run is seen by a lease that changes"
        todo = f"after a crash, a start waits {lock.LEASE_S:g} s; nothing else is to do"
        return Finding("locks", Verdict.NOTE, seen, todo)
