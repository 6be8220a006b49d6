"""The process that writes run.h5, started by results_writer.py with a connection and a folder.

It knows what the journal says, and nothing else: that is all that the tables need.

Rule: it reads, then writes; only then has it come so far. After an error it starts anew.
"""

import socket
import sys
from pathlib import Path

import msgspec

from hpmpi import __version__
from hpmpi.errors import HpmpiError, StoreError
from hpmpi.guard import process_tree, streams
from hpmpi.history import tables
from hpmpi.leader.results_writer import Done, Proof, Task
from hpmpi.model.messages import escaped
from hpmpi.model.records import Decision, Joined, Started
from hpmpi.storage import run_folder
from hpmpi.storage.journal import decoded
from hpmpi.transports.framing import Frames
from hpmpi.views.run_view import board_of, stored_study

MOST_OF_NOTES = 8000
"""How much an attribute has room for, in characters, whatever they are."""


class ResultsBuilder:
    """A run as far as its journal has been read and written."""

    def __init__(self, folder: Path) -> None:
        """Read the journal in `folder`, from the beginning on."""
        self._folder = folder
        self._length = 0
        self._lines: list[bytes] = []
        self._decisions: list[Decision] = []

    def write(self, task: Task) -> Done:
        """Write a results file; raises HpmpiError where that can't be done."""
        lines, new = self._read(task.length)
        lines, decisions = self._lines + lines, self._decisions + new
        study = stored_study(decisions, self._folder)
        ran = [each.settings for each in decisions if isinstance(each, Started)][-1]
        run_folder.write_results(
            Path(task.file),
            lines,
            tables.tell(decisions, board_of(study, decisions)),
            {
                "hpmpi": __version__,
                "settings": ran,
                "state": task.state,
                "notes": notes_of(decisions),
            },
        )
        self._length, self._lines, self._decisions = task.length, lines, decisions
        return Done(task.file)

    def _read(self, length: int) -> tuple[list[bytes], list[Decision]]:
        path = self._folder / run_folder.JOURNAL
        try:
            with path.open("rb") as journal:
                journal.seek(self._length)
                text = journal.read(length - self._length)
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}") from error
        if self._length + len(text) < length:
            raise StoreError(f"{path} is too short: the disk has not taken all")
        lines = text.split(b"\n")[:-1]
        return lines, decoded(lines, path)


def notes_of(decisions: list[Decision]) -> str:
    """Return what the ranks have said of the study, a line each."""
    joined = [each for each in decisions if isinstance(each, Joined)]
    notes = dict.fromkeys(escaped(note) for each in joined for note in each.notes)
    return "\n".join(notes)[:MOST_OF_NOTES]


def main(descriptor: str, folder: str) -> None:
    """Write what the rank at the other end of a socket asks for, until it hangs up."""
    process_tree.die_with_parent()
    streams.settle()
    book = ResultsBuilder(Path(folder))
    frames = Frames(socket.socket(fileno=int(descriptor)))
    while messages := frames.wait():
        for message in messages:
            try:
                match msgspec.msgpack.decode(message, type=Task | Proof):
                    case Task() as task:
                        done = book.write(task)
                    case Proof(file=file):
                        run_folder.prove(Path(file))
                        done = Done()
            except HpmpiError as error:
                book = ResultsBuilder(Path(folder))
                done = Done(error=str(error), may_pass=error.may_pass)
            frames.send(msgspec.msgpack.encode(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
