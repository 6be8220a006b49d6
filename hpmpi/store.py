"""The run folder: the journal, the results file, and the status.

    DIR/journal.jsonl      every decision, a line each, written before the order it leads to leaves
    DIR/run.h5             all that is known, as tables that any HDF5 program reads
    DIR/run.h5.previous    the one before it
    DIR/status             "<id of the newest start> <state>", for the guards and for people

Rules: the journal is only appended to, so a kill at any instant loses no line; a torn last line is
dropped. `run.h5` is written beside, synced and renamed, so it is whole at any time; it has the
journal so far and the jobs' state, so loading is: the state, then the lines after it. No pickle.
"""

import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.checkpoints import sync
from hpmpi.errors import StoreError
from hpmpi.jobs import JobsState
from hpmpi.messages import Baseline, Curve, Decision, Point, Result
from hpmpi.tables import Columns
from hpmpi.trial import Metrics

FORMAT = 1
JOURNAL = "journal.jsonl"
RESULTS = "run.h5"
PREVIOUS = "run.h5.previous"
STATUS = "status"

MOST_COLUMNS = 256
"""How many columns a table has at most; one with more is a group of columns."""

SYNC_EVERY_S = 1.0
"""How much of the journal a power failure may cost."""

ENCODE = msgspec.json.Encoder().encode
# Not strict, so that "nan" and "inf" are numbers where a number is due: JSON has no word for them.
DECODE = msgspec.json.Decoder(Decision, strict=False).decode


class Saved(msgspec.Struct, frozen=True):
    """What a run folder holds; the `state` of the jobs has the first `counted` decisions in it."""

    decisions: list[Decision]
    state: JobsState | None = None
    counted: int = 0


class Store:
    """A run folder, open for writing."""

    def __init__(self, folder: Path, decisions: Sequence[Decision] = ()) -> None:
        """Go on after `decisions`, which `read` has read from the same folder."""
        self.folder = folder
        self.decisions = list(decisions)
        folder.mkdir(parents=True, exist_ok=True)
        if not self.decisions:
            for name in (RESULTS, PREVIOUS):
                (folder / name).unlink(missing_ok=True)
        self._journal = open_journal(folder / JOURNAL, self.decisions)
        self._synced_at = time.monotonic()

    def append(self, decision: Decision) -> None:
        """Write a decision; once this returns, the end of this process does not lose it."""
        self.decisions.append(decision)
        write(self._journal, line(decision))

    def sync(self) -> None:
        """Have the disk hold what was appended, about once a second."""
        if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
            os.fsync(self._journal)
            self._synced_at = time.monotonic()

    def checkpoint(
        self,
        state: JobsState,
        tables: Mapping[str, Columns] | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Write the results file anew: what was decided so far, and the state it led to.

        Raises StoreError, and leaves the file that is there; the journal has everything.
        """
        partial = self.folder / f".{RESULTS}.{os.getpid()}"
        try:
            write_results(partial, self.decisions, state, tables or {}, attributes or {})
            sync(partial)
            self._replace(partial)
        except (OSError, ValueError, TypeError, OverflowError) as error:
            partial.unlink(missing_ok=True)
            raise StoreError(f"{self.folder / RESULTS} can't be written: {error}") from error

    def _replace(self, partial: Path) -> None:
        whole, previous = self.folder / RESULTS, self.folder / PREVIOUS
        if whole.exists():
            # A copy beside, so that there is no instant without a whole file.
            link = self.folder / f".{PREVIOUS}.{os.getpid()}"
            link.unlink(missing_ok=True)
            link_or_copy(whole, link)
            link.rename(previous)
        partial.rename(whole)

    def status(self, start: str, state: str) -> Path:
        """Say, in a file, which start is the newest and whether it goes on; return the file."""
        partial = self.folder / f".{STATUS}.{os.getpid()}"
        partial.write_text(f"{start} {state}\n")
        return partial.rename(self.folder / STATUS)

    def close(self) -> None:
        """Have the disk hold everything."""
        os.fsync(self._journal)
        os.close(self._journal)


def holds_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return any((folder / name).exists() for name in (JOURNAL, RESULTS, PREVIOUS))


def read(folder: Path) -> Saved:
    """Read what a run folder holds, and change nothing; raises StoreError.

    A folder that holds nothing of ours, or is not there, has no decisions.
    """
    decisions = read_journal(folder / JOURNAL)
    files = [file for file in (folder / RESULTS, folder / PREVIOUS) if file.exists()]
    problems = []
    for file in files:
        try:
            saved = read_results(file)
        except (OSError, KeyError, ValueError) as error:
            problems.append(f"{file}: {error}")
            continue
        # The first line has the id of the first start: where it is another, so is the journal.
        if decisions and decisions[:1] != saved.decisions[:1]:
            continue
        # The journal is the longer one, but for a power failure after the file was synced.
        if len(decisions) < saved.counted:
            return saved
        return Saved(decisions, saved.state, saved.counted)
    if problems and not decisions:
        told = "\n".join(problems)
        raise StoreError(f"the results can't be read; --fresh moves them aside:\n{told}")
    return Saved(decisions)


# -- the journal -----------------------------------------------------------------------------------


def line(decision: Decision) -> bytes:
    """Write a decision as a line of JSON."""
    match decision:
        case Result(metrics=metrics) | Baseline(metrics=metrics):
            decision = msgspec.structs.replace(decision, metrics=speakable(metrics))
        case Curve(points=points):
            told = [Point(point.resource, speakable(point.metrics)) for point in points]
            decision = msgspec.structs.replace(decision, points=told)
        case _:
            pass
    return ENCODE(decision) + b"\n"


def speakable(metrics: Metrics) -> Metrics:
    """Write as text the numbers that JSON has no word for; reading turns them back."""
    if all(map(math.isfinite, metrics.values())):
        return metrics
    told: dict[str, Any] = {
        name: value if math.isfinite(value) else str(value) for name, value in metrics.items()
    }
    return told


def read_journal(path: Path) -> list[Decision]:
    """Read the whole lines of a journal; raises StoreError where one is not ours."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the journal {path} can't be read: {error.strerror}") from error
    decisions = []
    for number, row in enumerate(text.split(b"\n")[:-1], start=1):
        try:
            decisions.append(DECODE(row))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"line {number} of the journal {path} is damaged: {error}; "
                "--fresh moves the run aside"
            ) from error
    return decisions


