"""Random search: independent, uniform draws from the space.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012. Each trial has a
generator of its own, seeded with the study's seed and the trial's number, so that the only state is
how many were asked for.
"""

from random import Random as Generator

import msgspec

from hpmpi.space import Space
from hpmpi.trial import Config


class Random:
    """Draw each configuration from the whole space; those of `first` come first."""

    def __init__(self, space: Space, seed: int, first: list[Config]) -> None:
        """Take configurations to be tried first, whole or in part: the rest of them is drawn."""
        self._space = space
        self._seed = seed
        self._first = first
        self._asked = 0

    def ask(self) -> Config:
        """Draw the next configuration."""
        trial = self._asked
        self._asked += 1
        # Only random() is promised to give the same numbers in every version of Python.
        draw = Generator(f"{self._seed}/{trial}").random  # noqa: S311 - not for secrets
        config = self._space.at([draw() for _ in self._space.dimensions])
        return config | self._first[trial] if trial < len(self._first) else config

    def tell(self, config: Config, resource: int, loss: float | None) -> None:
        """Learn nothing."""

    def state(self) -> object:
        """Return how many configurations were asked for."""
        return self._asked

    def restore(self, state: object) -> None:
        """Go on from a state."""
        self._asked = msgspec.convert(state, int)
