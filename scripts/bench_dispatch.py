"""How many no-op trials a second hpmpi hands out to four workers, beside others that could.

python scripts/bench_dispatch.py [--trials 2000 20000] [--only NAME ...]
    [--repetitions 5] [--json FILE] [--against DIR]

hpmpi runs as users run it: by mpirun, with journal, checkpoint and log. Its time is that in its
journal from when all ranks are at work to the last result; that of the others, whose workers are
warm as well, is taken around their loop. In
each repetition all take their turns, so that what else the machine does falls on all alike; what
is compared is the median of the repetitions' ratios. The others are given what their authors
recommend for single trials, and no trial is dearer than another. Slow ones get fewer trials, which
favours them: they get slower. Those that are not installed are left out (`pip install .[bench]`).
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import harness
from contenders import WORKERS

from hpmpi.history.history import History

STUDY = """
objective = "contenders.py:objective"
[space]
x = { type = "float", low = 0.0, high = 1.0 }
y = { type = "float", low = 1e-4, high = 1e-1, log = true }
n = { type = "int", low = 1, high = 4 }
"""
ASHA = """
[scheduler]
method = "asha"
max_resource = 81
"""

PACKAGES = {"joblib": "joblib", "dask": "distributed", "optuna": "optuna", "ray tune": "ray"}
UNDER_MPI = ("raw mpi4py", "MPICommExecutor")
MOST_TRIALS = {"dask": 2000, "optuna": 2000, "ray tune": 60}

OURS = {
    f"hpmpi {how}, {method}": (isolation, method)
    for how, isolation in (("in the rank", "none"), ("in a child", "process"))
    for method in ("random", "asha")
}

TARGETS = [
    *((name, "MPICommExecutor", 1.0) for name in OURS),
    *((name, "raw mpi4py", 0.5) for name in OURS if "rank" in name),
    *((name, other, 50.0) for name in OURS for other in ("optuna", "ray tune")),
]
"""Who is to be how many times as fast as whom."""

BETTER = {"hpmpi.*, rate$": harness.MORE}

COLUMNS = {
    "per second": (12, ",.0f"),
    "lowest": (9, ",.0f"),
    "highest": (9, ",.0f"),
    "of MPICommExecutor": (20, ".2f"),
    "whole, s": (10, ".1f"),
    "CPU, s": (8, ".1f"),
}


class Timing(NamedTuple):
    """Trials a second while trials were handed out; seconds and CPU seconds with start and end."""

    rate: float
    whole_s: float
    cpu_s: float


def run_ours(isolation: str, method: str, trials: int) -> float:
    """Run a study; return its jobs a second."""
    with tempfile.TemporaryDirectory() as folder:
        text = STUDY + (ASHA if method == "asha" else "")
        study = harness.study(Path(folder), text, "contenders.py")
        changes = (f"run.isolation={isolation}", f"stop.max_trials={trials}")
        sets = [word for change in changes for word in ("--set", change)]
        harness.run([*harness.mpirun(WORKERS + 1), *harness.hpmpi_run(study, *sets)])
        return warm_rate(harness.history_of(study))


def warm_rate(history: History) -> float:
    """Tell how many jobs a second came in since all ranks were at work."""
    first = {attempt.rank: attempt.begun for attempt in reversed(history.attempts.values())}
    warm_at = max(first.values())
    ends = [attempt.end(history.at) for attempt in harness.results_of(history)]
    ended = [at for at in ends if at > warm_at]
    return len(ended) / (ended[-1] - warm_at)


def run_other(name: str, trials: int) -> float:
    """Run a contender; return its trials a second."""
    launcher = harness.mpirun(WORKERS + 1) if name in UNDER_MPI else []
    trials = min(trials, MOST_TRIALS.get(name, trials))
    program = [sys.executable, str(harness.ROOT / "scripts" / "contenders.py"), name, str(trials)]
    said = harness.run([*launcher, *program])
    took_s = next(line for line in said.splitlines() if line.startswith("took ")).split()[1]
    return trials / float(took_s)


def time_one(name: str, trials: int) -> Timing:
    """Run who has this name."""
    began_at, before = time.perf_counter(), cpu_s()
    rate = run_ours(*OURS[name], trials) if name in OURS else run_other(name, trials)
    print(f"{trials} trials: {name} {rate:.0f}/s", file=sys.stderr)
    return Timing(rate, time.perf_counter() - began_at, cpu_s() - before)


def cpu_s() -> float:
    """Tell how much CPU all that has ended below this process has taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratio(timings: dict[str, list[Timing]], name: str, other: str) -> float:
    """Tell how many times as fast one is as another: the median over the repetitions."""
    pairs = zip(timings[name], timings[other], strict=True)
    return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)


def summary(trials: int, timings: dict[str, list[Timing]]) -> Iterator[str]:
    """Sum up the repetitions."""
    rows = {}
    for name, each in timings.items():
        rates, wholes, cpus = zip(*each, strict=True)
        beside = ratio(timings, name, "MPICommExecutor")
        middle, whole_s, cpu_s = map(statistics.median, (rates, wholes, cpus))
        rows[name] = (middle, min(rates), max(rates), beside, whole_s, cpu_s)
    yield f"{trials} trials, {WORKERS} workers"
    yield from harness.table(COLUMNS, rows, first=28)
    for name, other, least in TARGETS:
        if name in timings and other in timings:
            yield f"{name} / {other}: {harness.verdict(ratio(timings, name, other), least)}"


def main() -> None:
    """Time, and tell."""
    everybody = [*OURS, *UNDER_MPI, *PACKAGES]
    options = harness.Options(__doc__, repetitions=5)
    add = options.add_argument
    add("--trials", type=harness.count(WORKERS), nargs="+", default=[2000, 20_000], metavar="N")
    only = "beside MPICommExecutor: " + ", ".join(everybody)
    add("--only", nargs="+", choices=everybody, default=everybody, metavar="NAME", help=only)
    asked = options.read(BETTER, narrow=["--only", *OURS])
    wanted = {*asked.only, "MPICommExecutor"}
    there = harness.installed({name: PACKAGES[name] for name in PACKAGES if name in wanted})
    names = [name for name in [*OURS, *UNDER_MPI, *there] if name in wanted]
    report = {}
    for trials in asked.trials:
        measures = {name: partial(time_one, name, trials) for name in names}
        timings = harness.turns(measures, asked.repetitions)
        report[trials] = {name: [one._asdict() for one in each] for name, each in timings.items()}
        print(*summary(trials, timings), sep="\n", end="\n\n", flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
