"""The worker ranks: what each does, as master/roster.py has it, and when it was lost."""

from collections import Counter
from collections.abc import Iterator
from enum import Enum

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.history.attempts import Attempt, Fate, share_out
from hpmpi.model.usage import Provision, Usage


class RankState(Enum):
    """What a worker rank does."""

    BUSY = "busy"
    IDLE = "idle"
    AWAITED = "awaited"
    LOST = "lost"
    UNFIT = "unfit"
    QUARANTINED = "quarantined"


class Absence(msgspec.Struct):
    """A rank was lost, or put aside, from `begun` until it was back, or the start was over."""

    rank: int
    begun: float
    ended: float | None = None

    def end(self, now: float) -> float:
        """Tell when it ended, or that it goes on."""
        return now if self.ended is None else self.ended


class Rank(msgspec.Struct):
    """A worker rank of a start.

    It is `broken` from when it was put aside until it has a result; it makes the attempt that is
    `held`, and then what is `queued`; `unmeasured`: the attempts that it has answered, and not yet
    said what they have used.
    """

    host: str = ""
    ready: bool = False
    unfit: bool = False
    broken: bool = False
    absence: Absence | None = None
    aside: Absence | None = None
    held: Attempt | None = None
    queued: Attempt | None = None
    unmeasured: list[Attempt] = []

    @property
    def state(self) -> RankState:
        """What it does."""
        if self.absence is not None:
            return RankState.LOST
        if self.unfit:
            return RankState.UNFIT
        if self.aside is not None:
            return RankState.QUARANTINED
        if self.held is not None:
            return RankState.BUSY
        return RankState.IDLE if self.ready else RankState.AWAITED


class Ranks:
    """The ranks of the newest start that there was a word of.

    Of all that there ever were: `hosts` are those that they were on last; `times_lost`, `absences`,
    and the times `aside`, when they were put aside; `arrivals`: when they were ready, by the number
    of the start and theirs; `has`: what they have.
    """

    def __init__(self) -> None:
        """Begin before the first start."""
        self.expected = 0
        self.known: dict[int, Rank] = {}
        self.hosts: dict[int, str] = {}
        self.times_lost: Counter[int] = Counter()
        self.absences: list[Absence] = []
        self.aside: list[Absence] = []
        self.arrivals: dict[tuple[int, int], float] = {}
        self.has: dict[int, Provision] = {}
        self._starts = 0

    def start(self, expected: int, at: float) -> None:
        """Begin a start: nothing is known of its ranks, and nothing is in work any more."""
        self.end(at)
        for rank in self.known.values():
            for away in (rank.absence, rank.aside):
                if away is not None:
                    away.ended = at
        self.known.clear()
        self._starts += 1
        self.expected = expected

    def end(self, at: float) -> None:
        """End a start: what is in work is cut off."""
        for rank in self.known.values():
            if rank.held is not None and rank.held.fate is Fate.OPEN:
                rank.held.close(Fate.CUT, at)
            if rank.queued is not None and rank.queued.fate is Fate.QUEUED:
                rank.queued.give_back(at)

    def find(self, number: int) -> Rank:
        """Find a rank; raises ReplayError for one that there can't be."""
        rank = self.known.get(number)
        if rank is None:
            if not 0 < number <= self.expected:
                raise ReplayError(f"there is no rank {number}")
            rank = self.known[number] = Rank()
            self.hosts.setdefault(number, "")
        return rank

    def meet(self, number: int, host: str, *, fit: bool) -> None:
        """Learn which host a rank is on, and whether it can work."""
        rank = self.find(number)
        rank.host = self.hosts[number] = host
        rank.ready |= fit
        if not fit:
            rank.unfit, rank.queued = True, None

    def arrive(self, number: int, has: Provision, at: float) -> None:
        """Learn that a rank is ready, and what it has."""
        self.arrivals.setdefault((self._starts - 1, number), at)
        self.has[number] = has

    def lose(self, number: int, at: float) -> None:
        """Lose a rank, and what it has in work: whether it has it still is said when it is back.

        What is queued on it begins there when it has answered that.
        """
        rank = self.find(number)
        if rank.held is not None and (rank.held.fate is Fate.OPEN or not rank.held.others):
            rank.held.close(Fate.LOST, at)
        rank.held = None
        self.release(number, at)
        rank.absence = Absence(number, at)
        self.absences.append(rank.absence)
        self.times_lost[number] += 1

    def take_back(self, number: int, held: Attempt | None, at: float) -> None:
        """Hear a lost rank again, which has an attempt in work still, or none."""
        rank = self.find(number)
        if rank.absence is not None:
            rank.absence.ended = at
        rank.absence, rank.held = None, held
        if held is not None and held.fate is Fate.LOST and not held.others:
            held.fate, held.ended = Fate.OPEN, None

    def put_aside(self, number: int, at: float) -> None:
        """Give a rank nothing to do for a while; raises ReplayError where it has none of that."""
        rank = self.find(number)
        if rank.aside is not None:
            raise ReplayError(f"rank {number} was put aside before")
        rank.aside, rank.broken = Absence(number, at), True
        self.aside.append(rank.aside)

    def release(self, number: int, at: float, *, on_trial: bool = False) -> None:
        """Give it something to do again."""
        rank = self.find(number)
        if rank.aside is not None:
            rank.aside.ended = at
        rank.aside, rank.broken = None, rank.broken and on_trial

    def free(self, attempt: Attempt, number: int, at: float, usage: Usage | None) -> None:
        """Free a rank of an attempt that it has answered, saying what was used, or nothing yet."""
        rank = self.known.get(number)
        if rank is None:
            return
        rank.unmeasured.append(attempt)
        if usage is not None:
            share_out(usage, rank.unmeasured, at)
            rank.unmeasured.clear()
        if rank.held is attempt:
            rank.held, rank.queued = rank.queued, None
            if rank.held is not None:
                rank.held.begin(at)
        elif rank.queued is attempt:
            rank.queued = None

    @property
    def broken_hosts(self) -> list[str]:
        """The hosts of the newest start with broken ranks and no others, where others do work."""
        works = {
            rank.host
            for rank in self.known.values()
            if not (rank.broken or rank.unfit or rank.absence)
        }
        broken = dict.fromkeys(rank.host for rank in self.known.values() if rank.broken)
        return [host for host in broken if host not in works] if works else []

    def counts(self) -> dict[RankState, int]:
        """Count the ranks of the newest start by state."""
        counts = Counter(rank.state for rank in self.known.values())
        counts[RankState.AWAITED] += self.expected - len(self.known)
        return {state: counts[state] for state in RankState}

    def in_state(self, state: RankState) -> dict[int, str]:
        """List the ranks in a state and their hosts, but for the awaited never heard of."""
        return {
            number: rank.host for number, rank in sorted(self.known.items()) if rank.state is state
        }

    def __iter__(self) -> Iterator[int]:
        """List all ranks that there ever were a word of."""
        return iter(sorted(self.hosts))
