"""Whether ranks wait for `gp`, and what it thinks: rank 0's part of it in virtual time.

python scripts/bench_ahead.py [--ranks 1 64] [--results 1000 10000] [--trial-s 1] [--schedulers ...]
    [--asks 100] [--json FILE]

The real Master, and the real searcher as rank 0 has it, but its process is one in virtual time: an
order takes it as long as it takes CPU here, one after the other. Ranks take an exponential time for
a job, of the same mean. First so many results are told, of random configurations; then the study
goes on until so many asks were answered. Told is the share of time that ranks are busy, the CPU of
an ask, models and hyperparameters in it, and by how many results suggestions were behind at most.
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from heapq import heappop, heappush
from pathlib import Path
from random import Random as Generator
from typing import Any
from unittest.mock import patch

import harness
import msgspec

from hpmpi.leader import remote_searcher
from hpmpi.leader.remote_searcher import Ask, Order, RemoteSearcher
from hpmpi.leader.searcher_process import obey
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.searchers.random import Random
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.events import Event, Heard, Tick
from hpmpi.model.messages import Assign, Finished, Ready
from hpmpi.model.trial import Config
from hpmpi.study import checks, methods
from hpmpi.study.settings import Settings

BIG = 1e12

STUDY: dict[str, Any] = {
    "name": "bench",
    "objective": "none:none",
    "searcher": {"method": "gp"},
    "space": {
        **{f"x{place}": {"type": "float", "low": 0.0, "high": 1.0} for place in range(4)},
        "units": {"type": "int", "low": 8, "high": 512, "log": True},
        "solver": {"type": "choice", "values": ["adam", "lbfgs", "sgd"]},
    },
}
SCHEDULERS = {"full": {"method": "full"}, "asha": {"method": "asha", "max_resource": 27}}

MOST_MS = {1: 50.0, 64: 2.0}
LEAST_BUSY = 0.97
"""What is wanted: of an ask in the mean, by ranks, and of 64 ranks with trials of a second."""


def loss_of(config: Config) -> float:
    """Have a valley in all dimensions."""
    bowl = sum((config[f"x{place}"] - 0.2 * place) ** 2 for place in range(4))
    return float(bowl + abs(config["units"] - 100) / 500 + (config["solver"] == "sgd"))


class VirtualProcess:
    """The searcher's process, which is its own connection, too."""

    closed = False

    def __init__(self, study: Settings, ranks: int) -> None:
        """Have it idle at the beginning; `now` is rank 0's time."""
        self.frames = self.output = self
        self.searcher = methods.build_searcher(study, ranks=ranks)
        self.now = self._free_at = 0.0
        self.asks_s: list[float] = []
        self._answers: deque[tuple[float, bytes]] = deque()
        self._decode = msgspec.msgpack.Decoder(list[Order]).decode

    def send(self, message: bytes) -> None:
        """Do what is ordered, each order when those before it are done."""
        for order in self._decode(message):
            if isinstance(order, remote_searcher.Study):
                continue
            began_s = time.process_time()
            answer = obey(self.searcher, order)
            took_s = time.process_time() - began_s
            self._free_at = max(self._free_at, self.now) + took_s
            if isinstance(order, Ask):
                self.asks_s.append(took_s)
            if answer is not None:
                self._answers.append((self._free_at, msgspec.msgpack.encode(answer)))

    def receive(self) -> list[bytes]:
        """Give the answers that are there by now."""
        news = []
        while self._answers and self._answers[0][0] <= self.now:
            news.append(self._answers.popleft()[1])
        return news

    @property
    def answers_at(self) -> float:
        """When the next answer is there."""
        return self._answers[0][0] if self._answers else BIG

    def flush(self) -> None:
        """Have nothing that waits."""

    def trim(self) -> None:
        """Print nothing."""


