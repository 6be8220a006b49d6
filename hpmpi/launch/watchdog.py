"""Whether a launcher stays for no reason: it may wait for ranks that are gone, or never came."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from hpmpi.errors import StoreError
from hpmpi.model.timers import Every, Silence
from hpmpi.storage import lock, run_folder

START_S = 300.0
ASK_S = 30.0
LEAVE_S = 10.0
"""How long ranks may take to begin, a file system being slow; how often the nodes are asked for
signs of life until then; and how long a launcher may take to end after its ranks."""


class Watchdog:
    """Judges whether a launcher stays for no reason; times are those of one monotonic clock."""

    def __init__(
        self,
        folder: Path,
        before: run_folder.RunStatus,
        patience_s: float,
        *,
        missing: Callable[[], list[str]],
        is_alone: Callable[[], bool],
    ) -> None:
        """Be ready, as ranks are started: `before` is what was there then.

        `missing` finds the nodes that do not answer, which may take a while; `is_alone` tells
        whether nothing is left of what the launcher has started.
        """
        self._folder = folder
        self._before = before
        self._missing = missing
        self._is_alone = is_alone
        self._silence_s = max(patience_s, lock.LEASE_S)
        self._silence = Silence(held_up_s=self._silence_s / 2)
        self._start_s = START_S
        self._ask_again = Every(ASK_S)

    def hurry(self) -> None:
        """Wait no longer for ranks that have not begun: they would only be told to drain."""
        self._start_s = LEAVE_S

    def judge(self, now: float) -> str | None:
        """Say why there is no hope; None while there is some."""
        status, sign = run_folder.read_status(self._folder), None
        with contextlib.suppress(StoreError):
            sign = lock.sign_of_life(self._folder)
        silent_s = self._silence.of((status, sign and sign.lease), now)
        if status.start == self._before.start:
            return self._wait_for_start(silent_s, now)
        if status.state != "running":
            return "the ranks have ended" if silent_s > LEAVE_S else None
        return "rank 0 is silent" if silent_s > self._silence_s else None

    def _wait_for_start(self, silent_s: float, now: float) -> str | None:
        if silent_s > self._start_s:
            return "no rank 0 has begun"
        if silent_s > LEAVE_S and self._is_alone():
            return "no rank 0 has begun, and what the launcher has started is gone"
        if silent_s < ASK_S or not self._ask_again.is_due(now):
            return None
        nodes = ", ".join(self._missing())
        self._silence.excuse()
        return f"no rank 0 has begun, and there is no answer from {nodes}" if nodes else None
