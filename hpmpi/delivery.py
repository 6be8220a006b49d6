r"""A rank's side of a study's data: there once on its node, by whichever of its ranks it is.

    looking --the data are there-----------------------------------> done
      | ^ \--nobody receives--> receiving --all is laid down---------^
      | |                          +--there is no room--> Unfit
      +-+ who receives has not moved for `patience_s`: its claim is taken away

Rules:

- The ranks of a node are those that see the same folder. One of them receives: the one that has
  locked a file there. The kernel releases the lock of one that dies, and another begins anew.
- A rank is ready when its objective is loaded and the data are laid down; meanwhile it beats.
- On rank 0's node the process that has read the data lays them down, and nobody receives.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from hpmpi import data, rooms
from hpmpi.errors import DataError
from hpmpi.files import NO_ROOM, write
from hpmpi.messages import Chunk, NoData, Ready, Report, Unfit, Want, Welcome
from hpmpi.rooms import Rooms, is_same, locks, open_lock, vanish
from hpmpi.transports import LEADER

CLAIM = "receiver"

WINDOW = 8
"""How many chunks are asked for at a time."""

PULL_S = 1e-3
"""How long a rank that receives may wait for messages: a transport that waits takes breaks."""

Say = Callable[[Report | Want], None]


class Delivery:
    """The data of a run on this node, for one rank; done at once where the study has none."""

    def __init__(self, welcome: Welcome, rank: int, say: Say) -> None:
        """Look for a place; `say` speaks with rank 0."""
        self._rank = rank
        self._say = say
        self._patience_s = welcome.patience_s
        self._rooms = Rooms(welcome.rooms, welcome.start)
        self._done = not welcome.rooms
        self._error: str | None = None
        self._ready: Ready | None = None
        self._claim: int | None = None
        self._receipt: Receipt | None = None
        self._seen = (0, 0)
        self._seen_at = 0.0
        self.welcome = welcome
        if self._rooms.home is not None:
            link = str(self._rooms.home / data.LINK)
            self.welcome = msgspec.structs.replace(welcome, data=link)
        elif not self._done:
            self._error = f"none of {', '.join(welcome.rooms)} can be written"

    def admit(self, reports: list[Report], now: float) -> list[Report]:
        """Pass on what the rank's child says; it is ready only when the data are there."""
        others: list[Report] = [each for each in reports if not isinstance(each, Ready)]
        self._ready = next((each for each in reports if isinstance(each, Ready)), self._ready)
        if self._rooms.home is not None and not self._done:
            self._go_on(self._rooms.home, now)
        if self._done:
            ready, self._ready = self._ready, None
            return others if ready is None else [ready, *others]
        error, self._error = self._error, None
        return others if error is None else [*others, Unfit(os.uname().nodename, error)]

    def wait_s(self, most_s: float) -> float:
        """Say how long the rank may wait for messages, at most."""
        return PULL_S if self._receipt is not None and self._receipt.begun else most_s

    def take(self, order: Chunk | NoData, now: float) -> None:
        """Take in what rank 0 has sent."""
        match order:
            case NoData(error=error) if not self._done:
                self._refuse(error)
            case Chunk() if self._receipt is not None:
                try:
                    self._receipt.take(order, now)
                except FileNotFoundError:  # another has taken over
                    self._drop()
                except DataError as error:
                    self._refuse(str(error))
                except OSError as error:
                    self._refuse(f"the data can't be laid down: {error}")
            case _:
                pass

    def close(self) -> None:
        """Use the data no more."""
        self._drop()
        self._rooms.leave()

    def _go_on(self, home: Path, now: float) -> None:
        if data.is_there(home):
            self._done = True
            self._drop()
        elif self._receipt is None:
            self._look(home, now)
        elif self._claim is not None and is_same(self._claim, home / CLAIM):
            os.utime(self._claim)
            self._receipt.insist(now)
        else:
            self._drop()

    def _look(self, home: Path, now: float) -> None:
        path = home / CLAIM
        claim = open_lock(path)
        if locks(claim, fcntl.LOCK_EX) and is_same(claim, path) and self._is_for_us(home):
            self._claim = claim
            for folder in self._rooms.folders:
                for part in folder.glob(f"{data.PARTS}*"):  # of a rank that is gone, or hangs
                    vanish(part)
            folders = self._rooms.folders
            self._receipt = Receipt(folders, self._rank, self._say, self._patience_s, now)
            return
        self._judge(path, claim, home, now)
        os.close(claim)

    def _is_for_us(self, home: Path) -> bool:
        """Tell whether rank 0 is on another node; it may have come in just now."""
        return not (home / data.reader_mark(LEADER)).exists() and not data.is_there(home)

    def _judge(self, path: Path, claim: int, home: Path, now: float) -> None:
        """Take the claim of a receiver that hangs away."""
        status = os.fstat(claim)
        seen = status.st_ino, status.st_mtime_ns
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        elif now - self._seen_at > self._patience_s and self._is_for_us(home):
            with contextlib.suppress(OSError):
                if is_same(claim, path):
                    path.unlink()

    def _refuse(self, error: str) -> None:
        self._error = error
        self._drop()
        self._rooms.leave()

    def _drop(self) -> None:
        """Receive no more."""
        if self._receipt is not None:
            self._receipt.close()
            self._receipt = None
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


