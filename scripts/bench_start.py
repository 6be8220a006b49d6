"""How long a run takes to begin, and what its start asks of a file system.

python scripts/bench_start.py [--ranks 10] [--repetitions 7] [--json FILE] [--against DIR]

- Start: from mpirun to the begin of the first trial, and of every worker's first, by the clocks of
  the objectives, which are one on one machine; beside all of `mpirun ... import MPI`, turn by turn.
- Files: what a worker rank, its guard and its child, and rank 0, look up, open and read until a run
  of one trial is over, seen by strace where that is installed. On a shared file system each rank
  pays for it: every look-up, those of what is not there too, may be a question to its server.
"""

import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import harness

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

BETTER = {
    "^start, (first|all)_s$": harness.LESS,
    "^files, (rank 0|guard|worker|its).*, (hpmpi|other packages|Python), looked_up$": harness.LESS,
}


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
    return harness.hpmpi_run(
        harness.study(
            folder,
            'objective = "sleepers.py:napping"\nmetric = "loss"\n'
            '[space]\nx = { type = "float", low = 0, high = 1 }\n'
            f"[stop]\nmax_trials = {ranks - 1}\n[objective_args]\ns = {TRIAL_S}\n",
        )
    )


def timed(words: list[str]) -> float:
    """Run a program; return the seconds that it took."""
    began_at = time.monotonic()
    harness.run(words)
    return time.monotonic() - began_at


def start(ranks: int) -> Start:
    """Start a study, and the bare MPI."""
    mpirun = harness.mpirun(ranks)
    with tempfile.TemporaryDirectory() as name:
        words = [*mpirun, *command(Path(name), ranks)]
        began_at = time.monotonic()
        harness.run(words)
        results = harness.results_of(Path(name) / "study.toml")
    first: dict[int, float] = {}
    for result in sorted(results, key=lambda each: each.metrics["began_at"]):
        first.setdefault(result.rank, result.metrics["began_at"] - began_at)
    return Start(min(first.values()), max(first.values()), timed([*mpirun, *MPI]))


def files() -> dict[str, dict[str, Use]]:
    """Trace a run of two ranks; tell for each process whose files it used, and how."""
    with tempfile.TemporaryDirectory() as name:
        words = command(Path(name), 2)
        ranks = [["strace", *TRACE, "-o", f"{name}/{rank}", *words] for rank in "01"]
        harness.run([*harness.mpirun(1), *ranks[0], ":", "-n", "1", *ranks[1]])
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
    harness.run([*harness.mpirun(1), "strace", *TRACE, "-o", f"{folder}/mpi", *MPI])
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
    plain = path.replace(str(harness.ROOT / "hpmpi"), "/hpmpi/")
    return next((name for name, sign in OWNERS.items() if re.search(sign, plain)), "the rest")


def sum_up(ranks: int, starts: list[Start]) -> Iterator[str]:
    """Write medians."""
    first, every, mpi = ([*column] for column in zip(*starts, strict=True))
    name = f"mpirun -n {ranks}"
    for told, values in {
        f"{name}: s to the first trial": first,
        f"{name}: s to the last worker's first trial": every,
        f"{name} python -c 'from mpi4py import MPI': s, all of it": mpi,
        f"the first trial's difference, s; wanted <= {WANTED_S:g}": [
            one.first_s - one.mpi_s for one in starts
        ],
    }.items():
        yield harness.spread(told, values, digits=3, first=64)


def table(traced: dict[str, dict[str, Use]]) -> Iterator[str]:
    """Write what each process uses, and of that what is whose."""
    heads = ("files", "look-ups", "missing", "KiB read", "KiB in all")
    yield f"{'':44}{''.join(f'{head:>11}' for head in heads)}"
    for process, by_owner in traced.items():
        rows = {process: sum(by_owner.values(), Use())}
        rows |= {f"    {owner}": used for owner, used in by_owner.items()}
        for name, one in rows.items():
            numbers = (*one[:3], one.read_bytes >> 10, one.size_bytes >> 10)
            yield f"{name:44}{''.join(f'{number:11,}' for number in numbers)}"


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__, repetitions=7)
    told = "default: 10"
    options.add_argument("--ranks", type=harness.count(2), default=10, metavar="N", help=told)
    asked = options.read(BETTER)
    start(asked.ranks)  # warm files
    starts = [start(asked.ranks) for _ in range(asked.repetitions)]
    print(*sum_up(asked.ranks, starts), sep="\n", flush=True)
    traced = {}
    if shutil.which("strace"):
        traced = files()
        print("", *table(traced), sep="\n")
    else:
        print("what is read at start is left out: strace is not installed", file=sys.stderr)
    report = {process: {k: v._asdict() for k, v in by.items()} for process, by in traced.items()}
    harness.write(asked.json, {"start": [one._asdict() for one in starts], "files": report})


if __name__ == "__main__":
    main()
