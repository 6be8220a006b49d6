"""What the runs of a cell come to, and what cells say beside each other.

Of several repetitions the median counts, with the least and the greatest. A run whose trials do not
all have a result has a throughput, but no runtime.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from statistics import median
from typing import NamedTuple

import msgspec

from scripts.experiment.matrix import Cell
from scripts.experiment.record import Record

PAYS = 0.1
"""Another step of workers pays while it gains this share of what it would gain ideally."""

LOADS = {
    "trials": "number of trials",
    "config_bytes": "padding of a configuration",
    "result_bytes": "padding of a result",
}
"""The axes of load, and what they are called."""

MEASURES: dict[str, Callable[[Record], float | None]] = {
    "runtime_s": lambda each: each.work_s if each.is_whole else None,
    "process_s": lambda each: each.process_s,
    "throughput_per_s": lambda each: each.throughput,
    "completion": lambda each: each.completion,
    "assigned": lambda each: each.assigned,
    "completed": lambda each: each.completed,
    "failed": lambda each: each.failed,
    "lost_jobs": lambda each: each.lost_jobs,
    "killed": lambda each: each.killed,
    "lost": lambda each: each.lost,
    "jobs_max_over_mean": lambda each: each.balance("jobs").max_over_mean,
    "jobs_cv": lambda each: each.balance("jobs").cv,
    "busy_max_over_mean": lambda each: each.balance("busy_s").max_over_mean,
    "busy_cv": lambda each: each.balance("busy_s").cv,
    "model_bytes": lambda each: each.model_bytes,
    "sent_messages": lambda each: each.sent_messages,
    "sent_bytes": lambda each: each.sent_bytes,
    "heard_messages": lambda each: each.heard_messages,
    "heard_bytes": lambda each: each.heard_bytes,
    "mpi_bytes_per_result": lambda each: each.bytes_per_result,
}
"""What is told of a run, and of a cell; rank 0 is it that sends and hears."""


class Spread(NamedTuple):
    """The median of some runs, the least and the greatest."""

    middle: float
    least: float
    greatest: float


class Summary:
    """A cell and its runs."""

    def __init__(self, cell: Cell, records: Sequence[Record]) -> None:
        """Take the runs that there are of it."""
        self.cell = cell
        self.records = records

    def __getitem__(self, measure: str) -> Spread | None:
        """Return a measure of the cell, None where no run has it."""
        return self._spreads[measure]

    def middle(self, measure: str) -> float:
        """Return the median of a measure that the cell has."""
        spread = self[measure]
        assert spread is not None, f"{self.cell} has no {measure}"
        return spread.middle

    @cached_property
    def _spreads(self) -> dict[str, Spread | None]:
        spreads: dict[str, Spread | None] = {}
        for name, measure in MEASURES.items():
            values = [value for each in self.records if (value := measure(each)) is not None]
            spreads[name] = Spread(median(values), min(values), max(values)) if values else None
        return spreads

    def row(self) -> dict[str, object]:
        """Make the row of summary.csv."""
        row: dict[str, object] = msgspec.structs.asdict(self.cell)
        row |= {"runs": len(self.records), "cut": sum(each.was_cut for each in self.records)}
        for name, spread in self._spreads.items():
            row[name] = spread and spread.middle
            if name in ("runtime_s", "throughput_per_s", "completion"):
                row |= {f"{name}_min": spread and spread.least}
                row |= {f"{name}_max": spread and spread.greatest}
        return row


def sum_up(records: Sequence[Record]) -> list[Summary]:
    """Put the runs of each cell together."""
    of_cell: defaultdict[Cell, list[Record]] = defaultdict(list)
    for each in records:
        of_cell[each.cell].append(each)
    return [Summary(cell, of_cell[cell]) for cell in sorted(of_cell)]


def series(summaries: Sequence[Summary], along: str, measure: str) -> list[list[Summary]]:
    """Find the cells that differ in one axis only, along it; two of them at least."""
    lines: defaultdict[Cell, list[Summary]] = defaultdict(list)
    for each in summaries:
        if each[measure] is not None:
            lines[msgspec.structs.replace(each.cell, **{along: -1})].append(each)
    return [line for _, line in sorted(lines.items()) if len(line) > 1]


def loads(summaries: Sequence[Summary], along: str) -> list[list[Summary]]:
    """Find the longest series along an axis of load, of each model with and without kills."""
    found: dict[tuple[str, bool], list[Summary]] = {}
    for line in series(summaries, along, "throughput_per_s"):
        key = (line[0].cell.model, line[0].cell.kills_per_min > 0)
        # Of those that are as long, the last one has the most workers.
        found[key] = max(line, found.get(key, []), key=len)
    return [line for _, line in sorted(found.items())]


class Point(NamedTuple):
    """A number of workers, and what it comes to beside one worker.

    `process_s` is of all of mpirun, its start included.
    """

    workers: int
    runtime_s: Spread
    ideal_s: float
    process_s: float

    @property
    def efficiency(self) -> float:
        """The ideal time as a share of the real one."""
        return self.ideal_s / self.runtime_s.middle


class Scaling(NamedTuple):
    """A series of more and more workers."""

    cell: Cell
    points: list[Point]

    def gain(self, step: int) -> float:
        """Tell what a step to the next number of workers gains, as a share of the ideal gain.

        Ideally, the time there is falls as the workers rise: from 2 to 4, to a half.
        """
        now, then = self.points[step], self.points[step + 1]
        ideal_s = now.runtime_s.middle * (1 - now.workers / then.workers)
        return (now.runtime_s.middle - then.runtime_s.middle) / ideal_s

    @property
    def stop(self) -> int | None:
        """The step that does not pay any more, the first such; None where all do."""
        steps = range(len(self.points) - 1)
        return next((step for step in steps if self.gain(step) < PAYS), None)


def scalings(summaries: Sequence[Summary]) -> list[Scaling]:
    """Find the series along workers, from one on, without kills."""
    found = []
    for line in series(summaries, "workers", "runtime_s"):
        one_s = line[0].middle("runtime_s")
        points = [
            Point(each.cell.workers, spread, one_s / each.cell.workers, each.middle("process_s"))
            for each in line
            if (spread := each["runtime_s"])
        ]
        if line[0].cell.workers == 1 and not line[0].cell.kills_per_min:
            found.append(Scaling(line[0].cell, points))
    return found


def named(cell: Cell) -> str:
    """Name a cell by its model and volume, and by its sizes where there are any."""
    sizes = [
        f"{what} of {written('bytes', size)}"
        for what, size in (("configurations", cell.config_bytes), ("results", cell.result_bytes))
        if size
    ]
    return ", ".join([cell.model, several(cell.trials, "trial"), *sizes])


def crowd(cell: Cell) -> str:
    """Say how many workers there are, and kills where there are any."""
    kills = f", {cell.kills_per_min:g} kills a minute" if cell.kills_per_min else ""
    return several(cell.workers, "worker") + kills


def several(count: int, what: str) -> str:
    """Count things.

    >>> several(1, "worker"), several(2, "worker")
    ('1 worker', '2 workers')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def were(count: float) -> str:
    """Say of how many something was done.

    >>> were(1), were(2)
    ('1 was', '2 were')
    """
    return f"{count:g} {'was' if count == 1 else 'were'}"


def written(axis: str, value: int) -> str:
    """Write a value of an axis of load.

    >>> written("trials", 2048), written("config_bytes", 2048), written("result_bytes", 10 << 20)
    ('2048', '2 KiB', '10 MiB')
    """
    if not axis.endswith("bytes"):
        return str(value)
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value} B" if value else "0"
