"""Evolution: what is tried next comes of what was good so far, by mutation.

With one rung, aging evolution (Real et al., Regularized Evolution for Image Classifier Architecture
Search, AAAI 2019, Algorithm 1): of the last results some are drawn, and the best of them has a
child, which differs in one hyperparameter. Who is old is a parent no more, however good. One in ten
is random, and nobody's child, as the population may have come together where it is not best
(random immigrants: Grefenstette, Genetic Algorithms for Changing Environments, PPSN 1992).

With several rungs, differential evolution (Storn and Price, Differential Evolution, Journal of
Global Optimization 11, 1997: rand/1/bin with F = CR = 0.5), asynchronously: the population is the
best of those at the highest rungs. It goes on from there without generations (as Awad et al., DEHB,
IJCAI 2021, between its rungs).

Of several metrics, it is differential evolution with one rung as well, since who is old may be an
end of the front: who leaves the population is the most crowded of the last front at the lowest rung
in it, as in NSGA-II (hpmpi.model.fronts). Where aging is asked for, one of a sample's first front
has the child.

Until there are enough results, configurations are random. Failures are nobody's parents: the oldest
that can be one is older for each of them. What was given before is mutated further; where that does
not help, a random one follows, which in a finite space is one that was not given yet.
"""

import math
from bisect import insort
from collections import deque
from random import Random as Generator
from typing import Literal

from hpmpi.master.proposals import Proposer
from hpmpi.model.dimensions import Choice, Dimension
from hpmpi.model.fronts import Fronts, Ranked
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Losses, Metrics

FEWEST = 10
"""How many results there are before anybody has children."""

POPULATION, SAMPLE = 25, 8
"""How many of the last results are alive, and how many compete to be a parent (P and S)."""

FITTEST = 20
"""How many are the population of differential evolution."""

F = CR = 0.5
"""By how much of a difference one is changed, and how likely each coordinate is."""

STEP = 0.15
"""How far a mutant lies from its parent in a number: the deviation, of the range."""

IMMIGRANTS = 0.1
"""The share of those that are drawn at random, and are nobody's children."""

TRIES = 16

Point = list[float]


class Evolution(Proposer):
    """Have children of what is good; those of `first` come first."""

    learns = True

    def __init__(  # noqa: PLR0913 - the settings, the rungs and the goal
        self,
        space: Space,
        seed: int,
        first: list[Config],
        *,
        rungs: tuple[int, ...] = (),
        form: Literal["aging", "differential"] | None = None,
        goal: Goal | None = None,
    ) -> None:
        """Take the form; where none is said, that depends on the rungs and metrics."""
        super().__init__(space, seed, first)
        self._first = len(first)
        self._dimensions = list(space.dimensions.values())
        self._goal = goal if goal is not None and goal.others else None
        usual = "differential" if rungs[1:] or self._goal is not None else "aging"
        self._is_differential = (form or usual) != "aging"
        self._points: dict[int, Point] = {}
        self._alive: deque[Ranked] = deque(maxlen=POPULATION)
        self._fittest: list[tuple[int, Losses, int]] = []

    def adopt(self, trial: int, config: Config) -> None:
        """Note what is not to be given again, and where it lies."""
        super().adopt(trial, config)
        self._points[trial] = self._space.unit(config)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Have a trial live, and be as fit as its result at the highest rung is."""
        del resource
        if loss is not None:
            losses = (loss,) if self._goal is None else self._goal.losses(metrics)
            if self._is_differential:
                self._rank(trial, rung, losses)
            else:
                self._alive.append(Ranked(losses, trial))
        elif len(self._alive) == POPULATION:
            self._alive.popleft()

    def _rank(self, trial: int, rung: int, losses: Losses) -> None:
        """Keep the fittest: a higher rung goes before any loss."""
        self._fittest = [place for place in self._fittest if place[2] != trial]
        insort(self._fittest, (-rung, losses, trial))
        if len(self._fittest) > FITTEST and self._goal is not None:
            lowest = self._fittest[-1][0]
            rivals = [Ranked(*place[1:]) for place in self._fittest if place[0] == lowest]
            last = Fronts(rivals).best(len(rivals))[-1]
            self._fittest = [place for place in self._fittest if place[2] != last]
        del self._fittest[FITTEST:]

    def _proposal(self, trial: int) -> Config | None:
        """Have a child, but for those that are first."""
        if trial < self._first:
            return None
        return self._child(Generator(f"{self._seed}/{trial}/child"))  # noqa: S311

    def _child(self, generator: Generator) -> Config | None:
        """Make a configuration that was not given before; None where a random one is to follow."""
        if len(self._fittest if self._is_differential else self._alive) < FEWEST:
            return None
        if not self._is_differential and generator.random() < IMMIGRANTS:
            return None
        point = self._differential(generator) if self._is_differential else self._aging(generator)
        for _ in range(TRIES):
            config = self._space.at(point)
            if self._is_new(config):
                return config
            point = self._mutant(point, generator)
        return None

    def _aging(self, generator: Generator) -> Point:
        """Mutate the best of a sample (Algorithm 1, lines 12 to 19)."""
        sample = [self._alive[drawn(generator, len(self._alive))] for _ in range(SAMPLE)]
        if self._goal is None:
            return self._mutant(self._points[min(sample).number], generator)
        best = Fronts(sample).fronts[0]  # whom nobody beats; its ends alone would be parents else
        return self._mutant(self._points[best[drawn(generator, len(best))].number], generator)

    def _mutant(self, point: Point, generator: Generator) -> Point:
        """Change one coordinate."""
        place = drawn(generator, len(point))
        changed = moved(self._dimensions[place], point[place], generator)
        return [*point[:place], changed, *point[place + 1 :]]

    def _differential(self, generator: Generator) -> Point:
        """Cross one of the population with `a + F (b - c)`."""
        others = [self._points[trial] for _, _, trial in self._fittest]
        target, a, b, c = (others.pop(drawn(generator, len(others))) for _ in range(4))
        sure = drawn(generator, len(target))
        point = list(target)
        for place, dimension in enumerate(self._dimensions):
            chance, unit = generator.random(), generator.random()
            if chance >= CR and place != sure:
                continue
            if not isinstance(dimension, Choice):
                point[place] = reflected(a[place] + F * (b[place] - c[place]))
            elif b[place] == c[place]:  # choices have no difference
                point[place] = a[place]
            else:
                point[place] = unit
        return point


def drawn(generator: Generator, size: int) -> int:
    """Draw a number below `size`; only random() is promised to stay as it is."""
    return int(generator.random() * size)


def moved(dimension: Dimension, unit: float, generator: Generator) -> float:
    """Draw another value for a coordinate: near by, but in a choice."""
    if dimension.size == 1:
        return unit
    if isinstance(dimension, Choice):
        size = dimension.size
        level = (int(unit * size) + 1 + drawn(generator, size - 1)) % size
        return (level + 0.5) / size
    # The sum of twelve uniform numbers is as good as normal, and the same on every machine.
    step = STEP * (sum(generator.random() for _ in range(12)) - 6)
    if dimension.size is not None and abs(step) < 1 / dimension.size:  # to the next one at least
        step = math.copysign(1 / dimension.size, step)
    return reflected(unit + step)


def reflected(unit: float) -> float:
    """Bring back what lies beyond the ends of [0, 1).

    >>> reflected(-0.25), reflected(1.25)
    (0.25, 0.75)
    """
    unit = abs(unit) % 2.0
    return min(2.0 - unit, 1.0 - 2.0**-53) if unit >= 1.0 else unit
