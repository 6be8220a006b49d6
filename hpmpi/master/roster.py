r"""Failure detection by silence, and who is free: the worker ranks as the master knows them.

    awaited --ready--> idle --give--> busy --answer--> idle
       |                 \____silent for patience_s____/
       +--unfit--> unfit              |
                                    lost --anything heard--> what it was before

Who is idle may be put aside for a while, as quarantine.py has it. Who is busy may have another
attempt queued: with its answer, that is what it has in work.

Rules: only what is heard is evidence of life; until its first word a rank has longer. A rank keeps
what it was given until it answers, lost or not, so that one that comes back is never given a job
beside those it still has; unless it is lost, it is busy. What is done for each event costs O(1),
however many ranks there are; only `excuse` and `all_unfit`, which are rare, look at all of them.
"""

from collections import OrderedDict
from collections.abc import Container

import msgspec

from hpmpi.model.trial import AttemptId

BEAT_COST_S = 20e-6
BEAT_SHARE = 0.05
"""What a heartbeat costs the master, and the share of its time that all together may take."""


def beat_s(ranks: int, patience_s: float) -> float:
    """Tell how often a rank has to be heard: the more there are, the more rarely.

    >>> beat_s(10, patience_s=30.0), beat_s(20_000, patience_s=30.0), beat_s(10**6, patience_s=30.0)
    (6.0, 8.0, 10.0)
    """
    least_s = ranks * BEAT_COST_S / BEAT_SHARE
    return min(max(patience_s / 5, least_s), patience_s / 3)


class Worker(msgspec.Struct):
    """One worker rank; what it has `held`, `since` when, was given to a group, or to it alone.

    `queued` is what it does next; `recalled`: whether it was told to let go of that.
    """

    ready: bool = False
    unfit: bool = False
    lost: bool = False
    aside: bool = False
    held: AttemptId | None = None
    since: float = 0.0
    in_group: bool = False
    queued: AttemptId | None = None
    recalled: bool = False


class Roster:
    """Who may be given work, and who has been silent for too long."""

    def __init__(self, ranks: list[int], patience_s: float, start_s: float, now: float) -> None:
        """Expect `ranks`, each of which has `start_s` for its first word."""
        self.patience_s = patience_s
        self.start_s = start_s
        self.workers = {rank: Worker() for rank in ranks}
        self.idle: OrderedDict[int, None] = OrderedDict()
        self.hosts: dict[int, str] = {}
        self.busy: set[int] = set()
        self.queues: set[int] = set()
        self._unable: set[int] = set()
        self._awaited = dict.fromkeys(ranks)
        self._awaited_since = now
        self._heard_at: OrderedDict[int, float] = OrderedDict()
        self._woke_at: float | None = None

    def wake(self, now: float) -> None:
        """Count nobody's silence up to now where the master itself was held up."""
        if self._woke_at is None or now - self._woke_at > self.patience_s / 2:
            self.excuse(now)
        self._woke_at = now

    def heard(self, rank: int, now: float) -> bool:
        """Take note of a sign of life; true if the rank had been lost."""
        worker = self.workers[rank]
        self._heard_at[rank] = now
        self._heard_at.move_to_end(rank)
        if self._awaited:
            self._awaited.pop(rank, None)
        if not worker.lost:
            return False
        worker.lost = False
        self._sort(rank)
        return True

    def ready(self, rank: int, host: str = "") -> None:
        """Let the rank, which is on a host, be given work."""
        self.workers[rank].ready = True
        self.hosts[rank] = host
        self._sort(rank)

    def unfit(self, rank: int) -> None:
        """Never give the rank work again, nor wait for what it has."""
        worker = self.workers[rank]
        worker.unfit, worker.held, worker.queued = True, None, None
        self.queues.discard(rank)
        self._sort(rank)

    def give(self, rank: int, held: AttemptId, now: float, *, in_group: bool = False) -> None:
        """Note that the rank was given an attempt; it must be idle."""
        assert rank in self.idle, f"rank {rank} was given work and is not idle"
        worker = self.workers[rank]
        worker.held, worker.since, worker.in_group = held, now, in_group
        del self.idle[rank]  # as `_sort` does; each job pays for it
        self.busy.add(rank)

    def queue(self, rank: int, attempt: AttemptId) -> None:
        """Note that the rank was given an attempt beside the one that it has in work."""
        worker = self.workers[rank]
        assert worker.held is not None, f"rank {rank} has nothing in work"
        assert worker.queued is None, f"rank {rank} has one queued"
        worker.queued, worker.recalled = attempt, False
        self.queues.add(rank)

    def answered(self, rank: int, attempt: AttemptId, now: float) -> bool:
        """Note that the rank has answered an attempt; false if it did not have it."""
        worker = self.workers[rank]
        if attempt not in (worker.held, worker.queued):
            return False
        if attempt == worker.held:
            worker.held, worker.since = worker.queued, now
        worker.queued = None
        self.queues.discard(rank)
        if worker.held is None:
            self._sort(rank)
        return True

    def lose(self, rank: int) -> None:
        """Declare lost who has not been heard for too long."""
        self._awaited.pop(rank, None)
        self._heard_at.pop(rank, None)
        self.workers[rank].lost = True
        self._sort(rank)

    def put_aside(self, rank: int) -> None:
        """Give a rank no work for a while; quarantine.py says why."""
        self.workers[rank].aside = True
        self._sort(rank)

    def take_back(self, rank: int) -> None:
        """Give it work again, if it was put aside."""
        self.workers[rank].aside = False
        self._sort(rank)

    def excuse(self, now: float) -> None:
        """Count nobody's silence up to now."""
        self._awaited_since = now
        for rank in self._heard_at:
            self._heard_at[rank] = now

    def next_idle(self, but_not: Container[int]) -> int | None:
        """Tell who has been idle for longest, but for some; None where nobody else is."""
        return next((rank for rank in self.idle if rank not in but_not), None)

    @property
    def able(self) -> int:
        """How many ranks can work, or may come to, and are not put aside."""
        return len(self.workers) - len(self._unable)

    @property
    def deserted(self) -> bool:
        """Whether every rank that could work is lost."""
        return self.able == 0

    @property
    def all_unfit(self) -> bool:
        """Whether no rank can load the objective."""
        return all(worker.unfit for worker in self.workers.values())

    def overdue(self, now: float) -> list[int]:
        """List who has not been heard for too long."""
        awaited_too_long = now - self._awaited_since > self.start_s
        overdue = list(self._awaited) if awaited_too_long else []
        for rank, heard_at in self._heard_at.items():
            if now - heard_at <= self.patience_s:
                break
            overdue.append(rank)
        return overdue

    def _sort(self, rank: int) -> None:
        worker = self.workers[rank]
        unable = worker.lost or worker.unfit or worker.aside
        if worker.ready and not unable and worker.held is None:
            self.idle.setdefault(rank)
        else:
            self.idle.pop(rank, None)
        if worker.held is not None and not worker.lost:
            self.busy.add(rank)
        else:
            self.busy.discard(rank)
        if unable:
            self._unable.add(rank)
        else:
            self._unable.discard(rank)
