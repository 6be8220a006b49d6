"""Grid search: every point of a grid, once, in an order that is shuffled by the seed.

So the first points of it lie all over the space, as random ones do. Nothing is listed: a point is
computed from its number, in a time and memory that depend on the number of hyperparameters alone.
"""

import math
from bisect import bisect_left
from typing import Any

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.master.shuffle import shuffled
from hpmpi.model.dimensions import FINEST, LEAST, Choice, Dimension, Float
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics, Value
from hpmpi.model.values import is_number, same

FEWEST = 2
"""How many levels a float has at least: both ends."""

Point = tuple[int, ...]
"""A level, from 0 on, for each dimension."""


class Grid:
    """Give every point of the grid; those of `first` come first, and are not tried again."""

    def __init__(
        self,
        space: Space,
        seed: int,
        first: list[Config],
        *,
        resolution: int | dict[str, Any] | None = None,
    ) -> None:
        """Take how many levels a float has: one number for all, or one for each by its name.

        What `first` leaves open in a configuration is taken from the first points of the grid.
        """
        if isinstance(resolution, dict):
            resolution = space.flat(resolution)
        check_resolution(space, resolution)
        self._axes = {name: Axis(name, it, resolution) for name, it in space.dimensions.items()}
        self._seed = seed
        self._points = math.prod(axis.levels for axis in self._axes.values())
        self._tried: set[Point] = set()
        each_first = {}
        for number, given in enumerate(first):
            config = self._try(self._config(self._point(number % self._points)) | given)
            each_first[msgspec.json.encode(config)] = config
        self._first = list(each_first.values())
        self._turn = 0

    @property
    def size(self) -> int:
        """How many configurations there are: the grid's, and those of `first` beside it."""
        return self._points + len(self._first) - len(self._tried)

    def ask(self, trial: int) -> Config | None:
        """Give the next configuration."""
        del trial  # they come in order
        turn = self._untried()
        if turn == len(self._first) + self._points:
            return None
        self._turn = turn + 1
        if turn < len(self._first):
            return dict(self._first[turn])
        return self._config(self._point(turn - len(self._first)))

    def adopt(self, trial: int, config: Config) -> None:
        """Go on after the next one."""
        del trial, config
        self._turn = self._untried() + 1

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""

    def _untried(self) -> int:
        """Find whose turn it is: points that `first` has are passed over."""
        ahead, end = len(self._first), len(self._first) + self._points
        turn = min(self._turn, end)
        while self._tried and ahead <= turn < end and self._point(turn - ahead) in self._tried:
            turn += 1
        return turn

    def _try(self, config: Config) -> Config:
        """Note a configuration that comes first; return it as the grid has it, if it does."""
        levels = [axis.find(config[name]) for name, axis in self._axes.items()]
        point = tuple(level for level in levels if level is not None)
        if len(point) < len(levels):
            return config
        self._tried.add(point)
        return self._config(point)

    def _config(self, point: Point) -> Config:
        axes = zip(self._axes.items(), point, strict=True)
        return {name: axis.at(level) for (name, axis), level in axes}

    def _point(self, number: int) -> Point:
        """Compute the point with a number, from 0 on."""
        number = shuffled(number, self._points, f"{self._seed}")
        point = []
        for axis in self._axes.values():
            number, level = divmod(number, axis.levels)
            point.append(level)
        return tuple(point)


class Axis:
    """The levels of one dimension, in rising order, or that of the study file."""

    def __init__(
        self, name: str, dimension: Dimension, resolution: int | dict[str, Any] | None
    ) -> None:
        """Take the whole of what is finite, and as much of a float as `resolution` says."""
        self.dimension = dimension
        if dimension.size is not None:
            self.levels = dimension.size
            return
        assert resolution is not None, "the resolution was checked"
        self.levels = resolution[name] if isinstance(resolution, dict) else resolution

    def at(self, level: int) -> Value:
        """Compute a level."""
        dimension = self.dimension
        if dimension.size is not None:
            return dimension.level(level)
        assert isinstance(dimension, Float), "all others are finite"
        if level in (0, self.levels - 1):
            return float(dimension.high if level else dimension.low)
        return dimension.at(level / (self.levels - 1))

    def find(self, value: Value) -> int | None:
        """Find the level that a value of the space is; None between two levels."""
        if isinstance(self.dimension, Choice):
            return next(i for i, it in enumerate(self.dimension.values) if same(it, value))
        assert is_number(value), "all others are choices"
        level = bisect_left(range(self.levels), value, key=self._number)
        return level if level < self.levels and self.at(level) == value else None

    def _number(self, level: int) -> Any:
        return self.at(level)


def check_resolution(space: Space, resolution: int | dict[str, Any] | None) -> None:
    """Raise SettingsError unless each float has a resolution that it can have, and nothing else.

    One with a step, or one value, has its levels already.
    """
    floats = {
        name: it
        for name, it in space.dimensions.items()
        if isinstance(it, Float) and it.size is None
    }
    table = resolution if isinstance(resolution, dict) else dict.fromkeys(floats, resolution)
    where = "searcher.resolution"
    problems = [
        f"{where}.{name} = {levels}: {name} is no float of [space], and only floats have a "
        f"resolution; those are: {', '.join(floats) or 'none'}"
        for name, levels in table.items()
        if name not in floats
    ]
    if isinstance(resolution, int) and not floats:
        problems.append(f"{where} = {resolution} is for floats, and [space] has none: leave it out")
    for name, dimension in floats.items():
        levels = table.get(name)
        if levels is None:
            problems.append(
                f"{where} must say how many levels {name} has: one number for all floats, or a "
                f"table such as {{ {name} = 5 }}"
            )
        elif type(levels) is not int:
            problems.append(f"{where}.{name} = {levels!r} must be a whole number")
        elif levels < FEWEST:
            problems.append(
                f"{where} = {levels} is too little for {name}: {FEWEST} levels at least, its low "
                "and its high; for one value alone, make it a choice"
            )
        elif not is_distinct(dimension, levels):
            problems.append(
                f"{where} = {levels} is too much for {name}: from {dimension.low} to "
                f"{dimension.high} there are not so many levels that differ in 12 digits"
            )
    if problems:
        raise SettingsError(problems)


def is_distinct(dimension: Float, levels: int) -> bool:
    """Tell whether no two levels of a float are the same."""
    low, high, steps = dimension.low, dimension.high, levels - 1
    if dimension.log:
        return low >= LEAST and (math.log(high) - math.log(low)) / steps >= FINEST
    return high / steps - low / steps >= max(max(-low, high) * FINEST, LEAST)
