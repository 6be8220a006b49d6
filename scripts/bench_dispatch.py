"""How many no-op trials a second hpmpi hands out to four workers, beside others that could.

python scripts/bench_dispatch.py [--trials 2000 20000] [--repetitions 5] [--json FILE]

hpmpi runs as users run it: by mpirun, with journal, checkpoint and log. Its time is that in its
journal from when all ranks are at work to the last result; that of the others, whose workers are
warm as well, is taken around their loop. In
each repetition all take their turns, so that what else the machine does falls on all alike; what
is compared is the median of the repetitions' ratios. The others are given what their authors
recommend for single trials, and no trial is dearer than another. Slow ones get fewer trials, which
favours them: they get slower. Those that are not installed are left out (`pip install .[bench]`).
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
MPIRUN = [str(Path(sys.executable).parent / "mpirun"), "-n", "5"]

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
    *((name, "MPICommExecutor", 1.0) for name in OURS if "rank" in name),
    *((name, "raw mpi4py", 0.5) for name in OURS if "rank" in name),
    *((name, "MPICommExecutor", 0.7) for name in OURS if "child" in name),
    *((name, other, 50.0) for name in OURS for other in ("optuna", "ray tune")),
]
"""Who is to be how many times as fast as whom."""


class Timing(NamedTuple):
    """Trials a second while trials were handed out; seconds and CPU seconds with start and end."""

    rate: float
    whole_s: float
    cpu_s: float


def run_ours(isolation: str, method: str, trials: int) -> float:
    """Run a study; return its jobs a second."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(STUDY + (ASHA if method == "asha" else ""))
        (Path(folder) / "contenders.py").symlink_to(ROOT / "scripts" / "contenders.py")
        changes = (f"run.isolation={isolation}", f"stop.max_trials={trials}")
        sets = [word for change in changes for word in ("--set", change)]
        out = Path(folder) / "out"
        run([*MPIRUN, sys.executable, "-m", "hpmpi", "run", str(study), "--out", str(out), *sets])
        rows = [json.loads(line) for line in (out / "journal.jsonl").open()]
    first = {row["rank"]: row["at"] for row in reversed(rows) if row["type"] == "assigned"}
    warm_at = max(first.values())
    ended = [row["at"] for row in rows if row["type"] == "result" and row["at"] > warm_at]
    return len(ended) / (ended[-1] - warm_at)


def run_other(name: str, trials: int) -> float:
    """Run a contender; return its trials a second."""
    launcher = MPIRUN if name in UNDER_MPI else []
    trials = min(trials, MOST_TRIALS.get(name, trials))
    program = [sys.executable, str(ROOT / "scripts" / "contenders.py"), name, str(trials)]
    said = run([*launcher, *program])
    took_s = next(line for line in said.splitlines() if line.startswith("took ")).split()[1]
    return trials / float(took_s)


def run(command: list[str]) -> str:
    """Run a program, which must end well; return what it prints."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def time_one(name: str, trials: int) -> Timing:
    """Run who has this name."""
    began_at, before = time.perf_counter(), cpu_s()
    rate = run_ours(*OURS[name], trials) if name in OURS else run_other(name, trials)
    return Timing(rate, time.perf_counter() - began_at, cpu_s() - before)


def cpu_s() -> float:
    """Tell how much CPU all that has ended below this process has taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(trials: int, names: list[str], repetitions: int) -> dict[str, list[Timing]]:
    """Time all, turn by turn, every other time in the opposite order."""
    timings = defaultdict(list)
    for repetition in range(repetitions):
        for name in names[:: -1 if repetition % 2 else 1]:
            timings[name].append(time_one(name, trials))
            rate = timings[name][-1].rate
            print(f"{trials} trials, {repetition + 1}: {name} {rate:.0f}/s", file=sys.stderr)
    return timings


def ratio(timings: dict[str, list[Timing]], name: str, other: str) -> float:
    """Tell how many times as fast one is as another: the median over the repetitions."""
    pairs = zip(timings[name], timings[other], strict=True)
    return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)


def table(trials: int, timings: dict[str, list[Timing]]) -> str:
    """Sum up the repetitions."""
    lines = [f"{trials} trials, 4 workers", f"{'':28}{'per second':>12}{'lowest':>9}{'highest':>9}"]
    lines[1] += f"{'of MPICommExecutor':>20}{'whole, s':>10}{'CPU, s':>8}"
    for name, each in timings.items():
        rates = [one.rate for one in each]
        whole, cpu = (statistics.median(column) for column in list(zip(*each, strict=True))[1:])
        share = ratio(timings, name, "MPICommExecutor")
        lines.append(
            f"{name:28}{statistics.median(rates):12,.0f}{min(rates):9,.0f}{max(rates):9,.0f}"
            f"{share:20.2f}{whole:10.1f}{cpu:8.1f}"
        )
    for name, other, least in TARGETS:
        if name in timings and other in timings:
            times = ratio(timings, name, other)
            verdict = "reached" if times >= least else "missed"
            lines.append(f"{name} / {other}: {times:.2f}, wanted {least:g}: {verdict}")
    return "\n".join(lines)


def installed(names: list[str]) -> list[str]:
    """Leave out what is not there, with a word."""
    missing = [name for name in names if not find(PACKAGES.get(name, "json"))]
    for name in missing:
        print(f"{name} is left out: {PACKAGES[name]} is not installed", file=sys.stderr)
    return [name for name in names if name not in missing]


def find(package: str) -> bool:
    """Tell whether a package is there."""
    return importlib.util.find_spec(package) is not None


def main() -> None:
    """Time, and tell."""
    parser = argparse.ArgumentParser(description="Trials a second, beside others.")
    parser.add_argument("--trials", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="beside MPICommExecutor")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    everybody = [*OURS, *UNDER_MPI, *PACKAGES]
    wanted = [*options.only, "MPICommExecutor"] if options.only else everybody
    names = installed([name for name in everybody if name in wanted])
    told = {}
    for trials in options.trials:
        timings = compare(trials, names, options.repetitions)
        told[trials] = {name: [one._asdict() for one in each] for name, each in timings.items()}
        print(table(trials, timings), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
