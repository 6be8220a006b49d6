"""The results file: all that is known of a run, as tables that any HDF5 program reads.

Before the HDF5 data, where HDF5 leaves room for it, stands a line of text: the format, the version
of hpmpi that wrote the file, and a digest of all the rest.

Rule: libhdf5 sees no file whose digest is not right, for it may crash on a damaged one.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hpmpi import __version__, files
from hpmpi.errors import StoreError
from hpmpi.tables import KINDS, Columns

FORMAT = 2
"""The format of all files in a run folder. 1 had no checksums, and its journal did not say it."""

HEAD_BYTES = 512
"""Where the HDF5 data begin; HDF5 looks for them at 0, 512, 1024, ..."""

HEAD = re.compile(rb"hpmpi results, format (\d{1,9}), by hpmpi ([\w.+-]+), ")
HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"

MOST_COLUMNS = 256
"""How many columns a table has at most; one with more is a group of columns."""


HASHED_BYTES = 1 << 20
"""How much of a file is in memory while its digest is made."""


class Contents(NamedTuple):
    """What a start goes on from: the journal's lines so far, and the jobs' state after them."""

    lines: list[bytes]
    state: bytes


class Found(NamedTuple):
    """What of that a start needs where the journal has the lines: the first, and how many."""

    first: bytes
    counted: int
    state: bytes


def write(
    path: Path, contents: Contents, tables: Mapping[str, Columns], attributes: Mapping[str, str]
) -> None:
    """Write a results file where there is none, and have the disk hold it."""
    import h5py  # noqa: PLC0415 - rank 0 pays for it, once it writes

    text = h5py.string_dtype()
    with h5py.File(path, "x", userblock_size=HEAD_BYTES) as file:
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
        file.create_dataset("decisions", data=as_texts(contents.lines), dtype=text)
        file.create_dataset("state", data=contents.state, dtype=text)
    seal(path)
    files.sync(path)


def as_texts(lines: Sequence[bytes]) -> Any:
    """Turn lines into an array of texts of any length."""
    import numpy as np  # noqa: PLC0415 - with h5py, which needs it

    return np.array(lines, dtype=object)


def seal(path: Path) -> None:
    """Write the line before the HDF5 data."""
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES)
        head = head_of(file, __version__)
        file.seek(0)
        file.write(head)


def head_of(body: BinaryIO, writer: str) -> bytes:
    """Write what stands before the HDF5 data, which are read from where the file stands."""
    line = f"hpmpi results, format {FORMAT}, by hpmpi {writer}, blake2b ".encode()
    digest = hashlib.blake2b(line, digest_size=32)
    while part := body.read(HASHED_BYTES):
        digest.update(part)
    return (line + digest.hexdigest().encode() + b"\n").ljust(HEAD_BYTES, b"\0")


def read(path: Path) -> Found:
    """Read what a start goes on from; raises StoreError for a damaged file and another format."""
    with opened(path) as file:
        lines = file["decisions"]
        return Found(lines[0] if len(lines) else b"", len(lines), file["state"][()])


def read_lines(path: Path) -> list[bytes]:
    """Read the journal's lines; raises as `read` does."""
    with opened(path) as file:
        return list(file["decisions"][()])


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a results file as HDF5; raises StoreError where it, or what is read in it, is not so."""
    check(path)
    import h5py  # noqa: PLC0415 - only who reads one pays for it

    try:
        with h5py.File(path, "r") as file:
            yield file
    # What libhdf5 makes of data that are no results, though their digest is right.
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise StoreError(f"{path} has no results in it: {error}") from error


def check(path: Path) -> None:
    """Raise StoreError unless the file is whole, and of our format."""
    try:
        with files.opened(path) as file:
            head = file.read(HEAD_BYTES)
            writer = written_by(head, path)
            whole = head == head_of(file, writer)
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


def foreign(path: Path, version: int, writer: str) -> StoreError:
    """Say that a file is of another format."""
    return StoreError(
        f"{path} has format {version}, written by {writer}, and this hpmpi {__version__} reads "
        f"format {FORMAT}: go on with the version that wrote it, or use --fresh to move the run "
        "aside"
    )


def as_array(columns: Columns, text: Any) -> Any:
    """Turn columns into an array of records."""
    import numpy as np  # noqa: PLC0415 - with h5py, which needs it

    types = {bool: np.bool_, int: np.int64, float: np.float64, str: text}
    kinds = [
        (name, types[type(values[0]) if values else KINDS.get(name, float)])
        for name, values in columns.items()
    ]
    length = len(next(iter(columns.values())))
    array = np.empty(length, dtype=np.dtype(kinds))
    for name, values in columns.items():
        # HDF5's texts end at a NUL, which what a dying program prints may well have.
        array[name] = [
            each.replace("\0", "\\0") if isinstance(each, str) else each for each in values
        ]
    return array
