"""The run folder: the journal, the results file, and the status.

    DIR/journal.jsonl      an event and what was decided on it, a line each, written before the
                           orders that follow leave
    DIR/run.h5             all that is known, as tables that any HDF5 program reads
    DIR/run.h5.previous    the one before it
    DIR/status             "<id of the newest start> <state>", for the guards and for people
    DIR/lock               who writes here (lock.py)
    DIR/trials/            what trials have written into folders of their own
    DIR/launch             what `hpmpi launch` says, while it lives (heartbeat_file.py)

Rules: the journal is only appended to, so a kill at any instant loses no line; a torn last line is
dropped. Each line ends with a checksum of itself and of all before it. It is all that a start goes
on from, and all that is shown: `run.h5` is output, written beside, synced and renamed, so that it
is whole at any time. What is damaged is said, never guessed, and reading changes nothing; `hpmpi
repair` takes it from the copy in `run.h5`. No link in the folder is followed out of it. No pickle.
"""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import DiskError, StoreError
from hpmpi.history.tables import Columns
from hpmpi.model.records import Line
from hpmpi.storage import files, results_file
from hpmpi.storage.journal import REPAIR, JournalReader, crc_of
from hpmpi.storage.journal_writer import JournalWriter
from hpmpi.storage.lock import Lock
from hpmpi.storage.results_file import Copied

JOURNAL = "journal.jsonl"
RESULTS = "run.h5"
PREVIOUS = "run.h5.previous"
STATUS = "status"

UNWRITTEN = "unwritten"
"""The state of a start that has completed the study, and could not write its results file."""

BESIDE = ("lock", "launch", "logs/*", "baseline/*.log")
FILES = (JOURNAL, RESULTS, PREVIOUS, STATUS, *BESIDE)
FOLDERS = ("checkpoints", "trials", "logs", "baseline", "baseline/checkpoints", "baseline/trials")
"""What is ours in a run folder."""

SYNC_EVERY_S = 1.0
"""How much of the journal a power failure may cost."""


UNWRITABLE = (OSError, ImportError, ValueError, TypeError, OverflowError, RuntimeError)
"""What HDF5 raises that can't write a file, or isn't here."""


Seen = tuple[int, int, int] | None
"""Of a journal: its inode, size and time of change."""


class Saved(NamedTuple):
    """What a journal holds, how many bytes it has of just that, and the checksum of the last line.

    The lines are for who goes on from them.
    """

    lines: list[Line]
    length: int
    crc: int


NOTHING = Saved([], 0, 0)


class Store:
    """A run folder, open for writing."""

    def __init__(self, folder: Path, saved: Saved = NOTHING, lock: Lock | None = None) -> None:
        """Go on after what `read` has read from the same folder, which nobody has written since."""
        self.folder = folder
        self.lock = lock
        files.make_folder(folder)
        files.sweep(folder, (JOURNAL, RESULTS, PREVIOUS, STATUS))
        if not saved.length:
            for name in (RESULTS, PREVIOUS):
                (folder / name).unlink(missing_ok=True)
        self._journal = JournalWriter(folder / JOURNAL, saved.length, saved.crc)
        self._synced_at = time.monotonic()

    def append(self, *lines: Line) -> None:
        """Write lines; once this returns, the end of this process does not lose them.

        Raises DiskError where the disk does not take them: then none is in the journal, and all may
        be appended again later; StoreError where the folder is another run's by now.
        """
        self._keep_lock()
        try:
            self._journal.append(lines)
        except OSError as error:
            raise self._trouble(error) from error

    def sync(self) -> None:
        """Have the disk hold what was appended, and the lock kept, about once a second.

        Raises as `append` does.
        """
        if time.monotonic() - self._synced_at < SYNC_EVERY_S:
            return
        self._synced_at = time.monotonic()
        self._keep_lock()
        try:
            self._journal.sync()
        except OSError as error:
            raise self._trouble(error) from error

    @property
    def begun(self) -> bool:
        """Whether the journal has any line."""
        return self.length > 0

    @property
    def crc(self) -> int:
        """The checksum of the last line, 0 without one."""
        return self._journal.crc

    @property
    def length(self) -> int:
        """How long the journal is, in bytes."""
        return self._journal.length

    @property
    def partial(self) -> Path:
        """The file that the next results are written into, before they are adopted."""
        return self.folder / f".{RESULTS}.{os.getpid()}"

    def adopt(self) -> None:
        """Put new results in place; raises StoreError, and leaves the file that is there.

        They tell of nothing that a power failure could take from the journal.
        """
        self._keep_lock()
        try:
            self._journal.sync()
            self._replace(self.partial)
        except OSError as error:
            self.partial.unlink(missing_ok=True)
            raise StoreError(f"{self.folder / RESULTS} can't be written: {error}") from error

    def status(self, start: str, state: str) -> Path:
        """Say, in a file, which start is the newest and whether it goes on; return the file."""
        path = self.folder / STATUS
        try:
            files.replace(path, f"{start} {state}\n".encode())
        except OSError as error:
            raise DiskError(f"{path} can't be written: {error.strerror}") from error
        return path

    def close(self) -> None:
        """Have the disk hold everything, and let the next run have the folder."""
        try:
            self._journal.close()
        except OSError as error:
            raise self._trouble(error) from error
        finally:
            if self.lock is not None:
                self.lock.release()

    def _keep_lock(self) -> None:
        if self.lock is not None:
            self.lock.beat(time.monotonic())

    def _trouble(self, error: OSError) -> DiskError:
        return DiskError(f"{self.folder / JOURNAL} can't be written: {error.strerror}")

    def _replace(self, partial: Path) -> None:
        whole, previous = self.folder / RESULTS, self.folder / PREVIOUS
        if whole.exists():
            # A copy beside, so that there is no instant without a whole file.
            link = self.folder / f".{PREVIOUS}.{os.getpid()}"
            link.unlink(missing_ok=True)
            files.link_or_copy(whole, link)
            link.rename(previous)
        partial.rename(whole)
        files.sync(self.folder)


