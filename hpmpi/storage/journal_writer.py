"""The journal, open for appending: what a disk has confirmed is there, and the rest can be again.

Where a disk says that it could not take something, it may have forgotten all since the last time
that it confirmed, and say nothing the next time. So the lines since then are kept, and the journal
is written anew, of what was confirmed and these, before anything is added.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from hpmpi.model.records import Line
from hpmpi.storage import files
from hpmpi.storage.journal import crc_of, open_journal, rows_of, text_of


class JournalWriter:
    """Appends lines; `length` is how long the journal is, in bytes, `crc` that of the last line.

    All methods raise OSError, and may be called again later.
    """

    def __init__(self, path: Path, length: int, crc: int) -> None:
        """Go on after what was read; what else the file has is torn, and is cut off."""
        self.length, self.crc = length, crc
        self._path = path
        self._unconfirmed: list[bytes] = []
        self._confirmed = self.length, self.crc
        self._is_doubtful = False
        if not length:
            files.replace(path, b"")
        self._file = open_journal(path, length)
        if length:  # by whoever wrote that
            os.fsync(self._file)

    def append(self, lines: Iterable[Line]) -> None:
        """Write lines; where that can't be, none of them is in the journal."""
        rows = rows_of(lines, self.crc)
        if not rows:
            return
        text = text_of(rows)
        self._mend()
        try:
            files.write(self._file, text)
        except OSError:
            self._cut()
            raise
        self._unconfirmed.append(text)
        self.length, self.crc = self.length + len(text), crc_of(rows[-1])

    def sync(self) -> None:
        """Have the disk hold all, in the file that has the journal's name."""
        self._is_doubtful |= not self._is_in_place()
        self._mend()
        try:
            os.fsync(self._file)
        except OSError:
            self._is_doubtful = True
            raise
        self._confirm()

    def close(self) -> None:
        """Have the disk hold all, and close the file, whatever the disk says."""
        try:
            self.sync()
        finally:
            os.close(self._file)

    def _confirm(self) -> None:
        self._unconfirmed.clear()
        self._confirmed = self.length, self.crc

    def _mend(self) -> None:
        """Write the journal anew where it may not be as it should be."""
        if not self._is_doubtful:
            return
        length, crc = self._confirmed
        text = os.pread(self._file, length, 0)
        if len(text) < length or (length and crc_of(text.rpartition(b"\n")[0]) != crc):
            raise OSError(errno.EIO, "the disk has lost what it had confirmed")
        files.replace(self._path, text + b"".join(self._unconfirmed))
        before, self._file = self._file, open_journal(self._path, self.length)
        os.close(before)
        self._is_doubtful = False
        self._confirm()

    def _is_in_place(self) -> bool:
        """Tell whether nobody has put another file in place of the journal, or taken it away."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _cut(self) -> None:
        """Take back what the disk took of lines."""
        try:
            os.ftruncate(self._file, self.length)
        except OSError:
            self._is_doubtful = True
