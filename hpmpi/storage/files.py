"""Files on disk: whole or not at all, and never somewhere else than where they seem to be.

Rule: nothing is opened through a symbolic link, and what is made is made under the user's umask.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from hpmpi.errors import DiskError, StoreError

CAN_NOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
"""What a file system says that can't have a folder synced."""


NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""What a full disk says."""


def trouble(path: Path, error: OSError) -> StoreError:
    """Say that a file can't be written; it may pass where there is just no room."""
    kind = DiskError if error.errno in NO_ROOM else StoreError
    return kind(f"{path} can't be written: {error.strerror}")


def opened(path: Path) -> BinaryIO:
    """Open a file that is no link, to be read; raises OSError."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def read(path: Path) -> bytes:
    """Read a file that is no link; raises OSError."""
    with opened(path) as file:
        return file.read()


def write(descriptor: int, text: bytes) -> None:
    """Write all of it; raises OSError, part of it being written then."""
    while text:
        text = text[os.write(descriptor, text) :]


def replace(path: Path, text: bytes) -> None:
    """Write a file beside, and give it its name once the disk holds it; raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            write(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    sync(path.parent)


def sweep(folder: Path, names: Sequence[str]) -> None:
    """Remove what processes that were killed have left beside files that they were to replace."""
    for name in names:
        for partial in folder.glob(f".{name}.[0-9]*"):
            remove(partial)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, where the file system can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        import shutil  # noqa: PLC0415 - loads compression, and most ranks never need it

        shutil.copyfile(source, target)
        sync(target)


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, and have the disk hold that it is there; raises OSError.

    Else all that is synced in it may be in a folder that is not there after a power cut.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Have the disk hold what was written into a file or a folder; what is neither is left alone.

    Raises OSError.
    """
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return
    # Not to wait for the other end of a FIFO that has just taken the place of the file.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not stat.S_ISDIR(mode) or error.errno not in CAN_NOT:
            raise
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Have the disk hold a folder with all that is in it; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def remove(path: Path) -> None:
    """Remove a folder, or whatever else has the name: of a link, not what it leads to."""
    if is_folder(path):
        import shutil  # noqa: PLC0415 - likewise

        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def refuse_strangers(folder: Path, files: Sequence[str], folders: Sequence[str]) -> None:
    """Raise StoreError where a name, or a pattern, is a link or a pipe, or else not what is due.

    The folders are looked at first: no pattern leads through a link.
    """
    try:
        for name in folders:
            refuse(named(folder, name), stat.S_ISDIR, "folder")
        for name in files:
            refuse(named(folder, name), stat.S_ISREG, "file")
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder} can't be read: {error}") from error


def named(folder: Path, name: str) -> Iterable[Path]:
    """Find what a name or a pattern stands for."""
    return folder.glob(name) if "*" in name else [folder / name]


def refuse(paths: Iterable[Path], is_due: Callable[[int], bool], due: str) -> None:
    """Raise StoreError for a path that is there, and not what is due."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = path.lstat().st_mode
            if is_due(mode):
                continue
            found = "a symbolic link" if stat.S_ISLNK(mode) else f"no {due}"
            raise StoreError(
                f"{path} is {found}, where a run has a {due}: nothing was read or written; "
                "move it away, or use --out for another folder"
            )
