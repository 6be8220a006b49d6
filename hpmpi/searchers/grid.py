"""Grid search: every point of a grid, once, in an order that covers the space from the start.

The order goes through the levels of each hyperparameter round by round: in a round each of its
levels comes up once, and a round begins where one ends. So in every prefix of the order, a
hyperparameter's levels come up equally often, but for one time. What a hyperparameter does beside
that is to begin its rounds elsewhere, again and again, so that it meets all of the others:

- Let those before it, with P points together, come back to where they began each P steps. It and
  they have been through lcm(P, n) points then, of P * n. It begins one level on, and they meet
  anew; after gcd(P, n) times that is everything.
- Where n divides P, it may begin each of its rounds within P elsewhere, as long as it does so for
  each P again. Where is shuffled from the seed, as all levels are.

Nothing is listed: a point is computed from its number, in a time and memory that depend on the
number of hyperparameters alone.
"""

import math
from hashlib import blake2b

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.space import Choice, Dimension, Float, Int, Space, same
from hpmpi.trial import Config, Value

ROUNDS = 6
"""How often a shuffle mixes; so many, as most hyperparameters have but few levels to be mixed."""

FEWEST = 2
"""How many levels a float has at least: both ends."""

FINEST = 1e-10
"""How close a float's levels may lie to each other, relative to their size: they have 12 digits."""

LEAST = 2.0**-1022
"""How small a float may be that has all its digits."""

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
        resolution: int | dict[str, int] | None = None,
    ) -> None:
        """Take how many levels a float has: one number for all, or one for each by its name.

        What `first` leaves open in a configuration is taken from the first points of the grid.
        """
        check_resolution(space, resolution)
        self._axes = {name: Axis(name, it, resolution) for name, it in space.dimensions.items()}
        self._seed = seed
        # The largest first: what is small more often divides what is large.
        self._order = sorted(self._axes, key=lambda name: -self._axes[name].levels)
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

    def ask(self) -> Config | None:
        """Give the next configuration."""
        if self._turn < len(self._first):
            self._turn += 1
            return dict(self._first[self._turn - 1])
        for turn in range(self._turn, len(self._first) + self._points):
            point = self._point(turn - len(self._first))
            if point not in self._tried:
                self._turn = turn + 1
                return self._config(point)
        return None

    def tell(self, config: Config, resource: int, loss: float | None) -> None:
        """Learn nothing."""

    def state(self) -> object:
        """Return whose turn it is."""
        return self._turn

    def restore(self, state: object) -> None:
        """Go on from a state."""
        self._turn = msgspec.convert(state, int)

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
        levels = {}
        before = 1
        for name in self._order:
            size = self._axes[name].levels
            step = number % (before * size)
            offset = step // math.lcm(before, size)
            if before % size == 0:
                rounds = before // size
                offset += shuffled(step % before // size, rounds, f"{self._seed}/{name}/rounds")
            levels[name] = shuffled((step + offset) % size, size, f"{self._seed}/{name}")
            before *= size
        return tuple(levels[name] for name in self._axes)


class Axis:
    """The levels of one dimension, in rising order, or that of the study file."""

    def __init__(
        self, name: str, dimension: Dimension, resolution: int | dict[str, int] | None
    ) -> None:
        """Take the whole of an int or a choice, and as much of a float as `resolution` says."""
        self.dimension = dimension
        match dimension:
            case Int(low=low, high=high):
                self.levels = high - low + 1
            case Choice(values=values):
                self.levels = len(values)
            case Float():
                assert resolution is not None, "the resolution was checked"
                self.levels = resolution[name] if isinstance(resolution, dict) else resolution

    def at(self, level: int) -> Value:
        """Compute a level."""
        match self.dimension:
            case Int(low=low):
                return low + level
            case Choice(values=values):
                return values[level]
            case Float(low=low, high=high):
                if level in (0, self.levels - 1):
                    return float(high if level else low)
                # 0.3, and not 0.30000000000000004 or what another machine's exp makes of it.
                return float(f"{self.dimension.at(level / (self.levels - 1)):.12g}")

    def find(self, value: Value) -> int | None:
        """Find the level that a value of the space is; None between two levels."""
        if isinstance(self.dimension, Choice):
            return next(i for i, it in enumerate(self.dimension.values) if same(it, value))
        low, high = 0, self.levels - 1
        while low < high:
            middle = (low + high) // 2
            below = float(self.at(middle)) < float(value)
            low, high = (middle + 1, high) if below else (low, middle)
        return low if self.at(low) == value else None


def check_resolution(space: Space, resolution: int | dict[str, int] | None) -> None:
    """Raise SettingsError unless each float has a resolution that it can have, and nothing else."""
    floats = {name: it for name, it in space.dimensions.items() if isinstance(it, Float)}
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
