"""A shuffle of numbers that lists none of them: the place of each is computed."""

import math
from hashlib import blake2b

ROUNDS = 6
"""How often it mixes; so many, as most hyperparameters have but few levels to be mixed."""


def shuffled(number: int, size: int, key: str) -> int:
    """Map the numbers below `size` to themselves, each to another, as `key` has it.

    A Feistel network over two digits, and again until the result is below `size` (Black and
    Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002).
    """
    side = math.isqrt(size - 1) + 1
    while True:
        left, right = divmod(number, side)
        for turn in range(ROUNDS):
            text = f"{key}/{turn}/{right}".encode()
            noise = int.from_bytes(blake2b(text, digest_size=16).digest(), "big")
            left, right = right, (left + noise) % side
        number = left * side + right
        if number < size:
            return number
