"""Sobol search: points that fill the unit cube more evenly than random ones do.

Sobol's sequence with Owen's scrambling, by the seed (scipy.stats.qmc.Sobol: Joe and Kuo, SIAM
Journal on Scientific Computing 30, 2008; Owen, Journal of Complexity 14, 1998). A trial has the
point of its number. Where that is a configuration that was given before, as is usual in a small
finite space, a random one that was not takes its place.
"""

from functools import lru_cache
from hashlib import blake2b

from hpmpi.master.proposals import Proposer
from hpmpi.model.space import Space
from hpmpi.model.trial import Config

BLOCK = 128
"""How many points are computed at once: the sequence is even in powers of 2."""


class Sobol(Proposer):
    """Give the points of the sequence; those of `first` come first."""

    def __init__(self, space: Space, seed: int, first: list[Config]) -> None:
        """Take configurations to be tried first, whole or in part: the point has the rest."""
        from scipy.stats import qmc  # noqa: PLC0415 - takes a while to load

        super().__init__(space, seed, first)
        self._first = first
        digest = blake2b(f"{seed}".encode(), digest_size=8).digest()
        number, dimensions = int.from_bytes(digest, "big"), len(space.dimensions)

        def block(index: int) -> list[list[float]]:
            sequence = qmc.Sobol(dimensions, scramble=True, seed=number)
            if index:  # by 0 it can't be forwarded
                sequence.fast_forward(index * BLOCK)
            points: list[list[float]] = sequence.random(BLOCK).tolist()
            return points

        self._block = lru_cache(maxsize=1)(block)

    def _proposal(self, trial: int) -> Config | None:
        """Take the point of a trial, where it is not that of a configuration before."""
        index, place = divmod(trial, BLOCK)
        first = self._first[trial] if trial < len(self._first) else {}
        config = self._space.around(first, self._block(index)[place])
        return config if config is not None and self._is_new(config) else None
