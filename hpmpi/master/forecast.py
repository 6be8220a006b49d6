"""What a study is likely to take: its own scheduler, asked in virtual time by so many ranks.

Rules:

- A job takes as long as what it adds to its trial, in resource; all of it, where nothing is saved.
- Losses are drawn: each trial's is normally distributed, and has at each rung some noise of its
  own, so that neighbouring rungs correlate by 0.8. A curve that is watched is flat, and reported at
  1, 2, 4, ...
- Nothing fails, no rank is lost, and no searcher thinks. Where a study ends when it has reached its
  target, or a plateau, it is told as if it did not.
- Of small studies several are played, and their mean is told.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

import msgspec

from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import OfTrials, Scheduler, Seen
from hpmpi.master.searchers import Searcher
from hpmpi.master.tally import Tally
from hpmpi.model.trial import Config, Job, JobKey, Metrics

NOISE = 0.5
"""The deviation of a loss at a rung, where that of the trials is 1: 1 / (1 + 0.5^2) = 0.8."""

ENOUGH_JOBS = 2000
MOST_PLAYS = 20
"""Studies are played until they have had so many jobs, or there were so many of them."""


class Terms(msgspec.Struct, frozen=True):
    """Under what a study goes on: its rules, and how many ranks work.

    `unit_s`: how long one of the resource takes; `saves`: whether a promoted trial goes on from a
    checkpoint; `metric`: the one that is studied.
    """

    rules: Rules
    ranks: int
    unit_s: float
    saves: bool = True
    metric: str = "loss"

    @property
    def has_end(self) -> bool:
        """Whether anything ends the study that can be known beforehand."""
        rules = self.rules
        return any(
            it is not None for it in (rules.max_trials, rules.time_s, rules.max_resource_total)
        )


class RungForecast(msgspec.Struct, frozen=True):
    """The jobs of a rung, how long each takes in the mean, and how many have ended in time."""

    resource: int
    jobs: float
    each_s: float
    in_time: float


class Forecast(msgspec.Struct, frozen=True):
    """All jobs by rung, how much `work_s` they are together, and when the last one has ended."""

    terms: Terms
    rungs: tuple[RungForecast, ...]
    work_s: float
    ends_s: float


class DoneJob(NamedTuple):
    """A job, by its rung and the resource of that, and from when until when it was in work."""

    rung: int
    resource: int
    began: float
    ended: float


def forecast(make: Callable[[Searcher], Scheduler], terms: Terms) -> Forecast:
    """Tell what a study comes to by its scheduler, which `make` makes; it must have an end."""
    assert terms.has_end, "or it would be played for ever"
    plays: list[list[DoneJob]] = []
    while len(plays) < MOST_PLAYS and sum(map(len, plays)) < ENOUGH_JOBS:
        draws = Random(f"{len(plays)}")  # noqa: S311 - not for secrets
        plays.append(Play(make(Anything()), terms, draws).play())
    by_rung: defaultdict[int, list[DoneJob]] = defaultdict(list)
    for done in (done for play in plays for done in play):
        by_rung[done.rung].append(done)
    return Forecast(
        terms,
        tuple(of_rung(by_rung[rung], len(plays), terms.rules) for rung in sorted(by_rung)),
        work_s=sum(took_s(done) for play in plays for done in play) / len(plays),
        ends_s=sum(max((done.ended for done in play), default=0.0) for play in plays) / len(plays),
    )


def of_rung(jobs: Sequence[DoneJob], plays: int, rules: Rules) -> RungForecast:
    """Take the mean of a rung's jobs over the plays that they are of."""
    return RungForecast(
        resource=jobs[0].resource,
        jobs=len(jobs) / plays,
        each_s=sum(map(took_s, jobs)) / len(jobs),
        in_time=sum(rules.time_s is None or done.ended <= rules.time_s for done in jobs) / plays,
    )


def took_s(done: DoneJob) -> float:
    """Tell how long a job was in work."""
    return done.ended - done.began


class Anything:
    """A searcher that has always another configuration, as nobody looks at it."""

    def ask(self, trial: int) -> Config:
        """Choose nothing."""
        del trial
        return {}

    def adopt(self, trial: int, config: Config) -> None:
        """Have chosen it."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


class AtWork(NamedTuple):
    """A job in work: since when, on from which resource, and to which loss it comes."""

    began: float
    start: int
    loss: float


class Play:
    """One study in virtual time; what its losses are is drawn."""

    def __init__(self, scheduler: Scheduler, terms: Terms, draws: Random) -> None:
        """Begin before the first job."""
        self._scheduler = scheduler
        kind = getattr(type(scheduler), "observe", OfTrials.observe)  # which stops nothing
        self._observe = None if kind is OfTrials.observe else getattr(scheduler, "observe", None)
        self._terms = terms
        self._rules = msgspec.structs.replace(terms.rules, plateau=None)
        self._draws = draws
        self._qualities: dict[int, float] = {}
        self._trained: dict[int, int] = {}
        self._at_work: dict[JobKey, AtWork] = {}
        self._points: list[tuple[float, int, Job, int]] = []
        self._serial = count()
        self._tally = Tally()
        self._done: list[DoneJob] = []

    def play(self) -> list[DoneJob]:
        """Have jobs done until there are no more, or until a study without a last trial ends."""
        self._hand_out(0.0)
        while self._points:
            now, _, job, resource = heappop(self._points)
            if self._rules.max_trials is None and self._rules.time_is_up(now):
                break
            if job.key in self._at_work:
                self._reach(job, resource, now)
                self._hand_out(now)
        return self._done

    def _hand_out(self, now: float) -> None:
        rules, scheduler = self._rules, self._scheduler
        while len(self._at_work) < self._terms.ranks and not rules.is_full(len(self._at_work)):
            may_start = rules.may_start(len(self._qualities))
            enough = rules.enough(self._tally, len(scheduler.rungs) - 1)
            job = scheduler.ask(may_start=may_start, rungs=0 if enough else len(scheduler.rungs))
            if job is None:
                return
            self._begin(job, now)

    def _begin(self, job: Job, now: float) -> None:
        quality = self._qualities.setdefault(job.trial, self._draws.gauss(0.0, 1.0))
        start = self._trained.get(job.trial, 0) if self._terms.saves else 0
        self._at_work[job.key] = AtWork(now, start, quality + self._draws.gauss(0.0, NOISE))
        for resource in points(start if self._observe else job.resource, job.resource):
            reached_at = now + (resource - start) * self._terms.unit_s
            heappush(self._points, (reached_at, next(self._serial), job, resource))

    def _reach(self, job: Job, resource: int, now: float) -> None:
        began, start, loss = self._at_work[job.key]
        metrics = {self._terms.metric: loss}
        if resource < job.resource:
            seen = [Seen(resource, loss, metrics)]
            if self._observe is None or not self._observe(job, seen):
                return
        else:
            self._scheduler.tell(job, loss, metrics)
        del self._at_work[job.key]
        self._trained[job.trial] = resource
        self._tally.spend(start, resource)
        self._done.append(DoneJob(job.rung, job.resource, began, now))


def points(start: int, stop: int) -> Iterator[int]:
    """List where a job reports.

    >>> list(points(0, 9)), list(points(4, 9)), list(points(0, 1))
    ([1, 2, 4, 8, 9], [8, 9], [1])
    """
    powers = (2**power for power in range(start.bit_length(), stop.bit_length()))
    yield from (power for power in powers if power < stop)
    yield stop
