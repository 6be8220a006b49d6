"""Whether rank 0 lives, as a rank sees that hears nothing of it: from the lock of the run folder.

A searcher may think for long, in the loop that hears the ranks; meanwhile the lock is renewed
(leader/lock_keeper.py).
"""

import math
from pathlib import Path

from hpmpi.errors import StoreError
from hpmpi.storage import lock


class Vitals:
    """What was seen of the lock; times are of one clock, in seconds."""

    def __init__(self, folder: Path) -> None:
        """Be ready to look at the lock of a run folder."""
        self._folder = folder
        self._looked_at = self._since = -math.inf
        self._lease: lock.Lease | None = None

    def show_life(self, now: float) -> bool:
        """Tell whether the lock is renewed; to be asked again and again, until it is not."""
        if now - self._looked_at < lock.BEAT_S / 2:
            return True
        self._looked_at = now
        lease = self._look()
        if lease is not None and lease != self._lease:
            self._lease, self._since = lease, now
        return lease is not None and now - self._since <= lock.LEASE_S

    def _look(self) -> lock.Lease | None:
        try:
            sign = lock.sign_of_life(self._folder)
        except StoreError:
            return None
        return None if sign is None or sign.gone else sign.lease
