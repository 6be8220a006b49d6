"""Random search: independent draws from the space, uniform in its unit cube.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012. Each trial has a
generator of its own, seeded with the study's seed and the trial's number.

What is inactive is left out of a draw; what does not fulfil the constraints is drawn again. Where
somebody expects the best at a place, some of the draws lie near it (hpmpi.model.priors).

A finite space may be used up: no configuration of it is given twice. What was given before is drawn
again, a few times; where that does not help, as few are left, the next one is taken in an order
that is shuffled by the seed. Of a space that has constraints, and is too large to count what they
leave, the first `MOST_LOOKED` in this order are looked at, and then there is no other.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.master.searchers import OVER, Over
from hpmpi.master.seeds import uniform
from hpmpi.master.shuffle import shuffled
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics

DRAWS = 16
"""How often one draws before the order counts: hardly ever until most of the space was given."""


MOST_LOOKED = 100_000


class Random:
    """Draw each configuration from the whole space; those of `first` come first."""

    exhaustive = False

    def __init__(self, space: Space, seed: int, first: list[Config]) -> None:
        """Take configurations to be tried first, whole or in part: the rest of them is drawn."""
        self._space = space
        self._seed = seed
        self._first = first
        self._size, self._most = space.size, space.most
        self._given: set[bytes] = set()
        self._order = self._shuffled()

    @property
    def size(self) -> int | None:
        """How many configurations there are, at most; None where there is no end to them."""
        return self._most if self._size is None else self._size

    def ask(self, trial: int) -> Config | Over:
        """Draw a configuration; OVER when all were given."""
        if self._most is None:
            return self._draw(trial, self._numbers(trial))
        if len(self._given) == self._size:
            return OVER
        drawn = islice(self._draws(trial), DRAWS)
        others = (it for it in chain(drawn, self._order) if not self._is_given(it))
        config = next(others, None)
        if config is None:
            return OVER
        self.adopt(trial, config)
        return config

    def adopt(self, trial: int, config: Config) -> None:
        """Note what is not to be given again."""
        del trial
        if self._most is not None:
            self._given.add(msgspec.json.encode(config))

    def forget(self, forgotten: Iterable[bytes], given: Iterable[bytes]) -> None:
        """Have not given some configurations, by their JSON; those that are `given` still are."""
        if self._most is not None:
            self._given.difference_update(forgotten)
            self._given.update(given)
            self._order = self._shuffled()

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""

    def _numbers(self, trial: int) -> Iterator[float]:
        return uniform(f"{self._seed}/{trial}")

    def _draw(self, trial: int, numbers: Iterator[float]) -> Config:
        given = self._first[trial] if trial < len(self._first) else None
        return self._space.draw(numbers.__next__, given)

    def _draws(self, trial: int) -> Iterator[Config]:
        numbers = self._numbers(trial)
        with suppress(SpaceError):  # where hardly any fulfils the constraints, the order has them
            while True:
                yield self._draw(trial, numbers)

    def _shuffled(self) -> Iterator[Config]:
        space, key = self._space, f"{self._seed}"
        if self._size is not None:
            for number in range(self._size):
                yield space.numbered(shuffled(number, self._size, key))
        elif self._most is not None:
            for number in range(min(self._most, MOST_LOOKED)):
                config = space.numbered_of_most(shuffled(number, self._most, key))
                if space.holds(config):
                    yield config

    def _is_given(self, config: Config) -> bool:
        return msgspec.json.encode(config) in self._given
