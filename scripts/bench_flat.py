"""What a study costs rank 0 as it grows: CPU a result, memory, and how long a restart takes.

python scripts/bench_flat.py [--trials 1000 10000 100000] [--repetitions 3] [--json FILE]

A real Leader leads, with its journal, leaderboard and log, beside ranks that answer at once and
cost nothing: what they do is not counted. Each study has a process of its own. It is drained at the
end; then the same command goes on with it, until the first job is handed out; and once more, until
its run.h5 is written: how long was rank 0 deaf at most?
"""

import argparse
import gc
import json
import math
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import cycle
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from sleepers import loss

from hpmpi.leader import run
from hpmpi.leader.loop import Leader
from hpmpi.leader.results_writer import Scribe
from hpmpi.model.messages import Assign, Beat, Finished, Goodbye, Order, Ready, Report, Stop
from hpmpi.transports import Traffic
from hpmpi.transports.resources import Share

STUDY = """
objective = "sleepers.py:listed"
metric = "loss"
[space]
learning_rate = { type = "float", low = 1e-4, high = 1e-1, log = true }
momentum = { type = "float", low = 0.5, high = 0.99 }
decay = { type = "float", low = 1e-6, high = 1e-2, log = true }
batch_size = { type = "choice", values = [16, 32, 64] }
layers = { type = "int", low = 1, high = 4 }
units = { type = "int", low = 8, high = 512, log = true }
[run]
checkpoint_s = 1e6
[stop]
max_trials = 1000000
"""
METHODS = {"random": "", "asha": '[scheduler]\nmethod = "asha"\nmax_resource = 81\n'}

TRIALS = (1000, 10_000, 100_000)
RANKS = 64
TURN = 1
"""How many ranks answer at a time: MPICH tells of one message at a look."""

BEATS = 4000
"""How many heartbeats come after the results."""

MOST_GROWTH = 1.5
MOST_MB = 300
MOST_RESTART_S = 5.0
MOST_DEAF_MS = 50.0
"""What is wanted."""

FOUND = "found "


class FreeRanks:
    """Ranks that answer at once; they count what rank 0 does, but not what they do themselves."""

    rank = 0
    share = Share()
    name = "ranks that cost nothing"
    underway: AbstractSet[int] = frozenset()

    def __init__(self, trials: int, ranks: int) -> None:
        """Have the study drained after so many trials; none, when the first job is handed out."""
        self.size = ranks + 1
        self.traffic = Traffic()
        self.left_at = 0.0
        self.begun_at = 0.0
        self.theirs_s = 0.0
        self.results = 0
        self.found: dict[str, float] = {}
        self._trials = trials
        self._decode = msgspec.msgpack.Decoder(Order).decode
        self._everybody = range(1, self.size)
        self._answers: deque[tuple[int, Report]]
        self._answers = deque((rank, Ready("here", rank)) for rank in self._everybody)
        self._beats: deque[tuple[int, Report]] = deque()

    def send(self, rank: int, message: bytes) -> None:
        """Answer an order."""
        arrived_at = time.process_time()
        match self._decode(message):
            case Assign(trial=trial) as order:
                if not self._trials:
                    raise FirstJobError
                if trial == self._trials and not self.found:
                    self._find(arrived_at)
                value = {"loss": loss(trial, order.resource), "size_bytes": 1e6 + trial}
                attempt = (trial, order.rung, order.attempt)
                self._answers.append((rank, Finished(*attempt, value, order.resource)))
            case Stop():
                self._answers.append((rank, Goodbye()))
        self.theirs_s += time.process_time() - arrived_at

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Hand over the answers of a few ranks."""
        del timeout_s, wake
        called_at = time.process_time()
        if "results" in self.found and "beat_us" not in self.found and not self._beats:
            self._find_beats(called_at)
        waiting = self._beats or self._answers
        answers = [waiting.popleft() for _ in range(min(TURN, len(waiting)))]
        results = sum(isinstance(answer, Finished) for _, answer in answers)
        if results and not self.begun_at:  # all have their first job
            self.begun_at, self.theirs_s = called_at, 0.0
        self.results += results
        messages = [(rank, msgspec.msgpack.encode(answer)) for rank, answer in answers]
        self.theirs_s += time.process_time() - called_at
        return messages

    def forget(self, rank: int) -> None:
        """Be silent."""

    def leave(self, timeout_s: float) -> None:
        """Be gone."""

    def _find(self, now: float) -> None:
        """Note what all trials have cost so far, and have heartbeats come."""
        self.found = {
            "result_us": self._spent_us(now) / self.results,
            "results": self.results,
            "memory_mb": memory_mb(),
            "collections": sum(each["collections"] for each in gc.get_stats()),
        }
        self.begun_at, self.theirs_s = now, 0.0
        self._beats.extend((rank, Beat()) for rank, _ in zip(cycle(self._everybody), range(BEATS)))

    def _find_beats(self, now: float) -> None:
        """Note what the heartbeats have cost, and have the study end."""
        self.found["beat_us"] = self._spent_us(now) / BEATS
        os.kill(os.getpid(), signal.SIGTERM)

    def _spent_us(self, now: float) -> float:
        return (now - self.begun_at - self.theirs_s) * 1e6


class Witnesses(FreeRanks):
    """Ranks that see how long rank 0 does not listen, until a results file is written."""

    def __init__(self, file: Path, ranks: int) -> None:
        """Have the study drained once there is such a file."""
        super().__init__(sys.maxsize, ranks)
        self._file = file
        self._deaf_since = math.inf
        self._deaf_s = 0.0

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Hand over answers, and look at the clock."""
        self._deaf_s = max(self._deaf_s, time.monotonic() - self._deaf_since)
        if not self.found and self._file.exists():
            self.found = {"deaf_ms": 1e3 * self._deaf_s}
            os.kill(os.getpid(), signal.SIGTERM)
        messages = super().poll(timeout_s, wake)
        self._deaf_since = time.monotonic()
        return messages


