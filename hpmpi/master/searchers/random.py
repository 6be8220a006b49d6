"""Random search: independent draws from the space, uniform in its unit cube.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012. Each trial has a
generator of its own, seeded with the study's seed and the trial's number.

A finite space may be used up: no configuration of it is given twice. What was given before is drawn
again, a few times; where that does not help, as few are left, the next one is taken in an order
that is shuffled by the seed.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from random import Random as Generator

import msgspec

from hpmpi.master.shuffle import shuffled
from hpmpi.model.space import Space
from hpmpi.model.trial import Config

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
        self._turn = 0
        self._given: set[bytes] = set()
        self._order = self._shuffled(self._size or 0)

    @property
    def size(self) -> int | None:
        """How many configurations there are; None where there is no end to them."""
        return self._size

    def ask(self) -> Config | None:
        """Draw the next configuration; None when all were given."""
        if self._size is None:
            self._turn += 1
            return self._draw(self._turn - 1, self._generator(self._turn - 1))
        while len(self._given) < self._size:
            draws, is_first = self._draws(self._turn), self._turn < len(self._first)
            self._turn += 1
            # Of `first` there may be one that was given as another: then it is the next one's turn.
            more: Iterable[Config] = () if is_first else self._order
            for config in chain(islice(draws, DRAWS), more):
                if self._is_new(config):
                    return config
        return None

    def tell(self, config: Config, resource: int, loss: float | None) -> None:
        """Learn nothing."""

    def state(self) -> object:
        """Return whose turn it is."""
        return self._turn

    def restore(self, state: object) -> None:
        """Go on from a state."""
        turn = msgspec.convert(state, int)
        while self._size is not None and self._turn < turn and self.ask() is not None:
            pass
        self._turn = turn

    def _generator(self, turn: int) -> Generator:
        return Generator(f"{self._seed}/{turn}")  # noqa: S311 - not for secrets

    def _draw(self, turn: int, generator: Generator) -> Config:
        # Only random() is promised to give the same numbers in every version of Python.
        config = self._space.at([generator.random() for _ in self._space.dimensions])
        return config | self._first[turn] if turn < len(self._first) else config

    def _draws(self, turn: int) -> Iterator[Config]:
        generator = self._generator(turn)
        while True:
            yield self._draw(turn, generator)

    def _shuffled(self, size: int) -> Iterator[Config]:
        for number in range(size):
            yield self._space.numbered(shuffled(number, size, f"{self._seed}"))

    def _is_new(self, config: Config) -> bool:
        before = len(self._given)
        self._given.add(msgspec.json.encode(config))
        return len(self._given) > before
