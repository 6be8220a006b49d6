"""The run folder: the journal, the results file, and the status.

    DIR/journal.jsonl      every decision, a line each, written before the order it leads to leaves
    DIR/run.h5             all that is known, as tables that any HDF5 program reads
    DIR/run.h5.previous    the one before it
    DIR/status             "<id of the newest start> <state>", for the guards and for people
    DIR/lock               who writes here (lock.py)

Rules: the journal is only appended to, so a kill at any instant loses no line; a torn last line is
dropped. Each line ends with a checksum of itself. `run.h5` is written beside, synced and renamed,
so it is whole at any time; it has the journal so far and the jobs' state, so loading is: the state,
then the lines after it. What is damaged in one is taken from the other, or said; it is never
guessed, and reading changes nothing. No link in the folder is followed out of it. No pickle.
"""

import contextlib
import math
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpmpi import files, results
from hpmpi.errors import DiskError, StoreError
from hpmpi.jobs import JobsState
from hpmpi.lock import Lock
from hpmpi.messages import Baseline, Curve, Decision, Point, Result
from hpmpi.tables import Columns
from hpmpi.trial import Metrics

FORMAT = results.FORMAT
JOURNAL = "journal.jsonl"
RESULTS = "run.h5"
PREVIOUS = "run.h5.previous"
STATUS = "status"

FILES = (JOURNAL, RESULTS, PREVIOUS, STATUS, "lock", "logs/*", "baseline/*.log")
FOLDERS = ("checkpoints", "logs", "baseline", "baseline/checkpoints")
"""What is ours in a run folder."""

SYNC_EVERY_S = 1.0
"""How much of the journal a power failure may cost."""

STARTED = b'{"type":"started"'
CHECKSUM = b',"crc":"%08x"}'
CHECKSUM_BYTES = len(CHECKSUM % 0)

ENCODE = msgspec.json.Encoder().encode
# Not strict, so that "nan" and "inf" are numbers where a number is due: JSON has no word for them.
DECODE = msgspec.json.Decoder(Decision, strict=False).decode

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
"""What decoding raises for what nobody can read."""


class Saved(msgspec.Struct, frozen=True):
    """What a run folder holds; the `state` of the jobs has the first `counted` decisions in it."""

    decisions: list[Decision]
    state: JobsState | None = None
    counted: int = 0


