"""Folders in the memory and on the disks of this node that go when nobody uses them any more.

    PARENT/hpmpi-UID-HOST+RUN/lock        whoever uses the folder holds this, shared

Rules:

- The kernel releases what a process that is killed holds. Whoever has a lock alone may remove its
  folder: the last to leave; after a kill, whoever enters a folder of another run of ours here.
- What is removed loses its name first: who comes at this moment makes another folder.
- Memory that batch systems or the machine have no more of is no room, whatever a file system says.
"""

import contextlib
import fcntl
import glob
import itertools
import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.storage.files import remove
from hpmpi.study.data_table import Source
from hpmpi.transports import control_groups
from hpmpi.transports.control_groups import text_of

PARENTS = ("/dev/shm", "$SLURM_TMPDIR", "$TMPDIR", "/tmp")  # noqa: S108 - rooms are ours alone
"""Where room is looked for, in this order."""

MEMORY_SHARE = 0.8
"""The share of the memory that is left which may be taken: trials need some, too."""

ENTER_S = 10.0
"""How long others may take to remove a folder that is to be made again."""

_numbers = itertools.count()


class ScratchFolder(NamedTuple):
    """A folder of this run, in use by this process, which shares its lock; `enter` makes one."""

    folder: Path
    lock: int

    def leave(self) -> None:
        """Stop using it; remove it if nobody else does."""
        if locks(self.lock, fcntl.LOCK_EX):
            vanish(self.folder)
        os.close(self.lock)


class ScratchFolders:
    """The folders that a run has on this node; the first is where its processes find each other."""

    def __init__(self, parents: Sequence[str], run: str) -> None:
        """Enter one below each parent that is here, and remove those whose users were killed.

        Where none is, they are made: what is there on the first node, by a site's prolog, may not
        be on the others.
        """
        self._rooms: list[ScratchFolder] = []
        self.trouble = f"none of {', '.join(parents)} is here, or can be made"
        here = places(parents)
        self._made = [] if here else places(parents, make=True)
        for parent in here or self._made:
            try:
                sweep(parent)
                self._rooms.append(enter(parent, run))
            except OSError as error:  # not ours to write in
                self.trouble = f"none of {', '.join(parents)} can be used: {error}"
        self.folders = [room.folder for room in self._rooms]
        self.home = next(iter(self.folders), None)

    def leave(self) -> None:
        """Leave all."""
        for room in reversed(self._rooms):
            room.leave()
        self._rooms.clear()
        for folder in self._made:
            with contextlib.suppress(OSError):  # others are still in it
                folder.rmdir()


def rooms_of(source: Source, run: str) -> ScratchFolders:
    """Enter the folders of a run on this node; none where its study has no data."""
    parents = PARENTS if source.folder is None else [source.folder]
    return ScratchFolders(parents if source.source is not None else [], run)


def places(parents: Sequence[str], *, make: bool = False) -> list[Path]:
    """Find, or make, the folders that are meant, each once; a variable that is not set names none.

    Those that can't be made are left out.
    """
    found: dict[tuple[int, int], Path] = {}
    for parent in map(Path, map(os.path.expandvars, parents)):
        if not parent.is_absolute() or "$" in str(parent):
            continue
        with contextlib.suppress(OSError):
            if make:
                parent.mkdir(parents=True, exist_ok=True)
            if parent.is_dir():
                seen = parent.stat()
                found.setdefault((seen.st_dev, seen.st_ino), parent)
    return list(found.values())


def roomy(folders: Sequence[Path], size: int) -> Path | None:
    """Find the first folder that has room for so many bytes."""
    return next((folder for folder in folders if free_bytes(folder) >= size), None)


def no_room(folders: Sequence[Path], size: int) -> str:
    """Say that there is no room, and where it was looked for."""
    there = ", ".join(f"{told(free_bytes(each))} in {each.parent}" for each in folders)
    return (
        f"the data are {told(size)}, and {os.uname().nodename} has room for {there or 'nothing'}: "
        "ask for more memory, or name a larger folder of the nodes in [data] folder"
    )