class FirstJobError(Exception):
    """A job was handed out."""


def memory_mb() -> float:
    """Tell how much memory this process has, that it shares with others included."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None, "the kernel tells it"
    return int(found[1]) / 1024


def peak_mb() -> float:
    """Tell how much it has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def lead(folder: Path, trials: int | None, number: int) -> None:
    """Lead the study in a folder, as `hpmpi run` does, and tell what was found."""
    changes = ["run.checkpoint_s=0.5"] if trials is None else []
    file = folder / "out" / "run.h5"
    ranks = Witnesses(file, number) if trials is None else FreeRanks(trials, number)
    plan = run.prepare(folder / "study.toml", changes, folder / "out", fresh=False)
    jobs, store = run.take_over(plan)
    scribe = Scribe(store, plan.study.run.checkpoint_s)
    leader = Leader(plan.study, plan.origin, jobs, scribe, ranks)
    del jobs, store, scribe, plan
    try:
        leader.run()
    except FirstJobError:
        ranks.found = {
            "restarted_at": time.monotonic(),
            "restart_cpu_s": time.process_time(),
            "restart_mb": memory_mb(),
        }
    ranks.found["written_mb"] = peak_mb()
    print(FOUND + json.dumps(ranks.found), flush=True)
    os._exit(0)


def measure(
    method: str, trials: int, ranks: int = RANKS, *, again: bool = True
) -> dict[str, float]:
    """Have a study led in a process of its own, and led on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.toml").write_text(STUDY + METHODS[method])
        (folder / "sleepers.py").symlink_to(ROOT / "scripts" / "sleepers.py")
        found = begin(folder, trials, ranks)
        if not again:
            return found
        began_at = time.monotonic()
        led_on = begin(folder, 0, ranks)
        restart = {
            "restart_s": led_on["restarted_at"] - began_at,
            "restart_cpu_s": led_on["restart_cpu_s"],
            "restart_mb": led_on["restart_mb"],
            "restart_peak_mb": led_on["written_mb"],
        }
        (folder / "out" / "run.h5").unlink()
        began_at = time.monotonic()
        restart["without_h5_s"] = begin(folder, 0, ranks)["restarted_at"] - began_at
        return found | restart | {"deaf_ms": begin(folder, None, ranks)["deaf_ms"]}


def begin(folder: Path, trials: int | None, ranks: int) -> dict[str, float]:
    """Have a process lead, until so many trials or run.h5 are there; return what it found."""
    numbers = ["--ranks", str(ranks), *(() if trials is None else ("--trials", str(trials)))]
    command = [sys.executable, __file__, "--lead", str(folder), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith(FOUND):
            found: dict[str, float] = json.loads(line[len(FOUND) :])
            return found
    sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def table(rows: dict[str, dict[str, float]]) -> str:
    """Write a line a study."""
    columns = list(next(iter(rows.values())))
    lines = [f"{'':18}" + "".join(f"{column:>17}" for column in columns)]
    for title, row in rows.items():
        lines.append(f"{title:18}" + "".join(f"{row[column]:17,.1f}" for column in columns))
    return "\n".join(lines)


def verdicts(method: str, rows: list[dict[str, float]]) -> list[str]:
    """Compare the smallest and the largest study of a method with what is wanted."""
    costs = [row["result_us"] for row in rows]
    measured = {
        "dearest / cheapest result": (max(costs) / min(costs), MOST_GROWTH),
        "memory, MB": (rows[-1]["memory_mb"], MOST_MB),
        "memory after a restart, MB": (rows[-1]["restart_mb"], MOST_MB),
        "restart, s": (rows[-1]["restart_s"], MOST_RESTART_S),
        "deaf while run.h5 is written, ms": (rows[-1]["deaf_ms"], MOST_DEAF_MS),
    }
    return [
        f"{method}: {name} {value:.2f}, wanted {most:g} at most: "
        f"{'reached' if value <= most else 'missed'}"
        for name, (value, most) in measured.items()
    ]


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="What a study costs rank 0 as it grows.")
    parser.add_argument("--trials", type=int, nargs="+", metavar="N", help=f"default: {TRIALS}")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--ranks", type=int, default=RANKS, metavar="N", help=f"default: {RANKS}")
    parser.add_argument("--lead", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lead:
        lead(options.lead, options.trials[0] if options.trials else None, options.ranks)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.repetitions):
        for trials in options.trials or TRIALS:
            for method in options.methods:
                found[f"{method} {trials}"].append(measure(method, trials, options.ranks))
    rows = {
        title: {name: statistics.median(one[name] for one in each) for name in each[0]}
        for title, each in found.items()
    }
    print(table(rows))
    for method in options.methods:
        of_method = [row for title, row in rows.items() if title.startswith(method)]
        print(*verdicts(method, of_method), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
