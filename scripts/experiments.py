#!/usr/bin/env python3
"""Measure hpmpi itself: run a matrix of models, workers, volumes, sizes and kills, and tell of it.

    python scripts/experiments.py scripts/matrices/small.toml --out results/small

DIR gets runs.jsonl (a line a run, when it is over), runs.csv, summary.csv (a row a cell), the
figures, and report.md. The same command goes on where an earlier one was ended: what is in
runs.jsonl is not run again. `--tell` runs nothing. README.md beside this says what is in a matrix.

Exit codes: 0; 1 where no run has a result; 2 for a matrix that is none, and nothing to tell of,
said in one message; 130 after Ctrl-C.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpmpi.errors import HpmpiError, StoreError
from scripts.experiment import matrix as matrices
from scripts.experiment import record, report
from scripts.experiment.matrix import Matrix
from scripts.experiment.record import Record
from scripts.experiment.summary import crowd, named, several

RUNS = "runs.jsonl"
NOTHING = 1
BAD_INPUT = 2
INTERRUPTED = 130


def main(words: list[str] | None = None) -> int:
    """Read the options; run what is left to run; tell of all of it."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    top.add_argument("matrix", type=Path, metavar="MATRIX.toml")
    top.add_argument("--out", type=Path, metavar="DIR", help="default: results/experiments/<name>")
    top.add_argument("--tell", action="store_true", help="run nothing: tell of what is there")
    options = top.parse_args(words)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        matrix = matrices.read(options.matrix)
        out = (options.out or Path("results/experiments") / matrix.name).absolute()
        if not options.tell:
            run_all(matrix, out)
        return tell(matrix, out)
    except HpmpiError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("experiments: ended; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def tell(matrix: Matrix, out: Path) -> int:
    """Write what there is to say, and which runs went wrong; return the exit code."""
    records = known(matrix, out)
    if not records:
        raise StoreError(f"there is nothing to tell of: no run of {matrix.name} in {out / RUNS}")
    for path in report.tell(matrix, records, out):
        print(path)
    for each in records:
        if each.is_odd:
            say(report.trouble(each, out))
    return 0 if any(each.completed for each in records) else NOTHING


def run_all(matrix: Matrix, out: Path) -> None:
    """Do the runs of which nothing is known yet, one after the other."""
    done = {each.key for each in known(matrix, out)}
    left = [run for run in matrix.runs() if run.key not in done]
    say(f"{len(done)} of {len(done) + len(left)} runs are there")
    began_at = time.monotonic()
    for number, run in enumerate(left, start=1):
        found = record.perform(matrix, run, out / "runs" / run.key)
        append(out / RUNS, msgspec.json.encode(found))
        spent_s = time.monotonic() - began_at
        more_s = spent_s / number * (len(left) - number)
        told = f"{named(run.cell)}, {crowd(run.cell)}: {outcome(found)}"
        say(f"[{number}/{len(left)}] {told}; {more_s:.0f} s to go")


def known(matrix: Matrix, out: Path) -> list[Record]:
    """Read the records of runs that the matrix has; a torn last line is none."""
    path = out / RUNS
    whole = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    records = [msgspec.json.decode(line, type=Record) for line in whole]
    wanted = {run.key for run in matrix.runs()}
    return [each for each in records if each.key in wanted]


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, in the place of a torn one."""
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line + b"\n")


def outcome(found: Record) -> str:
    """Say what came of a run."""
    results = several(found.completed, "result")
    told = f"{results} in {found.work_s or 0:.1f} s ({found.process_s:.1f} s in all)"
    told += f", {found.killed} killed" if found.killed else ""
    return told + (f", {found.trouble}" if found.trouble else "")


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