class Store:
    """A run folder, open for writing."""

    def __init__(
        self, folder: Path, decisions: Sequence[Decision] = (), lock: Lock | None = None
    ) -> None:
        """Go on after `decisions`, which `read` has read from the same folder."""
        self.folder = folder
        self.decisions = list(decisions)
        self.lock = lock
        folder.mkdir(parents=True, exist_ok=True)
        files.sweep(folder, (JOURNAL, RESULTS, PREVIOUS, STATUS))
        if not self.decisions:
            for name in (RESULTS, PREVIOUS):
                (folder / name).unlink(missing_ok=True)
        self._journal, self._length = open_journal(folder / JOURNAL, self.decisions)
        self._doubtful = False
        self._synced_at = time.monotonic()

    def append(self, decision: Decision) -> None:
        """Write a decision; once this returns, the end of this process does not lose it.

        Raises DiskError where the disk does not take it: then it is not in the journal, and may be
        appended again later; StoreError where the folder is another run's by now.
        """
        text = line(decision)
        try:
            self._prepare()
            files.write(self._journal, text)
        except OSError as error:
            self._cut()
            raise self._trouble(error) from error
        self._length += len(text)
        self.decisions.append(decision)

    def sync(self) -> None:
        """Have the disk hold what was appended, and the lock kept, about once a second.

        Raises as `append` does.
        """
        if time.monotonic() - self._synced_at < SYNC_EVERY_S:
            return
        self._synced_at = time.monotonic()
        try:
            self._prepare()
            os.fsync(self._journal)
        except OSError as error:
            # What the disk did not take it may have forgotten, and the next call would not say so.
            self._doubtful = True
            raise self._trouble(error) from error

    def checkpoint(
        self,
        state: JobsState,
        tables: Mapping[str, Columns] | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Write the results file anew: what was decided so far, and the state it led to.

        Raises StoreError, and leaves the file that is there; the journal has everything.
        """
        self._keep_lock()
        partial = self.folder / f".{RESULTS}.{os.getpid()}"
        lines = [line(decision)[:-1] for decision in self.decisions]
        try:
            partial.unlink(missing_ok=True)
            contents = results.Contents(lines, ENCODE(state))
            results.write(partial, contents, tables or {}, attributes or {})
            self._replace(partial)
        except (OSError, ValueError, TypeError, OverflowError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(f"{self.folder / RESULTS} can't be written: {error}") from error

    def status(self, start: str, state: str) -> Path:
        """Say, in a file, which start is the newest and whether it goes on; return the file."""
        path = self.folder / STATUS
        try:
            files.replace(path, f"{start} {state}\n".encode())
        except OSError as error:
            raise DiskError(f"{path} can't be written: {error.strerror}") from error
        return path

    def close(self) -> None:
        """Have the disk hold everything, and let the next run have the folder."""
        try:
            os.fsync(self._journal)
        except OSError as error:
            raise self._trouble(error) from error
        finally:
            os.close(self._journal)
            if self.lock is not None:
                self.lock.release()

    def _keep_lock(self) -> None:
        if self.lock is not None:
            self.lock.beat(time.monotonic())

    def _prepare(self) -> None:
        """See to it that the folder is ours, and the journal as long as it should be."""
        self._keep_lock()
        if self._doubtful:
            path, before = self.folder / JOURNAL, self._journal
            files.replace(path, b"".join(map(line, self.decisions)))
            self._journal, self._length = open_journal(path, self.decisions)
            self._doubtful = False
            os.close(before)

    def _cut(self) -> None:
        """Take back what the disk took of a line."""
        try:
            os.ftruncate(self._journal, self._length)
        except OSError:
            self._doubtful = True

    def _trouble(self, error: OSError) -> DiskError:
        return DiskError(f"{self.folder / JOURNAL} can't be written: {error.strerror}")

    def _replace(self, partial: Path) -> None:
        whole, previous = self.folder / RESULTS, self.folder / PREVIOUS
        if whole.exists():
            # A copy beside, so that there is no instant without a whole file.
            link = self.folder / f".{PREVIOUS}.{os.getpid()}"
            link.unlink(missing_ok=True)
            files.link_or_copy(whole, link)
            link.rename(previous)
        partial.rename(whole)
        files.sync(self.folder)


def holds_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return any((folder / name).exists() for name in (JOURNAL, RESULTS, PREVIOUS))


def read_status(folder: Path) -> str:
    """Read the state that the newest start has come to; empty where nothing says so."""
    try:
        words = files.read(folder / STATUS).decode(errors="replace").split()
    except OSError:
        return ""
    return words[1] if len(words) > 1 else ""


def read(folder: Path) -> Saved:
    """Read what a run folder holds, and change nothing; raises StoreError.

    A folder that holds nothing of ours, or is not there, has no decisions.
    """
    files.refuse_strangers(folder, FILES, FOLDERS)
    journal = folder / JOURNAL
    rows = read_rows(journal)
    problems = []
    for file in (folder / RESULTS, folder / PREVIOUS):
        if not file.exists():
            continue
        try:
            found = results.read(file)
            decisions = decoded(found.lines, file)
            state = state_of(found.state, file)
        except StoreError as error:
            problems.append(str(error))
            continue
        if rows and not same_run(rows, found.lines):
            continue
        # The journal is the longer one, but for a power failure after the file was synced.
        counted = len(decisions)
        return Saved([*decisions, *decoded(rows, journal, counted)], state, counted)
    if problems and not rows:
        told = "\n".join(problems)
        raise StoreError(f"the results can't be read; --fresh moves them aside:\n{told}")
    return Saved(decoded(rows, journal))


# -- the journal -----------------------------------------------------------------------------------


class Written(msgspec.Struct):
    """What every format says of itself in the line of a start, but for the first format."""

    version: str
    format: int | None = None
    crc: str | None = None


def line(decision: Decision) -> bytes:
    """Write a decision as a line of JSON; its last key is a checksum of what stands before it."""
    match decision:
        case Result(metrics=metrics) | Baseline(metrics=metrics):
            decision = msgspec.structs.replace(decision, metrics=speakable(metrics))
        case Curve(points=points):
            told = [Point(point.resource, speakable(point.metrics)) for point in points]
            decision = msgspec.structs.replace(decision, points=told)
        case _:
            pass
    text = ENCODE(decision)[:-1]
    return text + CHECKSUM % zlib.crc32(text) + b"\n"


def speakable(metrics: Metrics) -> Metrics:
    """Write as text the numbers that JSON has no word for; reading turns them back."""
    if all(map(math.isfinite, metrics.values())):
        return metrics
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
    without = 1 if written.crc is None else FORMAT
    version = without if written.format is None else written.format
    if version != FORMAT:
        raise results.foreign(path, version, f"hpmpi {written.version}")


def decoded(rows: Sequence[bytes], path: Path, first: int = 0) -> list[Decision]:
    """Decode lines from number `first` on, counted from 0; raises StoreError for a damaged one."""
    decisions: list[Decision] = []
    for number, row in enumerate(rows[first:], start=first + 1):
        try:
            if not is_whole(row):
                raise ValueError("its checksum is not that of what is in it")
            decisions.append(DECODE(row))
        except UNREADABLE as error:
            raise StoreError(
                f"line {number} of {path} is damaged: {error}; nothing was changed. --fresh moves "
                f"the run aside; to go on from the lines before, keep only those: head -n "
                f"{number - 1}"
            ) from error
    return decisions


def state_of(text: bytes, path: Path) -> JobsState:
    """Decode the jobs' state of a results file; raises StoreError."""
    try:
        return msgspec.json.decode(text, type=JobsState)
    except UNREADABLE as error:
        raise StoreError(f"the state in {path} is damaged: {error}") from error


def same_run(rows: Sequence[bytes], lines: Sequence[bytes]) -> bool:
    """Tell whether a journal and the lines of a results file are of one run.

    The first line has the id of the first start; where it is damaged, all others are compared.
    """
    compared = 1 if is_whole(rows[0]) else None
    pairs = [pair for pair in zip(rows, lines, strict=False) if is_whole(pair[0])][:compared]
    return pairs != [] and all(row == text for row, text in pairs)


def open_journal(path: Path, decisions: Sequence[Decision]) -> tuple[int, int]:
    """Open a journal for appending after `decisions`; return the descriptor, and the length.

    What else it has is torn, and is cut off.
    """
    expected = b"".join(map(line, decisions))
    if not path.exists() or not files.read(path).startswith(expected):
        files.replace(path, expected)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    os.ftruncate(descriptor, len(expected))
    return descriptor, len(expected)
