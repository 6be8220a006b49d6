"""The checkpoints of a trial on disk: whole or not at all, and no attempt harms another.

    DIR/checkpoints/<trial>/<resource>-<rung>.<attempt>      whole: it has its name since it is
    DIR/checkpoints/<trial>/.<resource>-<rung>.<attempt>     being written
    DIR/checkpoints/<trial>/.<...>.replaced                  whole: until another has its name

Rules: an attempt that starts owns what older ones have left. It takes the newest whole checkpoint
of theirs under its own name, and removes what else it finds. From then on it removes only what has
its own name. An older attempt that is still alive somewhere, or starts late, can so lose its own
files, which nobody needs any more, and can never take away those of a newer one. Only a folder is a
checkpoint: a link or a file with the name of one is removed, and a link never followed.
"""

import contextlib
import errno
import functools
import os
import re
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hpmpi.model.trial import BASELINE
from hpmpi.storage.files import NO_ROOM, is_folder, make_folder, remove, sync, sync_all
from hpmpi.worker.baseline import FOLDER

PATIENCE_S = 5.0
"""How long a checkpoint that was heard of may take to show up on a network file system."""

REPLACED = ".replaced"

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


def trial_path(run_folder: Path | str, trial: int) -> str:
    """Name the folder that has the checkpoints of a trial; a Path would take as long as a job."""
    return f"{run_folder}/checkpoints/{trial}"


def trial_folder(run_folder: Path | str, trial: int) -> Path:
    """Name it as a Path."""
    return Path(trial_path(run_folder, trial))


class Checkpoints:
    """The checkpoints of one trial, in the hands of one attempt."""

    def __init__(
        self, path: Path | str, rung: int, attempt: int, *, keep_all: bool = False
    ) -> None:
        """Name the trial's folder and the attempt; nothing is touched before `claim`."""
        self._path = path
        self._rung = rung
        self._attempt = attempt
        self._keep_all = keep_all
        self.newest: Checkpoint | None = None

    def claim(self, *, heard_of: int, limit: int) -> Path | None:
        """Take over the newest whole checkpoint of at most `limit`; None where there is none.

        Waits a little for one of the resource that was `heard_of`.
        """
        if not heard_of and not os.path.lexists(self._path):
            return None  # as for most jobs: each pays for it
        if not is_folder(self._folder):
            remove(self._folder)  # what has its name by mistake
        patience_ends = time.monotonic() + PATIENCE_S
        while True:
            self._give_back_names()
            found = sorted(each for each in self._whole() if each.resource <= limit)
            missing = heard_of > (found[-1].resource if found else 0)
            if missing and time.monotonic() < patience_ends:
                time.sleep(PATIENCE_S / 50)
                continue
            if not found or self._take(found[-1]):
                break
        self._remove_others()
        return self.path

    @functools.cached_property
    def _folder(self) -> Path:
        return Path(self._path)

    @property
    def path(self) -> Path | None:
        """The folder of the newest checkpoint that this attempt owns."""
        return None if self.newest is None else self._folder / self.newest.name

    def look(self) -> Checkpoint | None:
        """Find the newest checkpoint that this attempt has saved, in whichever of its processes."""
        mine = (self._rung, self._attempt)
        found = [each for each in self._whole() if (each.rung, each.attempt) == mine]
        self.newest = max(found, default=self.newest)
        return self.newest

    @contextmanager
    def save(self, resource: int) -> Iterator[Path]:
        """Give a folder to write into: the newest checkpoint, once the block has ended well.

        Where the disk has no room for it there is none, and nothing is raised.
        """
        saved = Checkpoint(resource, self._rung, self._attempt)
        partial = self._folder / f".{saved.name}"
        folder = made(partial)
        try:
            with nothing_ignored():
                yield folder
            self._finish(saved, partial, folder)
        except BaseException as error:
            remove(folder)
            if not isinstance(error, OSError) or error.errno not in NO_ROOM:
                raise
            said = f"trial {self._folder.name}: no room for a checkpoint at {resource}"
            with contextlib.suppress(OSError):  # nor, maybe, for this
                sys.stderr.write(f"{said}; going on without\n")

    def _finish(self, saved: Checkpoint, partial: Path, written: Path) -> None:
        if written != partial:
            raise OSError(errno.ENOSPC, "there was no room for the folder itself")
        whole = self._folder / saved.name
        replaced = self._folder / f".{saved.name}{REPLACED}"
        sync_all(partial)
        if os.path.lexists(whole):
            whole.rename(replaced)
        partial.rename(whole)
        before, self.newest = self.path, saved
        sync(self._folder)
        remove(replaced)
        if before is not None and before != whole and not self._keep_all:
            remove(before)

    def _give_back_names(self) -> None:
        """Have what was to be replaced count again, where its attempt came no further."""
        for name in self._names():
            whole = name.removeprefix(".").removesuffix(REPLACED)
            mine = name == f".{whole}{REPLACED}" and not self._is_of_newer(whole)
            if mine and parsed(whole) and not os.path.lexists(self._folder / whole):
                with contextlib.suppress(OSError):  # that attempt is alive after all
                    (self._folder / name).rename(self._folder / whole)

    def _whole(self) -> list[Checkpoint]:
        found = [
            parsed(name)
            for name in self._names()
            if not self._is_of_newer(name) and is_folder(self._folder / name)
        ]
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
        found = parsed(name.removeprefix(".").removesuffix(REPLACED))
        mine = (self._rung, self._attempt)
        return found is not None and (found.rung, found.attempt) > mine

    def _remove_others(self) -> None:
        kept = {self.newest.name} if self.newest else set()
        for name in self._names():
            path = self._folder / name
            all_kept = self._keep_all and parsed(name) is not None and is_folder(path)
            if name not in kept and not all_kept and not self._is_of_newer(name):
                remove(path)


