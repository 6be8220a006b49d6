"""How often in a row a study was started for nothing, over requeues, too.

What Slurm ends, or ends launch with it, says nothing any more: so each start is counted beforehand,
and taken back once it has brought something new. The count is in the line that launch writes anyway
(storage/heartbeat_file.py), with what there was before those starts.
"""

from collections.abc import Sequence

from hpmpi.model.records import Entry, Failure, Line, Result, Stopped, Suspension
from hpmpi.model.trial import BASELINE
from hpmpi.storage.heartbeat_file import Heartbeat


class Starts:
    """Counts the starts that brought nothing new."""

    def __init__(self, heartbeat: Heartbeat, lines: Sequence[Line], restarts: int) -> None:
        """Go on counting where an allocation has been started anew: so many times."""
        self._heartbeat = heartbeat
        self._gained = gains(lines)
        before = heartbeat.line
        self.barren = before.barren if restarts and self._gained <= before.gained else 0

    def begin(self) -> None:
        """Count a start, as one that will bring nothing."""
        self._heartbeat.say(barren=self.barren + 1, gained=self._gained)

    def end(self, lines: Sequence[Line]) -> None:
        """Take note of what a start has come to."""
        before, self._gained = self._gained, gains(lines)
        self.barren = 0 if self._gained > before else self.barren + 1


def gains(lines: Sequence[Line]) -> int:
    """Count what a study has come to: results, and checkpoints to go on from.

    And jobs that were given up: others then have their turn, unless all may be like them.
    """
    results = given_up = others = 0
    for decision in (it for line in lines if isinstance(line, Entry) for it in line.decisions):
        match decision:
            case Result(attempt=attempt) if attempt.trial != BASELINE:
                results += 1
            case Failure(final=True):
                given_up += 1
            case Result() | Stopped() | Suspension():
                others += 1
            case _:
                pass
    return results + others + (given_up if results else 0)
