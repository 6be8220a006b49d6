"""Placement: which ranks a job takes, its slot, and when it waits for them.

    waits --as many are idle as it takes--> begun in a slot, on as few nodes as can be

Rules:

- Of nodes that a slot fits on, it takes the one with the fewest idle ranks: others find whole ones.
- The first job that takes more ranks than are idle, or may be busy besides, has all that become
  idle reserved. Until it has begun, only such jobs are begun as will have ended by then, for all
  that is known of how long those of their rungs take. So it waits for jobs that were in work before
  it, and starves by none.
- Where fewer ranks are left than a job takes, or may be busy, it takes those.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from hpmpi.master.jobs import Jobs
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.model.trial import BASELINE, JobKey


class Places:
    """Where jobs may begin at one time, while they are handed out; `is_short` of ranks to ask."""

    def __init__(
        self, jobs: Jobs, roster: Roster, rules: Rules, doubted: AbstractSet[int], now: float
    ) -> None:
        """Find the ranks that are idle."""
        self.jobs = jobs
        self._roster = roster
        self._rules = rules
        self._doubted = doubted
        self.now = now
        self._begins_at: float | None = None
        self.is_short = False

    def slot_for(self, key: JobKey) -> tuple[int, ...]:
        """Choose the ranks of a job; () where it has to wait, the first with a reservation."""
        size, idle = self._size(key), self._idle_for(key)
        if len(idle) >= size and self._room >= size and self._ends_in_time(key.rung):
            return chosen(idle, self._roster.hosts, size)
        if self._begins_at is None:
            self._begins_at = self._expected(size - min(len(idle), self._room))
        return ()

    def rungs(self) -> int:
        """Count the lowest rungs that a job may be asked for of: beside a reservation, few."""
        rungs = self.jobs.rungs_at(self.now)
        free = min(len(self._roster.idle), self._room)
        fitting = [self._size(JobKey(0, rung)) <= free for rung in range(rungs)]
        if self._begins_at is None:
            self.is_short = rungs > 0 and not any(fitting)
            return rungs if any(fitting) else 0
        fill = [fits and self._ends_in_time(rung) for rung, fits in enumerate(fitting)]
        return fill.index(False) if False in fill else rungs

    def _size(self, key: JobKey) -> int:
        """Tell how many ranks a job takes; the baseline is no trial, and takes one."""
        wanted = 1 if key.trial == BASELINE else self._rules.sizes.of(key.rung)
        return max(1, min(wanted, self._roster.able, self._rules.max_concurrent or wanted))

    def _idle_for(self, key: JobKey) -> list[int]:
        """List the idle ranks that a job may be given to: those last that it has failed on."""
        opened = self.jobs.open[key]
        unsuited = opened.unsuited(self._roster.able, self._doubted, self._size(key))
        suited = [rank for rank in self._roster.idle if rank not in unsuited]
        return sorted(suited, key=opened.failed_on.__contains__)

    @property
    def _room(self) -> int:
        """How many more ranks may be busy; what was given up on alone holds nothing up."""
        most = self._rules.max_concurrent or math.inf
        left = most - len(self._roster.busy) if self.jobs.held else most
        return int(min(left, len(self._roster.workers)))

    def _ends_in_time(self, rung: int) -> bool:
        """Tell whether a job that begins now leaves a reservation alone."""
        if self._begins_at is None:
            return True
        takes_s = self.jobs.time_left.typical_s(rung)
        return takes_s is not None and self.now + takes_s <= self._begins_at

    def _expected(self, lacking: int) -> float:
        """Tell when so many more ranks will be idle, for all that is known."""
        ends = sorted(end for rank in self._roster.busy if (end := self._end(rank)) is not None)
        return ends[lacking - 1] if 0 < lacking <= len(ends) else math.inf

    def _end(self, rank: int) -> float | None:
        held = self._roster.workers[rank].held
        opened = self.jobs.open.get(held.job) if held is not None else None
        if opened is None or held is None:
            return self.now  # it is about to be free
        takes_s = self.jobs.time_left.typical_s(held.rung)
        return None if takes_s is None else max(self.now, opened.held_since + takes_s)


def chosen(idle: Iterable[int], hosts: Mapping[int, str], size: int) -> tuple[int, ...]:
    """Choose so many of the idle ranks, those of a node one after the other.

    >>> chosen([1, 2, 3, 4, 5], {1: "a", 2: "a", 3: "b", 4: "b", 5: "b"}, 2)
    (1, 2)
    >>> chosen([1, 2, 3, 4, 5], {1: "a", 2: "a", 3: "b", 4: "b", 5: "b"}, 4)
    (3, 4, 5, 1)
    """
    nodes: defaultdict[str, list[int]] = defaultdict(list)
    for rank in idle:
        nodes[hosts.get(rank, "")].append(rank)
    slot: list[int] = []
    while (lacking := size - len(slot)) > 0:
        whole = [name for name, ranks in nodes.items() if len(ranks) >= lacking]
        if whole:
            best = min(whole, key=lambda name: len(nodes[name]))
        else:
            best = max(nodes, key=lambda name: len(nodes[name]))
        slot += nodes.pop(best)[:lacking]
    return tuple(slot)
