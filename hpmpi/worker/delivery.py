"""A rank's side of a study's data: there once on its node, by whichever of its ranks it is.

The ranks of a node are those that see the same folder. Rank 0 tells one of them to receive; the
others, and those of rank 0's node, wait until the data are there. Meanwhile a rank beats.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from hpmpi.data import mapped, scratch
from hpmpi.data.scratch import Rooms, vanish
from hpmpi.guard import sockets
from hpmpi.model.messages import Chunk, Need, NoData, Receive, Report, Unfit, Want, Welcome
from hpmpi.storage.files import write
from hpmpi.transports import LEADER

WINDOW = 8
"""How many chunks are asked for at a time."""

Say = Callable[[Report | Need | Want], None]


class Delivery:
    """The data of a run on this node, for one rank: `done` when its child may start."""

    def __init__(self, welcome: Welcome, rank: int, say: Say) -> None:
        """Look for a place; `say` speaks with rank 0."""
        self.done = False
        self._rank = rank
        self._say = say
        self._rooms = Rooms(welcome.rooms, welcome.start)
        self._needs = bool(welcome.rooms)
        self._asked = False
        self._error: str | None = None
        self._receipt: Receipt | None = None
        home = self._rooms.home
        link = None if home is None else str(home / mapped.LINK)
        self.welcome = msgspec.structs.replace(welcome, data=link)

    def poll(self, start: Callable[[], None]) -> list[Report]:
        """Start the child when the data are there; say it if they never will."""
        if self._error is not None:
            return []
        if self._needs and self._rooms.home is None:
            return [self._refuse(self._rooms.trouble)]
        if not self._needs or mapped.is_there(self._home):
            self.done = True
            self._drop()
            start()
        elif not self._asked:
            self._asked = True
            self._say(Need(self._rooms.node))
        return []

    def take(self, order: Receive | Chunk | NoData) -> None:
        """Take in what rank 0 has sent."""
        if self.done or self._error is not None:
            return
        try:
            match order:
                case NoData(error=error):
                    self._say(self._refuse(error))
                case Receive(sizes=sizes):
                    self._receive(sizes)
                case Chunk() if self._receipt is not None and self._receipt.take(order):
                    self._finish(self._receipt)
                case _:
                    pass
        except OSError as error:
            self._say(self._refuse(f"the data can't be laid down: {error}"))

    def close(self) -> None:
        """Use the data no more."""
        self._drop()
        self._rooms.leave()

    @property
    def _home(self) -> Path:
        assert self._rooms.home is not None, "a rank without a place has refused"
        return self._rooms.home

    def _receive(self, sizes: dict[str, int]) -> None:
        sockets.hold()  # it takes long, and beats are rare
        self._drop()
        mapped.sweep_parts(self._rooms.folders, LEADER)
        size = sum(sizes.values())
        room = scratch.roomy(self._rooms.folders, size)
        if room is None:
            self._say(self._refuse(scratch.no_room(self._rooms.folders, size)))
        else:
            self._receipt = Receipt(mapped.begin(room, self._rank), sizes, self._say)

    def _finish(self, receipt: "Receipt") -> None:
        try:
            mapped.commit(receipt.part, self._home)
        except OSError:
            if receipt.part.exists():
                raise
        self._drop()  # another has taken over, while this one hung: what it lays down will do

    def _refuse(self, error: str) -> Unfit:
        self._error = error
        self._drop()
        return Unfit(os.uname().nodename, error)

    def _drop(self) -> None:
        """Leave nothing of what is not whole."""
        if self._receipt is not None:
            self._receipt.close()
            self._receipt = None


class Receipt:
    """Data that come in, chunk by chunk."""

    def __init__(self, part: Path, sizes: dict[str, int], say: Say) -> None:
        """Ask for the first."""
        self.part = part
        self._say = say
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._files = {file: os.open(part / file, how, 0o600) for file in sizes}
        self._wanted: set[Want] = set()
        self._wants = wants(sizes)
        for _ in range(WINDOW):
            self._ask()

    def take(self, chunk: Chunk) -> bool:
        """Lay a chunk down, and ask for the next; true after the last; raises OSError."""
        want = Want(chunk.file, chunk.offset)
        if want in self._wanted:  # not of an earlier receipt
            self._wanted.remove(want)
            os.lseek(self._files[chunk.file], chunk.offset, os.SEEK_SET)
            write(self._files[chunk.file], chunk.content)
            self._ask()
        return not self._wanted

    def close(self) -> None:
        """Remove what was not given its name."""
        for descriptor in self._files.values():
            os.close(descriptor)
        vanish(self.part)

    def _ask(self) -> None:
        if (want := next(self._wants, None)) is not None:
            self._wanted.add(want)
            self._say(want)


def wants(sizes: dict[str, int]) -> Iterator[Want]:
    """Divide files into chunks."""
    for file, size in sizes.items():
        for offset in range(0, size, mapped.CHUNK_BYTES):
            yield Want(file, offset)