def write_results(
    file: Path, lines: list[bytes], tables: Mapping[str, Columns], attributes: Mapping[str, str]
) -> None:
    """Write the results of a run into a file beside run.h5; raises StoreError."""
    try:
        file.unlink(missing_ok=True)
        results_file.write(file, lines, tables, attributes)
    except UNWRITABLE as error:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        full = isinstance(error, OSError) and error.errno in files.NO_ROOM
        kind = DiskError if full else StoreError
        raise kind(f"{file.parent / RESULTS} can't be written: {error}") from error


def prove(file: Path) -> None:
    """Find out whether a results file can be written here at all; raises StoreError."""
    write_results(file, [], {"trials": {"id": []}}, {})
    files.remove(file)


def holds_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return any((folder / name).exists() for name in (JOURNAL, RESULTS, PREVIOUS))


def is_begun(folder: Path) -> bool:
    """Tell whether all that is in a folder is of a run that never came to a decision."""
    ours = {name.partition("/")[0] for name in (*FILES, *FOLDERS)}
    return folder.is_dir() and all(path.name in ours for path in folder.iterdir())


def look(folder: Path) -> Seen:
    """Tell what the journal looks like: as long as that is the same, so is it."""
    try:
        stat = (folder / JOURNAL).stat()
    except OSError:  # it is not there
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class RunStatus(NamedTuple):
    """The id of the newest start, and what it has come to; empty where nothing says so."""

    start: str
    state: str


def read_status(folder: Path) -> RunStatus:
    """Read what has become of the newest start."""
    try:
        words = files.read(folder / STATUS).decode(errors="replace").split()
    except OSError:
        words = []
    return RunStatus(*words[:2]) if len(words) > 1 else RunStatus("", "")


def read(folder: Path) -> Saved:
    """Read what the journal of a run folder holds, and change nothing; raises StoreError.

    A folder that holds nothing of ours, or is not there, has no lines.
    """
    files.refuse_strangers(folder, FILES, FOLDERS)
    copied = results_file.copied_in(folder / RESULTS)  # first: the journal may grow meanwhile
    reader = JournalReader(folder / JOURNAL)
    part = reader.read()
    if copied is not None and part.rows:
        refuse_another(folder, copied, part.rows)
    if not part.rows and any((folder / name).exists() for name in (RESULTS, PREVIOUS)):
        raise StoreError(f"there is no journal in {folder}, but results are; {REPAIR}")
    return Saved(part.lines, reader.length, reader.crc)


def refuse_another(folder: Path, copied: Copied, rows: Sequence[bytes]) -> None:
    """Raise StoreError for a journal that lacks what the results file was made of."""
    if len(rows) >= copied.lines and crc_of(rows[copied.lines - 1]) == copied.crc:
        return
    if not results_file.is_whole(folder / RESULTS):
        return  # who can say of what it was made?
    if len(rows) < copied.lines:
        here = f"{folder / JOURNAL} has {len(rows)} lines"
        raise StoreError(f"{here}, and {RESULTS} was made of {copied.lines}: {REPAIR}")
    raise StoreError(
        f"{folder / JOURNAL} is of another run than {RESULTS} beside it; nothing was changed. Put "
        f"the right one there, or remove {RESULTS}, or use --fresh to move both aside"
    )
