r"""The worker ranks as the master knows them.

    awaited --ready--> idle --give--> busy --answer--> idle
       |                 \____silent for patience_s____/
       +--unfit--> unfit              |
                                    lost --anything heard--> what it was before

Rules: only what is heard is evidence of life; until its first word a rank has longer. A rank keeps
the attempt it was given until it answers, lost or not, so that one that comes back is never given a
job beside one it still has; unless it is lost, it is busy. What is done for each event costs O(1),
however many ranks there are; only `excuse`, `able`, `deserted` and `all_unfit`, which are rare,
look at all of them.
"""

from collections import OrderedDict

import msgspec

from hpmpi.trial import Held


class Worker(msgspec.Struct):
    """One worker rank."""

    ready: bool = False
    unfit: bool = False
    lost: bool = False
    held: Held | None = None


class Roster:
    """Who may be given work, and who has been silent for too long."""

    def __init__(self, ranks: list[int], patience_s: float, start_s: float, now: float) -> None:
        """Expect `ranks`, each of which has `start_s` for its first word."""
        self.patience_s = patience_s
        self.start_s = start_s
        self.workers = {rank: Worker() for rank in ranks}
        self.idle: OrderedDict[int, None] = OrderedDict()
        self.busy: set[int] = set()
        self._awaited = dict.fromkeys(ranks)
        self._awaited_since = now
        self._heard_at: OrderedDict[int, float] = OrderedDict()

    def heard(self, rank: int, now: float) -> bool:
        """Take note of a sign of life; true if the rank had been lost."""
        worker = self.workers[rank]
        came_back = worker.lost
        worker.lost = False
        self._awaited.pop(rank, None)
        self._heard_at[rank] = now
        self._heard_at.move_to_end(rank)
        self._sort(rank)
        return came_back

    def ready(self, rank: int) -> None:
        """Let the rank be given work."""
        self.workers[rank].ready = True
        self._sort(rank)

    def unfit(self, rank: int) -> None:
        """Never give the rank work again."""
        self.workers[rank].unfit = True
        self._sort(rank)

    def give(self, rank: int, held: Held) -> None:
        """Note that the rank was given an attempt; it must be idle."""
        assert rank in self.idle, f"rank {rank} was given work and is not idle"
        self.workers[rank].held = held
        self._sort(rank)

    def answered(self, rank: int, held: Held) -> bool:
        """Note that the rank has answered an attempt; false if it did not have it."""
        had_it = self.workers[rank].held == held
        if had_it:
            self.workers[rank].held = None
            self._sort(rank)
        return had_it

    def silent(self, now: float) -> list[int]:
        """Declare lost whoever has not been heard for too long; return them."""
        lost = self._overdue(now)
        for rank in lost:
            self._awaited.pop(rank, None)
            self._heard_at.pop(rank, None)
            self.workers[rank].lost = True
            self._sort(rank)
        return lost

    def excuse(self, now: float) -> None:
        """Count nobody's silence up to now: the master itself was held up."""
        self._awaited_since = now
        for rank in self._heard_at:
            self._heard_at[rank] = now

    @property
    def able(self) -> int:
        """How many ranks can work, or may come to."""
        return sum(not (worker.lost or worker.unfit) for worker in self.workers.values())

    @property
    def deserted(self) -> bool:
        """Whether every rank that could work is lost."""
        return self.able == 0

    @property
    def all_unfit(self) -> bool:
        """Whether no rank can load the objective."""
        return all(worker.unfit for worker in self.workers.values())

    def _overdue(self, now: float) -> list[int]:
        awaited_too_long = now - self._awaited_since > self.start_s
        overdue = list(self._awaited) if awaited_too_long else []
        for rank, heard_at in self._heard_at.items():
            if now - heard_at <= self.patience_s:
                break
            overdue.append(rank)
        return overdue

    def _sort(self, rank: int) -> None:
        worker = self.workers[rank]
        if worker.ready and not worker.unfit and not worker.lost and worker.held is None:
            self.idle.setdefault(rank)
        else:
            self.idle.pop(rank, None)
        if worker.held is not None and not worker.lost:
            self.busy.add(rank)
        else:
            self.busy.discard(rank)
