"""How often in a row a study was started for nothing, over requeues, too.

Of a start that has begun the journal tells. What fails before - a launcher that Slurm refuses,
nodes that don't answer - leaves nothing there: it is counted beforehand, and taken back later, in
the line that launch writes anyway (storage/heartbeat_file.py).
"""

from collections.abc import Callable, Sequence

from hpmpi.model.records import Decision, Failure, Result, Started, Suspension
from hpmpi.storage.heartbeat_file import Heartbeat


class Starts:
    """Counts the starts that brought nothing new."""

    def __init__(self, heartbeat: Heartbeat, decisions: Sequence[Decision], restarts: int) -> None:
        """Go on counting where an allocation has been started anew: so many times."""
        self._heartbeat = heartbeat
        self._gained = gains(decisions)
        self._unbegun = heartbeat.unbegun if restarts else 0
        self.barren = min(restarts, barren_starts(decisions)) + self._unbegun

    def begin(self) -> None:
        """Count a start."""
        self._count(self._unbegun + 1)

    def end(self, decisions: Sequence[Decision], *, has_begun: bool) -> None:
        """Take note of what a start has come to."""
        if has_begun:
            self._count(0)
        before, self._gained = self._gained, gains(decisions)
        self.barren = 0 if self._gained > before else self.barren + 1

    def _count(self, unbegun: int) -> None:
        self._unbegun = unbegun
        self._heartbeat.count(unbegun)


def gains(decisions: Sequence[Decision]) -> int:
    """Count what a study has come to: results, and checkpoints to go on from.

    And jobs that were given up: others then have their turn, unless all may be like them.
    """
    return sum(map(gain(decisions), decisions))


def barren_starts(decisions: Sequence[Decision]) -> int:
    """Count the newest starts of a study that brought nothing."""
    is_gain, count = gain(decisions), 0
    for each in reversed(decisions):
        if is_gain(each):
            break
        count += isinstance(each, Started)
    return count


def gain(decisions: Sequence[Decision]) -> Callable[[Decision], bool]:
    """Make what tells whether one of these decisions is something new."""
    has_result = any(isinstance(each, Result) for each in decisions)

    def is_gain(each: Decision) -> bool:
        given_up = isinstance(each, Failure) and each.final
        return isinstance(each, Result | Suspension) or (given_up and has_result)

    return is_gain
