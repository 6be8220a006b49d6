"""Has run.h5 written while rank 0 goes on: by a process that reads the journal (book.py).

At most one file is being written. It is put in place here, as only who has the run folder may.
What can't be written is said, and tried again when the next is due: the journal has everything.
"""

import logging
import signal
import subprocess
import time
from collections.abc import Callable

import msgspec

from hpmpi import family, head
from hpmpi.errors import StoreError
from hpmpi.frames import Frames, await_any
from hpmpi.store import RESULTS, Store
from hpmpi.transports import unlaunched

SHARE = 0.02
MOST_S = 600.0
"""The share of a core that writing may take, and how long the next file waits for that at most."""

PATIENCE_S = 300.0
"""How long a file may take: who takes longer hangs, and another is started."""

TRIES = 2
"""How often the last one is tried: nothing is written after it."""

LOOK_EVERY_S = 0.2
"""How often one who waits for the file does what is due meanwhile."""

log = logging.getLogger("hpmpi")


class Task(msgspec.Struct, frozen=True):
    """Write into a file what the journal has up to a length, in bytes."""

    length: int
    file: str
    state: str


class Done(msgspec.Struct, frozen=True):
    """The file is written, or says why it isn't."""

    error: str = ""


class Scribe:
    """Rank 0's side: says when run.h5 is due, and puts it in place."""

    def __init__(self, store: Store, every_s: float) -> None:
        """Write the first one in `every_s` seconds."""
        self._store = store
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s
        self._began_at: float | None = None
        self._written = False
        self._process: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None

    def look(self) -> None:
        """Take what is written, begin what is due."""
        now = time.monotonic()
        if self._began_at is not None:
            self._take(now - self._began_at)
        elif now >= self._due_at:
            self._begin("running")

    def finish(self, state: str, hurries: Callable[[], bool]) -> None:
        """Write the last one, which says how the run ended, and end the process.

        `hurries` does what is due meanwhile, and tells whether to leave without the file.
        """
        self._wait(hurries)
        self._written = False
        tries = 0
        while not self._written and tries < TRIES and not hurries():
            tries += 1
            self._begin(state)
            self._wait(hurries)
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None and self._frames is not None:
            self._frames.close()
            self._process.kill()
            self._process.wait()
        self._process = self._frames = self._began_at = None

    def _begin(self, state: str) -> None:
        frames = self._frames
        try:
            frames = frames or self._start()
        except OSError as error:
            self._rest(0.0, f"{RESULTS} can't be written: there is no process for it: {error}")
            return
        task = Task(self._store.length, str(self._store.partial), state)
        frames.send(msgspec.msgpack.encode(task))
        self._began_at = time.monotonic()

    def _start(self) -> Frames:
        # It inherits the mask: whoever signals all processes of a run means rank 0.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._process, wire = head.wired(
                "hpmpi.book", str(self._store.folder), stdout=subprocess.DEVNULL, env=unlaunched()
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        family.offer_to_kernel(self._process.pid)
        self._frames = Frames(wire)
        return self._frames

    def _wait(self, hurries: Callable[[], bool]) -> None:
        while self._began_at is not None and self._frames is not None and not hurries():
            await_any([self._frames.fileno()], limit_s=LOOK_EVERY_S)
            self._take(time.monotonic() - self._began_at)

    def _take(self, took_s: float) -> None:
        assert self._frames is not None, "what is being written was begun"
        said = self._frames.receive()
        if said:
            error = msgspec.msgpack.decode(said[0], type=Done).error
        elif self._frames.closed or took_s > PATIENCE_S:
            error = self._lost()
        else:
            return
        if not error:
            try:
                self._store.adopt()
            except StoreError as trouble:
                error = str(trouble)
        self._rest(took_s, error)

    def _rest(self, took_s: float, error: str) -> None:
        self._began_at, self._written = None, not error
        self._due_at = time.monotonic() + max(self._every_s, min(took_s / SHARE, MOST_S))
        if error:
            log.error("%s; the journal has everything, and the run goes on", error)

    def _lost(self) -> str:
        assert self._process is not None, "what is lost was started"
        code = self._process.poll()
        self.close()
        did = f"has ended with {code}" if code is not None else f"hangs for {PATIENCE_S:.0f} s"
        return f"{RESULTS} can't be written: the process that does it {did}"
