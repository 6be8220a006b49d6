"""How much of what is possible hpmpi's ranks do: beside handing out that costs nothing.

python scripts/bench_asha.py [--workers 8] [--repetitions 5] [--json FILE] [--against DIR]

Trials sleep, so that two cores can show what eight workers do. A study is run, by mpirun and with
local processes; then the same is simulated, event by event, with the same rule, the durations that
the trials really had, and ranks that are ready when the real ones were; in the simulation nothing
else takes any time. Wall time is that from the first order to the last result. The run folder is in
memory, as what a disk takes for checkpoints is not ours.

With 64 workers the real Master hands out, in virtual time: a result takes it COST_S, and what goes
by between an order and its result beside the trial is what it was in the runs by mpirun.
"""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from pathlib import Path
from typing import NamedTuple

import harness
from sleepers import UNIT_S, expected, loss

from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.searchers import Searcher
from hpmpi.master.searchers.random import Random
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.dimensions import Float
from hpmpi.model.events import Heard
from hpmpi.model.messages import Assign, Finished, Ready, Report
from hpmpi.model.records import Entry, Line
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal, Job, JobKey

MEMORY = Path("/dev/shm")  # noqa: S108 - where memory is a folder
COST_S = 0.09e-3
"""As bench_ranks.py measures it."""

WORKERS = 64

BETTER = {"(wall|on_the_way)_s$": harness.LESS}

COLUMNS = {
    "wall, s": (9, ".3f"),
    "ideal, s": (9, ".3f"),
    "share": (9, ".3f"),
    "wanted": (9, ".3f"),
    "again": (9, ".0f"),
    "way, ms": (9, ".2f"),
}

Durations = Callable[[int, int, int], float]
"""How long a job takes, by its trial, its rung, and the resource that is new."""


class Case(NamedTuple):
    """A study: its objective, and what of the machine's time has to be used."""

    objective: str
    trials: int
    eta: int = 0
    max_resource: int = 1
    least: float = 1 / 1.05

    def scheduler(self, searcher: Searcher) -> Scheduler:
        """Make the study's scheduler."""
        if not self.eta:
            return Full(searcher)
        return Asha(searcher, max_resource=self.max_resource, eta=self.eta)

    def toml(self) -> str:
        """Write the study."""
        table = f'method = "asha"\neta = {self.eta}\nmax_resource = {self.max_resource}'
        return (
            f'objective = "sleepers.py:{self.objective}"\nmetric = "loss"\n'
            f'[space]\nx = {{ type = "float", low = 0, high = 1 }}\n'
            f"[stop]\nmax_trials = {self.trials}\n"
            f"[scheduler]\n{table if self.eta else ''}\n"
        )

    def nominal(self, trial: int, _rung: int, units: int) -> float:
        """Tell how long a job should take."""
        return units * UNIT_S if self.eta else expected(trial)


CASES = {
    "200 exponential trials of 50 ms": Case("listed", 200, least=0.97),
    "ASHA, eta 4, R 64": Case("climbing", 256, eta=4, max_resource=64),
    "ASHA, eta 2, R 256": Case("climbing", 256, eta=2, max_resource=256),
}


class Run(NamedTuple):
    """What came of a run: its wall time, that of the simulation, units trained twice, and more.

    `on_the_way_s`: from an order to its result, without the trial; the median.
    """

    wall_s: float
    ideal_s: float
    units_again: int
    on_the_way_s: float = 0.0

    @property
    def share(self) -> float:
        """How much of what was possible was done."""
        return self.ideal_s / self.wall_s


def real(case: Case, launcher: Sequence[str], options: Sequence[str]) -> Run:
    """Run a study; simulate it with what its journal says."""
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        study = harness.study(Path(folder), case.toml())
        harness.run([*launcher, *harness.hpmpi_run(study, *options)])
        history, ready_at = harness.history_of(study), readiness(harness.lines_of(study))
    results = [(it, it.metrics) for it in harness.results_of(history) if it.metrics is not None]
    took = {it.id.job: metrics["took_s"] for it, metrics in results}

    def duration(trial: int, rung: int, units: int) -> float:
        return took.get(JobKey(trial, rung), case.nominal(trial, rung, units))

    began_at = min(it.begun for it in history.attempts.values())
    on_the_way_s = statistics.median(
        it.took_s(history.at) - metrics["took_s"] for it, metrics in results
    )
    ideal_s = simulated(case, [max(0.0, at - began_at) for at in ready_at], duration)
    units = sum(int(metrics.get("units", 0)) for _, metrics in results)
    highest = {it.id.trial: it.resource for it, _ in results if case.eta}
    again = units - sum(highest.values())
    return Run(results[-1][0].end(history.at) - began_at, ideal_s, again, on_the_way_s)


