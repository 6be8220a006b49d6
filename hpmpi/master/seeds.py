"""The seeds of trials, and the random numbers that are theirs.

A counter is encrypted with a key: so each trial has a sequence of its own, which costs nothing
before it is asked for, and is the same in every version of Python. (Salmon et al., Parallel Random
Numbers: As Easy as 1, 2, 3, SC 2011.)
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from struct import Struct

WORDS = Struct("<8Q").unpack
"""The words of 64 bits in a digest of BLAKE2b."""


def seed_of(study_seed: int, trial: int) -> int:
    """Derive the seed of a trial: 32 bits, the same for every attempt at every job of it.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(0, 2)
    True
    """
    digest = blake2b(f"{study_seed}/{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def uniform(key: str) -> Iterator[float]:
    """Draw numbers in [0, 1), of 53 bits each, without end; each key has others.

    >>> first, second = uniform("0/7"), uniform("0/7")
    >>> [next(first) for _ in range(20)] == [next(second) for _ in range(20)]
    True
    """
    for block in count():
        for word in WORDS(blake2b(f"{key}/{block}".encode()).digest()):
            yield (word >> 11) * 2**-53
