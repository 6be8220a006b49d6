"""Where the paid time went: what was used of what was asked for, and what to ask for next time.

What a rank has, it says when it is ready: without Slurm that is the machine. What its jobs used, it
says with their answers. The rest is arithmetic over the history: each second of a rank, from when a
start begins until it ends, is one of a job, or of one of the ways to have none.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from hpmpi.history.attempts import USEFUL, Attempt
from hpmpi.history.history import History
from hpmpi.history.ranks import Absence
from hpmpi.model.messages import Outcome
from hpmpi.model.usage import GpuUsage

SPARE = 1.25
"""How many times what was needed is asked for: of memory, and of time."""

RANK_BYTES = 150 << 20
"""What a rank takes by itself, with MPI and what is imported: rank 0 is one, too."""

FULL = 0.85
"""The share of the ranks' time that jobs can have: with more ranks than that takes, they wait."""

MOST = 0.95
"""The share of the jobs for which the CPUs are to suffice."""

LEAST_JOB_S = 1.0
"""How long a job takes at least whose CPU time tells how many CPUs it can use."""

LEAST_RUN_S = 60.0
"""How long a run takes at least that tells what the next will need."""


class RankTime(msgspec.Struct):
    """The seconds of a rank: `waiting` for a job, as for a promotion; `idle` as none was left."""

    busy_s: float = 0.0
    starting_s: float = 0.0
    waiting_s: float = 0.0
    lost_s: float = 0.0
    aside_s: float = 0.0
    idle_s: float = 0.0

    def add(self, other: "RankTime") -> None:
        """Add another's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def all_s(self) -> float:
        """All of them."""
        return float(sum(msgspec.structs.astuple(self)))


class Paid(msgspec.Struct, frozen=True):
    """What was used, of what there was; 0, or None, where nobody has said it.

    `cores`: how many were busy while a job was in work, of `cpus`; `node_bytes`: the most on a
    node, of `node_has_bytes`, where all of its ranks have the most that each had, and what they
    share counts once; `run_s`: of all starts, and `asked_s`: how long the newest could last;
    `ranks`: those that work, of the newest.
    """

    time: RankTime
    ranks: int
    run_s: float
    asked_s: float | None = None
    cpu_s: float = 0.0
    cores: float = 0.0
    cpus: int = 0
    node_bytes: int = 0
    node_has_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    gpus: int = 0
    gpu: GpuUsage | None = None


class Advice(msgspec.Struct, frozen=True):
    """What to ask for next time, by sbatch's options; None where that can't be told.

    `ntasks` are all ranks, rank 0 as well.
    """

    mem_bytes: int | None = None
    cpus_per_task: int | None = None
    time_s: float | None = None
    ntasks: int | None = None


def paid(history: History) -> Paid | None:
    """Sum up what was used; None where no rank has measured anything."""
    measured = [it for it in history.attempts.values() if it.usage is not None]
    if not measured:
        return None
    took_s = sum(it.took_s(history.at) * len(it.slot) for it in measured)
    used = [it.usage for it in measured if it.usage is not None]
    gpu: GpuUsage | None = None
    for usage in used:
        gpu = usage.gpu if gpu is None or usage.gpu is None else gpu.beside(usage.gpu)
    has = history.ranks.has.values()
    begun_at, end = history.starts[-1].at, history.deadline
    return Paid(
        time=time_of_ranks(history),
        ranks=history.starts[-1].ranks,
        run_s=history.at - history.starts[0].at,
        asked_s=None if end is None else end.ends_at - begun_at,
        cpu_s=sum(it.cpu_s for it in used),
        cores=sum(it.cpu_s for it in used) / took_s if took_s else 0.0,
        cpus=max((it.cpus for it in has), default=0),
        node_bytes=max(peaks(measured, history.ranks.hosts).values()),
        node_has_bytes=min((it.node_bytes for it in has if it.node_bytes), default=0),
        read_bytes=sum(it.read_bytes for it in used),
        written_bytes=sum(it.written_bytes for it in used),
        gpus=max((it.gpus for it in has), default=0),
        gpu=gpu,
    )


def peaks(measured: list[Attempt], hosts: dict[int, str]) -> dict[str, int]:
    """Sum, by host, the most memory that each of its ranks had for a job; what all have, once."""
    own: defaultdict[tuple[str, int], int] = defaultdict(int)
    shared: defaultdict[str, int] = defaultdict(int)
    for it in measured:
        assert it.usage is not None, "it was measured"
        for rank in it.slot:
            host = it.host if rank == it.rank else hosts[rank]
            own[host, rank] = max(own[host, rank], it.usage.own_bytes)
            shared[host] = max(shared[host], it.usage.memory_bytes - it.usage.own_bytes)
    by_host = dict(shared)
    for (host, _), used in own.items():
        by_host[host] += used
    return by_host


def advice(history: History, known: Paid) -> Advice:
    """Say what to ask for next time; a short run says nothing."""
    if known.run_s < LEAST_RUN_S:
        return Advice()
    hosts = len(set(history.ranks.hosts.values())) or 1
    on_node = -(-known.ranks // hosts) + 1
    needed = SPARE * known.node_bytes + on_node * RANK_BYTES
    busy = known.time.busy_s / known.run_s
    is_over = history.outcome is Outcome.COMPLETE
    return Advice(
        mem_bytes=math.ceil(needed) if known.node_bytes else None,
        cpus_per_task=cpus_for(history, known),
        time_s=SPARE * known.run_s if is_over else None,
        ntasks=min(known.ranks, math.ceil(busy / FULL) or 1) + 1,
    )


def cpus_for(history: History, known: Paid) -> int | None:
    """Say for how many CPUs most jobs have work; None where no job was long enough to tell."""
    cores = sorted(
        it.usage.cpu_s / (took_s * len(it.slot))
        for it in history.attempts.values()
        if it.usage is not None and (took_s := it.took_s(history.at)) >= LEAST_JOB_S
    )
    if not cores:
        return None
    # Some is always lost to waiting: what has 1.1 cores' work is no faster with two.
    needed = math.ceil(cores[math.ceil(MOST * len(cores)) - 1] - 0.2)
    return max(1, min(needed, known.cpus or needed))


# -- the time of the ranks -------------------------------------------------------------------------


def time_of_ranks(history: History) -> RankTime:
    """Sum up where the time of all ranks went."""
    found = RankTime()
    for of_rank in times(history).values():
        found.add(of_rank)
    return found


def wasted_s(history: History) -> float:
    """Sum up for how long ranks were busy with what came to nothing."""
    wasted = (it for it in history.attempts.values() if it.fate not in USEFUL)
    return sum(it.took_s(history.at) * len(it.slot) for it in wasted)


def times(history: History) -> dict[int, RankTime]:
    """Tell where the time of each rank went, over all starts."""
    found: defaultdict[int, RankTime] = defaultdict(RankTime)
    lost, aside = by_rank(history.ranks.absences), by_rank(history.ranks.aside)
    ends = [*(started.at for started in history.starts[1:]), history.at]
    for number, (started, end, given) in enumerate(
        zip(history.starts, ends, split(history), strict=True)
    ):
        given_at = max((it.begun for each in given.values() for it in each), default=started.at)
        for rank in range(1, started.ranks + 1):
            window = Window(started.at, end, history.at, lost[rank], aside[rank])
            ready_at = history.ranks.arrivals.get((number, rank), end)
            found[rank].add(window.divide(given[rank], min(ready_at, end), given_at))
    return dict(found)


def split(history: History) -> list[defaultdict[int, list[Attempt]]]:
    """Sort the attempts by start and rank."""
    begins = [started.at for started in history.starts]
    found: list[defaultdict[int, list[Attempt]]] = [defaultdict(list) for _ in begins]
    for attempt in history.attempts.values():
        for rank in attempt.slot:
            found[bisect_right(begins, attempt.begun) - 1][rank].append(attempt)
    return found


def by_rank(absences: Iterable[Absence]) -> defaultdict[int, list[Absence]]:
    """Sort times when ranks were away."""
    found: defaultdict[int, list[Absence]] = defaultdict(list)
    for absence in absences:
        found[absence.rank].append(absence)
    return found


class Window(msgspec.Struct, frozen=True):
    """A start, or the rest of it, as a rank has it that was `lost`, or put `aside`, at times."""

    begin: float
    end: float
    now: float
    lost: list[Absence]
    aside: list[Absence]

    def divide(self, attempts: list[Attempt], ready_at: float, given_at: float) -> RankTime:
        """Divide it; what is left over, the rank had nothing to do, from `given_at` on for good."""
        ends = [min(it.end(self.now), self.end) for it in attempts]
        busy_s = sum(end - it.begun for it, end in zip(attempts, ends, strict=True))
        lost_s, aside_s = self.within(self.lost), self.within(self.aside)
        gone_at = min((it.begun for it in self.lost if it.begun >= self.begin), default=self.end)
        starting_s = max(0.0, min(ready_at, gone_at) - self.begin)
        left_s = max(0.0, self.end - self.begin - busy_s - lost_s - aside_s - starting_s)
        last = msgspec.structs.replace(self, begin=max(given_at, ready_at, *ends))
        idle_s = last.end - last.begin - last.within(self.lost) - last.within(self.aside)
        idle_s = min(left_s, max(0.0, idle_s))
        return RankTime(busy_s, starting_s, left_s - idle_s, lost_s, aside_s, idle_s)

    def within(self, absences: list[Absence]) -> float:
        """Sum up how long a rank was away."""
        parts = (min(it.end(self.now), self.end) - max(it.begun, self.begin) for it in absences)
        return sum(part for part in parts if part > 0)
