"""What hpmpi costs beside the trials: an idle run, a full machine, and the time between two jobs.

python scripts/bench_idle.py [--seconds 20] [--repetitions 3] [--json FILE] [--against DIR]

- Idle: ten ranks, whose trials sleep. CPU of all processes that are hpmpi's, the objectives' own
  processes and mpirun's included, while all are busy.
- Full: trials that compute, on as many workers as there are cores, beside the same trials under a
  process pool, turn by turn; the time of both is that of the trials, without start and end.
- Between: how long after a result was ready the same rank's next job began, by the clocks of the
  objectives, which are one on one machine.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import harness
import psutil
from sleepers import computing

from hpmpi.history.attempts import Attempt
from hpmpi.transports.local import cores

TRIALS = 120
LOOPS = 4_500_000
"""How many trials compute, and how long: some 50 ms each."""

BETTER = {"throughput": harness.MORE, "": harness.LESS}


def study(folder: Path, objective: str, trials: int, args: str) -> Path:
    """Write a study."""
    return harness.study(
        folder,
        f'objective = "sleepers.py:{objective}"\nmetric = "loss"\n'
        f'[space]\nx = {{ type = "float", low = 0, high = 1 }}\n'
        f"[stop]\nmax_trials = {trials}\n[objective_args]\n{args}\n",
    )


def idle(ranks: int, sleep_s: float, seconds: float) -> dict[str, float]:
    """Tell what share of a core all processes take while all trials sleep."""

    def are_at_work() -> bool:
        return len(harness.history_of(file).attempts) >= ranks - 1

    with tempfile.TemporaryDirectory() as folder:
        file = study(Path(folder), "lasting", 10**6, f"s = {sleep_s}")
        words = [*harness.mpirun(ranks), *harness.hpmpi_run(file)]
        with closing(harness.Program(words, Path(folder))) as program:
            program.wait_until(are_at_work)
            time.sleep(2.0)
            began_at, before = time.monotonic(), cpu_s(program)
            time.sleep(seconds)
            share = (cpu_s(program) - before) / (time.monotonic() - began_at)
    return {
        f"idle: cores taken by {ranks} ranks with trials of {sleep_s:g} s; wanted < 0.05": share
    }


def cpu_s(program: harness.Program) -> float:
    """Sum the CPU seconds of all processes that live."""
    total = 0.0
    for process in program.processes():
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def full(isolation: str) -> dict[str, float]:
    """Tell how many trials that compute are done beside a pool's, and the times between two."""
    with tempfile.TemporaryDirectory() as folder:
        file = study(Path(folder), "counted", TRIALS, f"loops = {LOOPS}")
        changes = ("--set", f"run.isolation={isolation}")
        harness.run([*harness.mpirun(cores() + 1), *harness.hpmpi_run(file, *changes)])
        results = harness.results_of(harness.history_of(file))
    ours = rate([spanned(each) for each in results])
    return {
        f"full, {isolation}: throughput beside a pool's; wanted >= 0.97": ours / pool(),
        f"full, {isolation}: ms from a result to the next job's start": between_ms(results),
    }


def napping() -> dict[str, float]:
    """Tell the times between two trials where the machine has nothing else to do."""
    with tempfile.TemporaryDirectory() as folder:
        file = study(Path(folder), "napping", TRIALS, "s = 0.1")
        harness.run([*harness.mpirun(3), *harness.hpmpi_run(file)])
        pause_ms = between_ms(harness.results_of(harness.history_of(file)))
    return {"idle machine: ms from a result to the next job's start; wanted < 1.5": pause_ms}


def spanned(result: Attempt) -> tuple[float, float]:
    """Take when a trial began and ended from what its objective returned."""
    assert result.metrics is not None, "it is a result"
    return result.metrics["began_at"], result.metrics["ended_at"]


def between_ms(results: Sequence[Attempt]) -> float:
    """Find, rank by rank, how long after a trial's end the next one began: the median."""

    def pauses_s() -> Iterator[float]:
        for rank in {each.rank for each in results}:
            spans = [spanned(each) for each in results if each.rank == rank]
            yield from (after[0] - before[1] for before, after in pairwise(spans))

    return 1e3 * statistics.median(pauses_s())


def pool() -> float:
    """Tell how many of the same trials a process pool does a second."""
    with ProcessPoolExecutor(cores()) as executor:
        list(executor.map(computing, [LOOPS // 10] * 2 * cores()))
        return rate(list(executor.map(computing, [LOOPS] * TRIALS)))


def rate(spans: list[tuple[float, float]]) -> float:
    """Tell how many trials a second were done, from the first one's begin to the last one's end."""
    return len(spans) / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__, repetitions=3)
    told = "of idleness; default: 20"
    options.add_argument("--seconds", type=harness.seconds(0.1), default=20, help=told)
    asked = options.read(BETTER)
    measures: dict[str, Callable[[], dict[str, float]]] = {
        "idle, long trials": partial(idle, 10, 1000.0, asked.seconds),
        "idle, short trials": partial(idle, 10, 1.0, asked.seconds),
        "full, in a child": partial(full, "process"),
        "full, in the rank": partial(full, "none"),
        "napping": napping,
    }
    report: dict[str, list[float]] = {}
    for measured in harness.turns(measures, asked.repetitions).values():
        for name in measured[0]:
            report[name] = [one[name] for one in measured]
            print(harness.spread(name, report[name], digits=4, first=72))
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
