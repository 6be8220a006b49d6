"""The levels that a grid has of a range: some of a float, and of whole numbers where it is said."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from hpmpi.errors import SettingsError
from hpmpi.model.dimensions import (
    FINEST,
    LEAST,
    Choice,
    Dimension,
    Float,
    Int,
    OptionalRange,
    Ordinal,
)
from hpmpi.model.intervals import between
from hpmpi.model.space import Space
from hpmpi.model.trial import Value

FEWEST = 2
"""How many levels a float has at least: both ends."""

MOST_WHOLE = 100_000
"""How many levels of whole numbers there may be, where these are not taken whole."""


class Levels:
    """Some levels of a range, in rising order, with both ends; None before them, if it may be.

    Of whole numbers they are the nearest ones, and fewer where those are the same.
    """

    def __init__(self, dimension: Float | Int | OptionalRange, levels: int) -> None:
        """Take how many there are to be of numbers."""
        self._none = int(isinstance(dimension, OptionalRange))
        self._range = range_of(dimension)
        self._levels = levels
        self._whole: list[int] = []
        if isinstance(self._range, Int):
            self._whole = sorted({nearest(self._range, it / (levels - 1)) for it in range(levels)})
            self._levels = len(self._whole)

    @property
    def size(self) -> int:
        """How many there are."""
        return self._levels + self._none

    def level(self, number: int) -> Value | None:
        """Compute a level."""
        return None if number < self._none else self._number(number - self._none)

    def number(self, value: Any) -> int | None:
        """Find the level that a value of the space is; None between two levels."""
        if value is None:
            return 0
        level = bisect_left(range(self._levels), value, key=self._number)
        is_level = level < self._levels and self._number(level) == value
        return level + self._none if is_level else None

    def _number(self, level: int) -> Any:
        if self._whole:
            return self._whole[level]
        if level in (0, self._levels - 1):
            return float(self._range.high if level else self._range.low)
        return self._range.at(level / (self._levels - 1))


def axis_of(
    name: str, dimension: Dimension, resolution: int | dict[str, Any] | None
) -> Dimension | Levels:
    """Take what is finite whole, unless `resolution` names it, and some levels of a float."""
    levels = resolution.get(name) if isinstance(resolution, dict) else None
    if levels is None and dimension.size is None:
        levels = resolution
    if levels is None or isinstance(dimension, Choice | Ordinal):
        return dimension
    return Levels(dimension, levels)


def nearest(whole: Int, unit: float) -> int:
    """Find the level of whole numbers that is nearest to a share of the way from end to end."""
    last = whole.level(whole.size - 1)
    if whole.log:
        unit = (math.exp(between(math.log(whole.low), math.log(last), unit)) - whole.low) / max(
            1, last - whole.low
        )
    return whole.level(round(unit * (whole.size - 1)))


def range_of(dimension: Float | Int | OptionalRange) -> Float | Int:
    """Take the range of one that may have no value."""
    return dimension.range if isinstance(dimension, OptionalRange) else dimension


def check_resolution(space: Space, resolution: int | dict[str, Any] | None) -> None:
    """Raise SettingsError unless each float has a resolution that it can have, and others may.

    A float with a step, or one value, has its levels already; whole numbers are taken whole, unless
    a table names them.
    """
    ranges = {
        name: range_of(it)
        for name, it in space.dimensions.items()
        if isinstance(it, Float | Int | OptionalRange)
    }
    floats = {name: it for name, it in ranges.items() if it.size is None}
    table = resolution if isinstance(resolution, dict) else dict.fromkeys(floats, resolution)
    where = "searcher.resolution"
    may = [name for name, it in ranges.items() if it.size is None or isinstance(it, Int)]
    problems = [
        f"{where}.{name} = {levels}: {name} is no float or whole number of [space], and only those "
        f"have a resolution: {', '.join(may) or 'none'}"
        for name, levels in table.items()
        if name not in may
    ]
    if isinstance(resolution, int) and not floats:
        problems.append(f"{where} = {resolution} is for floats, and [space] has none: leave it out")
    for name in may:
        if name in table or name in floats:
            problems += level_problems(name, ranges[name], table.get(name))
    if problems:
        raise SettingsError(problems)


def level_problems(name: str, dimension: Float | Int, levels: object) -> Iterator[str]:
    """Say why a range can't have so many levels."""
    where = "searcher.resolution"
    if levels is None:
        yield (
            f"{where} must say how many levels {name} has: one number for all floats, or a "
            f"table such as {{ {name} = 5 }}"
        )
    elif type(levels) is not int:
        yield f"{where}.{name} = {levels!r} must be a whole number"
    elif levels < FEWEST:
        yield (
            f"{where} = {levels} is too little for {name}: {FEWEST} levels at least, its low "
            "and its high; for one value alone, make it a choice"
        )
    elif isinstance(dimension, Float) and not is_distinct(dimension, levels):
        yield (
            f"{where} = {levels} is too much for {name}: from {dimension.low} to "
            f"{dimension.high} there are not so many levels that differ in 12 digits"
        )
    elif isinstance(dimension, Int) and levels > min(dimension.size, MOST_WHOLE):
        yield (
            f"{where} = {levels} is too much for {name}, which has {dimension.size} values; "
            f"{MOST_WHOLE:,} levels at most"
        )


def is_distinct(dimension: Float, levels: int) -> bool:
    """Tell whether no two levels of a float are the same."""
    low, high, steps = dimension.low, dimension.high, levels - 1
    if dimension.log:
        return low >= LEAST and (math.log(high) - math.log(low)) / steps >= FINEST
    return high / steps - low / steps >= max(max(-low, high) * FINEST, LEAST)
