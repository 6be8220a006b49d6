"""A study in virtual time: the real Master, over recorded curves (searched.py).

A job takes the seconds that its levels were recorded with; nothing else takes any time, a searcher
least of all: what it is asked for is there at once, and knows of all results so far. Where the
scheduler looks at learning curves, each level of them is reported when it is reached.
"""

import inspect
import json
import math
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, NamedTuple

import msgspec
import numpy as np
from optuna_beside import OPTUNA
from searched import Problem

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import OfTrials, Scheduler
from hpmpi.master.searchers import Searcher
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.events import Heard
from hpmpi.model.messages import (
    Assign,
    Cancel,
    Cancelled,
    Finished,
    Point,
    Progress,
    Ready,
    Report,
)
from hpmpi.model.trial import Config, Goal
from hpmpi.study.references import builtin, find

BIG = 1e12

NOT_MEASURED = {"list"}
"""Searchers that must be told what to try."""

SEARCHERS = [it for it in builtin(hpmpi.master.searchers) if it not in NOT_MEASURED]
SCHEDULERS = builtin(hpmpi.master.schedulers)


class Method(NamedTuple):
    """A searcher or scheduler by its name, and what of its table is set."""

    name: str
    settings: dict[str, Any]


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is measured, on what, and for how long.

    It ends after the last of so many trainings' `worth`; where there is none, when all of so many
    `trials` are what they can be.
    """

    problem: str
    searcher: str
    scheduler: str
    workers: int
    worth: tuple[int, ...] = ()
    trials: int | None = None
    prior: str = ""

    def __str__(self) -> str:
        """Name it."""
        prior = self.prior and f", prior {self.prior}"
        return f"{self.problem}{prior}, {self.searcher}, {self.scheduler}, W={self.workers}"


class Course(msgspec.Struct, frozen=True, array_like=True):
    """What came of one study.

    `regrets`: after each worth, or at the end; `good_after`: from when on
    the incumbent was among the best hundredth, and `took` until the end, in mean full trainings on
    one worker, times the workers; `spent`: the resource of all results, in full trainings;
    `ask_ms`: the CPU of an ask.
    """

    regrets: list[float]
    good_after: float | None
    took: float
    spent: float
    ask_ms: float


def method(text: str) -> Method:
    """Read `NAME KEY=VALUE ...`; raises ValueError for what is no setting.

    >>> method("asha delay=true min_resource=3")
    Method(name='asha', settings={'delay': True, 'min_resource': 3})
    """
    name, *settings = text.split()
    return Method(name, dict(setting(each) for each in settings))


def setting(text: str) -> tuple[str, Any]:
    """Read a word, a number, or whatever JSON has."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def course(case: Case, problem: Problem, seed: int) -> Course:
    """Run a study to its end; raises SettingsError for what does not go together."""
    simulation = Simulation(case, problem, seed)
    regrets: list[float] = []
    full_s = float(np.nansum(problem.seconds, axis=1).mean()) / case.workers
    good, good_after = problem.good - problem.least, None
    while simulation.step():
        passed = [it for it in case.worth if simulation.spent >= it * problem.levels]
        regrets += [simulation.regret] * (len(passed) - len(regrets))
        if simulation.regret > good:
            good_after = None
        elif good_after is None:
            good_after = rounded(simulation.now / full_s)
        if case.worth and len(regrets) == len(case.worth):
            break
    regrets += [simulation.regret] * (max(len(case.worth), 1) - len(regrets))
    return Course(
        [*map(rounded, regrets)],
        good_after,
        rounded(simulation.now / full_s),
        rounded(simulation.spent / problem.levels),
        rounded(simulation.searcher.ask_ms),
    )


def rounded(value: float) -> float:
    """Round to five digits: more is not known, and would fill the file."""
    return float(f"{value:.5g}")


class Timed:
    """A searcher, and the CPU of its answers."""

    def __init__(self, searcher: Searcher) -> None:
        """Have asked nothing yet."""
        self._searcher = searcher
        self.adopt, self.tell = searcher.adopt, searcher.tell
        self._asks, self._cpu_s = 0, 0.0

    def ask(self, trial: int) -> Any:
        """Ask it."""
        began_s = time.process_time()
        suggestion = self._searcher.ask(trial)
        self._cpu_s += time.process_time() - began_s
        self._asks += 1
        return suggestion

    @property
    def ask_ms(self) -> float:
        """How long an answer took in the mean."""
        return self._cpu_s / max(self._asks, 1) * 1e3


