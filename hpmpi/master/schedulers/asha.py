"""ASHA, the promotion form: asynchronous successive halving.

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020 (arXiv 1810.05934),
Algorithm 2. When a rank is free, the best trial of a rung that is in the rung's top 1/eta and was
not promoted yet goes on to the next rung; rungs are looked through from the top down; where none
has one, a new trial starts at the bottom.

Rules that the paper leaves open:

- Rungs are r, r*eta, r*eta^2, ... by exact multiplication, and the top one trains to R itself; but
  where R is more than sqrt(eta) times the last of them, it is a rung of its own above it: a step of
  much more than eta would cost more than it saves.
- Ties go to the result that came in earlier.
- A result that is no number, and a job that was given up, count in the rung as the worst, and are
  never promoted.
- Promoted trials stay in the ranking. Promotion is marked when the job is asked for.

With `delay` it is D-ASHA (Li et al., Hyper-Tune, VLDB 2022, arXiv 2201.06834): no more trials are
promoted from a rung than 1/eta of its results. Of m promoted ones and n results, the next must have
(m + 1) / n <= 1 / eta. Without, each new result may push another into the top, so more are.

By several metrics a rung is ranked as hpmpi.master.ranking says.
"""

from heapq import heapify, heappop, heappush, heappushpop
from typing import Annotated

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.master.ranking import FrontRung
from hpmpi.master.schedulers import OfTrials
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import WORST, Goal, Job, Metrics

Positive = Annotated[int, msgspec.Meta(ge=1)]
Eta = Annotated[int, msgspec.Meta(ge=2)]


class Asha(OfTrials):
    """Promote one trial in `eta` from each rung to the next, as soon as it is among the best."""

    def __init__(  # noqa: PLR0913 - the settings, and the goal
        self,
        searcher: Searcher,
        *,
        max_resource: Positive,
        min_resource: Positive = 1,
        eta: Eta = 3,
        delay: bool = False,
        goal: Goal | None = None,
    ) -> None:
        """Raise SettingsError where there is no rung."""
        super().__init__(searcher)
        self._resources = ladder(min_resource, max_resource, eta)
        self._rungs = [rung_of(goal, eta, delay=delay) for _ in self._resources]

    @property
    def rungs(self) -> tuple[int, ...]:
        """The resource of each rung, lowest first."""
        return self._resources

    @property
    def promotable(self) -> bool:
        """Whether any rung has a trial that may go on."""
        return any(rung.promotable for rung in self._rungs[: len(self.rungs) - 1])

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Promote if any rung allows it, else start a trial (Algorithm 2, get_job)."""
        for rung in reversed(range(rungs - 1)):
            trial = self._rungs[rung].promote()
            if trial is not None:
                above = rung + 1
                return Job(trial, above, self._resources[above], self._trials.configs[trial])
        return self._trials.new(self._resources[0], may_start=may_start and rungs > 0)

    def adopt(self, job: Job) -> None:
        """Have promoted the trial of a job, or started it."""
        if job.rung:
            self._rungs[job.rung - 1].adopt(job.trial)
        else:
            self._trials.adopt(job)

    def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
        """Rank a result in its rung."""
        self._rungs[job.rung].add(job.trial, loss, metrics)
        self._trials.tell(job, loss, metrics)
        over = job.rung == len(self._rungs) - 1 or loss == WORST
        return [job.trial] if over else []


def ladder(low: int, high: int, eta: int) -> tuple[int, ...]:
    """List the resources of the rungs; raises SettingsError where there are none.

    >>> ladder(1, 81, 3), ladder(1, 100, 3), ladder(1, 80, 3), ladder(5, 5, 2)
    ((1, 3, 9, 27, 81), (1, 3, 9, 27, 100), (1, 3, 9, 27, 80), (5,))
    """
    if low > high:
        given, limit = f"scheduler.min_resource = {low}", f"scheduler.max_resource = {high}"
        raise SettingsError([f"{given} must not be greater than {limit}"])
    rungs = [low]
    while rungs[-1] * eta <= high:
        rungs.append(rungs[-1] * eta)
    is_apart = high**2 > eta * rungs[-1] ** 2  # more than sqrt(eta) times, exactly
    return (*rungs, high) if is_apart else (*rungs[:-1], high)


def rung_of(goal: Goal | None, eta: int, *, delay: bool = False) -> "Rung | FrontRung":
    """Begin a rung; without a goal, one that is ranked by one loss."""
    if goal is None or not goal.others:
        return Rung(eta, delay=delay)
    return FrontRung(goal, eta, delay=delay)


class Rung:
    """The results of one rung; finds the best trial that may be promoted, in O(log n).

    A result's place is (loss, arrival). The n results are split in two heaps: `_top` has the best
    floor(n / eta), worst first; `_rest` has the others, best first. The best result that was not
    promoted may be promoted if it is no worse than the worst of the top; with `delay`, not beyond
    floor(n / eta) promotions.
    """

    def __init__(self, eta: int, *, delay: bool = False) -> None:
        """Start without results."""
        self._eta = eta
        self._delay = delay
        self._promoted = 0
        self._trials: list[int] = []
        self._top: list[tuple[float, int]] = []
        self._rest: list[tuple[float, int]] = []
        self._waiting: list[tuple[float, int]] = []

    def add(self, trial: int, loss: float, metrics: Metrics) -> None:
        """Rank a result."""
        del metrics
        place = (loss, len(self._trials))
        self._trials.append(trial)
        if loss < WORST:
            heappush(self._waiting, place)
        self._rank(place)

    @property
    def promotable(self) -> bool:
        """Whether a trial of this rung may go on."""
        if not self._waiting or not self._top:
            return False
        if self._delay and self._promoted >= len(self._top):
            return False
        return self._waiting[0] <= negated(self._top[0])

    def promote(self) -> int | None:
        """Mark as promoted, and return, the best trial that may be (Algorithm 2, line 15)."""
        if not self.promotable:
            return None
        self._promoted += 1
        return self._trials[heappop(self._waiting)[1]]

    def adopt(self, trial: int) -> None:
        """Have promoted a trial, the best that may be or not."""
        places = (place for place in self._waiting if self._trials[place[1]] == trial)
        place = next(places, None)  # the first, if it came about as it does here
        if place is None:
            return
        self._promoted += 1
        if place == self._waiting[0]:
            heappop(self._waiting)
        else:
            self._waiting.remove(place)
            heapify(self._waiting)

    def _rank(self, place: tuple[float, int]) -> None:
        if self._top and place < negated(self._top[0]):
            place = negated(heappushpop(self._top, negated(place)))
        heappush(self._rest, place)
        if len(self._top) < len(self._trials) // self._eta:
            heappush(self._top, negated(heappop(self._rest)))


def negated(place: tuple[float, int]) -> tuple[float, int]:
    """Turn the order around: heapq knows only the least."""
    return -place[0], -place[1]
