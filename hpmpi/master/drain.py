"""The drain of a start: nothing new is begun, checkpoints are asked for, and then it is over.

    --begin--> drains --nobody has a job, or its grace is over, or it is asked for again--> over

Where the end of the allocation is known, it begins by itself: so long before it that there is all
its grace, and time to leave.
"""

from hpmpi.master.time_left import AllocationEnd
from hpmpi.model.events import Due

LEAVE_S = 10.0
"""How long before the allocation ends a run leaves at the latest: to write all, and be gone."""

NO_TIME = "the end of the allocation"
NOTHING_FITS = "nothing else can be done before the end of the allocation"
"""Why a run drains by itself."""


class DrainState:
    """Whether a start drains, why, and until when; times are seconds since the study began."""

    def __init__(self, grace_s: float) -> None:
        """Have jobs end for so long."""
        self.until: float | None = None
        self.why = ""
        self._grace_s = grace_s
        self._is_asked_for = False

    def is_repeated(self) -> bool:
        """Take note that somebody asks for it; tell whether somebody has before."""
        before, self._is_asked_for = self._is_asked_for, True
        return before

    def begin(self, why: str, now: float) -> None:
        """Begin, as somebody has asked for it or by itself."""
        self.until, self.why = now + self._grace_s, why

    def before(self, due: Due) -> AllocationEnd:
        """Tell when it begins by itself where the allocation ends so."""
        return AllocationEnd(due.ends_at, due.epoch_s, due.ends_at - (self._grace_s + LEAVE_S))

    def is_over(self, end: AllocationEnd | None, held: int, now: float) -> bool:
        """Tell whether it has come to its end, where ranks have `held` jobs still."""
        if self.until is None:
            return False
        until = self.until
        if end is not None:  # it may have been known too late for all the grace
            until = min(until, end.ends_at - LEAVE_S)
        return now >= until or not held
