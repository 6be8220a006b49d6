"""The checkpoints of a trial on disk: whole or not at all, and no attempt harms another.

    DIR/checkpoints/<trial>/<resource>-<rung>.<attempt>      whole: it has its name since it is
    DIR/checkpoints/<trial>/.<resource>-<rung>.<attempt>     being written

Rules: an attempt that starts owns what older ones have left. It takes the newest whole checkpoint
of theirs under its own name, and removes what else it finds. From then on it removes only what has
its own name. An older attempt that is still alive somewhere, or starts late, can so lose its own
files, which nobody needs any more, and can never take away those of a newer one.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PATIENCE_S = 5.0
"""How long a checkpoint that was heard of may take to show up on a network file system."""

NAME = re.compile(r"(\d+)-(\d+)\.(\d+)")


class Checkpoint(NamedTuple):
    """A whole checkpoint; the newest is the greatest."""

    resource: int
    rung: int
    attempt: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.resource}-{self.rung}.{self.attempt}"


def parsed(name: str) -> Checkpoint | None:
    """Read the name of a whole checkpoint; None where it is none."""
    match = NAME.fullmatch(name)
    return Checkpoint(*map(int, match.groups())) if match else None


def trial_folder(run_folder: Path, trial: int) -> Path:
    """Name the folder that has the checkpoints of a trial."""
    return run_folder / "checkpoints" / str(trial)


class Checkpoints:
    """The checkpoints of one trial, in the hands of one attempt."""

    def __init__(self, folder: Path, rung: int, attempt: int, *, keep_all: bool = False) -> None:
        """Name the attempt; nothing is touched before `claim`."""
        self._folder = folder
        self._rung = rung
        self._attempt = attempt
        self._keep_all = keep_all
        self.newest: Checkpoint | None = None

    def claim(self, *, heard_of: int, limit: int) -> Path | None:
        """Take over the newest whole checkpoint of at most `limit`; None where there is none.

        Waits a little for one of the resource that was `heard_of`.
        """
        patience_ends = time.monotonic() + PATIENCE_S
        while True:
            found = sorted(each for each in self._whole() if each.resource <= limit)
            missing = heard_of > (found[-1].resource if found else 0)
            if missing and time.monotonic() < patience_ends:
                time.sleep(PATIENCE_S / 50)
                continue
            if not found or self._take(found[-1]):
                break
        self._remove_others()
        return self.path

    @property
    def path(self) -> Path | None:
        """The folder of the newest checkpoint that this attempt owns."""
        return None if self.newest is None else self._folder / self.newest.name

    @contextmanager
    def save(self, resource: int) -> Iterator[Path]:
        """Give a folder to write into: the newest checkpoint, once the block has ended well."""
        saved = Checkpoint(resource, self._rung, self._attempt)
        partial = self._folder / f".{saved.name}"
        replaced = self._folder / f".{saved.name}.replaced"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            for file in partial.rglob("*"):
                sync(file)
            whole = self._folder / saved.name
            if whole.exists():
                whole.rename(replaced)
            partial.rename(whole)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(replaced, ignore_errors=True)
        before, self.newest = self.path, saved
        if before is not None and before != whole and not self._keep_all:
            shutil.rmtree(before, ignore_errors=True)

    def _whole(self) -> list[Checkpoint]:
        found = [parsed(name) for name in self._names() if not self._is_of_newer(name)]
        return [each for each in found if each is not None]

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []

    def _take(self, found: Checkpoint) -> bool:
        mine = Checkpoint(found.resource, self._rung, self._attempt)
        try:
            (self._folder / found.name).rename(self._folder / mine.name)
        except FileNotFoundError:  # an attempt that is still alive has saved a newer one
            return False
        self.newest = mine
        return True

    def _is_of_newer(self, name: str) -> bool:
        found = parsed(name.removeprefix("."))
        mine = (self._rung, self._attempt)
        return found is not None and (found.rung, found.attempt) > mine

    def _remove_others(self) -> None:
        kept = {self.newest.name} if self.newest else set()
        for name in self._names():
            all_kept = self._keep_all and parsed(name) is not None
            if name not in kept and not all_kept and not self._is_of_newer(name):
                shutil.rmtree(self._folder / name, ignore_errors=True)


def discard(run_folder: Path, trial: int) -> None:
    """Remove the checkpoints of a trial that nobody will go on from."""
    shutil.rmtree(trial_folder(run_folder, trial), ignore_errors=True)


def discard_all_but(run_folder: Path, trial: int | None) -> None:
    """Remove the checkpoints of all trials but one."""
    everything = run_folder / "checkpoints"
    for folder in everything.iterdir() if everything.is_dir() else ():
        if folder.name != str(trial):
            shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the disk hold what was written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
