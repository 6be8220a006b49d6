"""A disk that loses what it was not told to keep: what a power cut may leave, at any instant.

A file has what it had when it was last synced, or what it has; a folder the names that it had when
it was last synced, or that it has. So there are four images of a folder before each call that
changes it, and what was promised must hold in all of them. What is written by others than `os`, as
by HDF5, needs no hook: the images are of what is there.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

CHANGING = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}
"""The events, of Python's audit, before which the power may be cut; and before and after a sync."""

Names = dict[str, int]


class Disk:
    """All that is in a folder, by inode, as it is and as the disk has it for sure."""

    def __init__(self, root: Path, images: Path) -> None:
        """Take what is there for synced; images are put into another folder."""
        self.root = root
        self.cuts: list[Path] = []
        self._images = images
        self._open: dict[int, int] = {}  # so that no inode is used again
        self._names: dict[int, Names] = {}
        self._contents: dict[int, bytes] = {}
        self._busy = False
        self._see(root)
        for inode, descriptor in self._open.items():
            self.take(descriptor, inode)

    def take(self, descriptor: int, inode: int | None = None) -> None:
        """Have it for sure, as a sync says."""
        inode = inode or os.fstat(descriptor).st_ino
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._names[inode] = names_in(descriptor)
        else:
            self._contents[inode] = content_of(descriptor)

    def cut(self) -> list[Path]:
        """Cut the power: return the images of what may be left, first two that have all names."""
        if self._busy:
            return []
        self._busy = True
        try:
            self._see(self.root)
            made: list[Path] = []
            for all_names, all_content in product((True, False), repeat=2):
                image = self._images / f"{len(self.cuts) + len(made)}-{all_names:d}{all_content:d}"
                inode = self.root.stat().st_ino
                self._copy(inode, image, all_names=all_names, all_content=all_content)
                made.append(image)
        finally:
            self._busy = False
        self.cuts += made
        return made

    def close(self) -> None:
        """Let go of all files."""
        for descriptor in self._open.values():
            os.close(descriptor)

    def _see(self, path: Path) -> None:
        inode = path.lstat().st_ino
        if inode not in self._open:
            self._open[inode] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        if path.is_dir():
            for each in path.iterdir():
                self._see(each)

    def _copy(self, inode: int, image: Path, *, all_names: bool, all_content: bool) -> None:
        descriptor = self._open[inode]
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            known = content_of(descriptor) if all_content else self._contents.get(inode, b"")
            image.write_bytes(known)
            return
        image.mkdir(parents=True)
        names = names_in(descriptor) if all_names else self._names.get(inode, {})
        for name, within in names.items():
            self._copy(within, image / name, all_names=all_names, all_content=all_content)


def names_in(descriptor: int) -> Names:
    """List what is in an open folder, which may be removed by now."""
    return {
        name: os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_ino
        for name in os.listdir(descriptor)
    }


def content_of(descriptor: int) -> bytes:
    """Read an open file, in whatever mode it is open."""
    with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:
        return file.read()


CURRENT: list[Disk] = []


INSTALLED: list[Callable[[str, tuple[Any, ...]], None]] = []


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Cut the power before each call that may change something."""
    if CURRENT and event in CHANGING and changes(event, arguments, CURRENT[-1].root):
        CURRENT[-1].cut()


def changes(event: str, arguments: tuple[Any, ...], root: Path) -> bool:
    """Tell whether a call may change what is in a folder."""
    path = arguments[0]
    whole = isinstance(path, str | os.PathLike) and Path(path).is_absolute()
    if whole and not Path(path).is_relative_to(root):
        return False
    return event != "open" or bool(arguments[2] & (os.O_CREAT | os.O_TRUNC))


@contextmanager
def watched(root: Path, images: Path) -> Iterator[Disk]:
    """Cut the power at each instant of what is done in a folder meanwhile."""
    if not INSTALLED:  # an audit hook stays for good
        INSTALLED.append(hear)
        sys.addaudithook(hear)
    disk = Disk(root, images)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        disk.cut()
        sync(descriptor)
        disk.take(descriptor)
        disk.cut()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        CURRENT.append(disk)
        try:
            yield disk
        finally:
            CURRENT.pop()
            disk.close()
