"""How long a run takes to begin, and what its start asks of a file system.

python scripts/bench_start.py [--ranks 10] [--repetitions 7] [--json FILE] [--against DIR]

- Start: from mpirun to the begin of the first trial, and of every worker's first, by the clocks of
  the objectives, which are one on one machine; beside all of `mpirun ... import MPI`, turn by turn.
- Import: the same for an objective that imports scikit-learn, forked from one import of the node
  and imported by each rank, turn by turn: from the study's beginning to its first job, beside one
  bare import and the bare MPI; what memory a worker's process then has to itself (PSS); and how
  many paths the processes of the objective look up, with 2 workers and with all.
- Files: what a worker rank, its guard and its child, and rank 0, look up, open and read until a run
  of one trial is over, seen by strace where that is installed. On a shared file system each rank
  pays for it: every look-up, those of what is not there too, may be a question to its server.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import harness
import psutil

from hpmpi.model.events import Heard
from hpmpi.model.messages import Ready

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

LEARNING = """
objective = "hpmpi.trainables.mlp:train"
metric = "accuracy"
mode = "max"
[space]
learning_rate_init = {{ type = "float", low = 1e-4, high = 1e-1, log = true }}
[scheduler]
max_resource = {epochs}
[stop]
max_trials = {trials}
[objective_args]
dataset = "digits"
"""
IMPORT = [sys.executable, "-c", "import hpmpi.trainables.mlp, sklearn.neural_network"]
EPOCHS = 60
STARTS = ("fork", "spawn")
MOST_OF_IMPORT = 1.5
MOST_MB = 45.0
"""What the time to the first job, in imports and bare MPIs, and a worker's memory may be."""

