"""What a study costs rank 0 as it grows: CPU a result, memory, and how long a restart takes.

python scripts/bench_flat.py [--trials 1000 10000 100000] [--methods random asha] [--ranks 64]
    [--repetitions 3] [--json FILE] [--against DIR]

A real Leader leads, with its journal, leaderboard and log, beside ranks that answer at once and
cost nothing: what they do is not counted. Each study has a process of its own. It is drained at the
end; then the same command goes on with it, until the first job is handed out; and once more, until
its run.h5 is written: how long was rank 0 deaf at most?
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import harness
from free_ranks import FOUND

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

MOST_GROWTH = 1.5
MOST_MB = 300
MOST_RESTART_S = 5.0
MOST_DEAF_MS = 50.0
"""What is wanted."""

BETTER = {"_(us|s|mb|ms)$": harness.LESS}


def measure(
    method: str, trials: int, ranks: int = RANKS, *, again: bool = True
) -> dict[str, float]:
    """Have a study led in a process of its own, and led on."""
    with tempfile.TemporaryDirectory() as name:
        file = harness.study(Path(name), STUDY + METHODS[method])
        found = begin(file, trials, ranks)
        if not again:
            return found
        began_at = time.monotonic()
        led_on = begin(file, 0, ranks)
        restart = {
            "restart_s": led_on["restarted_at"] - began_at,
            "restart_cpu_s": led_on["restart_cpu_s"],
            "restart_mb": led_on["restart_mb"],
            "restart_peak_mb": led_on["written_mb"],
        }
        (file.parent / "out" / "run.h5").unlink()
        began_at = time.monotonic()
        restart["without_h5_s"] = begin(file, 0, ranks)["restarted_at"] - began_at
        return found | restart | {"deaf_ms": begin(file, None, ranks)["deaf_ms"]}


def begin(file: Path, trials: int | None, ranks: int) -> dict[str, float]:
    """Have a process lead, until so many trials or run.h5 are there; return what it found."""
    numbers = [str(number) for number in (ranks, trials) if number is not None]
    program = str(harness.ROOT / "scripts" / "free_ranks.py")
    printed = harness.run([sys.executable, program, str(file.parent), *numbers])
    told = next(line for line in printed.splitlines() if line.startswith(FOUND))
    found: dict[str, float] = json.loads(told[len(FOUND) :])
    return found


def verdicts(method: str, rows: list[dict[str, float]]) -> Iterator[str]:
    """Compare the smallest and the largest study of a method with what is wanted."""
    costs = [row["result_us"] for row in rows]
    measured = {
        "dearest / cheapest result": (max(costs) / min(costs), MOST_GROWTH),
        "memory, MB": (rows[-1]["memory_mb"], MOST_MB),
        "memory after a restart, MB": (rows[-1]["restart_mb"], MOST_MB),
        "restart, s": (rows[-1]["restart_s"], MOST_RESTART_S),
        "deaf while run.h5 is written, ms": (rows[-1]["deaf_ms"], MOST_DEAF_MS),
    }
    for name, (value, most) in measured.items():
        yield f"{method}: {name} {harness.verdict(value, most, harness.LESS)}"


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__, repetitions=3)
    add, count = options.add_argument, harness.count()
    add("--trials", type=count, nargs="+", default=TRIALS, metavar="N", help=f"default: {TRIALS}")
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    add("--ranks", type=count, default=RANKS, metavar="N", help=f"default: {RANKS}")
    asked = options.read(BETTER)
    if min(asked.trials) <= asked.ranks:
        options.error(f"--trials: there are to be more than --ranks, {asked.ranks}")
    measures = {
        f"{method} {trials}": partial(measure, method, trials, asked.ranks)
        for trials in sorted(asked.trials)
        for method in asked.methods
    }
    found = harness.turns(measures, asked.repetitions)
    rows = {title: harness.medians(each) for title, each in found.items()}
    columns = dict.fromkeys(next(iter(rows.values())), (17, ",.1f"))
    print(*harness.table(columns, {k: [*row.values()] for k, row in rows.items()}, 18), sep="\n")
    for method in asked.methods:
        of_method = [row for title, row in rows.items() if title.startswith(method)]
        print(*verdicts(method, of_method), sep="\n")
    harness.write(asked.json, found)


if __name__ == "__main__":
    main()
