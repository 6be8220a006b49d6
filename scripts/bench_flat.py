"""What a study costs rank 0 as it grows: CPU a result, memory, and how long a restart takes.

python scripts/bench_flat.py [--trials 1000 10000 100000] [--methods random asha] [--ranks 64]
    [--pause-s 0] [--repetitions 3] [--json FILE] [--against DIR]

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
BESIDE = {"gp": '[searcher]\nmethod = "gp"\n'}
"""Searchers that think in a process of their own, whose CPU is not rank 0's."""

TRIALS = (1000, 10_000, 100_000)
RANKS = 64

MOST_GROWTH = 1.5
MOST_MB = 300
MOST_RESTART_S = 5.0
MOST_DEAF_MS = 50.0
MOST_BESIDE = 1.2
"""What is wanted; the last one of a searcher beside rank 0, of what random costs with as many."""

BETTER = {"_(us|s|mb|ms)$": harness.LESS}


def measure(
    method: str, trials: int, ranks: int = RANKS, *, again: bool = True, pause_s: float = 0.0
) -> dict[str, float]:
    """Have a study led in a process of its own, and led on."""
    with tempfile.TemporaryDirectory() as name:
        file = harness.study(Path(name), STUDY + (METHODS | BESIDE)[method])
        found = begin(file, trials, ranks, pause_s)
        if not again or pause_s:
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


def begin(file: Path, trials: int | None, ranks: int, pause_s: float = 0.0) -> dict[str, float]:
    """Have a process lead, until so many trials or run.h5 are there; return what it found."""
    numbers = [str(it) for it in (ranks, trials, pause_s or None) if it is not None]
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


def beside_random(rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Compare what a result costs with a searcher beside rank 0 with what it costs with random."""
    for title, row in rows.items():
        method, _, trials = title.partition(" ")
        random = rows.get(f"random {trials}")
        if method in BESIDE and random is not None:
            share = row["result_us"] / random["result_us"]
            verdict = harness.verdict(share, MOST_BESIDE, harness.LESS)
            yield f"{method}, {trials} trials: a result, of random's {verdict}"


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__, repetitions=3)
    add, count = options.add_argument, harness.count()
    add("--trials", type=count, nargs="+", default=TRIALS, metavar="N", help=f"default: {TRIALS}")
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS | BESIDE)
    add("--ranks", type=count, default=RANKS, metavar="N", help=f"default: {RANKS}")
    add("--pause-s", type=harness.seconds(0.0), default=0.0, help="before a rank answers")
    asked = options.read(BETTER)
    if min(asked.trials) <= asked.ranks:
        options.error(f"--trials: there are to be more than --ranks, {asked.ranks}")
    measures = {
        f"{method} {trials}": partial(measure, method, trials, asked.ranks, pause_s=asked.pause_s)
        for trials in sorted(asked.trials)
        for method in asked.methods
    }
    found = harness.turns(measures, asked.repetitions)
    rows = {title: harness.medians(each) for title, each in found.items()}
    columns = dict.fromkeys(next(iter(rows.values())), (17, ",.1f"))
    print(*harness.table(columns, {k: [*row.values()] for k, row in rows.items()}, 18), sep="\n")
    for method in asked.methods if not asked.pause_s else ():
        of_method = [row for title, row in rows.items() if title.startswith(method)]
        print(*verdicts(method, of_method), sep="\n")
    print(*beside_random(rows), sep="\n")
    harness.write(asked.json, found)


if __name__ == "__main__":
    main()