BETTER = {
    "^import, fork, (first_s|mb)$": harness.LESS,
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


class Learning(NamedTuple):
    """Seconds until the first job of a study that learns; what memory a worker has then."""

    first_s: float
    mb: float


def learning(folder: Path, ranks: int, how: str, epochs: int = EPOCHS) -> list[str]:
    """Write a study of a trial for each worker, which learns; return what runs it."""
    text = LEARNING.format(epochs=epochs, trials=ranks - 1)
    return harness.hpmpi_run(harness.study(folder, text), "--set", f"run.start={how}")


def learn(ranks: int, how: str) -> Learning:
    """Run a study that learns; look at its workers' memory when all have begun."""
    with tempfile.TemporaryDirectory() as name:
        words = [*harness.mpirun(ranks), *learning(Path(name), ranks, how)]
        study, mb = Path(name) / "study.toml", 0.0
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and not mb:
                time.sleep(0.1)
                if len(harness.history_of(study).attempts) == ranks - 1:
                    mb = statistics.median(map(pss_mb, children_of(study)))
        begun = [attempt.begun for attempt in harness.history_of(study).attempts.values()]
        return Learning(min(begun), mb)


def children_of(study: Path) -> list[int]:
    """List the processes of the objective, as their ranks have told of them."""
    events = [getattr(line, "event", None) for line in harness.lines_of(study)]
    heard = [event.report for event in events if isinstance(event, Heard)]
    return [report.pid for report in heard if isinstance(report, Ready)]


def pss_mb(pid: int) -> float:
    """Tell a process's part of the memory that it has."""
    return float(psutil.Process(pid).memory_full_info().pss) / 2**20


def imports(ranks: int, repetitions: int) -> dict[str, object]:
    """Measure both ways to start, and tell."""
    measures = {how: partial(learn, ranks, how) for how in STARTS}
    bare = {"import": partial(timed, IMPORT), "MPI": partial(timed, [*harness.mpirun(ranks), *MPI])}
    least = harness.turns(bare, repetitions)
    least_s = sum(map(statistics.median, least.values()))
    found = harness.turns(measures, repetitions)
    for how, each in found.items():
        first, mb = ([*column] for column in zip(*each, strict=True))
        print(harness.spread(f"{how}: s to the first job that learns", first, digits=3, first=64))
        print(harness.spread(f"{how}: MB a worker (PSS)", mb, digits=3, first=64))
    first_s, mb = map(statistics.median, zip(*found["fork"], strict=True))
    is_soon = harness.verdict(first_s / least_s, MOST_OF_IMPORT, harness.LESS)
    print(f"of one import and the bare MPI ({least_s:.2f} s): {is_soon}")
    print(f"MB a worker: {harness.verdict(mb, MOST_MB, harness.LESS)}")
    return {how: [one._asdict() for one in each] for how, each in found.items()}


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
        results = harness.results_of(harness.history_of(Path(name) / "study.toml"))
    times = [(result.metrics["began_at"], result.rank) for result in results if result.metrics]
    first: dict[int, float] = {}
    for at, rank in sorted(times):
        first.setdefault(rank, at - began_at)
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


def objectives_use(ranks: int, how: str) -> Use:
    """Trace a run that learns; tell what the processes of its objective use together."""
    with tempfile.TemporaryDirectory() as name:
        words = learning(Path(name), ranks, how, epochs=1)
        lead, work = (["strace", *TRACE, "-o", f"{name}/{who}", *words] for who in ("0", "1"))
        harness.run([*harness.mpirun(1), *lead, ":", "-n", str(ranks - 1), *work])
        traces = dict(read_traces(Path(name), "1"))
        used = use([line for trace in below_ranks(traces) for line in trace])
        return sum(used.values(), Use())


def below_ranks(traces: dict[int, list[str]]) -> Iterator[list[str]]:
    """Pick the traces of what is below ranks: a launcher started their fronts, and those guards."""
    below = started(traces)
    fronts = traces.keys() - {pid for pids in below.values() for pid in pids}
    ranks = [rank for front in fronts for guard in below[front] for rank in below[guard][:1]]
    found = [pid for rank in ranks for pid in below[rank]]
    for pid in found:  # grows meanwhile
        found += below.get(pid, [])
        yield traces.get(pid, [])


def bare(folder: Path) -> dict[str, Use]:
    """Trace one rank that only imports MPI."""
    harness.run([*harness.mpirun(1), "strace", *TRACE, "-o", f"{folder}/mpi", *MPI])
    return use([line for trace in dict(read_traces(folder, "mpi")).values() for line in trace])


def read_traces(folder: Path, prefix: str) -> Iterator[tuple[int, list[str]]]:
    """Read what strace wrote of each process or thread, by its number."""
    for file in folder.glob(f"{prefix}.*"):
        yield int(file.suffix[1:]), file.read_text(errors="replace").splitlines()


def started(traces: dict[int, list[str]]) -> dict[int, list[int]]:
    """List whom each process has started."""
    return {
        pid: [int(found["pid"]) for line in trace if (found := FORK.match(line))]
        for pid, trace in traces.items()
    }


def lineage(traces: dict[int, list[str]]) -> tuple[list[str], list[str], list[str]]:
    """Split the traces of what a launcher started: its guards, the rank, and what is below that."""
    below = started(traces)
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
    learnt = imports(asked.ranks, asked.repetitions)
    traced: dict[str, dict[str, Use]] = {}
    if shutil.which("strace"):
        traced = files()
        print("", *table(traced), sep="\n")
        for how in STARTS:
            few, many = (objectives_use(ranks, how) for ranks in (3, asked.ranks))
            print(f"{how}: {few.looked_up} look-ups with 2 workers, {many.looked_up} with all")
    else:
        print("what is read at start is left out: strace is not installed", file=sys.stderr)
    report = {process: {k: v._asdict() for k, v in by.items()} for process, by in traced.items()}
    harness.write(
        asked.json, {"start": [one._asdict() for one in starts], "import": learnt, "files": report}
    )


if __name__ == "__main__":
    main()
