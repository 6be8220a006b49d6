"""How long a rank sleeps before it looks whether MPI has a message: MPI wakes nobody.

    a large message is on its way    not at all, or UNDERWAY_S once it stalls
    rung, and nothing seen yet       longer and longer: it is on its way, or was seen before
    all others can ring              until somebody does
    some can't ring                  the longer the quieter it is; rarely where a child can wake us

Pure: what time it is, and what happened, it is told.
"""

import math
from typing import NamedTuple

LEAST_S = 0.1e-3
UNDERWAY_S = 1e-3
BUSY_S = 10e-3
"""A large message goes on only while both ends look: then nobody sleeps longer than UNDERWAY_S, and
not at all while one follows the other within BUSY_S."""


class Pace(NamedTuple):
    """The time between two looks where nobody rings: at least, a share of the quiet, at most."""

    least_s: float
    share: float
    most_s: float


LEADER_PACE = Pace(1.5e-3, 0.02, 10e-3)
WORKER_PACE = Pace(0.3e-3, 0.1, 0.2)
"""All ranks wait for the leader."""


class Sleep:
    """When a rank sleeps, and for how long; times are those of one monotonic clock, in seconds."""

    def __init__(self, pace: Pace, *, is_rung: bool, now: float) -> None:
        """Have talked just now; `is_rung`: whether all who may send to this rank can wake it."""
        self._pace = pace
        self._is_rung = is_rung
        self._talked_at = now
        self._rung_at: float | None = None

    def talk(self, now: float) -> None:
        """Take note of a message that has left."""
        self._talked_at = now

    def hear(self, now: float) -> None:
        """Take note of messages that have come in."""
        self._talked_at, self._rung_at = now, None

    def ring(self, now: float) -> None:
        """Take note that somebody has rung."""
        self._rung_at = now

    def limit_s(self, now: float, *, is_underway: bool, is_woken: bool) -> float:
        """Tell how long to sleep at most.

        `is_underway`: whether a message has not left, or come in, whole; `is_woken`: whether what
        this rank waits for most can wake it.
        """
        if is_underway:
            return 0.0 if now - self._talked_at < BUSY_S else UNDERWAY_S
        if self._rung_at is not None:
            return max(3 * (now - self._rung_at), LEAST_S)
        if self._is_rung:
            return math.inf
        least_s, share, most_s = self._pace
        return most_s if is_woken else min(max((now - self._talked_at) * share, least_s), most_s)