def open_journal(path: Path, decisions: Sequence[Decision]) -> int:
    """Open a journal for appending after `decisions`; what else it has is torn, and is cut off."""
    expected = b"".join(map(line, decisions))
    found = path.read_bytes() if path.exists() else b""
    if not found.startswith(expected):
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(expected)
        sync(partial)
        partial.rename(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    os.ftruncate(descriptor, len(expected))
    return descriptor


def write(descriptor: int, text: bytes) -> None:
    """Write all of it."""
    while text:
        text = text[os.write(descriptor, text) :]


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, where the file system can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


# -- the results file ------------------------------------------------------------------------------


def write_results(
    path: Path,
    decisions: Sequence[Decision],
    state: JobsState,
    tables: Mapping[str, Columns],
    attributes: Mapping[str, str],
) -> None:
    """Write a results file."""
    import h5py  # noqa: PLC0415 - rank 0 pays for it, once it writes

    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": FORMAT, **attributes})
        for name, columns in tables.items():
            if len(columns) <= MOST_COLUMNS:
                file.create_dataset(name, data=as_array(columns, text))
                continue
            # HDF5 can't describe so many columns in one place: each is then a data set.
            group = file.create_group(name)
            for column, values in columns.items():
                array = as_array({column: values}, text)[column]
                group.create_dataset(column.replace("/", "|"), data=array, dtype=array.dtype)
        lines = [line(decision).decode().rstrip("\n") for decision in decisions]
        file.create_dataset("decisions", data=lines, dtype=text)
        file.create_dataset("state", data=ENCODE(state).decode(), dtype=text)


def read_results(path: Path) -> Saved:
    """Read the decisions and the state of a results file; raises StoreError for another format."""
    import h5py  # noqa: PLC0415 - only who reads one pays for it

    with h5py.File(path, "r") as file:
        version = file.attrs["format"]
        if version != FORMAT:
            raise StoreError(
                f"{path} has format {version}, and this hpmpi reads format {FORMAT}: "
                "use the version of hpmpi that wrote it"
            )
        decisions = [DECODE(row) for row in file["decisions"]]
        state = msgspec.json.decode(file["state"][()], type=JobsState)
    return Saved(decisions, state, len(decisions))


def as_array(columns: Columns, text: Any) -> Any:
    """Turn columns into an array of records."""
    import numpy as np  # noqa: PLC0415 - with h5py, which needs it

    types = {bool: np.bool_, int: np.int64, float: np.float64, str: text}
    kinds = [
        (name, types[type(values[0])] if values else float) for name, values in columns.items()
    ]
    length = len(next(iter(columns.values())))
    array = np.empty(length, dtype=np.dtype(kinds))
    for name, values in columns.items():
        # HDF5's texts end at a NUL, which what a dying program prints may well have.
        array[name] = [
            each.replace("\0", "\\0") if isinstance(each, str) else each for each in values
        ]
    return array
