"""Laws over whole runs of every scheduler: the real master, and ranks that answer in any order."""

from collections import Counter
from collections.abc import Callable
from random import Random as Generator
from typing import NamedTuple

import pytest

from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.reaction import Reaction
from hpmpi.master.restart import redo
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.schedulers.hyperband import Hyperband
from hpmpi.master.schedulers.median import Median
from hpmpi.master.schedulers.pasha import Pasha
from hpmpi.master.schedulers.sha import Sha
from hpmpi.master.schedulers.top import Top
from hpmpi.master.searchers import Over, Searcher
from hpmpi.master.searchers.list import List
from hpmpi.master.searchers.random import Random as RandomSearch
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.events import Event, Heard, Interrupted, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Point,
    Progress,
    Ready,
    Report,
)
from hpmpi.model.records import Assigned, Decision, Entry, Failure, Line, Result, Started, Stopped
from hpmpi.model.trial import Goal, JobKey
from tests.harness.build import SPACE, Elsewhere

SCHEDULERS: dict[str, Callable[[Searcher], Scheduler]] = {
    "asha": lambda searcher: Asha(searcher, max_resource=9),
    "asha with delay": lambda searcher: Asha(searcher, max_resource=9, delay=True),
    "full": lambda searcher: Full(searcher, max_resource=9),
    "hyperband": lambda searcher: Hyperband(searcher, max_resource=9),
    "median": lambda searcher: Median(searcher, max_resource=9, min_trials=2),
    "pasha": lambda searcher: Pasha(searcher, max_resource=27),
    "sha": lambda searcher: Sha(searcher, max_resource=9),
    "top": lambda searcher: Top(searcher, max_resource=9),
}

TRIALS = 40
SEEDS = range(8)

every_scheduler = pytest.mark.parametrize("name", SCHEDULERS)
every_seed = pytest.mark.parametrize("seed", SEEDS)


class Rank(NamedTuple):
    """A rank at work: its order, how far it is, and whether it was told to leave it."""

    order: Assign
    reached: int = 0
    cancelled: bool = False


class Run:
    """A study that is led by the master; what ranks say follows from the seed, trial by trial."""

    def __init__(
        self, name: str, seed: int, searcher: Callable[[], Searcher] | None = None, ranks: int = 5
    ) -> None:
        """Begin."""
        self.lines: list[Line] = []
        self.random = Generator(seed)  # noqa: S311 - not for secrets
        self._seed = seed
        self._name = name
        self._searcher = searcher or (lambda: Elsewhere(0))
        self._ranks = list(range(1, ranks + 1))
        self._now = 0.0
        self.begin(self.jobs())

    def jobs(self) -> Jobs:
        """Derive the jobs from the journal alone."""
        suggestions = Suggestions(self._searcher())
        scheduler = SCHEDULERS[self._name](suggestions)
        jobs = Jobs(scheduler, suggestions, Goal("loss", "min"), max_failures=3)
        for line in self.lines:
            redo(jobs, line)
        assert jobs.scheduler.error is None
        return jobs

    def begin(self, jobs: Jobs) -> None:
        """Start a master, with ranks that know of nothing."""
        started = Started(self._now, "0", "", "", len(self._ranks), jobs.scheduler.rungs)
        redo(jobs, started)
        self.lines.append(started)
        self.busy: dict[int, Rank] = {}
        roster = Roster(self._ranks, 1e9, 1e9, self._now)
        self.master = Master(jobs, roster, Rules(max_trials=TRIALS), seed=0)
        if jobs.interrupted and self._seed % 2:
            self.handle(Interrupted({}))
        for rank in self._ranks:
            self.hear(rank, Ready("host", rank))

    def derive(self) -> None:
        """Go on with jobs that are derived from the journal, and nothing else of them."""
        self.master.jobs = self.jobs()

    def to_end(self, *, derives_every: int = 0, restarts_every: int = 0) -> None:
        """Let things happen until the study is over; rank 0 derives all anew every so many."""
        for step in range(1, 10_000):
            if self.master.outcome is not None:
                return
            if derives_every and step % derives_every == 0:
                self.derive()
            if restarts_every and step % restarts_every == 0:
                self.begin(self.jobs())
            self.step()
        raise AssertionError("every study comes to its end")

    def step(self) -> None:
        """Have a rank at work say something, or time pass."""
        if not self.busy or self.random.random() < 0.1:
            self.handle(Tick())
            return
        rank = self.random.choice(list(self.busy))
        at_work = self.busy[rank]
        report = self.report(at_work)
        if isinstance(report, Progress):
            self.busy[rank] = at_work._replace(reached=report.points[-1].resource)
        else:
            del self.busy[rank]
        self.hear(rank, report)

    def report(self, rank: Rank) -> Report:
        """Say what a rank at work has to say."""
        order, attempt = rank.order, rank.order.attempt
        draw = Generator(f"{self._seed}/{attempt}").random  # noqa: S311 - not for secrets
        if rank.cancelled:
            return Cancelled(attempt)
        if rank.reached + 2 < order.resource:
            at = rank.reached + 2
            return Progress(attempt, [Point(at, {"loss": self.loss(attempt.trial, at)})])
        if draw() < 0.1:
            kind = FailureKind.BAD_VALUE if draw() < 0.5 else FailureKind.CRASH
            return Failed(attempt, kind, "no")
        loss = float("nan") if draw() < 0.05 else self.loss(attempt.trial, order.resource)
        return Finished(attempt, {"loss": loss}, saved=order.resource)

    def loss(self, trial: int, resource: int) -> float:
        """Tell what a trial comes to; ties are frequent."""
        draw = Generator(f"{self._seed}/{trial}/{resource}").random  # noqa: S311
        level = Generator(f"{self._seed}/{trial}").random()  # noqa: S311
        return round(level + 0.2 * draw() + 1 / resource, 1)

    def hear(self, rank: int, report: Report) -> None:
        """Have the master hear a report."""
        self.handle(Heard(rank, report))

    def handle(self, event: Event) -> None:
        """Have something happen, and do what the master wants done."""
        self._now += 1.0
        reaction: Reaction = self.master.handle(event, self._now)
        assert self.master.jobs.scheduler.error is None
        if reaction.entry is not None:
            self.lines.append(reaction.entry)
        for order in reaction.orders:
            self.obey(order)

    def obey(self, tell: Tell) -> None:
        """Have a rank do what it is told."""
        match tell.order:
            case Assign() as order:
                assert tell.rank not in self.busy
                self.busy[tell.rank] = Rank(order)
            case Cancel():
                if tell.rank in self.busy:
                    self.busy[tell.rank] = self.busy[tell.rank]._replace(cancelled=True)
            case _:
                pass

    @property
    def decisions(self) -> list[Decision]:
        """All that was decided."""
        return [it for line in self.lines if isinstance(line, Entry) for it in line.decisions]


