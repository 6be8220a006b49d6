"""Keeps a run folder for rank 0 while it thinks.

A searcher may think for long, in the loop that hears the ranks, and renews the lock. So a thread
renews it meanwhile: launch and the ranks see that rank 0 lives (worker/leader_signs.py), and no
other run takes the folder. The thread does nothing else, and nothing at other times: a loop that
hangs in a file system or in MPI is silent, as it should be. What holds Python's lock while it
thinks, as bad extensions do, holds the thread as well.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from hpmpi.errors import StoreError
from hpmpi.storage import lock

LONG_S = 10.0
"""A thought that takes longer is said to."""

log = logging.getLogger("hpmpi")


class LockKeeper:
    """Renews a lock beside a thread that says, by `with`, when it thinks."""

    def __init__(self, held: lock.Lock) -> None:
        """Do nothing yet."""
        self._lock = held
        self._mutex = threading.Lock()
        self._thinks_since: float | None = None
        self._said = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        """Begin to think."""
        self._thinks_since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        """Have thought: the lock is the other thread's own again."""
        with self._mutex:
            self._thinks_since = None
            self._said = False

    def close(self) -> None:
        """Think no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(lock.BEAT_S / 2):
            with self._mutex:
                if self._thinks_since is not None:
                    self._keep(time.monotonic() - self._thinks_since)

    def _keep(self, thought_s: float) -> None:
        if thought_s > LONG_S and not self._said:
            self._said = True
            log.info("the searcher or the scheduler thinks for more than %g s: all wait", LONG_S)
        with contextlib.suppress(StoreError):  # it comes up again where somebody can act on it
            self._lock.beat(time.monotonic())


@contextmanager
def kept(held: lock.Lock) -> Iterator[None]:
    """Keep a lock during one long thought."""
    with closing(LockKeeper(held)) as keeper, keeper:
        yield
