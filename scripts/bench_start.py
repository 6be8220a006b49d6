"""How long a run takes to begin, and what its start asks of a file system.

python scripts/bench_start.py [--ranks 10] [--repetitions 7] [--json FILE]

- Start: from mpirun to the begin of the first trial, and of every worker's first, by the clocks of
  the objectives, which are one on one machine; beside all of `mpirun ... import MPI`, turn by turn.
- Files: what a worker rank, its guard and its child, and rank 0, look up, open and read until a run
  of one trial is over, seen by strace where that is installed. On a shared file system each rank
  pays for it: every look-up, those of what is not there too, may be a question to its server.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
MPIRUN = str(Path(sys.executable).parent / "mpirun")
MPI = [sys.executable, "-c", "from mpi4py import MPI"]
WANTED_S = 1.0
TRIAL_S = 1.0
"""How long a trial sleeps: long enough for each worker to have one before any has two."""

TRACE = ["-ff", "-y", "-s", "0", "-e", "trace=%file,%process,read,pread64"]
FILE = re.compile(r'^(\w+)\([^"]*"(?P<path>[^"]*)"')
READ = re.compile(r"^p?read(?:64)?\(\d+<(?P<path>/[^>]*)>.* = (?P<bytes>\d+)$")
FORK = re.compile(r"^(?:v?fork|clone3?)\(.* = (?P<pid>\d+)$")

OWNERS = {
    "hpmpi": "/hpmpi/",
    "MPI": r"mpi4py|/mpich|/openmpi|libmpi|libopen-|libpmi|libfabric|libuc[pst]|/pmix|/prte",
    "other packages": r"/(?:site|dist)-packages/",
    "Python": "/lib/python3|/libpython|/bin/python|pyvenv.cfg",
}
"""Whose a path is: the first that fits; what fits none is the system's, or the run's own."""


class Start(NamedTuple):
    """Seconds: until the first trial, until all workers have one; of all of the bare MPI."""

    first_s: float
    all_s: float
    mpi_s: float


class Use(NamedTuple):
    """What some processes asked of the file system."""

    opened: int = 0
    looked_up: int = 0
    missing: int = 0
    read_bytes: int = 0
    size_bytes: int = 0

    def __add__(self, other: object) -> "Use":
        """Add up."""
        assert isinstance(other, Use)
        return Use(*(mine + its for mine, its in zip(self, other, strict=True)))


def command(folder: Path, ranks: int) -> list[str]:
    """Write a study of a trial for each worker; return what runs it."""
    (folder / "sleepers.py").symlink_to(ROOT / "scripts" / "sleepers.py")
    study = folder / "study.toml"
    study.write_text(
        'objective = "sleepers.py:napping"\nmetric = "loss"\n'
        '[space]\nx = { type = "float", low = 0, high = 1 }\n'
        f"[stop]\nmax_trials = {ranks - 1}\n[objective_args]\ns = {TRIAL_S}\n"
    )
    return [sys.executable, "-m", "hpmpi", "run", str(study), "--out", str(folder / "out")]


def run(words: list[str]) -> float:
    """Run a program, which must end well; return the seconds that it took."""
    began_at = time.monotonic()
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.monotonic() - began_at


def mpirun(ranks: int, *words: str) -> list[str]:
    """Start so many ranks of a program."""
    return [MPIRUN, "-n", str(ranks), *words]


def start(ranks: int) -> Start:
    """Start a study, and the bare MPI."""
    with tempfile.TemporaryDirectory() as name:
        words = mpirun(ranks, *command(Path(name), ranks))
        began_at = time.monotonic()
        run(words)
        rows = [json.loads(line) for line in (Path(name) / "out" / "journal.jsonl").open()]
    results = [row for row in rows if row["type"] == "result"]
    first: dict[int, float] = {}
    for row in sorted(results, key=lambda row: row["metrics"]["began_at"]):
        first.setdefault(row["rank"], row["metrics"]["began_at"] - began_at)
    return Start(min(first.values()), max(first.values()), run(mpirun(ranks, *MPI)))


def files() -> dict[str, dict[str, Use]]:
    """Trace a run of two ranks; tell for each process whose files it used, and how."""
    with tempfile.TemporaryDirectory() as name:
        words = command(Path(name), 2)
        ranks = [["strace", *TRACE, "-o", f"{name}/{rank}", *words] for rank in "01"]
        run([*mpirun(1, *ranks[0]), ":", "-n", "1", *ranks[1]])
        traces = {rank: dict(read_traces(Path(name), rank)) for rank in "01"}
        leader, worker = (lineage(traces[rank]) for rank in "01")
        return {
            "rank 0 and its guard": use([*leader[0], *leader[1]]),
            "guard of a worker": use(worker[0]),
            "worker": use(worker[1]),
            "its objective's process": use(worker[2]),
            "bare MPI": bare(Path(name)),
        }


def bare(folder: Path) -> dict[str, Use]:
    """Trace one rank that only imports MPI."""
    run(mpirun(1, "strace", *TRACE, "-o", f"{folder}/mpi", *MPI))
    return use([line for trace in dict(read_traces(folder, "mpi")).values() for line in trace])


def read_traces(folder: Path, prefix: str) -> Iterator[tuple[int, list[str]]]:
    """Read what strace wrote of each process or thread, by its number."""
    for file in folder.glob(f"{prefix}.*"):
        yield int(file.suffix[1:]), file.read_text(errors="replace").splitlines()


def lineage(traces: dict[int, list[str]]) -> tuple[list[str], list[str], list[str]]:
    """Split the traces of what a launcher started: its guards, the rank, and what is below that."""
    below = {
        pid: [int(found["pid"]) for line in trace if (found := FORK.match(line))]
        for pid, trace in traces.items()
    }
    forked = {pid for pids in below.values() for pid in pids}
    (front,) = traces.keys() - forked
    (guard,) = below[front]
    rank = below[guard][0]
    last = max(below[rank], key=lambda pid: len(traces[pid]))
    return traces[front] + traces[guard], traces[rank], traces[last]


def use(trace: list[str]) -> dict[str, Use]:
    """Sum up a trace, by whose files they are."""
    used: Counter[tuple[str, str]] = Counter()
    opened: dict[str, set[str]] = {}
    for line in trace:
        if (found := READ.match(line)) and is_disk(found["path"]):
            used[owner(found["path"]), "read_bytes"] += int(found["bytes"])
        elif (found := FILE.match(line)) and is_disk(found["path"]):
            whose = owner(found["path"])
            used[whose, "looked_up"] += 1
            used[whose, "missing"] += " = -1 ENOENT" in line or " = -1 ENOTDIR" in line
            if found[1].startswith("open") and " = -1 " not in line:
                opened.setdefault(whose, set()).add(found["path"])
    return {
        whose: Use(
            len(opened.get(whose, ())),
            used[whose, "looked_up"],
            used[whose, "missing"],
            used[whose, "read_bytes"],
            sum(Path(path).stat().st_size for path in opened.get(whose, ()) if is_file(path)),
        )
        for whose in [*OWNERS, "the rest"]
    }


def is_file(path: str) -> bool:
    """Tell files from folders, and from what is gone by now."""
    return Path(path).is_file()


def is_disk(path: str) -> bool:
    """Tell what may be on a shared disk from what the kernel makes up."""
    return path not in {"", "."} and not path.startswith(("/proc", "/sys", "/dev"))


def owner(path: str) -> str:
    """Tell whose a file is."""
    plain = path.replace(str(ROOT / "hpmpi"), "/hpmpi/")
    return next((name for name, sign in OWNERS.items() if re.search(sign, plain)), "the rest")


def show_start(ranks: int, starts: list[Start]) -> None:
    """Print medians."""
    first, every, mpi = ([*column] for column in zip(*starts, strict=True))
    extra = [one.first_s - one.mpi_s for one in starts]
    name = f"mpirun -n {ranks}"
    for told, values in {
        f"{name}: s to the first trial": first,
        f"{name}: s to the last worker's first trial": every,
        f"{name} python -c 'from mpi4py import MPI': s, all of it": mpi,
        f"the first trial's difference, s; wanted <= {WANTED_S:g}": extra,
    }.items():
        numbers = f"{statistics.median(values):8.3f}  ({min(values):.3f} to {max(values):.3f})"
        print(f"{told:64}{numbers}")


def show_files(traced: dict[str, dict[str, Use]]) -> None:
    """Print a table."""
    heads = ("files", "look-ups", "missing", "KiB read", "KiB in all")
    print(f"\n{'':44}{''.join(f'{head:>11}' for head in heads)}")
    for process, by_owner in traced.items():
        rows = {process: sum(by_owner.values(), Use())} | {
            f"    {k}": v for k, v in by_owner.items()
        }
        for name, one in rows.items():
            numbers = (*one[:3], one.read_bytes >> 10, one.size_bytes >> 10)
            print(f"{name:44}{''.join(f'{number:11,}' for number in numbers)}")


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="How long a run takes to begin.")
    parser.add_argument("--ranks", type=int, default=10, metavar="N", help="default: 10")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="default: 7")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    start(options.ranks)  # warm files
    starts = [start(options.ranks) for _ in range(options.repetitions)]
    show_start(options.ranks, starts)
    traced = {}
    if shutil.which("strace"):
        traced = files()
        show_files(traced)
    else:
        print("what is read at start is left out: strace is not installed", file=sys.stderr)
    if options.json:
        told = {process: {k: v._asdict() for k, v in by.items()} for process, by in traced.items()}
        report = {"start": [one._asdict() for one in starts], "files": told}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