def told(size: int) -> str:
    """Tell a size.

    >>> told(3_200_000_000), told(150_000)
    ('3.2 GB', '0.15 MB')
    """
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"  # noqa: PLR2004


# -- locks -----------------------------------------------------------------------------------------


def enter(parent: Path, run: str) -> ScratchFolder:
    """Make the folder of a run, or use the one that is there; raises OSError."""
    folder = parent / f"{prefix()}{run}"
    gives_up_at = time.monotonic() + ENTER_S
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
            if not is_ours(folder):
                raise PermissionError(f"{folder} is somebody else's")
            lock = open_lock(folder / "lock")
            if locks(lock, fcntl.LOCK_SH) and is_same(lock, folder / "lock"):
                return ScratchFolder(folder, lock)
            os.close(lock)
        if time.monotonic() > gives_up_at:
            raise TimeoutError(f"{folder} is being removed, and stays")
        time.sleep(0.01)


def sweep(parent: Path) -> None:
    """Remove the folders of runs that have nobody left here."""
    for folder in parent.glob(f"{glob.escape(prefix())}*"):
        with contextlib.suppress(OSError):
            if not is_ours(folder):
                continue
            lock = open_lock(folder / "lock")
            if locks(lock, fcntl.LOCK_EX) and is_same(lock, folder / "lock"):
                vanish(folder)
            os.close(lock)


def prefix() -> str:
    """Begin the names of what is of this user and host: a file system may be of several.

    No host's name goes on after another's: `n` must not sweep what is in use on `n-2`.
    """
    host = re.sub(r"[^\w.-]", lambda odd: f"%{ord(odd[0]):x}%", os.uname().nodename)
    return f"hpmpi-{os.getuid()}-{host}+"


def open_lock(path: Path) -> int:
    """Open a file to lock; raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def locks(descriptor: int, how: int) -> bool:
    """Lock a file, if that can be without waiting."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_same(descriptor: int, path: Path) -> bool:
    """Tell whether a file still has its name."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def is_ours(folder: Path) -> bool:
    """Tell whether a name is a folder's, and no link's, and this user's; raises OSError."""
    seen = folder.lstat()
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid()


def vanish(folder: Path) -> None:
    """Remove a folder at once, for all who look; its memory, too, where others have it open."""
    gone = folder.with_name(f"{folder.name}.gone-{os.getpid()}-{next(_numbers)}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
        for path in gone.rglob("*"):
            if path.is_file() and not path.is_symlink():
                os.truncate(path, 0)
    remove(gone)


# -- memory ----------------------------------------------------------------------------------------


def free_bytes(folder: Path) -> int:
    """Count what can be laid down in a folder."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize if disk.f_blocks else sys.maxsize
    return min(free, int(free_memory() * MEMORY_SHARE)) if is_memory(folder) else free


def is_memory(folder: Path) -> bool:
    """Tell whether what lies in a folder is in memory."""
    return file_system(folder) in ("tmpfs", "ramfs")


def file_system(folder: Path) -> str:
    """Name the kind of file system that a folder is in; "" where the kernel does not say."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in text_of(Path("/proc/self/mountinfo")).split("\n")[:-1]:
        words = line.split()
        if words[2] == number:
            return words[words.index("-") + 1]
    return ""


def free_memory() -> int:
    """Count the bytes of memory that are left to this process, by the machine and its groups."""
    meminfo = numbers(Path("/proc/meminfo"))
    return max(0, min([meminfo.get("MemAvailable:", sys.maxsize >> 10) << 10, *headrooms()]))


def headrooms() -> Iterator[int]:
    """Find what is left of the limit of each control group that this process is in."""
    for folder, is_first in control_groups.above("memory"):
        limit, used = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if is_first
            else ("memory.max", "memory.current")
        )
        with contextlib.suppress(ValueError):  # "max", or nothing at all
            cache = numbers(folder / "memory.stat")
            idle = cache.get("total_inactive_file", cache.get("inactive_file", 0))
            yield int(text_of(folder / limit)) - int(text_of(folder / used)) + idle


def numbers(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    lines = [line.split() for line in text_of(path).split("\n")[:-1]]
    return {words[0]: int(words[1]) for words in lines}