class Course:
    """A study in virtual time."""

    def __init__(self, scheduler: str, ranks: int, trial_s: float) -> None:
        """Have all ranks be ready at the beginning."""
        study = checks.check({**STUDY, "scheduler": SCHEDULERS[scheduler]})
        self.process = VirtualProcess(study, ranks)
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.object(remote_searcher, "ProcessBeside", lambda *_: self.process),
        ):
            self.remote = RemoteSearcher(study, Path(), Path(folder), ranks=ranks)
        self._study, self._trial_s = study, trial_s
        suggestions = Suggestions(self.remote)
        jobs = Jobs(methods.build_scheduler(study, suggestions), suggestions, study.goal, 1)
        self._master = Master(jobs, Roster([*range(1, ranks + 1)], BIG, BIG, 0.0), Rules(), 0)
        self._random = Generator(f"{scheduler}/{ranks}")  # noqa: S311 - not for secrets
        self._inbox: list[tuple[float, int, Heard]] = []
        self._orders: dict[int, Assign] = {}
        self._serial = self.results = self.behind = 0
        self._idle_since = dict.fromkeys(range(1, ranks + 1), 0.0)
        self.idle_s = 0.0
        for rank in range(1, ranks + 1):
            self._later(0.0, Heard(rank, Ready("here", rank)))

    def know(self, results: int) -> None:
        """Have the searcher know so many results, of trials of another study."""
        random = Random(methods.space_of(self._study), 7, [])
        for trial in range(results):
            config = random.ask(trial)
            assert isinstance(config, dict), "floats have no end"
            self.process.searcher.learn(config, 0, 1, loss_of(config), {})

    def run(self, asks: int) -> None:
        """Let time pass until so many asks were answered."""
        while len(self.process.asks_s) < asks:
            if not self._inbox or self.process.answers_at < self._inbox[0][0]:
                self.process.now = self.process.answers_at
            else:
                self.process.now, _, event = heappop(self._inbox)
                self._handle(event)
            if self.remote.poll() and self._master.jobs.scheduler.awaits:
                self._handle(Tick())

    def _handle(self, event: Event) -> None:
        reaction = self._master.handle(event, self.process.now)
        self.remote.send()
        if isinstance(event, Heard) and isinstance(event.report, Finished):
            self.results += 1
            self._idle_since[event.rank] = self.process.now
        for suggested in reaction.entry.suggested if reaction.entry else ():
            self.behind = max(self.behind, self.results - suggested.after)
        for rank, order in reaction.orders:
            if isinstance(order, Assign):
                takes_s = self._random.expovariate(1 / self._trial_s)
                self.idle_s += self.process.now - self._idle_since[rank]
                metrics = {"loss": loss_of(order.config) / order.resource}
                self._later(takes_s, Heard(rank, Finished(order.attempt, metrics)))

    def _later(self, seconds: float, event: Heard) -> None:
        self._serial += 1
        heappush(self._inbox, (self.process.now + seconds, self._serial, event))


def measured(scheduler: str, ranks: int, results: int, asked: argparse.Namespace) -> list[float]:
    """Let a study run; return the share of time that ranks are busy, ms an ask, and how late."""
    course = Course(scheduler, ranks, asked.trial_s)
    course.know(results)
    course.run(max(asked.asks, 4 * ranks))  # who is busy at first is not all that counts
    began_s, asks, idle_s = course.process.now, len(course.process.asks_s), course.idle_s
    course.run(asks + max(asked.asks, 4 * ranks))
    share = 1 - (course.idle_s - idle_s) / (ranks * (course.process.now - began_s))
    return [share, statistics.fmean(course.process.asks_s[asks:]) * 1e3, course.behind]


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__ or "")
    add, count = options.add_argument, harness.count()
    add("--ranks", type=count, nargs="+", default=[1, 64], metavar="N")
    add("--results", type=count, nargs="+", default=[1000, 10_000], metavar="N")
    add("--trial-s", type=harness.seconds(0.001), default=1.0, metavar="S")
    add("--schedulers", nargs="+", choices=SCHEDULERS, default=[*SCHEDULERS])
    add("--asks", type=count, default=100, metavar="N", help="at least so many count")
    asked = options.read()
    report = {}
    for scheduler in asked.schedulers:
        for ranks in asked.ranks:
            for results in asked.results:
                title = f"{scheduler}, {ranks} ranks, {results} results"
                report[title] = busy, ms, behind = measured(scheduler, ranks, results, asked)
                print(f"{title}: {behind:.0f} results behind at most", flush=True)
                if ranks in MOST_MS:
                    print(f"  ms an ask {harness.verdict(ms, MOST_MS[ranks], harness.LESS)}")
                print(f"  ranks busy {harness.verdict(busy, LEAST_BUSY)}", flush=True)
    harness.write(asked.json, report)


if __name__ == "__main__":
    main()
