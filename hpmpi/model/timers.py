"""Timers that read no clock: what time it is, on any clock that never goes back, they are told."""

import math


class Every:
    """Something that is done at most every so many seconds."""

    def __init__(self, interval_s: float) -> None:
        """Be due at once."""
        self._interval_s = interval_s
        self._due_at = -math.inf

    def is_due(self, now: float) -> bool:
        """Tell whether it is time; if it is, it is not again for a while."""
        if now < self._due_at:
            return False
        self._due_at = now + self._interval_s
        return True


class Sparing:
    """Something that takes a while: it is done so seldom that it takes a share of the time at most.

    `due_at`: when it may be done again, at once at first.
    """

    def __init__(self, share: float, least_s: float = 0.0) -> None:
        """Let it take that share, and not be due within `least_s` either."""
        self.due_at = -math.inf
        self._share = share
        self._least_s = least_s

    def is_due(self, now: float) -> bool:
        """Tell whether it is time."""
        return now >= self.due_at

    def took(self, spent_s: float, now: float) -> None:
        """Take note that it was done, and what it took."""
        self.due_at = now + max(self._least_s, spent_s / self._share)


class Silence:
    """For how long a value has not changed, as its watcher sees it, who looks again and again.

    A watcher that has not looked for `held_up_s` was held up itself, by Ctrl-Z or by a file server
    that was away, and may have missed a change: that silence does not count.
    """

    def __init__(self, held_up_s: float = math.inf) -> None:
        """Have seen nothing yet."""
        self._held_up_s = held_up_s
        self._value: object = self  # which nothing that is watched is equal to
        self._since = self._looked_at = -math.inf

    def of(self, value: object, now: float) -> float:
        """Look at the value; return for how many seconds it has been the same."""
        if value != self._value or now - self._looked_at > self._held_up_s:
            self._value, self._since = value, now
        self._looked_at = now
        return now - self._since

    def excuse(self) -> None:
        """Take the time until the next look for no hold-up: the watcher has long work to do."""
        self._looked_at = math.inf
