"""How far one master goes: thousands of ranks in virtual time, with costs measured in the same run.

python scripts/bench_ranks.py [--ranks 64 500 1000 10000] [--trial-s 1 10 60] [--json FILE]

What rank 0 spends on a result and on a heartbeat is measured with a real Leader (bench_flat.py),
and what MPI takes of it for a message with a real mpirun. Then rank 0 is a queue with one server:
each message waits until those before it are done, and is done when its cost has passed. What is
told is decided by the real Master; a job takes an exponential time, of the same mean at every rung,
and ranks beat as real ones do. Times count from when ranks have done two jobs each, on average.

With --real, ranks that sleep are started by mpirun on this machine, and the wall time from the
first job handed out to the last result is compared with what the trials sleep.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from heapq import heappop, heappush
from pathlib import Path
from random import Random as Generator
from typing import NamedTuple

import harness
from bench_flat import METHODS, measure
from sleepers import loss

from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import BEAT_SHARE, Roster, beat_s
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.searchers.random import Random
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.dimensions import Float
from hpmpi.model.events import Heard
from hpmpi.model.messages import Assign, Beat, Finished, Ready, Report
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal
from hpmpi.transports import Transport

TRIALS = 10_000
"""How many there are in the studies that costs are measured with, besides one for each rank."""

PATIENCE_S = 30.0
LATENCY_S = 1e-3
"""How long a message is under way, with what a rank sleeps between two looks at MPI."""

WARM = 2.0
STEADY = 4.0
"""How long ranks work before it counts, and while it does, in mean durations of jobs."""

BIG = 1e9
TURNS = 25
BURST = 8
PING_RANKS = 4
PING_BYTES = 160
SETTLE_S = 0.1
"""How ping is played: how often, how many messages a rank at a time, and how long until they are
answered."""

NAPS = """
objective = "sleepers.py:lasting"
objective_args = {{ s = {trial_s} }}
[space]
x = {{ type = "float", low = 0, high = 1 }}
[stop]
max_trials = {trials}
[run]
isolation = "{isolation}"
"""
MOST_OVER = 1.1


class Costs(NamedTuple):
    """What rank 0 spends on a result, the next order included, and on a beat, in seconds."""

    result_s: float
    beat_s: float


class Cell(NamedTuple):
    """What came of ranks that work: shares of time, and delays of results in milliseconds."""

    utilisation: float
    load: float
    beats: float
    per_s: float
    delay_ms: float
    worst_ms: float
    handle_us: float


class Rank0:
    """One server, in virtual time, with the real Master."""

    def __init__(self, method: str, ranks: int, trial_s: float, costs: Costs) -> None:
        """Have all ranks be ready at the beginning."""
        roster = Roster([*range(1, ranks + 1)], PATIENCE_S, BIG, 0.0)
        self._master = Master(jobs_of(method), roster, Rules(), seed=0)
        self._trial_s, self._costs = trial_s, costs
        self._beat_s = beat_s(ranks, PATIENCE_S)
        self._random = Generator(f"{method}/{ranks}/{trial_s}")  # noqa: S311 - not for secrets
        self._free_at = self._cpu_s = 0.0
        self._serial = self._heard = 0
        self._inbox: list[tuple[float, int, int, Report]] = []
        self._asked_at = dict.fromkeys(roster.workers, 0.0)
        self._spent = {"result": 0.0, "beat": 0.0, "idle": 0.0}
        self._delays: list[float] = []
        for rank in roster.workers:
            self._send(0.0, rank, Ready("here", rank))
            self._send(self._random.uniform(0, self._beat_s), rank, Beat())

    def run(self, warm_s: float, steady_s: float) -> Cell:
        """Let time pass; tell of the steady part of it."""
        self._pass(warm_s)
        self._spent = dict.fromkeys(self._spent, 0.0)
        self._delays.clear()
        began_at, cpu_s, heard = self._free_at, time.process_time(), self._heard
        self._pass(warm_s + steady_s)
        took_s, ranks = self._free_at - began_at, len(self._asked_at)
        delays = sorted(self._delays) or [math.nan]
        return Cell(
            utilisation=1 - self._spent["idle"] / (ranks * took_s),
            load=(self._spent["result"] + self._spent["beat"]) / took_s,
            beats=self._spent["beat"] / took_s,
            per_s=len(self._delays) / took_s,
            delay_ms=statistics.median(delays) * 1e3,
            worst_ms=delays[int(0.99 * len(delays))] * 1e3,
            handle_us=(time.process_time() - cpu_s) / (self._heard - heard) * 1e6,
        )

    def _pass(self, until: float) -> None:
        while self._inbox[0][0] < until:
            at, _, rank, report = heappop(self._inbox)
            self._hear(at, rank, report)

    def _hear(self, at: float, rank: int, report: Report) -> None:
        kind = "beat" if isinstance(report, Beat) else "result"
        cost_s = self._costs.beat_s if kind == "beat" else self._costs.result_s
        begun_at = max(at, self._free_at)
        self._free_at = begun_at + cost_s
        self._heard += 1
        self._spent[kind] += cost_s
        if kind == "beat":
            self._send(at + self._beat_s, rank, report)
        else:
            self._delays.append(begun_at - at)
            self._asked_at[rank] = at - LATENCY_S
        for taker, order in self._master.handle(Heard(rank, report), self._free_at).orders:
            if isinstance(order, Assign):
                self._work(taker, order)

    def _work(self, rank: int, order: Assign) -> None:
        begun_at = self._free_at + LATENCY_S
        self._spent["idle"] += begun_at - self._asked_at[rank]
        value = {"loss": loss(order.attempt.trial, order.resource)}
        answer = Finished(order.attempt, value, order.resource)
        took_s = self._random.expovariate(1 / self._trial_s)
        self._send(begun_at + took_s + LATENCY_S, rank, answer)

    def _send(self, at: float, rank: int, report: Report) -> None:
        self._serial += 1
        heappush(self._inbox, (at, self._serial, rank, report))


def jobs_of(method: str) -> Jobs:
    """Make the jobs of a study of bench_flat.py."""
    searcher = Suggestions(Random(Space({"x": Float(0, 1)}), 0, []))
    scheduler: Scheduler
    scheduler = Asha(searcher, max_resource=81) if method == "asha" else Full(searcher)
    return Jobs(scheduler, searcher, Goal("loss", "min"), max_failures=3)


# -- costs ----------------------------------------------------------------------------------------


def measured_costs(method: str, ranks: int, message_s: float) -> Costs:
    """Measure what a Leader spends; a message is heard and another one sent for each."""
    found = measure(method, TRIALS + ranks, ranks, again=False)
    costs = Costs(found["result_us"] * 1e-6 + message_s, found["beat_us"] * 1e-6 + message_s)
    told = f"{method}, {ranks} ranks: {costs.result_s * 1e6:.1f} us a result, "
    told += f"{costs.beat_s * 1e6:.1f} us a beat: "
    print(f"{told}one master saturates at {1 / costs.result_s:,.0f} results a second", flush=True)
    return costs


def measured_message() -> float:
    """Measure what rank 0 spends in MPI on a message that comes in, and one that leaves."""
    command = [*harness.mpirun(PING_RANKS + 1), sys.executable, __file__, "--ping"]
    # Rank 0 leaves without MPI_Finalize, as in a run: what mpirun says of that is no matter.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[0])


def ping() -> None:
    """Be one of the ranks; rank 0 tells what it has spent, in seconds a pair of messages."""
    from hpmpi.transports import LEADER, mpi  # noqa: PLC0415 - importing it loads MPI

    transport = mpi.connect()
    if transport.rank == LEADER:
        print(serve_pings(transport), flush=True)
    else:
        heard = 0
        while heard < TURNS * BURST:
            for _ in range(came := len(transport.poll(1.0))):
                transport.send(LEADER, bytes(PING_BYTES))
            heard += came
        time.sleep(BIG)  # who leaves first takes the others with it
    os._exit(0)


def serve_pings(transport: Transport) -> float:
    """Send to all, and hear the answers once they are there: the median of the CPU of that."""
    turns = []
    messages = BURST * [*range(1, transport.size)]
    for _ in range(TURNS):
        began_s = time.process_time()
        for rank in messages:
            transport.send(rank, bytes(PING_BYTES))
        spent_s = time.process_time() - began_s
        time.sleep(SETTLE_S)
        began_s, heard = time.process_time(), 0
        while heard < len(messages):
            heard += len(transport.poll(0.0))
        turns.append((spent_s + time.process_time() - began_s) / len(messages))
    return statistics.median(turns)


# -- real ranks -----------------------------------------------------------------------------------


def real(ranks: int, isolation: str, trial_s: float, each: int) -> float:
    """Have ranks sleep; return the wall time over what the trials of each sleep."""
    with tempfile.TemporaryDirectory() as name:
        text = NAPS.format(trial_s=trial_s, trials=ranks * each, isolation=isolation)
        study = harness.study(Path(name), text)
        harness.run([*harness.mpirun(ranks + 1), *harness.hpmpi_run(study)])
        history = harness.history_of(study)
    ended = [attempt.end(history.at) for attempt in harness.results_of(history)]
    assert len(ended) == ranks * each, "all trials have their results"
    began_at = min(attempt.begun for attempt in history.attempts.values())
    return (max(ended) - began_at) / (trial_s * each)


# -- what is told ---------------------------------------------------------------------------------


COLUMNS = {
    "ranks busy": (11, ".2%"),
    "rank 0 busy": (12, ".2%"),
    "by beats": (10, ".2%"),
    "results/s": (11, ",.0f"),
    "delay, ms": (11, ".2f"),
    "99 %": (8, ".1f"),
    "Master, us": (12, ".1f"),
}


def simulated(ranks: list[int], trials_s: list[float]) -> dict[str, object]:
    """Measure what things cost, let all numbers of ranks work, and print what comes of it."""
    message_s = measured_message()
    print(f"MPI takes {message_s * 1e6:.1f} us for a message heard and one sent")
    costs = {
        (method, number): measured_costs(method, number, message_s)
        for method in METHODS
        for number in ranks
    }
    cells = {
        f"{method}, {number} x {trial_s:g} s": Rank0(method, number, trial_s, cost).run(
            WARM * trial_s, STEADY * trial_s
        )
        for (method, number), cost in costs.items()
        for trial_s in trials_s
    }
    print(*harness.table(COLUMNS, cells, first=26), sep="\n")
    most = max(cell.beats for cell in cells.values())
    verdict = "reached" if most <= BEAT_SHARE else "missed"
    print(f"heartbeats take {most:.2%} at most, wanted {BEAT_SHARE:.0%}: {verdict}", flush=True)
    told: dict[str, object] = {
        f"{method}, {number}": cost._asdict() for (method, number), cost in costs.items()
    }
    return {**{title: cell._asdict() for title, cell in cells.items()}, "costs": told}


def main() -> None:
    """Measure, simulate, and tell."""
    options = harness.Options(__doc__)
    add, count = options.add_argument, harness.count()
    add("--ranks", type=count, nargs="*", default=[64, 500, 1000, 10_000], metavar="N")
    add("--trial-s", type=harness.seconds(0.01), nargs="+", default=[1, 10, 60], metavar="S")
    add("--real", type=count, nargs="*", default=[], metavar="N")
    add("--each", type=count, default=4, metavar="N", help="trials a real rank; default: 4")
    add("--ping", action="store_true", help=argparse.SUPPRESS)
    asked = options.read()
    if asked.ping:
        ping()
    report = simulated(asked.ranks, asked.trial_s) if asked.ranks else {}
    for ranks in asked.real:
        for isolation in ("none", "process"):
            over = real(ranks, isolation, asked.trial_s[0], asked.each)
            report[f"{ranks} real, {isolation}"] = over
            verdict = "reached" if over <= MOST_OVER else "missed"
            print(f"{ranks} real ranks, isolation {isolation}: {over:.3f} ", end="")
            print(f"of what trials sleep, wanted {MOST_OVER:g}: {verdict}", flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
