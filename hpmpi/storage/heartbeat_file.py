"""What `hpmpi launch` says in the run folder: that it lives, that ranks are to drain, and a count.

    DIR/launch      {"allocation":"17","beats":3,"signals":["SIGTERM"],"barren":1,"gained":40}

It is one line of JSON, written by launch alone, anew in place; the ranks read it, and the standby.

- A signal may come when a rank has no ears for it, and may not get through a launcher; a file is
  there when it is looked for. It is there from the beginning: what is written into a file is seen
  on other nodes sooner than that there is another one.
- The file stays when launch leaves, and is nobody's: the next launch may go on counting. And it may
  be another launch that is alive, if this one found that the folder is held: then the other's line
  comes back with its beat.
- What can't be read says nothing.
"""

import contextlib
import os
import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec

from hpmpi.model.timers import Silence
from hpmpi.storage import files

NAME = "launch"

BEAT_S = 2.0
LIFE_S = 5 * BEAT_S
"""How often a line is written, and how long it lasts."""

LINE_BYTES = 256
"""The length of the file: always the same, so that a line is replaced in one write."""

MOST_SIGNALS = 2


class Line(msgspec.Struct, frozen=True):
    """What launch says; `beats` counts on, so that a line that is the same is of one that is gone.

    `allocation`: its name, "none" outside of Slurm; "" where there is no launch any more.
    `signals`: what asks the ranks to drain, and with the second to leave at once.
    `barren`: how many starts in a row have brought nothing but `gained`, what there was before them
    (launch/starts.py).
    """

    allocation: str = ""
    beats: int = 0
    signals: tuple[str, ...] = ()
    barren: Annotated[int, msgspec.Meta(ge=0)] = 0
    gained: int = 0


class Heartbeat:
    """Launch's end; what is in the `line` is kept, but for the signals."""

    def __init__(self, folder: Path, allocation: str) -> None:
        """Have a folder's ranks know that launch lives; raises OSError."""
        files.make_folder(folder)
        self.line = msgspec.structs.replace(read(folder), allocation=allocation, signals=())
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(folder / NAME, flags, 0o666)
        self.say()
        # Whatever launch waits for, it lives.
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def say(self, **changes: Any) -> None:
        """Write the line anew, changed; what can't be written now is written with the next beat."""
        with self._mutex, contextlib.suppress(OSError):
            beats = self.line.beats + 1
            self.line = msgspec.structs.replace(self.line, beats=beats, **changes)
            text = msgspec.json.encode(self.line).ljust(LINE_BYTES - 1) + b"\n"
            os.pwrite(self._descriptor, text, 0)
            os.fsync(self._descriptor)

    def pass_on(self, signal: str) -> None:
        """Have the ranks drain, as a signal asks for; with another, they leave at once."""
        self.say(signals=(*self.line.signals, signal)[:MOST_SIGNALS])

    def close(self) -> None:
        """Be gone."""
        self._closed.set()
        self._beating.join()
        self.say(allocation="", signals=())
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_S):
            self.say()


class HeartbeatMonitor:
    """Watches whether the launch of an allocation lives; to be asked again and again."""

    def __init__(self, folder: Path, allocation: str) -> None:
        """Be ready to look."""
        self._folder = folder
        self._allocation = allocation
        self._silence = Silence(held_up_s=LIFE_S / 2)

    def silent_s(self, now: float) -> float | None:
        """Tell for how long launch has said nothing, by one clock; None where there is none."""
        line = read(self._folder)
        silent_s = self._silence.of(line, now)
        return silent_s if line.allocation == self._allocation else None


def read(folder: Path) -> Line:
    """Read what launch says."""
    try:
        return msgspec.json.decode(files.read(folder / NAME), type=Line)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return Line()
