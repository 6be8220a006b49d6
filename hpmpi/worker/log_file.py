"""What a rank's children print: one file, whose end is told, and which never fills a disk.

The children append to it, so it can be cut while they write. When a file server has its moods, the
output is not worth a rank.
"""

import contextlib
import os
from pathlib import Path

MOST_BYTES = 64 << 20
"""How large the file may become."""

KEPT_BYTES = 1 << 20
"""How much of its end is kept when it has become too large."""

TAIL_BYTES = 2000
"""How much of a dead child's output travels with the failure."""

CUT = b"\n[... hpmpi has cut %d MB from here ...]\n"


class Output:
    """A file that is appended to, with a line in front of what each attempt prints.

    `mark` says where what is told begins.
    """

    def __init__(self, path: Path) -> None:
        """Open it; raises OSError, also for a symbolic link, which might lead anywhere."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666)
        self._appending = os.open(path, flags | os.O_APPEND)
        self._marked = 0
        self._heading, self._headed_at = b"", 0
        self.mark()

    def fileno(self) -> int:
        """Return the descriptor that a child prints to."""
        return self._appending

    def mark(self) -> None:
        """Have the next job's output begin here."""
        self._marked = self._size()

    def head(self, heading: bytes, *, marks: bool = False) -> None:
        """Write a line in front of what is printed from now on: an attempt begins; and `mark`."""
        printed_from = self._headed_at + len(self._heading)
        self._headed_at = self._size()
        if marks:
            self._marked = self._headed_at
        self._heading = heading
        try:  # for each job: contextlib takes longer than the calls
            if self._headed_at != printed_from and not self._ends_a_line(self._headed_at):
                heading = b"\n" + heading
                self._headed_at += 1
            os.write(self._appending, heading)
        except OSError:
            pass

    def tail(self) -> str:
        """Return the end of what was printed since the mark."""
        start = max(self._marked, self._size() - TAIL_BYTES)
        if start > self._headed_at:
            start = max(start, self._headed_at + len(self._heading))
        tail = b""
        with contextlib.suppress(OSError):
            tail = os.pread(self._descriptor, TAIL_BYTES, start)
        return tail.replace(self._heading, b"").decode(errors="replace").strip()

    def trim(self) -> None:
        """Keep only the end of a file that has become too large."""
        size = self._size()
        if size > MOST_BYTES:
            with contextlib.suppress(OSError):
                self._trim(size - KEPT_BYTES)

    def close(self) -> None:
        """Close it; the children have it still."""
        os.close(self._descriptor)
        os.close(self._appending)

    def _ends_a_line(self, size: int) -> bool:
        return os.pread(self._descriptor, 1, max(0, size - 1)) in (b"", b"\n")

    def _size(self) -> int:
        try:
            return os.fstat(self._descriptor).st_size
        except OSError:
            return 0

    def _trim(self, start: int) -> None:
        """Copy the end to the beginning, with what comes meanwhile; cut the rest."""
        is_headed = self._headed_at >= start  # else all that is left is of one attempt
        cut = CUT % (start >> 20)
        written = os.pwrite(self._descriptor, cut if is_headed else self._heading + cut, 0)
        self._marked = written + max(0, self._marked - start)
        self._headed_at = written + self._headed_at - start if is_headed else 0
        while chunk := os.pread(self._descriptor, KEPT_BYTES, start):
            written += os.pwrite(self._descriptor, chunk, written)
            start += len(chunk)
        os.ftruncate(self._descriptor, written)
