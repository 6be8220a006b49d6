"""What the experiment shows: tables, figures, and a text of which each number is of the tables."""

import csv
import io
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from hpmpi.storage import files
from scripts.experiment import charts
from scripts.experiment.matrix import Matrix
from scripts.experiment.record import Record
from scripts.experiment.summary import (
    LOADS,
    MEASURES,
    PAYS,
    Scaling,
    Summary,
    crowd,
    loads,
    named,
    scalings,
    series,
    several,
    sum_up,
    were,
    written,
)
from tests.harness.runs import IS_OPEN_MPI


def tell(matrix: Matrix, records: Sequence[Record], out: Path) -> list[Path]:
    """Write all there is to say of some runs; return the files."""
    out.mkdir(parents=True, exist_ok=True)
    summaries = sum_up(records)
    tables = {
        "runs.csv": [row_of(each) for each in records],
        "ranks.csv": [row for each in records for row in rows_of_ranks(each)],
        "summary.csv": [each.row() for each in summaries],
    }
    for name, rows in tables.items():
        files.replace(out / name, comma_separated(rows).encode())
    figures = charts.draw(summaries, matrix.name, out)
    text = "\n".join(report(matrix, summaries, figures))
    files.replace(out / "report.md", text.encode())
    return [*(out / name for name in tables), *figures, out / "report.md"]


def row_of(record: Record) -> dict[str, object]:
    """Make the row of runs.csv."""
    told = {"repetition": record.repetition, "exit_code": record.exit_code, "cut": record.was_cut}
    measures = {name: measure(record) for name, measure in MEASURES.items()}
    return {**msgspec.structs.asdict(record.cell), **told, **measures}


def rows_of_ranks(record: Record) -> Iterator[dict[str, object]]:
    """Make the rows of ranks.csv."""
    cell = {**msgspec.structs.asdict(record.cell), "repetition": record.repetition}
    for each in record.ranks:
        yield {**cell, **msgspec.structs.asdict(each)}


def comma_separated(rows: Sequence[Mapping[str, object]]) -> str:
    """Write rows as CSV; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def report(matrix: Matrix, summaries: Sequence[Summary], figures: Iterable[Path]) -> Iterator[str]:
    """Write the text, line by line."""
    runs = sum(len(each.records) for each in summaries)
    cut = sum(record.was_cut for each in summaries for record in each.records)
    odd = sum(record.is_odd for each in summaries for record in each.records)
    mpi = "Open MPI" if IS_OPEN_MPI else "MPICH"
    yield f"# {matrix.name}: what the runs show\n"
    yield (
        f"{runs} of {len(matrix.runs())} runs, in {several(len(summaries), 'cell')}, "
        f"under {mpi} on {several(os.cpu_count() or 1, 'core')} of {platform.machine()}; "
        f"{were(cut)} cut at the bound of {matrix.bound_s:g} s, and {odd} ended as none should. "
        "Numbers are medians over the runs of a cell. Runtime is from the first job handed out to "
        "the last result. Ranks that are killed stay dead.\n"
    )
    found = scalings(summaries)
    sections = {
        "Not as they should be": list(of_trouble(summaries)),
        "Workers": [line for each in found for line in of_workers(each, summaries)],
        "Volume": list(of_load(summaries, "trials")),
        "Sizes": [*of_load(summaries, "config_bytes"), *of_load(summaries, "result_bytes")],
        "Killed ranks": list(of_kills(summaries)),
        "Balance": list(of_balance(summaries)),
        "Models": list(of_models(summaries)),
    }
    for title, lines in sections.items():
        if lines:
            yield f"## {title}\n"
            yield from (f"- {line}" for line in lines)
            yield ""
    for path in figures:
        if path.suffix == ".png":
            yield f"![{path.stem}]({path.name})"
    yield ""


def of_trouble(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say which runs do not count as others do, and why."""
    troubled = [each for one in summaries for each in one.records if trouble(each)]
    yield from (trouble(each) for each in troubled)
    if not all(each.is_whole for each in troubled):
        yield (
            "A run without all its results has no runtime: it is left out where runtimes are "
            "compared (so is all of a model without one on 1 worker), and everywhere without any."
        )


