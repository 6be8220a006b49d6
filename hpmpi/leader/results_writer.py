"""Schedules the writing of run.h5 while rank 0 goes on: a process reads the journal for it.

At most one file is being written. It is put in place here, as only who has the run folder may.
What can't be written is said, and tried again when the next is due: the journal has everything. But
a study whose results can't be written at all is not begun: that is tried before the first trial.
"""

import logging
import math
import time
from collections.abc import Callable

import msgspec

from hpmpi.errors import DiskError, StoreError
from hpmpi.leader.beside import ProcessBeside
from hpmpi.storage import files
from hpmpi.storage.run_folder import RESULTS, Store
from hpmpi.transports.framing import await_any

SHARE = 0.02
MOST_S = 600.0
"""The share of a core that writing may take, and how long the next file waits for that at most."""

PATIENCE_S = 300.0
"""How long a file may take: who takes longer hangs, and another is started."""

PROOF_S = 60.0
"""How long a study may be kept from its beginning by who finds out whether it can have results."""

UNPROVEN = (
    "h5py is to write it, beside the journal: see that it can (python -c 'import h5py'), and that "
    "the folder takes files; nothing was begun"
)

LOG = "logs/results.log"
"""What the process prints, in the run folder."""

TRIES = 2
"""How often the last one is tried: nothing is written after it."""

OTHERWISE = (
    "%s is not up to date: `python -m hpmpi export %s --format csv` reads the journal, and the "
    "same command as before writes the file, once that can be"
)

LOOK_EVERY_S = 0.2
"""How often one who waits for the file does what is due meanwhile."""

log = logging.getLogger("hpmpi")


class WriteTask(msgspec.Struct, frozen=True, tag="task"):
    """Write into a file what the journal has up to a length, in bytes."""

    length: int
    file: str
    state: str


class Proof(msgspec.Struct, frozen=True, tag="proof"):
    """Find out whether such a file can be written at all, and leave none."""

    file: str


class Done(msgspec.Struct, frozen=True):
    """The file is written, or the `error` says why it isn't; by a DiskError it `may_pass`."""

    file: str = ""
    error: str = ""
    may_pass: bool = False


class ResultsWriter:
    """Rank 0's side: says when run.h5 is due, and puts it in place."""

    def __init__(self, store: Store, every_s: float) -> None:
        """Write the first one in `every_s` seconds."""
        self.store = store
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s
        self._began_at: float | None = None
        self._proving = False
        self._done = Done()
        self._told = Done()
        self._process: ProcessBeside | None = None

    def prove(self) -> None:
        """Begin to find out whether results can be written here."""
        self._proving = True
        self._begin(Proof(str(self.store.partial)))

    def await_proof(self, hurries: Callable[[], bool]) -> None:
        """Wait until that is known; `hurries` is as in `finish`.

        Raises StoreError where they can't, and the study has not begun: else it has its journal.
        """
        self._wait(hurries, PROOF_S)
        self._proving = False
        if self._done.error and not self._done.may_pass and not self.store.begun:
            raise StoreError(f"{self._done.error}; {UNPROVEN}")
        self._say()

    def look(self) -> None:
        """Take what is written, begin what is due."""
        now = time.monotonic()
        if self._began_at is not None:
            self._take(now - self._began_at)
        elif now >= self._due_at:
            self._begin(self._task("running"))

    def finish(self, state: str, hurries: Callable[[], bool]) -> bool:
        """Write the last one, which says how the run ended, and end the process; true if it is.

        `hurries` does what is due meanwhile, and tells whether to leave without the file.
        """
        self._wait(hurries)
        self._done = Done(error=f"{RESULTS} is not written: nobody waited for it")
        tries = 0
        while self._done.error and tries < TRIES and not hurries():
            tries += 1
            self._begin(self._task(state))
            self._wait(hurries)
        self.close()
        if self._done.error:
            log.error(OTHERWISE, RESULTS, self.store.folder)
        return not self._done.error

    def close(self) -> None:
        """End the process, whatever it does; what it has not finished goes."""
        if self._process is not None:
            self._process.close()
            files.remove(self.store.partial)
        self._process = self._began_at = None

    def _task(self, state: str) -> WriteTask:
        return WriteTask(self.store.length, str(self.store.partial), state)

    def _begin(self, what: WriteTask | Proof) -> None:
        self._began_at = time.monotonic()
        try:
            process = self._process = self._process or ProcessBeside(
                self.store.folder / LOG, "hpmpi.leader.results_process", str(self.store.folder)
            )
        except OSError as error:
            self.close()
            said = f"{RESULTS} can't be written: there is no process for it: {error}"
            self._rest(0.0, Done(error=said, may_pass=True))
            return
        process.output.trim()
        process.output.mark()
        process.frames.send(msgspec.msgpack.encode(what))

    def _wait(self, hurries: Callable[[], bool], most_s: float = math.inf) -> None:
        waits_until = time.monotonic() + most_s
        while self._began_at is not None and self._process is not None:
            if hurries() or time.monotonic() > waits_until:
                return
            await_any([self._process.frames.fileno()], limit_s=LOOK_EVERY_S)
            self._take(time.monotonic() - self._began_at)

    def _take(self, took_s: float) -> None:
        assert self._process is not None, "what is being written was begun"
        frames = self._process.frames
        said = frames.receive()
        if said:
            done = msgspec.msgpack.decode(said[0], type=Done)
        elif frames.closed:
            done = Done(error=self._lost(self._process.end_told()))
        elif took_s > PATIENCE_S:
            done = Done(error=self._lost(self._process.told(f"hangs for {PATIENCE_S:.0f} s")))
        else:
            return
        if done.file:
            try:
                self.store.adopt()
            except StoreError as error:
                done = Done(error=str(error), may_pass=isinstance(error, DiskError))
        self._rest(took_s, done)

    def _rest(self, took_s: float, done: Done) -> None:
        self._began_at, self._done = None, done
        if not self._proving:
            self._due_at = time.monotonic() + max(self._every_s, min(took_s / SHARE, MOST_S))
            self._say()

    def _say(self) -> None:
        """Log what is wrong, once for as long as that is the same."""
        done, before = self._done, self._told
        self._told = done
        if done.error and done.error != before.error:
            log.error("%s; the journal has everything", done.error)

    def _lost(self, did: str) -> str:
        self.close()
        return f"{RESULTS} can't be written: the process that does it {did}"
