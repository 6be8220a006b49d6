"""Which ranks are put aside: they fail, one after the other, jobs that others can do.

    in use --`most` failures in a row--> aside --results of others--> on trial --result--> in use
                                           ^                             |
                                           +---for GROWTH times as many--+ failure

Rules:

- A failure is held against its rank until that brings a result: then what it had failed was the
  jobs' fault, and is held against nobody else either. So two bad ranks don't excuse each other.
- Where results and failures take turns on ranks that work, so many in a row must be less likely
  than CHANCE; an objective that fails half of the time puts nobody aside.
- Somebody is always left: what nobody can do is no rank's fault.
- What has failed is not tried again by the doubted, where there are others: those that have failed
  something since their last result, or have none yet and are beside one of those. So a node whose
  ranks are all bad takes no trial with it.
- How long a rank is aside is counted in results: however fast jobs are, it costs the same share.
"""

from collections.abc import Iterable

from hpmpi.master.roster import Roster
from hpmpi.model.messages import FailureKind
from hpmpi.model.records import Quarantined, Released
from hpmpi.model.trial import JobKey

FIRST = 10
"""After how many results of others a rank that was put aside is given a job to try."""

GROWTH = 16
"""How many times as many it takes each time that it fails that, too."""

CHANCE = 1e-4
"""How likely it may be at most that a rank which works fails so many in a row."""

Moves = list[Quarantined | Released]


class Quarantine:
    """Tells who is put aside, and who is back; the roster hears of it."""

    def __init__(self, roster: Roster, most: int) -> None:
        """Put ranks aside that have failed `most` jobs in a row; with 0, nobody."""
        self._roster = roster
        self._most = most
        self._failed: dict[int, set[JobKey]] = {}
        self._due: dict[int, int] = {}  # who is aside, and at how many results that ends
        self._hosts: dict[int, str] = {}
        self._new: set[int] = set()  # who has no result yet
        self._waits: dict[int, int] = {}  # who ever was, since its last result, and for how many
        self._results = self._excused = 0

    @property
    def doubted(self) -> set[int]:
        """The ranks in use of which nobody knows whether it is they that fail."""
        if not self._failed:
            return set()
        hosts = {self._hosts[rank] for rank in self._failed}
        beside = {rank for rank in self._new if self._hosts[rank] in hosts}
        return (beside | self._failed.keys()) - self._due.keys()

    def meet(self, rank: int, host: str) -> None:
        """Learn where a rank is that is ready."""
        self._hosts[rank] = host
        self._new.add(rank)

    def succeed(self, slot: tuple[int, ...]) -> Moves:
        """Take note of a result, of all ranks that have made it."""
        self._results += 1
        self._new.difference_update(slot)
        if not self._failed:  # as most times: each result pays for it
            return []
        moves: Moves = []
        for rank in slot:
            moves += self._excuse(self._failed.pop(rank, set()))
            if self._waits.pop(rank, None) is not None:
                moves.append(self._release(rank))
        due = [it for it, results in self._due.items() if results <= self._results]
        return moves + [self._release(it, on_trial=True) for it in due]

    def fail(self, rank: int, job: JobKey, kind: FailureKind) -> Moves:
        """Take note of a failure; that an objective returned no result says nothing of its rank."""
        if not self._most or kind is FailureKind.BAD_VALUE:
            return []
        failed = self._failed.setdefault(rank, set())
        failed.add(job)
        is_last = self._roster.able < 2  # noqa: PLR2004 - this one, and another
        if is_last or len(failed) < self._most or not self._is_odd(len(failed)):
            return []
        waits = self._waits[rank] = self._waits.get(rank, 0) * GROWTH or FIRST
        self._due[rank] = self._results + waits
        self._roster.put_aside(rank)
        return [Quarantined(rank)]

    def lose(self, ranks: Iterable[int]) -> Moves:
        """Forget ranks that can't work; where nobody else is left, take back who is aside."""
        for rank in ranks:
            for known in (self._failed, self._due, self._waits):
                known.pop(rank, None)
            self._new.discard(rank)
            self._roster.take_back(rank)
        alone = [] if self._roster.able else [*self._due]
        return [self._release(it, on_trial=True) for it in alone]

    def _is_odd(self, failures: int) -> bool:
        """Tell whether so many failures in a row are more than chance."""
        share = self._excused / max(1, self._excused + self._results)
        return share**failures < CHANCE

    def _excuse(self, jobs: set[JobKey]) -> Moves:
        """Hold some jobs against nobody any more."""
        self._excused += len(jobs)
        moves: Moves = []
        for rank, failed in [*self._failed.items()] if jobs else ():
            failed.difference_update(jobs)
            if len(failed) < self._most and self._waits.pop(rank, None) is not None:
                moves.append(self._release(rank))
            if not failed:
                del self._failed[rank]
        return moves

    def _release(self, rank: int, *, on_trial: bool = False) -> Released:
        self._due.pop(rank, None)
        self._roster.take_back(rank)
        return Released(rank, on_trial)
