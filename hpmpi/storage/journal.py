"""The journal: events and what was decided on each, a line of JSON that ends with a checksum.

    {"type":"entry","at":2.5,"event":{...},"decisions":[...],"crc":"5e1f00d5"}

Rules: it is only appended to, so a kill at any instant loses no line; a torn last line is dropped.
The checksum of a line goes on from that of the line before: so a line that is missing, moved or
repeated is noticed as one that was changed is. What is damaged is said, and never guessed.
"""

import contextlib
import gc
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hpmpi.errors import StoreError
from hpmpi.model.events import Heard
from hpmpi.model.messages import Finished, Point, Progress
from hpmpi.model.records import Entry, Line
from hpmpi.model.trial import Metrics
from hpmpi.storage import files
from hpmpi.storage.run_format import FORMAT, foreign

STARTED = b'{"type":"started"'
CHECKSUM = b',"crc":"%08x"}'
CHECKSUM_BYTES = len(CHECKSUM % 0)

ENCODE = msgspec.json.Encoder().encode
# Not strict, so that "nan" and "inf" are numbers where a number is due: JSON has no word for them.
DECODE = msgspec.json.Decoder(Line, strict=False).decode

REPAIR = "`hpmpi repair DIR` takes what is damaged or missing from the copy in run.h5"
"""What to do about damage."""

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
"""What decoding raises for what nobody can read."""

BROKEN = (
    "its checksum is not that of what is in it, after the lines before: it was changed, or lines "
    "before it are missing or moved"
)


class Written(msgspec.Struct):
    """What every format says of itself in the line of a start, but for the first format."""

    version: str
    format: int | None = None
    crc: str | None = None


class JournalPart(NamedTuple):
    """What was read of a journal: its rows, as they stand there but for their ends; and decoded."""

    rows: list[bytes]
    lines: list[Line]


class JournalReader:
    """Reads a journal on from where it was; keeps nothing of it but where that is."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning; there need be no file."""
        self.length = 0
        self.crc = 0
        self.count = 0
        self._path = path

    def read(self, end: int | None = None) -> JournalPart:
        """Read what came since, up to so many bytes from the beginning; a torn line waits.

        Raises StoreError for what is damaged, of another format, or shorter than it was or than
        `end`; the reader stays where it was then. Where a disk is full, rank 0 may take back lines
        that were read already, and what comes then seems damaged: so who follows a run begins once
        more with another reader, and only then believes it.
        """
        text = read_text(self._path, self.length, end)
        rows = text.split(b"\n")
        torn = len(rows.pop())
        lines, crc = self._decoded(rows)
        self.length += len(text) - torn
        self.count += len(rows)
        self.crc = crc
        return JournalPart(rows, lines)

    def _decoded(self, rows: list[bytes]) -> tuple[list[Line], int]:
        """Decode rows; return the checksum of the last one, too."""
        lines: list[Line] = []
        crc = self.crc
        try:
            with collector_paused():
                for row in rows:
                    if row.startswith(STARTED):
                        refuse_format(row, self._path)
                    crc = zlib.crc32(row[:-CHECKSUM_BYTES], crc)
                    if not row.endswith(CHECKSUM % crc):
                        raise ValueError(BROKEN)
                    lines.append(DECODE(row))
        except UNREADABLE as error:
            number = self.count + len(lines) + 1
            raise StoreError(
                f"line {number} of {self._path} is damaged: {error}; nothing was changed. {REPAIR},"
                " and --fresh moves the run aside; to go on from the lines before, keep only "
                f"those: head -n {number - 1}"
            ) from error
        return lines, crc


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Have no garbage looked for where much is made and none is: it takes as long as decoding."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def rows_of(lines: Iterable[Line], before: int = 0) -> list[bytes]:
    """Write lines that follow each other, without their ends.

    `before` is the checksum of the line before them, 0 without one.
    """
    rows = []
    for line in lines:
        text = ENCODE(line)
        # NaN and infinity are written so; and what has no value, which is none of them.
        if b"null" in text and (spoken := speakable(line)) is not line:
            text = ENCODE(spoken)
        text = text[:-1]
        before = zlib.crc32(text, before)
        rows.append(text + CHECKSUM % before)
    return rows


def crc_of(row: bytes) -> int:
    """Read the checksum that a row, which has no end, says; raises ValueError where it says none.

    >>> hex(crc_of(b'{"type":"tick","crc":"0000beef"}'))
    '0xbeef'
    """
    return int(row[-CHECKSUM_BYTES:].removeprefix(b',"crc":"').removesuffix(b'"}'), 16)


def is_whole(row: bytes, before: int) -> bool:
    """Tell whether a row, which has no end, is as it was written after that checksum."""
    return row.endswith(CHECKSUM % zlib.crc32(row[:-CHECKSUM_BYTES], before))


def text_of(rows: Iterable[bytes]) -> bytes:
    """Put rows together, as a file has them."""
    return b"".join(row + b"\n" for row in rows)


def read_rows(path: Path) -> list[bytes]:
    """Read the rows of a journal but for a torn one, whatever is in them; raises StoreError.

    That is for another format, too.
    """
    rows = read_text(path).split(b"\n")[:-1]
    for row in rows:
        if row.startswith(STARTED):
            refuse_format(row, path)
    return rows


def read_text(path: Path, start: int = 0, end: int | None = None) -> bytes:
    """Read a file from a place on, which it reaches; none is empty; raises StoreError."""
    due = start if end is None else max(start, end)
    try:
        with files.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            text = file.read() if end is None else file.read(due - start)
    except FileNotFoundError:
        size, text = 0, b""
    except OSError as error:
        raise StoreError(f"the journal {path} can't be read: {error.strerror}") from error
    if size < due:
        raise StoreError(f"{path} is too short: it has {size} bytes, and not {due}")
    return text


def open_journal(path: Path, length: int) -> int:
    """Open a journal for appending after so many bytes; what else it has is torn, and is cut off.

    Returns the descriptor.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    os.ftruncate(descriptor, length)
    return descriptor


def speakable(line: Line) -> Line:
    """Write as text the numbers that JSON has no word for; reading turns them back."""
    if not isinstance(line, Entry) or not isinstance(line.event, Heard):
        return line
    match line.event.report:
        case Finished(metrics=metrics) if not is_finite(metrics):
            told: dict[str, Any] = {"metrics": in_words(metrics)}
        case Progress(points=points) if not all(is_finite(point.metrics) for point in points):
            told = {"points": [Point(it.resource, in_words(it.metrics)) for it in points]}
        case _:
            return line
    replace = msgspec.structs.replace
    report = replace(line.event.report, **told)
    return replace(line, event=replace(line.event, report=report))


def is_finite(metrics: Metrics) -> bool:
    """Tell whether JSON has words for all numbers."""
    return all(map(math.isfinite, metrics.values()))


def in_words(metrics: Metrics) -> Metrics:
    """Write as text what is not finite."""
    told: dict[str, Any] = {
        name: value if math.isfinite(value) else str(value) for name, value in metrics.items()
    }
    return told


def refuse_format(row: bytes, path: Path) -> None:
    """Raise StoreError where the line of a start is not of our format."""
    try:
        written = msgspec.json.decode(row, type=Written)
    except UNREADABLE:  # then it is damaged
        return
    without = 1 if written.crc is None else FORMAT
    version = without if written.format is None else written.format
    if version != FORMAT:
        raise foreign(path, version, f"hpmpi {written.version}")
