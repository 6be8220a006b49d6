"""The process that writes run.h5: `python -m hpmpi.book DESCRIPTOR FOLDER`, for scribe.py.

It knows what the journal says, and nothing else. So it derives the jobs' state again from the
decisions: that there is a results file proves that this can be done.
"""

import socket
import sys
from pathlib import Path

import msgspec

from hpmpi import __version__, guard, settings, store, tables
from hpmpi.decisions import Decision, Started
from hpmpi.errors import HpmpiError, StoreError
from hpmpi.frames import Frames
from hpmpi.jobs import Jobs
from hpmpi.journal import ENCODE, decoded
from hpmpi.leaderboard import Leaderboard
from hpmpi.resume import follow
from hpmpi.scribe import Done, Task
from hpmpi.summary import board_of, stored_study


class Book:
    """A run as far as its journal has been read."""

    def __init__(self, folder: Path) -> None:
        """Read the journal in `folder`, from the beginning on."""
        self._folder = folder
        self._length = 0
        self._lines: list[bytes] = []
        self._decisions: list[Decision] = []
        self._settings = ""
        self._jobs: Jobs | None = None
        self._board: Leaderboard | None = None

    def write(self, task: Task) -> None:
        """Write a results file; raises HpmpiError where that can't be done."""
        new = self._read(task.length)
        if self._jobs is None or self._board is None:
            self._open(new)
        assert self._jobs is not None, "it was opened"
        assert self._board is not None, "it was opened"
        follow(self._jobs, new)
        for decision in new:
            self._board.add(decision)
        self._decisions += new
        store.write_results(
            Path(task.file),
            store.Contents(self._lines, ENCODE(self._jobs.state())),
            tables.tell(self._decisions, self._board),
            {"hpmpi": __version__, "settings": self._settings, "state": task.state},
        )

    def _open(self, decisions: list[Decision]) -> None:
        study = stored_study(decisions, self._folder)
        self._settings = [each.settings for each in decisions if isinstance(each, Started)][-1]
        self._jobs = Jobs(settings.build(study), study.goal, study.limits.max_failures)
        self._board = board_of(study, [], self._jobs.scheduler.rungs)

    def _read(self, length: int) -> list[Decision]:
        path = self._folder / store.JOURNAL
        try:
            with path.open("rb") as journal:
                journal.seek(self._length)
                text = journal.read(length - self._length)
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}") from error
        if self._length + len(text) < length:
            raise StoreError(f"{path} is too short: the disk has not taken all")
        lines = text.split(b"\n")[:-1]
        decisions = decoded(lines, path)
        self._lines += lines
        self._length = length
        return decisions


def main(descriptor: str, folder: str) -> None:
    """Write what the rank at the other end of a socket asks for, until it hangs up."""
    guard.die_with_parent()
    book = Book(Path(folder))
    frames = Frames(socket.socket(fileno=int(descriptor)))
    while messages := frames.wait():
        for message in messages:
            try:
                book.write(msgspec.msgpack.decode(message, type=Task))
                done = Done()
            except HpmpiError as error:
                done = Done(str(error))
            frames.send(msgspec.msgpack.encode(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
