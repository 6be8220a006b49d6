"""A study's data on this node, for one of its ranks: one of them reads the source, all map it.

    HOME/reading    locked by the rank that reads, in a process of its own; the others wait
    HOME/data       leads to the data as soon as they are whole
    HOME/error      says why they can't be read: nobody of this node tries again

HOME is a folder that the ranks of this node see, and no others. Meanwhile a rank beats. One that is
killed takes its reading process along, and the kernel its lock: the next that looks reads. One that
is stopped takes neither, and its process comes to the end of it alone.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from hpmpi.data import mapped, scratch
from hpmpi.model.messages import Assign, Failed, Report, Unfit, Welcome
from hpmpi.model.trial import DATA, AttemptId
from hpmpi.storage import files
from hpmpi.study.data_table import Source
from hpmpi.transports import resources
from hpmpi.transports.resources import Share
from hpmpi.worker.supervisor import Child

READING = "reading"
ERROR = "error"


class SharedData:
    """The data of a run on this node; `welcome` tells a child where they will be."""

    def __init__(self, welcome: Welcome, output: Path) -> None:
        """Look for a place; what the reading process prints is appended to the file `output`."""
        self._source = msgspec.convert(welcome.source, Source)
        self._rooms = scratch.rooms_of(self._source, welcome.start)
        self._output = output
        self._lock: int | None = None
        self._reader: Child | None = None
        self._over = False
        home = self._rooms.home
        self.welcome = welcome
        if home is not None:
            self.welcome = msgspec.structs.replace(welcome, data=str(home / mapped.LINK))

    def poll(self, start: Callable[[float], None], now: float) -> list[Report]:
        """Have `start` called once, when the data are there; say it if they never will be."""
        if self._over:
            return []
        try:
            error = self._look(now)
        except OSError as problem:  # somebody has removed the folder
            error = f"the data can't be read: {problem}"
        home = self._rooms.home
        if error is None and home is not None and not mapped.is_there(home):
            return []
        self._over = True
        self._stop_reading()
        if error is not None:
            return [Unfit(resources.host(), error)]
        start(now)
        return []

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of the reading process."""
        return [] if self._reader is None else self._reader.descriptors()

    def close(self) -> None:
        """Use the data no more."""
        self._over = True
        self._stop_reading()
        self._rooms.leave()

    def _look(self, now: float) -> str | None:
        """Go on with what is to be done; say why there are no data, once that is known."""
        home = self._rooms.home
        if home is None:
            return None if self._source.source is None else self._rooms.trouble
        reads = self._takes_lock(home)  # before it looks what another has come to
        if mapped.is_there(home):
            return None
        return error_in(home) or (self._read(home, now) if reads else None)

    def _takes_lock(self, home: Path) -> bool:
        """Be the one that reads, unless another is."""
        if self._lock is None:
            lock = scratch.open_lock(home / READING)
            if scratch.locks(lock, fcntl.LOCK_EX):
                self._lock = lock
            else:
                os.close(lock)
        return self._lock is not None

    def _read(self, home: Path, now: float) -> str | None:
        """Begin to read, or hear how that goes; return why it can't be done, once that is known."""
        if self._reader is None:
            self._reader = Child(self._task(home), self._output, Share())
            self._reader.start(now)
            self._reader.assign(Assign(AttemptId(DATA, 0, 1), 1, {}, seed=0), now)
        for report in self._reader.poll(now):
            if isinstance(report, Failed | Unfit):
                error = f"data.source = {self._source.source!r}: {report.error}"
                with contextlib.suppress(OSError):  # then the others find out for themselves
                    files.replace(home / ERROR, error.encode())
                return error
        return None

    def _task(self, home: Path) -> Welcome:
        """Have the reading process know what to read; what it may leave is on this node."""
        rooms = [str(folder) for folder in self._rooms.folders]
        return Welcome(
            objective="hpmpi.worker.source:lay_down",
            origin=self.welcome.origin,
            metric=None,
            folder=str(home),
            args={"source": self.welcome.source, "rooms": rooms},
            start=self.welcome.start,
            patience_s=self.welcome.patience_s,
            beat_s=self.welcome.beat_s,
            gpus_per_trial=0,
        )

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def error_in(home: Path) -> str | None:
    """Say why the data can't be read; None where nobody has found that."""
    with contextlib.suppress(FileNotFoundError):
        return (home / ERROR).read_text(encoding="utf-8")
    return None
