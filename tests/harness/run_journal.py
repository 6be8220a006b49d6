"""What the journal of a whole run says by now: for those who wait for it, and judge it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from hpmpi.history.history import History
from hpmpi.model.events import Event, Heard, Silent
from hpmpi.model.messages import Message
from hpmpi.model.records import Assigned, Decision, Entry, Line, Result, Started
from hpmpi.model.trial import BASELINE, JobKey
from hpmpi.storage import run_folder

Kind = TypeVar("Kind", bound=Message)


class RunJournal:
    """The journal in the run folder `out`; each look reads what is there by now."""

    def __init__(self, out: Path) -> None:
        """Read nothing yet."""
        self.out = out

    @property
    def lines(self) -> list[Line]:
        """What the journal says by now."""
        return run_folder.read(self.out).lines

    @property
    def starts(self) -> list[Started]:
        """The starts that came so far that it is written down."""
        return [line for line in self.lines if isinstance(line, Started)]

    @property
    def entries(self) -> list[Entry]:
        """The lines of it but for the starts."""
        return [line for line in self.lines if isinstance(line, Entry)]

    @property
    def events(self) -> list[Event]:
        """What has happened by now, as far as it is written down."""
        return [entry.event for entry in self.entries]

    @property
    def decisions(self) -> list[Decision]:
        """What was decided by now."""
        return [decision for entry in self.entries for decision in entry.decisions]

    def decided(self, kind: type[Kind]) -> list[Kind]:
        """List the decisions of a kind by now."""
        return [decision for decision in self.decisions if isinstance(decision, kind)]

    @property
    def history(self) -> History:
        """All that the journal says by now, told."""
        return history_of(self.lines)

    @property
    def results(self) -> list[JobKey]:
        """The job of each result by now, but for the baseline's."""
        jobs = [result.attempt.job for result in self.decided(Result)]
        return [job for job in jobs if job.trial != BASELINE]

    @property
    def lost(self) -> list[int]:
        """The ranks that were lost by now; one that was lost twice is there twice."""
        silent = [event.ranks for event in self.events if isinstance(event, Silent)]
        return [rank for ranks in silent for rank in ranks]

    def heard(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """List the reports of a kind by now, and the rank of each."""
        return [
            (event.rank, event.report)
            for event in self.events
            if isinstance(event, Heard) and isinstance(event.report, kind)
        ]

    def busy(self) -> list[int]:
        """List the ranks that have a job by now."""
        holders: dict[JobKey, int] = {}
        for each in self.decisions:
            match each:
                case Assigned(attempt=attempt, rank=rank):
                    holders[attempt.job] = rank
                case Result(attempt=attempt):
                    holders.pop(attempt.job, None)
                case _:
                    pass
        return sorted(set(holders.values()))


def history_of(lines: Iterable[Line]) -> History:
    """Tell all that lines say."""
    history = History()
    for line in lines:
        history.add(line)
    return history
