"""Rank 0's side of a study's data: read once, by a process beside it; sent to who asks.

The data are laid down on rank 0's node by the process that reads them. A rank of another node asks
for them, chunk by chunk, so nothing here knows of nodes: one that is slow asks slowly, one that is
lost no more. A few chunks are sent each time that rank 0 comes by: nobody else waits for long.
"""

import contextlib
import math
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hpmpi import data
from hpmpi.child import Child
from hpmpi.messages import Assign, Chunk, Failed, Finished, NoData, Order, Unfit, Want, Welcome
from hpmpi.place import Share
from hpmpi.rooms import Rooms
from hpmpi.source import Source, Task
from hpmpi.transports import LEADER

CHUNKS = 8
"""How many chunks are sent at a time."""

PUSH_S = 1e-3
PUSHING_S = 0.1
"""How often a transport is to push what was sent, and for how long after the last chunk."""


class Supply:
    """The data of a run, on rank 0; idle where the study has none."""

    def __init__(self, source: Source, origin: Path, welcome: Welcome, ranks: list[int]) -> None:
        """Begin to read for `ranks`, before they are welcomed."""
        self._ranks = ranks
        self._wants: OrderedDict[tuple[int, Want], None] = OrderedDict()
        self._files: dict[str, int] = {}
        self._child: Child | None = None
        self._error: str | None = None
        self._sent_at = -math.inf
        self._rooms = Rooms(welcome.rooms, welcome.start)
        self.welcome = welcome
        self.laid_down = source.source is None
        home = self._rooms.home
        if home is not None:
            (home / data.reader_mark(LEADER)).mkdir(exist_ok=True)
            self.welcome = msgspec.structs.replace(welcome, data=str(home / data.LINK))
            self._read(Task(source, str(origin), [str(each) for each in self._rooms.folders]))
        elif not self.laid_down:
            self._error = f"{os.uname().nodename} has none of: {', '.join(welcome.rooms)}"

    def wait_s(self, most_s: float) -> float:
        """Say how long rank 0 may wait for messages, at most: while it sends, not for long."""
        if self._wants and self.laid_down:
            return 0.0
        return PUSH_S if time.monotonic() - self._sent_at < PUSHING_S else most_s

    def want(self, rank: int, want: Want) -> None:
        """Take note of what a rank asks for."""
        self._wants[rank, want] = None

    def orders(self, now: float) -> Iterator[tuple[int, Order]]:
        """Say what to send to which rank now."""
        if self._child is not None:
            self._listen(self._child, now)
        if self._error is not None:
            for rank in self._ranks:
                yield rank, NoData(self._error)
            self._ranks = []
        for _ in range(min(CHUNKS, len(self._wants)) if self.laid_down else 0):
            (rank, want), _ = self._wants.popitem(last=False)
            if (chunk := self._chunk(want)) is not None:
                self._sent_at = time.monotonic()
                yield rank, chunk

    def descriptors(self) -> list[int]:
        """Return what to wait on for news."""
        return [] if self._child is None else self._child.descriptors()

    def close(self) -> None:
        """End the reading; forget the data if no rank of this node uses them."""
        self._end_reading()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._rooms.leave()

    def _read(self, task: Task) -> None:
        folder = Path(self.welcome.folder)
        told = msgspec.structs.replace(
            self.welcome,
            objective="hpmpi.source:lay_down",
            metric=None,
            args=msgspec.to_builtins(task),
            time_s=None,
            memory_mb=None,
            gpus_per_trial=0,
        )
        self._child = Child(told, folder / "logs" / "data.log", Share())
        self._child.start()
        self._child.assign(Assign(0, 0, 1, 1, {}, seed=0))

    def _listen(self, child: Child, now: float) -> None:
        for report in child.poll(now):
            match report:
                case Finished():
                    self._open()
                case Failed(error=error) | Unfit(error=error):
                    self._error = error
                case _:
                    pass
        if self.laid_down or self._error is not None:
            self._end_reading()

    def _open(self) -> None:
        folder = Path(self.welcome.data or "")
        names = [entry.file for entry in data.read_index((folder / data.INDEX).read_bytes())]
        for name in (data.INDEX, *names):
            self._files[name] = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        self.laid_down = True

    def _chunk(self, want: Want) -> Chunk | None:
        descriptor = self._files.get(want.file)
        if descriptor is None:
            return None
        whole = want.file == data.INDEX
        size = os.fstat(descriptor).st_size if whole else data.CHUNK_BYTES
        with contextlib.suppress(OSError):  # a disk has lost it: the rank asks again
            return Chunk(want.file, want.offset, os.pread(descriptor, size, want.offset))
        return None

    def _end_reading(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None
