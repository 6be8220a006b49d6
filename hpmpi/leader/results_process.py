"""The process that writes run.h5, started by results_writer.py with a connection and a folder.

It knows what the journal says, and nothing else: that is all that the tables need.

Rule: it reads on from where it was, then writes. After an error it starts anew.
"""

import socket
import sys
from pathlib import Path

import msgspec

from hpmpi import __version__
from hpmpi.errors import HpmpiError
from hpmpi.guard import process_tree, streams
from hpmpi.history import tables
from hpmpi.history.history import History
from hpmpi.leader.results_writer import Done, Proof, WriteTask
from hpmpi.model.messages import escaped
from hpmpi.storage import run_folder
from hpmpi.storage.journal import JournalReader
from hpmpi.transports.framing import Frames

MOST_OF_NOTES = 8000
"""How much an attribute has room for, in characters, whatever they are."""


class ResultsBuilder:
    """A run as far as its journal has been read."""

    def __init__(self, folder: Path) -> None:
        """Read the journal in `folder`, from the beginning on."""
        self._reader = JournalReader(folder / run_folder.JOURNAL)
        self._rows: list[bytes] = []
        self._history = History()

    def write(self, task: WriteTask) -> Done:
        """Write a results file; raises HpmpiError where that can't be done."""
        self._read(task.length)
        attributes = {
            "hpmpi": __version__,
            "settings": self._history.starts[-1].settings,
            "state": task.state,
            "notes": "\n".join(map(escaped, self._history.notes))[:MOST_OF_NOTES],
        }
        told = tables.tell(self._history)
        run_folder.write_results(Path(task.file), self._rows, told, attributes)
        return Done(task.file)

    def _read(self, length: int) -> None:
        part = self._reader.read(length)
        for line in part.lines:
            self._history.add(line)
        self._rows += part.rows


def main(descriptor: str, folder: str) -> None:
    """Write what the rank at the other end of a socket asks for, until it hangs up."""
    process_tree.die_with_parent()
    streams.settle()
    builder = ResultsBuilder(Path(folder))
    frames = Frames(socket.socket(fileno=int(descriptor)))
    while messages := frames.wait():
        for message in messages:
            try:
                match msgspec.msgpack.decode(message, type=WriteTask | Proof):
                    case WriteTask() as task:
                        done = builder.write(task)
                    case Proof(file=file):
                        run_folder.prove(Path(file))
                        done = Done()
            except HpmpiError as error:
                builder = ResultsBuilder(Path(folder))
                done = Done(error=str(error), may_pass=error.may_pass)
            frames.send(msgspec.msgpack.encode(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
