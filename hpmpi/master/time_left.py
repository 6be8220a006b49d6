"""What there is time for: how long jobs take, rung by rung, and when the allocation ends.

Rules:

- A rung is out when half of its newest jobs took longer than is left until the drain begins, and
  with it all above. One of which nothing is known is in.
- Where jobs save on the way, nothing is lost by beginning: they go on in the next allocation. So
  all rungs are in. (Else a job that takes longer than an allocation would never be done.)
"""

from collections import defaultdict
from typing import NamedTuple

NEWEST = 32
"""How many durations of a rung count; those before were of other machines, or configurations."""


class AllocationEnd(NamedTuple):
    """When the allocation ends (`epoch_s` in seconds since 1970), and when the drain begins."""

    ends_at: float
    epoch_s: float
    drains_at: float


class TimeLeft:
    """Know which rungs there is time for.

    `saves`: whether a job was ever seen to save a checkpoint; `deadline`: of this start.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.saves = False
        self.deadline: AllocationEnd | None = None
        self._durations: defaultdict[int, list[float]] = defaultdict(list)
        self._typical: dict[int, float] = {}

    def learn(self, rung: int, took_s: float) -> None:
        """Take note of how long the attempt took that brought a job's result."""
        known = self._durations[rung]
        known.append(took_s)
        del known[:-NEWEST]
        self._typical[rung] = sorted(known)[len(known) // 2]

    def typical_s(self, rung: int) -> float | None:
        """Tell how long most jobs of a rung take; None where nothing is known."""
        return self._typical.get(rung)

    def rungs_at(self, at: float, rungs: int) -> int:
        """Count the lowest of `rungs` rungs whose jobs may be begun at a time.

        >>> time_left = TimeLeft()
        >>> time_left.learn(0, 10.0)
        >>> time_left.learn(1, 30.0)
        >>> time_left.deadline = AllocationEnd(ends_at=120.0, epoch_s=1.7e9, drains_at=100.0)
        >>> [time_left.rungs_at(at, 3) for at in (70.0, 71.0, 90.0, 91.0)]
        [3, 1, 1, 0]
        """
        if self.deadline is None or self.saves:
            return rungs
        left_s = self.deadline.drains_at - at
        for rung in range(rungs):
            takes_s = self.typical_s(rung)
            if takes_s is not None and takes_s > left_s:
                return rung
        return rungs
