"""What there is time for: how long jobs take, rung by rung, and when the allocation ends.

Rules:

- A rung is out when half of its newest jobs took longer than is left until the drain begins, and
  with it all above. One of which nothing is known is in.
- Where jobs save on the way, nothing is lost by beginning: they go on in the next allocation. So
  all rungs are in. (Else a job that takes longer than an allocation would never be done.)
"""

from hpmpi.model.records import Deadline

NEWEST = 32
"""How many durations of a rung count; those before were of other machines, or configurations."""


class TimeLeft:
    """Know which rungs there is time for.

    `saves`: whether a job was ever seen to save a checkpoint; `deadline`: of this start.
    """

    def __init__(self, rungs: int) -> None:
        """Know nothing yet of this many rungs."""
        self.saves = False
        self.deadline: Deadline | None = None
        self._durations: list[list[float]] = [[] for _ in range(rungs)]

    def learn(self, rung: int, took_s: float) -> None:
        """Take note of how long the attempt took that brought a job's result."""
        known = self._durations[rung]
        known.append(took_s)
        del known[:-NEWEST]

    def rungs_at(self, at: float) -> int:
        """Count the lowest rungs whose jobs may be begun at a time.

        >>> pace = TimeLeft(3)
        >>> pace.learn(0, 10.0)
        >>> pace.learn(1, 30.0)
        >>> pace.deadline = Deadline(0.0, ends_at=120.0, drains_at=100.0, epoch_s=1.7e9)
        >>> [pace.rungs_at(at) for at in (70.0, 71.0, 90.0, 91.0)]
        [3, 1, 1, 0]
        """
        if self.deadline is None or self.saves:
            return len(self._durations)
        left_s = self.deadline.drains_at - at
        for rung, known in enumerate(self._durations):
            if known and sorted(known)[len(known) // 2] > left_s:
                return rung
        return len(self._durations)
