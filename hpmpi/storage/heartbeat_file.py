"""What `hpmpi launch` tells its ranks, in the run folder: that it lives, and to drain.

    DIR/launch      "<allocation> <beats> <signals...>", one line, written anew in place

A signal may come when a rank has no ears for it, and may not get through a launcher; a file is
there when it is looked for. It is there from the beginning: what is written into a file is seen on
other nodes sooner than that there is another one. It stays there, blank: it may be another launch
that is alive, if this one found that the folder is held, and its line comes back with its beat.
"""

import contextlib
import math
import os
import threading
from pathlib import Path

from hpmpi.storage import files

NAME = "launch"

BEAT_S = 2.0
LIFE_S = 5 * BEAT_S
"""How often a line is written, and how long it lasts."""

LOOK_S = 1.0
WIDTH = 64
MOST = 2
"""How often a rank looks, how long a line is, and how many signals are in it."""


class Lifeline:
    """Launch's end."""

    def __init__(self, folder: Path, allocation: str) -> None:
        """Have a folder's ranks know that launch lives; raises OSError."""
        self._allocation = allocation
        self._signals: list[str] = []
        self._beats = 0
        self._closed = threading.Event()
        files.make_folder(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(folder / NAME, flags, 0o666)
        self._write()
        # Whatever launch waits for, it lives.
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def pass_on(self, signal: str) -> None:
        """Have the ranks drain, as a signal asks for; with another, they leave at once."""
        self._signals = [*self._signals, signal][:MOST]
        self._write()

    def close(self) -> None:
        """Say no more."""
        self._closed.set()
        self._beating.join()
        with contextlib.suppress(OSError):  # what stays does not change, and means nothing then
            os.pwrite(self._descriptor, line_of(), 0)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_S):
            self._beats += 1
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # the next comes soon
            os.pwrite(self._descriptor, line_of(self._allocation, self._beats, *self._signals), 0)
            os.fsync(self._descriptor)


def line_of(*words: object) -> bytes:
    """Write a line, which is always as long as the one that it replaces."""
    return " ".join(map(str, words)).ljust(WIDTH - 1).encode() + b"\n"


def signals(folder: Path) -> list[str]:
    """Read the signals that were passed on."""
    return read(folder)[2 : 2 + MOST]


class Pulse:
    """A rank's end; times are those of one monotonic clock."""

    def __init__(self, folder: Path, allocation: str) -> None:
        """Be ready to watch the launch of this allocation."""
        self._folder = folder
        self._allocation = allocation
        self._looked_at = -math.inf
        self._line: list[str] = []
        self._since = math.inf

    @property
    def is_there(self) -> bool:
        """Whether there was a launch of this allocation when it was last looked for."""
        return self._line[:1] == [self._allocation]

    def stopped(self, now: float) -> float:
        """Tell for how long launch has said nothing, while this was asked; 0 where there was none.

        To be asked again and again.
        """
        if now - self._looked_at > LOOK_S:
            line = read(self._folder)
            if line != self._line or now - self._looked_at > LIFE_S / 2:  # nobody watched before
                self._line, self._since = line, now
            self._looked_at = now
        return now - self._since if self.is_there else 0.0


def read(folder: Path) -> list[str]:
    """Read the line, word by word; nothing where there is none."""
    try:
        return files.read(folder / NAME).decode(errors="replace").split()
    except OSError:
        return []
