"""What has come of a study so far, as far as its end depends on it: resource, trials, records.

All of it follows from the journal: what is decided adds to it, in a run and in a restart.

Rules:

- A result, and a checkpoint that an attempt was suspended with, have spent what they have come to
  beyond the checkpoint that the attempt went on from, as the master knew it when it handed it out.
  What failed, or was stopped midway, is not counted, nor is the baseline.
- A trial counts from its first result on, whatever that is, or from when its first job was stopped.
  One that was given up before does not.
- A record is a result that is better than all before it, of the highest rung that had any by then.
"""

from typing import NamedTuple

from hpmpi.model.trial import WORST


class Record(NamedTuple):
    """The least loss of a rung, and how many trials had counted when it came in, with its own."""

    trials: int
    rung: int
    loss: float


class Tally:
    """The `resource` that was spent, and how many `trials` have counted; records, as they came."""

    def __init__(self) -> None:
        """Begin a study."""
        self.resource = 0
        self.trials = 0
        self.records: list[Record] = []

    def spend(self, start: int, reached: int) -> None:
        """Count what was trained."""
        self.resource += max(0, reached - start)

    def compare(self, rung: int, loss: float) -> None:
        """Take a result in, after the trial that it is of was counted."""
        newest = self.records[-1] if self.records else Record(0, rung, WORST)
        if loss < WORST and (-rung, loss) < (-newest.rung, newest.loss):
            self.records.append(Record(self.trials, rung, loss))

    def record_before(self, trials: int) -> Record | None:
        """Find the record as it was before the newest so many trials had counted.

        >>> tally = Tally()
        >>> for loss in (0.5, 0.2, 0.3, 0.1):
        ...     tally.trials += 1
        ...     tally.compare(0, loss)
        >>> [tally.record_before(trials) for trials in (2, 4)]
        [Record(trials=2, rung=0, loss=0.2), None]
        """
        until = self.trials - trials
        return next((record for record in reversed(self.records) if record.trials <= until), None)
