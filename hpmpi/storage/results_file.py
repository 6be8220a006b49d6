"""The results file: all that is known of a run, as tables that any HDF5 program reads.

Before the HDF5 data, where HDF5 leaves room for it, stands a line of text: the format, the version
of hpmpi that wrote the file, and a digest of all the rest.

Rules:

- libhdf5 sees no file whose digest is not right, for it may crash on a damaged one.
- HDF5 wants one type a column, has no word for what is not there, and can't take every name. What
  people bring is brought into that here, so that there is no name and no value that a file can't
  be written for.
"""

import contextlib
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hpmpi import __version__
from hpmpi.errors import StoreError
from hpmpi.history.tables import KINDS, Cell, Columns, without_nul
from hpmpi.model.values import text_of
from hpmpi.storage import files
from hpmpi.storage.journal import crc_of
from hpmpi.storage.run_format import FORMAT, foreign

HEAD_BYTES = 512
"""Where the HDF5 data begin; HDF5 looks for them at 0, 512, 1024, ..."""

HEAD = re.compile(rb"hpmpi results, format (\d{1,9}), by hpmpi ([\w.+-]+), ")
COPIED = re.compile(rb", of (\d{1,12}) lines up to ([0-9a-f]{8}), blake2b ")
HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"

MOST_COLUMNS = 256
MOST_BYTES = 60_000
COLUMN_BYTES = 128
"""How many columns a table has at most, and how much HDF5 takes to describe them; one with more is
a group of columns. And how much a column takes beside its name, at most."""

NO_PART = {".", ""}
"""What HDF5 takes for no name in a path."""

LONGEST = 2**63
"""Beyond are whole numbers that HDF5 does not know."""


HASHED_BYTES = 1 << 20
"""How much of a file is in memory while its digest is made."""


class Copied(NamedTuple):
    """How many lines the journal had that a file was made of, and the checksum of the last."""

    lines: int
    crc: int

    def __str__(self) -> str:
        """Say it in the head of the file."""
        return f", of {self.lines} lines up to {self.crc:08x}"


def write(
    path: Path, lines: Sequence[bytes], tables: Mapping[str, Columns], attributes: Mapping[str, str]
) -> None:
    """Write a results file where there is none, and have the disk hold it."""
    import h5py  # noqa: PLC0415 - rank 0 pays for it, once it writes

    text = h5py.string_dtype()
    with h5py.File(path, "x", userblock_size=HEAD_BYTES) as file:
        file.attrs.update({"format": FORMAT, **attributes})
        for name, columns in tables.items():
            if is_describable(columns):
                file.create_dataset(name, data=as_array(columns, text))
                continue
            # HDF5 can't describe so many columns in one place: each is then a data set.
            group = file.create_group(name)
            for part, (column, values) in zip(parts(columns), columns.items(), strict=True):
                array = as_array({column: values}, text)
                dataset = group.create_dataset(part, data=array[array.dtype.names[0]])
                dataset.attrs["name"] = without_nul(column)
        file.create_dataset("decisions", data=as_texts(lines), dtype=text)
    seal(path, Copied(len(lines), crc_of(lines[-1])) if lines else None)
    files.sync(path)


def as_texts(lines: Sequence[bytes]) -> Any:
    """Turn lines into an array of texts of any length."""
    import numpy as np  # noqa: PLC0415 - with h5py, which needs it

    return np.array(lines, dtype=object)


def seal(path: Path, copied: Copied | None = None) -> None:
    """Write the line before the HDF5 data."""
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES)
        head = head_of(file, __version__, copied)
        file.seek(0)
        file.write(head)


def head_of(body: BinaryIO, writer: str, copied: Copied | None) -> bytes:
    """Write what stands before the HDF5 data, which are read from where the file stands."""
    of = "" if copied is None else str(copied)
    line = f"hpmpi results, format {FORMAT}, by hpmpi {writer}{of}, blake2b ".encode()
    digest = hashlib.blake2b(line, digest_size=32)
    while part := body.read(HASHED_BYTES):
        digest.update(part)
    return (line + digest.hexdigest().encode() + b"\n").ljust(HEAD_BYTES, b"\0")