def trouble(record: Record, out: Path = Path()) -> str:
    """Say what went wrong with a run, and where its log is; empty where nothing did."""
    if record.is_whole and not record.is_odd:
        return ""
    log = f"; its log is {out / record.log}" if record.is_odd else ""
    return (
        f"{named(record.cell)}, {crowd(record.cell)}, repetition {record.repetition}: "
        f"{record.completed} of {several(record.cell.trials, 'result')}, {record.trouble}{log}"
    )


def of_workers(scaling: Scaling, summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how a model scales, where that ends to pay, and what is not known of it."""
    first, last, name = scaling.points[0], scaling.points[-1], named(scaling.cell)
    share = last.runtime_s.middle / first.runtime_s.middle
    yield (
        f"{name}: with {last.workers} workers it takes {last.runtime_s.middle:.3g} s, which is "
        f"{share:.3g} of the {first.runtime_s.middle:.3g} s with {first.workers} (ideal "
        f"{first.workers / last.workers:.3g}): an efficiency of {last.efficiency:.3g}. "
        f"With its start, mpirun takes {last.process_s:.3g} s instead of {first.process_s:.3g} s."
    )
    for each in summaries:
        alike = msgspec.structs.replace(each.cell, workers=scaling.cell.workers)
        if alike == scaling.cell and not each["runtime_s"]:
            yield f"{name}: {crowd(each.cell)} are left out: no run has all its results."
    if scaling.stop is None:
        least = min(range(len(scaling.points) - 1), key=scaling.gain)
        yield (
            f"{name}: each step to more workers pays; the least does the one from "
            f"{scaling.points[least].workers} to {scaling.points[least + 1].workers}, which gains "
            f"{scaling.gain(least):.3g} of what it would ideally."
        )
    else:
        now, then = scaling.points[scaling.stop : scaling.stop + 2]
        yield (
            f"{name}: it stops paying at {several(now.workers, 'worker')}: the "
            f"step to {then.workers} gains {scaling.gain(scaling.stop):.3g} of what it would "
            f"ideally, less than {PAYS:g}."
        )


def of_load(summaries: Sequence[Summary], along: str) -> Iterator[str]:
    """Say what more load along an axis does to throughput."""
    for line in loads(summaries, along):
        first, last = line[0], line[-1]
        before, after = (each.middle("throughput_per_s") for each in (first, last))
        low, high = (written(along, getattr(each.cell, along)) for each in (first, last))
        crossed = last["mpi_bytes_per_result"]
        costs = f"; {crossed.middle / 1024:.4g} KiB over MPI for a result" if crossed else ""
        yield (
            f"{last.cell.model}, {crowd(last.cell)}: "
            f"{LOADS[along]} from {low} to {high}: from {before:.3g} to {after:.3g} results a "
            f"second, {after / before:.3g} of it{costs}."
        )


def of_kills(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say what killed ranks cost."""
    for line in series(summaries, "kills_per_min", "throughput_per_s"):
        calm, rough = line[0], line[-1]
        killed, completion = rough.middle("killed"), rough.middle("completion")
        before, after = (each.middle("throughput_per_s") for each in (calm, rough))
        yield (
            f"{named(rough.cell)}, {crowd(rough.cell)}: {were(killed)} "
            f"killed; {completion:.3g} of the jobs handed out were completed (without: "
            f"{calm.middle('completion'):.3g}), at {after / before:.3g} of the throughput."
        )


def of_balance(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how evenly the most workers of each model share the work."""
    for scaling in scalings(summaries):
        cell = msgspec.structs.replace(scaling.cell, workers=scaling.points[-1].workers)
        summary = next(each for each in summaries if each.cell == cell)
        yield (
            f"{named(cell)}, {crowd(cell)}: the busiest rank has "
            f"{summary.middle('busy_max_over_mean'):.3g} times the mean of the busy seconds "
            f"(coefficient of variation {summary.middle('busy_cv'):.3g}), and the one with "
            f"most jobs has {summary.middle('jobs_max_over_mean'):.3g} times their mean."
        )


def of_models(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how large the models are."""
    for name in sorted({each.cell.model for each in summaries}):
        sized = [each for each in summaries if each.cell.model == name and each["model_bytes"]]
        if sized:
            sizes = [each.middle("model_bytes") for each in sized]
            yield (
                f"{name}: the median model of a cell has "
                f"{min(sizes):.0f} to {max(sizes):.0f} bytes."
            )
