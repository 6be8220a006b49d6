"""A table: rows of features, and what is to be predicted of each, in numbers.

A word is its place in the alphabet of its feature.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALPHABETS = "words/"
"""What the alphabet of a feature is called among arrays, before its place."""

MOST_TOLD = 10
"""How many columns are named in a note."""

NONE: Mapping[int, list[str]] = MappingProxyType({})


class Table(NamedTuple):
    """x: (rows, features), y: (rows) or (rows, targets); the names of the features, if they have.

    `words`: the alphabets of features that are words, by their place; `groups`: (rows), to be kept
    together; the last `held_out` rows are to score with; `notes`: what people must know.
    """

    x: Any
    y: Array
    names: Sequence[str] = ()
    words: Mapping[int, list[str]] = NONE
    groups: Array | None = None
    held_out: int = 0
    notes: Sequence[str] = ()

    @property
    def arrays(self) -> dict[str, Array]:
        """All of it that is to be trained on, by name."""
        alphabets = {f"{ALPHABETS}{place}": np.array(each) for place, each in self.words.items()}
        names = {"names": np.array(self.names)} if self.words and self.names else {}
        groups = {} if self.groups is None else {"groups": self.groups}
        return {"X": self.x, "y": self.y, **groups, **names, **alphabets}


def instead(places: Array, meant: Array) -> Array:
    """Put what is meant in the place of places."""
    known = ~np.isnan(places)
    places[known] = meant[places[known].astype(int)]
    return places


def told(names: list[str]) -> str:
    """List names, but not too many."""
    more = len(names) - MOST_TOLD
    return ", ".join(names[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