def read_lines(path: Path) -> list[bytes]:
    """Read the copy of the journal; raises StoreError for a damaged file and another format."""
    with opened(path) as file:
        lines = list(file["decisions"][()])
        if not all(isinstance(line, bytes) for line in lines):
            raise TypeError("its copy of the journal has no lines of text")
        return lines


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a results file as HDF5; raises StoreError where it, or what is read in it, is not so."""
    check(path)
    try:
        import h5py  # noqa: PLC0415 - only who reads one pays for it
    except ImportError as error:
        raise StoreError(f"{path} can't be read: there is no HDF5 here: {error}") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    # What libhdf5 makes of data that are no results, though their digest is right.
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise StoreError(f"{path} has no results in it: {error}") from error


def is_whole(path: Path) -> bool:
    """Tell whether a results file is there, and as it was written."""
    try:
        check(path)
    except StoreError:
        return False
    return True


def copied_in(path: Path) -> Copied | None:
    """Tell of which journal a file was made, as its head says, if it does."""
    try:
        with files.opened(path) as file:
            return copied_by(file.read(HEAD_BYTES))
    except OSError:
        return None


def copied_by(head: bytes) -> Copied | None:
    """Read from a head of which journal its file was made."""
    told = COPIED.search(head)
    return None if told is None else Copied(int(told[1]), int(told[2], 16))


def check(path: Path) -> None:
    """Raise StoreError unless the file is whole, and of our format."""
    try:
        with files.opened(path) as file:
            head = file.read(HEAD_BYTES)
            writer = written_by(head, path)
            whole = head == head_of(file, writer, copied_by(head))
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    if not whole:
        raise StoreError(f"{path} is damaged: its digest is not that of what is in it")


def written_by(head: bytes, path: Path) -> str:
    """Tell which hpmpi wrote a file that begins so; raises StoreError for another format."""
    found = HEAD.match(head)
    if found is None and head.startswith(HDF5_BEGINS):
        raise foreign(path, 1, "an early hpmpi")
    if found is None:
        raise StoreError(f"{path} is damaged: it does not begin as our results files do")
    version, writer = int(found[1]), found[2].decode()
    if version != FORMAT:
        raise foreign(path, version, f"hpmpi {writer}")
    return writer


def is_describable(columns: Columns) -> bool:
    """Tell whether HDF5 can describe all columns in one place."""
    bytes_needed = sum(COLUMN_BYTES + len(name.encode()) for name in columns)
    return len(columns) <= MOST_COLUMNS and bytes_needed <= MOST_BYTES


def as_array(columns: Columns, text: Any) -> Any:
    """Turn columns into an array of records."""
    import numpy as np  # noqa: PLC0415 - with h5py, which needs it

    types = {bool: np.bool_, int: np.int64, float: np.float64, str: text}
    names = unique(without_nul(name) for name in columns)
    typed = [in_one_type(values, KINDS.get(name, float)) for name, values in columns.items()]
    kinds = [(name, types[kind]) for name, (kind, _) in zip(names, typed, strict=True)]
    array = np.empty(len(typed[0][1]), dtype=np.dtype(kinds))
    for name, (_, values) in zip(names, typed, strict=True):
        array[name] = values
    return array


def in_one_type(cells: Sequence[Cell], usual: type) -> tuple[type, Sequence[Cell]]:
    """Find the type that holds all cells, and what each is in it; where none says, the `usual`.

    Truth values, whole numbers, numbers (what is not there is NaN), else text (it is "").
    """
    kinds = {type(cell) for cell in cells if cell is not None} or {usual}
    lacks_none = None not in cells
    if kinds == {bool} and lacks_none:
        return bool, cells
    if kinds == {int} and lacks_none and all(-LONGEST <= cell < LONGEST for cell in cells):  # type: ignore[operator]
        return int, cells
    if kinds <= {int, float}:
        return float, [math.nan if cell is None else cell for cell in cells]
    return str, [without_nul(text_of(cell)) for cell in cells]


def parts(columns: Columns) -> list[str]:
    """Name the data sets of a group; a slash would lead into a group of its own."""
    names = (without_nul(name).replace("/", "|") for name in columns)
    return unique(f"{name}_" if name in NO_PART else name for name in names)


def unique(names: Iterable[str]) -> list[str]:
    """Tell names apart that have become the same.

    >>> unique(["a|b", "a|b", "a|b.2", "c"])
    ['a|b', 'a|b.2', 'a|b.2.2', 'c']
    """
    taken: dict[str, None] = {}
    for name in names:
        others = (f"{name}.{number}" for number in count(2))
        taken[name if name not in taken else next(it for it in others if it not in taken)] = None
    return list(taken)
