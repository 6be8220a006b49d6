"""Whether rank 0 lives, as a rank sees that hears nothing of it: from the lock of the run folder.

A searcher may think for long, in the loop that hears the ranks; meanwhile the lock is renewed
(leader/lock_keeper.py).
"""

from pathlib import Path

from hpmpi.errors import StoreError
from hpmpi.model.timers import Every, Silence
from hpmpi.storage import lock


class LeaderSigns:
    """What was seen of the lock; times are of one clock, in seconds."""

    def __init__(self, folder: Path) -> None:
        """Be ready to look at the lock of a run folder."""
        self._folder = folder
        self._look_again = Every(lock.BEAT_S / 2)
        self._silence = Silence()

    def show_life(self, now: float) -> bool:
        """Tell whether the lock is renewed; to be asked again and again, until it is not."""
        if not self._look_again.is_due(now):
            return True
        lease = self._look()
        return lease is not None and self._silence.of(lease, now) <= lock.LEASE_S

    def _look(self) -> lock.Lease | None:
        try:
            sign = lock.sign_of_life(self._folder)
        except StoreError:
            return None
        return None if sign is None or sign.gone else sign.lease
