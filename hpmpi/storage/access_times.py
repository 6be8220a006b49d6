"""Whether files were read, by whomever: the kernel notes when, where its file system is asked to.

With `relatime`, as usual, it does so where a file was not read since it was written.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def are_kept(folder: Path) -> bool:
    """Try whether the file system of a folder notes that a file was read; raises OSError."""
    probe = folder / ".read"
    probe.write_bytes(b"?")
    forget(folder)
    probe.read_bytes()
    try:
        return was_read(folder)
    finally:
        probe.unlink()


def forget(folder: Path) -> None:
    """Have all files below a folder be as if nobody had read them yet; raises OSError."""
    for path in files_in(folder):
        os.utime(path, ns=(0, path.stat().st_mtime_ns))


def was_read(folder: Path) -> bool:
    """Tell whether any of them was read since; raises OSError."""
    return any(path.stat().st_atime_ns > 0 for path in files_in(folder))


def size_of(folder: Path) -> int:
    """Sum the sizes of the files below a folder, in bytes; raises OSError."""
    return sum(path.stat().st_size for path in files_in(folder))


def files_in(folder: Path) -> Iterator[Path]:
    """List the files below a folder, in it and in those in it, but no links."""
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