class Simulation:
    """Ranks that work through recorded curves."""

    def __init__(self, case: Case, problem: Problem, seed: int) -> None:
        """Have all ranks be ready at the beginning."""
        ranks = [*range(1, case.workers + 1)]
        rungs = tuple(scheduler_of(case, problem, Idle()).rungs)
        self.searcher = Timed(searcher_of(case, problem, seed, rungs))
        suggestions = Suggestions(self.searcher)
        scheduler = scheduler_of(case, problem, suggestions)
        jobs = Jobs(scheduler, suggestions, Goal("loss", "min"), max_failures=1)
        rules = Rules(max_trials=case.trials)
        self._master = Master(jobs, Roster(ranks, BIG, BIG, 0.0), rules, seed)
        self._problem = problem
        final = np.nan_to_num(problem.losses[:, -1], nan=problem.worst)
        self._regrets = final - problem.least
        self._is_watched = getattr(type(scheduler), "observe", None) is not OfTrials.observe
        self._inbox: list[tuple[float, int, int, Report]] = []
        self._serial = 0
        self._reached: dict[int, int] = {}
        self._rows: dict[int, int] = {}
        self._held: dict[int, Assign] = {}
        self._best = (0, math.inf, -1)
        self.spent = 0
        self.now = 0.0
        for rank in ranks:
            self._send(0.0, rank, Ready("here", rank))

    def step(self) -> bool:
        """Let the next thing happen; false when there is none."""
        if not self._inbox or self._master.outcome is not None:
            return False
        at, _, rank, report = heappop(self._inbox)
        if isinstance(report, Progress | Finished):
            if rank not in self._held or self._held[rank].attempt != report.attempt:
                return True  # it was cancelled
            self._note(rank, report)
        self.now = at
        for told in self._master.handle(Heard(rank, report), self.now).orders:
            match told.order:
                case Assign():
                    self._work(told.rank, told.order)
                case Cancel():
                    del self._held[told.rank]
                    self._send(self.now, told.rank, Cancelled(told.order.attempt))
        if self._master.jobs.scheduler.error is not None:
            raise self._master.jobs.scheduler.error
        return True

    @property
    def regret(self) -> float:
        """How far the incumbent will be from the least that is known, when it is fully trained.

        Where there is none yet, or it diverges later, that is how far the worst is.
        """
        return float(self._regrets[self._best[2]] if self._best[0] else self._regrets.max())

    def _work(self, rank: int, order: Assign) -> None:
        """Have a rank go through the levels of a job, from where the trial was."""
        trial, problem = order.attempt.trial, self._problem
        if trial not in self._rows:
            self._rows[trial] = problem.row(order.config)
        row, begun = self._rows[trial], self._reached.get(trial, 0)
        ends = self.now + np.nancumsum(problem.seconds[row, begun : order.resource])
        losses = problem.losses[row, begun : order.resource]
        self._held[rank] = order
        if self._is_watched:
            levels = range(begun + 1, order.resource)
            for level, end, loss in zip(levels, ends[:-1], losses[:-1], strict=True):
                point = Point(level, {"loss": float(loss)})
                self._send(float(end), rank, Progress(order.attempt, [point]))
        self._send(float(ends[-1]), rank, Finished(order.attempt, {"loss": float(losses[-1])}))

    def _note(self, rank: int, report: Progress | Finished) -> None:
        """Count what was spent; who is best at the highest rung is the incumbent."""
        trial, order = report.attempt.trial, self._held[rank]
        is_over = isinstance(report, Finished)
        level = order.resource if is_over else report.points[-1].resource
        self.spent += level - self._reached.get(trial, 0)
        self._reached[trial] = level
        if is_over:
            del self._held[rank]
            loss = report.metrics["loss"]
            if not math.isnan(loss):
                place = (-level, loss, self._rows[trial])
                self._best = min(self._best, place, key=lambda it: it[:2])

    def _send(self, at: float, rank: int, report: Report) -> None:
        self._serial += 1
        heappush(self._inbox, (at, self._serial, rank, report))


class Idle:
    """A searcher for a scheduler that is only asked for its rungs."""

    def ask(self, trial: int) -> Any:
        """Is not asked."""

    def adopt(self, trial: int, config: Config) -> None:
        """Is not told."""

    def tell(self, *result: object) -> None:
        """Is not told."""


def searcher_of(case: Case, problem: Problem, seed: int, rungs: tuple[int, ...]) -> Searcher:
    """Make the searcher; raises SettingsError where it does not go with the space."""
    name, settings = method(case.searcher)
    if name in OPTUNA:
        return OPTUNA[name](problem.space, seed)
    kind: Callable[..., Searcher] = find(name, hpmpi.master.searchers)
    named = inspect.signature(kind).parameters
    for key, value in (("rungs", rungs), ("ranks", case.workers)):
        if key in named:
            settings[key] = value
    return kind(problem.space, seed, [], **settings)


def scheduler_of(case: Case, problem: Problem, searcher: Any) -> Scheduler:
    """Make the scheduler."""
    name, settings = method(case.scheduler)
    kind: Callable[..., Scheduler] = find(name, hpmpi.master.schedulers)
    return kind(searcher, max_resource=problem.levels, **settings)
