"""The data of a study, on this node once: files that the processes of all its ranks map.

    HOME/data  ->  ROOM/read-PID/X.npy, ROOM/read-PID/y.npy ...      one array each

They are there, or not yet: the link is made when the files are whole, and they never change.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hpmpi.data.scratch import vanish

LINK = "data"
READ = "read-"
SUFFIX = ".npy"

NOTES = "notes.txt"
"""A file beside the arrays: what people must know of them, a line each."""


class Data(Mapping[str, Any]):
    """The arrays of `[data]` by name; each is mapped, read-only, when it is asked for.

    Who asks gets a view of its own: what is done to its shape is not done to another trial's.
    """

    def __init__(self, folder: Path) -> None:
        """Have what lies in a folder; nothing is opened yet."""
        self.folder = folder
        self._arrays: dict[str, Any] = {}

    @property
    def notes(self) -> list[str]:
        """What people must know of how they were read."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / NOTES).read_text(encoding="utf-8").split("\n")
        return []

    def __getitem__(self, name: str) -> Any:
        """Map an array; raises KeyError that says which there are."""
        import numpy as np  # noqa: PLC0415 - only those who use the data pay for it

        if name not in self._arrays:
            if name not in list(self):
                raise KeyError(f"{name!r} is not in [data]; there is: {', '.join(self)}")
            self._arrays[name] = mapped(self.folder / file_of(name))
        return np.asarray(self._arrays[name])

    def __iter__(self) -> Iterator[str]:
        """Name the arrays."""
        files = sorted(self.folder.glob(f"*{SUFFIX}"))
        return iter([unquote(file.name.removesuffix(SUFFIX)) for file in files])

    def __len__(self) -> int:
        """Count the arrays."""
        return len(list(iter(self)))


@cache
def data_in(folder: str | None) -> Data | None:
    """Return what lies in a folder: the same for all trials of a process."""
    return None if folder is None else Data(Path(folder))


def file_of(name: str) -> str:
    """Name the file of an array.

    >>> file_of("X"), file_of("yes/no")
    ('X.npy', 'yes%2Fno.npy')
    """
    return name if name == NOTES else quote(name, safe=" ") + SUFFIX


def mapped(path: Path) -> Any:
    """Map an array; raises ValueError where a file has none that can do without pickle."""
    import numpy as np  # noqa: PLC0415 - only those who use the data pay for it

    with contextlib.suppress(ValueError):  # one without elements can't be mapped
        return np.load(path, mmap_mode="r")
    array = np.load(path, allow_pickle=False)
    array.flags.writeable = False
    return array


def sweep(rooms: list[Path]) -> None:
    """Remove what was begun by processes that were killed: there is one that reads at a time."""
    for left in [path for room in rooms for path in room.glob(f"{READ}*")]:
        vanish(left)


def begin(room: Path) -> Path:
    """Make the folder for what this process reads; raises OSError."""
    folder = room / f"{READ}{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder


def commit(folder: Path, home: Path) -> None:
    """Let all find what was laid down; raises OSError."""
    (home / LINK).symlink_to(folder)


def is_there(home: Path) -> bool:
    """Tell whether the data are laid down."""
    return os.path.islink(home / LINK)  # noqa: PTH114 - parsed once: it is done in each turn
