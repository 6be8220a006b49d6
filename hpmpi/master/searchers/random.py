"""Random search: independent draws from the space, uniform in its unit cube.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012. Each trial has a
generator of its own, seeded with the study's seed and the trial's number.

A finite space may be used up: no configuration of it is given twice. What was given before is drawn
again, a few times; where that does not help, as few are left, the next one is taken in an order
that is shuffled by the seed.
"""

from collections.abc import Iterator
from itertools import chain, islice
from random import Random as Generator

import msgspec

from hpmpi.master.shuffle import shuffled
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics

DRAWS = 16
"""How often one draws before the order counts: hardly ever until most of the space was given."""


class Random:
    """Draw each configuration from the whole space; those of `first` come first."""

    exhaustive = False

    def __init__(self, space: Space, seed: int, first: list[Config]) -> None:
        """Take configurations to be tried first, whole or in part: the rest of them is drawn."""
        self._space = space
        self._seed = seed
        self._first = first
        self._size = space.size
        self._given: set[bytes] = set()
        self._order = self._shuffled(self._size or 0)

    @property
    def size(self) -> int | None:
        """How many configurations there are; None where there is no end to them."""
        return self._size

    def ask(self, trial: int) -> Config | None:
        """Draw a configuration; None when all were given."""
        if self._size is None:
            return self._draw(trial, self._generator(trial))
        if len(self._given) == self._size:
            return None
        drawn = islice(self._draws(trial), DRAWS)
        config = next(it for it in chain(drawn, self._order) if not self._is_given(it))
        self.adopt(trial, config)
        return config

    def adopt(self, trial: int, config: Config) -> None:
        """Note what is not to be given again."""
        del trial
        if self._size is not None:
            self._given.add(msgspec.json.encode(config))

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""

    def _generator(self, trial: int) -> Generator:
        return Generator(f"{self._seed}/{trial}")  # noqa: S311 - not for secrets

    def _draw(self, trial: int, generator: Generator) -> Config:
        # Only random() is promised to give the same numbers in every version of Python.
        config = self._space.at([generator.random() for _ in self._space.dimensions])
        return config | self._first[trial] if trial < len(self._first) else config

    def _draws(self, trial: int) -> Iterator[Config]:
        generator = self._generator(trial)
        while True:
            yield self._draw(trial, generator)

    def _shuffled(self, size: int) -> Iterator[Config]:
        for number in range(size):
            yield self._space.numbered(shuffled(number, size, f"{self._seed}"))

    def _is_given(self, config: Config) -> bool:
        return msgspec.json.encode(config) in self._given