class Receipt:
    """Data that come in, chunk by chunk."""

    def __init__(
        self, folders: list[Path], rank: int, say: Say, patience_s: float, now: float
    ) -> None:
        """Ask what there is."""
        self._folders = folders
        self._rank = rank
        self._say = say
        self._patience_s = patience_s
        self._index = b""
        self._rooms: Iterator[Path] = iter(())
        self._size = 0
        self._part: Path | None = None
        self._files: dict[str, int] = {}
        self._wanted: dict[Want, None] = {}
        self._heard_at = now
        self._wants: Iterator[Want] = iter([Want(data.INDEX, 0)])
        self._ask()

    def take(self, chunk: Chunk, now: float) -> None:
        """Lay a chunk down, and ask for the next.

        Raises FileNotFoundError where another rank has taken over, DataError where there is no
        room, and OSError.
        """
        want = Want(chunk.file, chunk.offset)
        if want not in self._wanted:
            return
        del self._wanted[want]
        self._heard_at = now
        if want.file == data.INDEX:
            self._begin(chunk.content)
            return
        try:
            os.lseek(self._files[chunk.file], chunk.offset, os.SEEK_SET)
            write(self._files[chunk.file], chunk.content)
            self._ask()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._move()

    @property
    def begun(self) -> bool:
        """Whether rank 0 has begun to send."""
        return self._index != b""

    def insist(self, now: float) -> None:
        """Ask again for what was not heard of for long: the network may have lost it."""
        if now - self._heard_at > self._patience_s:
            self._heard_at = now
            for want in self._wanted:
                self._say(want)

    def close(self) -> None:
        """Leave nothing of what is not whole."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        if self._part is not None:
            vanish(self._part)
            self._part = None

    def _begin(self, index: bytes) -> None:
        self._index = index
        self._size = sum(entry.size for entry in data.read_index(index)) + len(index)
        self._rooms = rooms.roomy(self._folders, self._size)
        self._move()

    def _move(self) -> None:
        """Lay all down in the next folder that has room for it."""
        self.close()
        self._wanted.clear()
        room = next(self._rooms, None)
        if room is None:
            raise DataError(rooms.no_room(self._folders, self._size))
        self._part = data.begin(room, self._rank)
        entries = data.read_index(self._index)
        for entry in entries:
            how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._files[entry.file] = os.open(self._part / entry.file, how, 0o600)
        self._wants = (
            Want(entry.file, offset)
            for entry in entries
            for offset in range(0, entry.size, data.CHUNK_BYTES)
        )
        self._ask()

    def _ask(self) -> None:
        while len(self._wanted) < WINDOW and (want := next(self._wants, None)) is not None:
            self._wanted[want] = None
            self._say(want)
        if not self._wanted:
            self._finish()

    def _finish(self) -> None:
        assert self._part is not None, "what was received lies somewhere"
        part, self._part = self._part, None
        (part / data.INDEX).write_bytes(self._index)
        self.close()
        data.commit(part, self._folders[0])