def check(run: Run) -> None:
    """Check what holds for every run to the end, whatever has happened."""
    assert run.master.outcome is Outcome.COMPLETE
    begun: dict[JobKey, int] = {}
    closed: set[JobKey] = set()
    over: set[int] = set()
    given_up: set[int] = set()
    for decision in run.decisions:
        match decision:
            case Assigned(attempt=attempt):
                assert attempt.job not in closed, "there is one job for a trial and rung"
                assert attempt.trial not in over
                assert attempt.trial not in given_up, "who was given up is never promoted"
                assert attempt.number == begun.get(attempt.job, 0) + 1
                begun[attempt.job] = attempt.number
            case Result(attempt=attempt) | Failure(attempt=attempt, final=True):
                closed.add(attempt.job)
                over.update(decision.over)
                given_up |= {attempt.trial} if isinstance(decision, Failure) else set()
            case Stopped(attempt=attempt):
                closed.add(attempt.job)
                over.add(attempt.trial)
            case _:
                pass
    assert closed == set(begun), "no job is left"
    assert {key.trial for key in begun} == set(range(TRIALS)), "there are as many as may be"


@every_scheduler
@every_seed
def test_a_run_comes_to_its_end_with_all_of_its_trials(name: str, seed: int) -> None:
    run = Run(name, seed)
    run.to_end()
    check(run)


@every_scheduler
@every_seed
def test_jobs_that_are_derived_in_mid_run_change_nothing_that_follows(name: str, seed: int) -> None:
    run, other = Run(name, seed), Run(name, seed)
    run.to_end()
    other.to_end(derives_every=7 + seed)
    assert list(map(repr, other.lines)) == list(map(repr, run.lines))  # nan is nothing's equal


@every_scheduler
@every_seed
def test_a_run_that_is_started_again_and_again_comes_to_its_end(name: str, seed: int) -> None:
    run = Run(name, seed)
    run.to_end(restarts_every=20 + seed)
    assert sum(isinstance(line, Started) for line in run.lines) > 2
    check(run)


@every_scheduler
@every_seed
def test_a_searcher_that_thinks_for_long_is_waited_for(name: str, seed: int) -> None:
    def searcher() -> Searcher:
        mood = Generator(seed)  # noqa: S311 - not for secrets
        return Elsewhere(0, thinks=lambda: mood.random() < 0.7)

    run = Run(name, seed, searcher)
    run.to_end(restarts_every=50 + seed)
    check(run)


@every_scheduler
@every_seed
def test_where_the_searcher_has_no_other_the_run_ends(name: str, seed: int) -> None:
    asked = map(RandomSearch(SPACE, 0, []).ask, range(TRIALS))
    candidates = [config for config in asked if not isinstance(config, Over)]
    run = Run(name, seed, lambda: List(SPACE, 0, [], candidates=candidates))
    run.master._rules = Rules()
    run.to_end()
    check(run)


@every_scheduler
def test_who_comes_far_is_as_many_as_the_scheduler_says(name: str) -> None:
    run = Run(name, 1)
    run.to_end()
    counts = Counter(it.attempt.rung for it in run.decisions if isinstance(it, Result))
    gone_on = Counter(it.attempt.rung for it in run.decisions if isinstance(it, Assigned))
    stopped = sum(isinstance(it, Stopped) for it in run.decisions)
    match name:
        case "full":
            assert set(counts) == {0}
        case "top":
            assert 0 < counts[1] <= 3
        case "median":
            assert 5 < stopped < 30
        case "sha":
            assert counts[0] > 15 >= counts[1] > 5 >= counts[2] > 0, "there are five batches"
        case _:
            assert counts[0] > counts[1] > counts[2] > 0
    assert stopped == 0 or name == "median"
    assert gone_on[0] >= counts[0]