@contextmanager
def nothing_ignored() -> Iterator[None]:
    """Raise at the end what Python ignores: `dump(model, open(...))` may fail in a destructor."""
    before, ignored = sys.unraisablehook, []

    def hear(unraisable: Any) -> None:
        ignored.append(unraisable.exc_value)
        before(unraisable)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = before
    for error in ignored:
        if isinstance(error, OSError):
            raise error


def made(folder: Path) -> Path:
    """Make a folder anew; where the disk has no room for it, one elsewhere, that will not count."""
    remove(folder)
    try:
        make_folder(folder.parent)
        folder.mkdir()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        import tempfile  # noqa: PLC0415 - rarely needed, and loads a lot

        return Path(tempfile.mkdtemp())
    return folder


def home_of(run_folder: Path, trial: int) -> tuple[Path, int]:
    """Tell in which folder, and as which trial's, those of a trial or of the baseline are.

    >>> home_of(Path("out"), 7), home_of(Path("out"), BASELINE)
    ((PosixPath('out'), 7), (PosixPath('out/baseline'), 0))
    """
    return (run_folder / FOLDER, 0) if trial == BASELINE else (run_folder, trial)


def reached(run_folder: Path, trial: int) -> int:
    """Find the resource of a trial's newest whole checkpoint; 0 without one."""
    found = all_whole(run_folder, trial)
    return found[-1].resource if found else 0


def newest(run_folder: Path, trial: int) -> Path | None:
    """Find the folder of a trial's newest whole checkpoint; None without one."""
    found = all_whole(run_folder, trial)
    return trial_folder(run_folder, trial) / found[-1].name if found else None


def all_whole(run_folder: Path, trial: int) -> list[Checkpoint]:
    """List the whole checkpoints of a trial, whichever attempt has written them; newest last."""
    folder = trial_folder(run_folder, trial)
    try:
        found = [parsed(path.name) for path in folder.iterdir() if is_folder(path)]
    except OSError:
        return []
    return sorted(each for each in found if each is not None)


def discard(run_folder: Path, trial: int) -> None:
    """Remove the checkpoints of a trial that nobody will go on from."""
    # Many a trial has none, and to find that out must cost next to nothing.
    if os.path.lexists(trial_path(run_folder, trial)):
        remove(trial_folder(run_folder, trial))


def discard_all_but(run_folder: Path, trials: Collection[int]) -> Iterator[None]:
    """Remove the checkpoints of all trials but some, which may take its time."""
    everything, kept = run_folder / "checkpoints", set(map(str, trials))
    for folder in everything.iterdir() if is_folder(everything) else ():
        if folder.name not in kept:
            remove(folder)
            yield
