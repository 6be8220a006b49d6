"""The rungs: how many jobs there were of each, and what became of them.

A rung may come up that no start knew of, and a trial may begin at any.
"""

from collections.abc import Iterable

import msgspec

from hpmpi.history.attempts import Attempt, Fate


class RungCounts(msgspec.Struct):
    """What became of the jobs of a rung.

    `waiting`: open, and in work nowhere; `promoted`: how many of the trials have gone on from here.
    """

    rung: int
    resource: int
    running: int = 0
    waiting: int = 0
    results: int = 0
    given_up: int = 0
    stopped: int = 0
    promoted: int = 0


class Rungs:
    """All rungs that are known, by their number."""

    def __init__(self) -> None:
        """Know of none."""
        self._rungs: dict[int, RungCounts] = {}

    def at(self, rung: int, resource: int = 0) -> RungCounts:
        """Find a rung; one that was not known has this resource."""
        known = self._rungs.get(rung)
        if known is None:
            known = self._rungs[rung] = RungCounts(rung, resource)
        return known

    def counted(self, open_jobs: Iterable[Attempt], *, going_on: bool) -> list[RungCounts]:
        """Count the jobs of each rung, lowest first; where nobody goes on, none is running.

        `open_jobs` are the newest attempts at those.
        """
        counted = {rung: msgspec.structs.replace(self._rungs[rung]) for rung in sorted(self._rungs)}
        for attempt in open_jobs:
            if attempt.id.rung in counted and attempt.id.trial >= 0:
                counts = counted[attempt.id.rung]
                if going_on and attempt.fate is Fate.OPEN:
                    counts.running += 1
                else:
                    counts.waiting += 1
        return list(counted.values())
