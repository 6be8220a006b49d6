"""How often in a row a study was started for nothing, over requeues, too.

What Slurm ends, or ends launch with it, says nothing any more: so each start is counted beforehand,
and taken back once it has brought something new. The count is in the line that launch writes anyway
(storage/heartbeat_file.py), with what there was before those starts.
"""

from collections.abc import Sequence

from hpmpi.model.records import Decision, Failure, Result, Suspension
from hpmpi.storage.heartbeat_file import Heartbeat


class Starts:
    """Counts the starts that brought nothing new."""

    def __init__(self, heartbeat: Heartbeat, decisions: Sequence[Decision], restarts: int) -> None:
        """Go on counting where an allocation has been started anew: so many times."""
        self._heartbeat = heartbeat
        self._gained = gains(decisions)
        before = heartbeat.line
        self.barren = before.barren if restarts and self._gained <= before.gained else 0

    def begin(self) -> None:
        """Count a start, as one that will bring nothing."""
        self._heartbeat.say(barren=self.barren + 1, gained=self._gained)

    def end(self, decisions: Sequence[Decision]) -> None:
        """Take note of what a start has come to."""
        before, self._gained = self._gained, gains(decisions)
        self.barren = 0 if self._gained > before else self.barren + 1


def gains(decisions: Sequence[Decision]) -> int:
    """Count what a study has come to: results, and checkpoints to go on from.

    And jobs that were given up: others then have their turn, unless all may be like them.
    """
    kinds = [type(each) for each in decisions]
    given_up = sum(isinstance(each, Failure) and each.final for each in decisions)
    results = kinds.count(Result)
    return results + kinds.count(Suspension) + (given_up if results else 0)
