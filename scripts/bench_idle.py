"""What hpmpi costs beside the trials: an idle run, a full machine, and the time between two jobs.

python scripts/bench_idle.py [--seconds 20] [--repetitions 3] [--json FILE]

- Idle: ten ranks, whose trials sleep. CPU of all processes that are hpmpi's, the objectives' own
  processes and mpirun's included, while all are busy.
- Full: trials that compute, on as many workers as there are cores, beside the same trials under a
  process pool, turn by turn; the time of both is that of the trials, without start and end.
- Between: how long after a result was ready the same rank's next job began, by the clocks of the
  objectives, which are one on one machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from sleepers import computing

from hpmpi.transports.local import cores

Row = dict[str, Any]
TICKS = os.sysconf("SC_CLK_TCK")
TRIALS = 120
LOOPS = 4_500_000
"""How many trials compute, and how long: some 50 ms each."""


def study(folder: Path, objective: str, trials: int, args: str) -> Path:
    """Write a study."""
    (folder / "sleepers.py").symlink_to(ROOT / "scripts" / "sleepers.py")
    file = folder / "study.toml"
    file.write_text(
        f'objective = "sleepers.py:{objective}"\nmetric = "loss"\n'
        f'[space]\nx = {{ type = "float", low = 0, high = 1 }}\n'
        f"[stop]\nmax_trials = {trials}\n[objective_args]\n{args}\n"
    )
    return file


def start(file: Path, ranks: int, *options: str) -> subprocess.Popen[bytes]:
    """Start a study on so many ranks."""
    mpirun = [str(Path(sys.executable).parent / "mpirun"), "-n", str(ranks)]
    words = ["-m", "hpmpi", "run", str(file), "--out", str(file.parent / "out"), *options]
    return subprocess.Popen(
        [*mpirun, sys.executable, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def rows(file: Path) -> list[Row]:
    """Read a journal."""
    journal = file.parent / "out" / "journal.jsonl"
    return [json.loads(line) for line in journal.open()] if journal.exists() else []


def results_of(file: Path) -> list[Row]:
    """Read the results in a journal."""
    return [row for row in rows(file) if row["type"] == "result"]


def idle(ranks: int, sleep_s: float, seconds: float) -> float:
    """Tell what share of a core all processes take while all trials sleep."""
    with tempfile.TemporaryDirectory() as folder:
        file = study(Path(folder), "lasting", 10**6, f"s = {sleep_s}")
        run = start(file, ranks)
        while sum(row["type"] == "assigned" for row in rows(file)) < ranks - 1:
            time.sleep(0.2)
        time.sleep(2.0)
        began_at, before = time.monotonic(), cpu_s(run.pid)
        time.sleep(seconds)
        share = (cpu_s(run.pid) - before) / (time.monotonic() - began_at)
        run.terminate()
        run.wait()
    return share


def cpu_s(root: int) -> float:
    """Sum the CPU seconds of a process and all below it that live."""
    times, parents = {}, {}
    for name in Path("/proc").glob("[0-9]*"):
        try:
            words = (name / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        parents[int(name.name)] = int(words[1])
        times[int(name.name)] = (int(words[11]) + int(words[12])) / TICKS
    below = {root}
    for _ in range(9):
        below |= {pid for pid, parent in parents.items() if parent in below}
    return sum(times[pid] for pid in below if pid in times)


def full(isolation: str) -> tuple[float, list[float]]:
    """Tell how many trials that compute are done a second, and the times between two jobs."""
    with tempfile.TemporaryDirectory() as folder:
        file = study(Path(folder), "counted", TRIALS, f"loops = {LOOPS}")
        run = start(file, cores() + 1, "--set", f"run.isolation={isolation}")
        assert run.wait() == 0, "the study did not end well"
        results = [row for row in rows(file) if row["type"] == "result"]
    return rate([(each["began_at"], each["ended_at"]) for each in told(results)]), [
        *between(results)
    ]


def told(results: list[Row]) -> list[dict[str, float]]:
    """Take what the objectives returned."""
    return [row["metrics"] for row in results]


def between(results: list[Row]) -> Iterator[float]:
    """Find, rank by rank, how long after a trial's end the next one began, in seconds."""
    for rank in {row["rank"] for row in results}:
        spans = told([row for row in results if row["rank"] == rank])
        yield from (after["began_at"] - before["ended_at"] for before, after in pairwise(spans))


def pool() -> float:
    """Tell how many of the same trials a process pool does a second."""
    with ProcessPoolExecutor(cores()) as executor:
        list(executor.map(computing, [LOOPS // 10] * 2 * cores()))
        return rate(list(executor.map(computing, [LOOPS] * TRIALS)))


def rate(spans: list[tuple[float, float]]) -> float:
    """Tell how many trials a second were done, from the first one's begin to the last one's end."""
    return len(spans) / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def measure(seconds: float, repetitions: int) -> Iterator[tuple[str, list[float]]]:
    """Measure all."""
    for sleep_s in (1000.0, 1.0):
        yield (
            f"idle: cores taken by 10 ranks with trials of {sleep_s:g} s; wanted < 0.05",
            [idle(10, sleep_s, seconds) for _ in range(repetitions)],
        )
    for isolation in ("process", "none"):
        shares, pauses = [], []
        for _ in range(repetitions):
            ours, gaps_s = full(isolation)
            shares.append(ours / pool())
            pauses.append(1e3 * statistics.median(gaps_s))
        yield f"full, {isolation}: throughput beside a pool's; wanted >= 0.97", shares
        yield f"full, {isolation}: ms from a result to the next job's start", pauses
    pauses = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            file = study(Path(folder), "napping", TRIALS, "s = 0.1")
            run = start(file, 3)
            assert run.wait() == 0, "the study did not end well"
            pauses.append(1e3 * statistics.median(between(results_of(file))))
    yield "idle machine: ms from a result to the next job's start; wanted < 2", pauses


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="What hpmpi costs beside the trials.")
    parser.add_argument("--seconds", type=float, default=20, help="of idleness; default: 20")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    told = {}
    for name, values in measure(options.seconds, options.repetitions):
        told[name] = values
        numbers = f"{statistics.median(values):8.4f}  ({min(values):.4f} to {max(values):.4f})"
        print(f"{name:72}{numbers}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
