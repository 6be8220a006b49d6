"""The journal: every decision, a line of JSON each, which ends with a checksum of itself.

Rules: it is only appended to, so a kill at any instant loses no line; a torn last line is dropped.
What is damaged is said, and never guessed.
"""

import contextlib
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.errors import StoreError
from hpmpi.model.messages import Point
from hpmpi.model.records import Baseline, Curve, Decision, Result
from hpmpi.model.trial import Metrics
from hpmpi.storage import files, results_file

STARTED = b'{"type":"started"'
CHECKSUM = b',"crc":"%08x"}'
CHECKSUM_BYTES = len(CHECKSUM % 0)

ENCODE = msgspec.json.Encoder().encode
# Not strict, so that "nan" and "inf" are numbers where a number is due: JSON has no word for them.
DECODE = msgspec.json.Decoder(Decision, strict=False).decode

REPAIR = "`hpmpi repair DIR` takes what is damaged or missing from the copy in run.h5"
"""What to do about damage."""

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
"""What decoding raises for what nobody can read."""


class Written(msgspec.Struct):
    """What every format says of itself in the line of a start, but for the first format."""

    version: str
    format: int | None = None
    crc: str | None = None


def line_of(decision: Decision) -> bytes:
    """Write a decision as a line of JSON; its last key is a checksum of what stands before it."""
    match decision:
        case Result(metrics=metrics) | Baseline(metrics=metrics):
            if not is_speakable(metrics):
                decision = msgspec.structs.replace(decision, metrics=speakable(metrics))
        case Curve(points=points):
            told = [Point(point.resource, speakable(point.metrics)) for point in points]
            decision = msgspec.structs.replace(decision, points=told)
        case _:
            pass
    text = ENCODE(decision)[:-1]
    return text + CHECKSUM % zlib.crc32(text) + b"\n"


def is_speakable(metrics: Metrics) -> bool:
    """Tell whether JSON has words for all numbers."""
    return all(map(math.isfinite, metrics.values()))


def speakable(metrics: Metrics) -> Metrics:
    """Write as text the numbers that JSON has no word for; reading turns them back."""
    told: dict[str, Any] = {
        name: value if math.isfinite(value) else str(value) for name, value in metrics.items()
    }
    return told


def is_whole(row: bytes) -> bool:
    """Tell whether a line, without its end, has the right checksum."""
    return row.endswith(CHECKSUM % zlib.crc32(row[:-CHECKSUM_BYTES]))


def read_rows(path: Path) -> list[bytes]:
    """Read the lines of a journal but for a torn one; raises StoreError for another format."""
    try:
        rows = files.read(path).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the journal {path} can't be read: {error.strerror}") from error
    for row in rows:
        if row.startswith(STARTED):
            with contextlib.suppress(*UNREADABLE):  # then it is damaged, or of a later format
                refuse_format(msgspec.json.decode(row, type=Written), path)
    return rows


def refuse_format(written: Written, path: Path) -> None:
    """Raise StoreError where a journal is not of our format."""
    without = 1 if written.crc is None else results_file.FORMAT
    version = without if written.format is None else written.format
    if version != results_file.FORMAT:
        raise results_file.foreign(path, version, f"hpmpi {written.version}")


def decoded(rows: Sequence[bytes], path: Path) -> list[Decision]:
    """Decode lines; raises StoreError for a damaged one."""
    decisions: list[Decision] = []
    for number, row in enumerate(rows, start=1):
        try:
            if not is_whole(row):
                raise ValueError("its checksum is not that of what is in it")
            decisions.append(DECODE(row))
        except UNREADABLE as error:
            raise StoreError(
                f"line {number} of {path} is damaged: {error}; nothing was changed. {REPAIR}, and "
                f"--fresh moves the run aside; to go on from the lines before, keep only those: "
                f"head -n {number - 1}"
            ) from error
    return decisions


def open_journal(path: Path, length: int) -> int:
    """Open a journal for appending after so many bytes; what else it has is torn, and is cut off.

    Returns the descriptor.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    os.ftruncate(descriptor, length)
    return descriptor
