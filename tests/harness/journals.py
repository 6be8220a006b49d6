"""A run that is small and whole, as the lines of its journal; and what damage makes of these."""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from hpmpi.history import tables
from hpmpi.history.history import History
from hpmpi.model.events import Heard, Silent
from hpmpi.model.messages import FailureKind, Finished, Point, Progress, Ready
from hpmpi.model.records import Assigned, Entry, Failure, Line, Result, Started, Suggestion
from hpmpi.model.trial import AttemptId, Config, Metrics
from hpmpi.storage import run_format
from hpmpi.storage.journal import CHECKSUM, CHECKSUM_BYTES, rows_of, text_of
from hpmpi.storage.run_folder import JOURNAL, Store

STUDY = """
name = "small"
objective = "train.py:train"
metric = "loss"

[space]
rate = { type = "float", low = 0.0, high = 1.0 }
kind = { type = "choice", values = ["a", "b"] }
deep = { type = "choice", values = [true, false] }

[scheduler]
method = "full"
max_resource = 3

[stop]
max_trials = 2
"""

FIRST = AttemptId(0, 0, 1)
SECOND = AttemptId(1, 0, 1)
CONFIG: Config = {"rate": 0.1, "kind": "a", "deep": True}


def started(start: str = "cafe", at: float = 0.0) -> Started:
    """Start the study, on two ranks."""
    return Started(at, "0.2", STUDY, start, 2, (3,), run_format.FORMAT)


def joined(at: float, rank: int) -> Entry:
    """Hear that a rank can work; nothing is decided on it."""
    return Entry(at, Heard(rank, Ready(f"node{rank}", 16 + rank)))


def assigned(at: float, attempt: AttemptId, rank: int = 1, config: Config = CONFIG) -> Entry:
    """Hear that a rank can work, and give it the first job of a trial."""
    decided = Assigned(attempt, 3, rank)
    suggested = Suggestion(attempt.trial, config)
    return Entry(at, Heard(rank, Ready(f"node{rank}", 16 + rank)), (decided,), (suggested,))


def drawn(at: float, attempt: AttemptId, points: Sequence[Point], rank: int = 1) -> Entry:
    """Hear of a learning curve."""
    return Entry(at, Heard(rank, Progress(attempt, list(points))))


def finished(at: float, attempt: AttemptId, metrics: Metrics, rank: int = 1) -> Entry:
    """Hear a result."""
    return Entry(at, Heard(rank, Finished(attempt, metrics, 3)), (Result(attempt),))


def lost(at: float, rank: int, *attempts: AttemptId) -> Entry:
    """Lose a rank, with what it has in work."""
    return Entry(at, Silent((rank,)), tuple(Failure(it, FailureKind.LOST) for it in attempts))


def run(start: str = "cafe") -> list[Line]:
    """Make the lines of a run: a curve, a result, a lost rank; and numbers JSON has no word for."""
    return [
        started(start),
        assigned(0.5, FIRST),
        drawn(1.0, FIRST, [Point(1, {"loss": math.nan}), Point(2, {"loss": 0.5})]),
        finished(2.5, FIRST, {"loss": math.inf, "size": 3.0}),
        assigned(3.0, SECOND, 2, CONFIG | {"rate": 0.2}),
        lost(9.0, 2, SECOND),
    ]


def told(lines: Iterable[Line]) -> dict[str, tables.Columns]:
    """Make the tables that lines lead to."""
    history = History()
    for line in lines:
        history.add(line)
    return tables.tell(history)


def filled(folder: Path, lines: Iterable[Line] = ()) -> Store:
    """Open a run folder for writing, and write a journal: that of the run, if none is given."""
    opened = Store(folder)
    for line in lines or run():
        opened.append(line)
    return opened


def write(folder: Path, lines: Iterable[Line]) -> None:
    """Write a journal that nobody goes on with."""
    folder.mkdir(parents=True, exist_ok=True)
    put(folder, rows_of(lines))


def put(folder: Path, rows: Iterable[bytes]) -> None:
    """Write a journal of these rows, whatever they are."""
    (folder / JOURNAL).write_bytes(text_of(rows))


def rows_in(folder: Path) -> list[bytes]:
    """Read the rows of a journal, as they are."""
    return (folder / JOURNAL).read_bytes().split(b"\n")[:-1]


def resealed(rows: Iterable[bytes]) -> list[bytes]:
    """Give rows, or what is to be rows, the checksums that they should have after each other."""
    made, crc = [], 0
    for row in rows:
        sealed = row[-CHECKSUM_BYTES:].startswith(b',"crc":"')
        text = row[:-CHECKSUM_BYTES] if sealed else row
        crc = zlib.crc32(text, crc)
        made.append(text + CHECKSUM % crc)
    return made


def damage(folder: Path, number: int) -> None:
    """Change a number in a line of a journal, counted from 1."""
    rows = rows_in(folder)
    rows[number - 1] = rows[number - 1].replace(b'"at":', b'"at":1', 1)
    put(folder, rows)


# -- what is no order of lines -------------------------------------------------------------------


def removed(rows: list[bytes]) -> Iterator[list[bytes]]:
    """Take each row out, but for the last: what is read then is a journal."""
    return (rows[:at] + rows[at + 1 :] for at in range(len(rows) - 1))


def swapped(rows: list[bytes]) -> Iterator[list[bytes]]:
    """Swap each two rows."""
    for one, other in combinations(range(len(rows)), 2):
        made = list(rows)
        made[one], made[other] = rows[other], rows[one]
        yield made


def repeated(rows: list[bytes]) -> Iterator[list[bytes]]:
    """Put each row in once more, at each place."""
    return inserted(rows, rows)


def foreign(rows: list[bytes]) -> Iterator[list[bytes]]:
    """Put each row of another run of the same study in, at each place."""
    return inserted(rows, rows_of(run("beef")))


def replaced(rows: list[bytes]) -> Iterator[list[bytes]]:
    """Have that of another run of the same study stand for each row."""
    for at, row in enumerate(rows_of(run("beef"))):
        yield [*rows[:at], row, *rows[at + 1 :]]


def inserted(rows: list[bytes], others: list[bytes]) -> Iterator[list[bytes]]:
    """Put in each of the others, at each place."""
    for other in others:
        for at in range(len(rows) + 1):
            yield [*rows[:at], other, *rows[at:]]


DISORDERS = (removed, swapped, repeated, foreign, replaced)
