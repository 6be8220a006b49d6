"""A data set that lies on this node once, in files that all its ranks' children map.

    HOME/data  ->  ROOM/whole/arrays.json     names, files and sizes
                              0.npy ...       one array each

It is there, or not yet: the link is made when the files are whole, and they never change.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.rooms import vanish

LINK = "data"
WHOLE = "whole"
INDEX = "arrays.json"
PARTS = "part-"

CHUNK_BYTES = 1 << 20
"""How much of a file is sent at a time."""

LONGEST_HEADER = 1 << 20
"""How much may be said of an array's type: numpy's own limit is for files of strangers."""


class Entry(msgspec.Struct, frozen=True):
    """An array: its name, and its file's name and size in bytes."""

    name: str
    file: str
    size: int


class Data(Mapping[str, Any]):
    """The arrays of a study's `[data]` by name; each is mapped, read-only, when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Have what is laid down in a folder; nothing is opened yet."""
        self._folder = folder
        self._arrays: dict[str, Any] = {}
        self._files: dict[str, str] | None = None

    def __getitem__(self, name: str) -> Any:
        """Map an array; raises KeyError that says which there are."""
        if name not in self._arrays:
            files = self._index()
            if name not in files:
                raise KeyError(f"{name!r} is not in the data; there is: {', '.join(files)}")
            self._arrays[name] = mapped(self._folder / files[name])
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        """Name the arrays."""
        return iter(self._index())

    def __len__(self) -> int:
        """Count the arrays."""
        return len(self._index())

    def _index(self) -> dict[str, str]:
        if self._files is None:
            entries = read_index((self._folder / INDEX).read_bytes())
            self._files = {entry.name: entry.file for entry in entries}
        return self._files


@cache
def data_in(folder: str) -> Data:
    """Return what lies in a folder: the same for all trials of a process."""
    return Data(Path(folder))


def mapped(path: Path) -> Any:
    """Map an array of a file; an empty one has nothing to be mapped."""
    import numpy as np  # noqa: PLC0415 - only those who use the data pay for it

    with contextlib.suppress(ValueError):
        return np.asarray(np.load(path, mmap_mode="r", max_header_size=LONGEST_HEADER))
    array = np.load(path, allow_pickle=False, max_header_size=LONGEST_HEADER)
    array.flags.writeable = False
    return array


def read_index(text: bytes) -> list[Entry]:
    """Read what arrays there are."""
    return msgspec.json.decode(text, type=list[Entry])


def write_index(entries: list[Entry]) -> bytes:
    """Write what arrays there are."""
    return msgspec.json.encode(entries)


def reader_mark(rank: int) -> str:
    """Name what says that a rank has the data read on this node."""
    return f"rank-{rank}"


def begin(room: Path, rank: int) -> Path:
    """Make the folder in which a rank lays down data: nobody else's; raises OSError."""
    part = room / f"{PARTS}{rank}-{os.getpid()}"
    part.mkdir(mode=0o700)
    return part


def commit(part: Path, home: Path) -> None:
    """Have all find what was laid down; of several, the first.

    Raises FileNotFoundError where another rank has taken over and removed it.
    """
    whole = part.with_name(WHOLE)
    try:
        part.rename(whole)
    except FileNotFoundError:
        raise
    except OSError:  # there is one, whose rank was killed before it was linked
        vanish(part)
    with contextlib.suppress(FileExistsError):
        (home / LINK).symlink_to(whole)


def is_there(home: Path) -> bool:
    """Tell whether the data are laid down."""
    return (home / LINK).is_symlink()