def readiness(lines: Sequence[Line]) -> list[float]:
    """List when ranks were ready."""
    heard = [(it.at, it.event) for it in lines if isinstance(it, Entry)]
    return [at for at, it in heard if isinstance(it, Heard) and isinstance(it.report, Ready)]


def simulated(case: Case, ready_at: list[float], duration: Durations) -> float:
    """Tell when the last result comes where nothing but trials takes time."""
    scheduler = case.scheduler(searcher())
    numbers = count()
    events: list[tuple[float, int, Job | None]] = [(at, next(numbers), None) for at in ready_at]
    heapify(events)
    rungs = len(scheduler.rungs)
    idle, started, now = 0, 0, 0.0
    spent: dict[int, int] = {}
    while events:
        now, _, done = heappop(events)
        if done is not None:
            scheduler.tell(done, value := loss(done.trial, done.resource), {"loss": value})
        idle += 1
        while idle and (job := scheduler.ask(may_start=started < case.trials, rungs=rungs)):
            idle -= 1
            started = max(started, job.trial + 1)
            units = job.resource - spent.get(job.trial, 0)
            spent[job.trial] = job.resource
            end = now + duration(job.trial, job.rung, units)
            heappush(events, (end, next(numbers), job))
    return now


def mastered(case: Case, workers: int, on_the_way_s: float) -> float:
    """Tell when the last result comes where the real Master hands out, in virtual time."""
    roster = Roster([*range(1, workers + 1)], patience_s=1e9, start_s=1e9, now=0.0)
    suggestions = Suggestions(searcher())
    jobs = Jobs(case.scheduler(suggestions), suggestions, Goal("loss", "min"), max_failures=3)
    master = Master(jobs, roster, Rules(max_trials=case.trials), seed=0)
    numbers = count()
    inbox: list[tuple[float, int, int, Report]]
    inbox = [(0.0, next(numbers), rank, Ready("here", rank)) for rank in roster.workers]
    now = 0.0
    while master.outcome is None:
        heard_at, _, rank, report = heappop(inbox)
        now = max(now, heard_at) + COST_S
        for taker, order in master.handle(Heard(rank, report), now).orders:
            if isinstance(order, Assign):
                trial, rung, _ = order.attempt
                took_s = case.nominal(trial, rung, order.resource - order.saved)
                value = {"loss": loss(trial, order.resource)}
                answer = Finished(order.attempt, value, saved=order.resource)
                heard_at = now + took_s + on_the_way_s
                heappush(inbox, (heard_at, next(numbers), taker, answer))
    return now


def searcher() -> Random:
    """Search where nothing is to be found."""
    return Random(Space({"x": Float(0, 1)}), 0, [])


def main() -> None:
    """Run, simulate, and tell."""
    options = harness.Options(__doc__, repetitions=5)
    told = "default: 8"
    options.add_argument("--workers", type=harness.count(), default=8, metavar="N", help=told)
    asked = options.read(BETTER)
    mpirun = harness.mpirun(asked.workers + 1)
    ways: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        f"{asked.workers} by mpirun": (mpirun, ()),
        f"{asked.workers} without isolation": (mpirun, ("--set", "run.isolation=none")),
        f"{asked.workers} local": ((), ("--workers", str(asked.workers))),
    }
    measures = {
        f"{title}; {way}": partial(real, case, *words)
        for title, case in CASES.items()
        for way, words in ways.items()
    }
    runs = harness.turns(measures, asked.repetitions)
    for title, case in CASES.items():
        ideal_s = simulated(case, [0.0] * WORKERS, case.nominal)
        by_mpirun = runs[f"{title}; {asked.workers} by mpirun"]
        on_the_way_s = statistics.median(run.on_the_way_s for run in by_mpirun)
        mastered_s = mastered(case, WORKERS, on_the_way_s)
        runs[f"{title}; {WORKERS} simulated"] = [Run(mastered_s, ideal_s, 0, on_the_way_s)]
    rows = {name: summary(name, those) for name, those in runs.items()}
    print(*harness.table(COLUMNS, rows, first=52), sep="\n")
    harness.write(
        asked.json, {name: [it._asdict() for it in those] for name, those in runs.items()}
    )


def summary(name: str, runs: list[Run]) -> list[float]:
    """Sum up the repetitions."""
    told = [(it.wall_s, it.ideal_s, it.share, 1e3 * it.on_the_way_s) for it in runs]
    wall_s, ideal_s, share, way_ms = map(statistics.median, zip(*told, strict=True))
    least = CASES[name.partition(";")[0]].least
    return [wall_s, ideal_s, share, least, sum(it.units_again for it in runs), way_ms]


if __name__ == "__main__":
    main()
