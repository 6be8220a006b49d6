"""Grid search: every point of a grid, once, in an order that is shuffled by the seed.

So the first points of it lie all over the space, as random ones do. Nothing is listed: a point is
computed from its number, in a time and memory that depend on the number of hyperparameters alone;
but those that fulfil the constraints are listed, where there are any and the grid is not too large.
What is inactive is in no point: points that differ in nothing else are one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.levels import axis_of, check_resolution
from hpmpi.master.searchers import OVER, Over
from hpmpi.master.shuffle import shuffled
from hpmpi.model.numbering import Numbering
from hpmpi.model.space import MOST_COUNTED, MOST_DRAWS, Space
from hpmpi.model.trial import Config, Metrics

MOST_LOOKED = 100_000
"""At how many points of a large grid one looks for one that fulfils the constraints."""


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

        What `first` leaves open in a configuration is taken from the first points of the grid that
        it goes with.
        """
        if isinstance(resolution, dict):
            resolution = space.flat(resolution)
        check_resolution(space, resolution)
        self._space = space
        self._axes = {name: axis_of(name, it, resolution) for name, it in space.dimensions.items()}
        self._seed = seed
        try:
            self._numbering = Numbering(self._axes, space.conditions)
        except SpaceError as error:
            raise SettingsError([f"method = 'grid' is not for this space: {error}"]) from error
        self._numbers = self._fulfilling()
        self._points = self._numbering.size if self._numbers is None else len(self._numbers)
        self._tried: set[bytes] = set()
        self._check()
        each_first = {}
        for number, given in enumerate(first):
            config = self._try(self._completed(number, given))
            each_first[msgspec.json.encode(config)] = config
        self._first = list(each_first.values())
        self._turn = 0

    @property
    def size(self) -> int:
        """How many configurations there are: the grid's, and those of `first` beside it.

        At most so many, where there are too many to see which of them fulfil the constraints.
        """
        return self._points + len(self._first) - len(self._tried)

    def ask(self, trial: int) -> Config | Over:
        """Give the next configuration."""
        del trial  # they come in order
        turn = self._untried()
        if turn == len(self._first) + self._points:
            return OVER
        self._turn = turn + 1
        if turn < len(self._first):
            return dict(self._first[turn])
        return self._config(turn - len(self._first))

    def adopt(self, trial: int, config: Config) -> None:
        """Go on after the next one."""
        del trial, config
        self._turn = self._untried() + 1

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""

    def _untried(self) -> int:
        """Find whose turn it is: points that `first` has, and that can't be, are passed over."""
        ahead, end = len(self._first), len(self._first) + self._points
        turn = min(self._turn, end)
        if self._tried or self._space.constraints:
            while ahead <= turn < end and self._is_passed(self._config(turn - ahead)):
                turn += 1
        return turn

    def _is_passed(self, config: Config) -> bool:
        return msgspec.json.encode(config) in self._tried or not self._space.holds(config)

    def _try(self, config: Config) -> Config:
        """Note a configuration that comes first; return it as the grid has it, if it does."""
        levels = {}
        for name, value in config.items():
            level = self._axes[name].number(value)
            if level is None:
                return config
            levels[name] = level
        config = self._of_levels(levels)
        self._tried.add(msgspec.json.encode(config))
        return config

    def _completed(self, number: int, given: Config) -> Config:
        """Complete a configuration by the points from one on; raises SettingsError."""
        for after in range(min(self._points, MOST_DRAWS)):
            levels = self._levels((number + after) % self._points)
            values = {name: axis.level(levels.get(name, 0)) for name, axis in self._axes.items()}
            config = self._space.completed(given, values)
            if config is not None:
                return config
        raise SettingsError(
            [f"searcher.first[{number}] = {given!r} goes with no point of the grid that is tried"]
        )

    def _config(self, number: int) -> Config:
        return self._of_levels(self._levels(number))

    def _levels(self, number: int) -> dict[str, int]:
        """Compute the levels of the point with a number, from 0 on."""
        number = shuffled(number, self._points, f"{self._seed}")
        return self._numbering.levels(number if self._numbers is None else self._numbers[number])

    def _of_levels(self, levels: Mapping[str, int]) -> Config:
        axes = self._axes.items()
        return {name: axis.level(levels[name]) for name, axis in axes if name in levels}

    def _check(self) -> None:
        """Raise SettingsError where constraints seem to leave nothing of a grid that is large."""
        if self._numbers is None and self._space.constraints:
            looked = min(self._points, MOST_LOOKED)
            if not any(self._space.holds(self._config(number)) for number in range(looked)):
                said = f"of {looked:,} points of the grid none fulfils the constraints"
                raise SettingsError([f"{said}; there are {self._points:,}"])

    def _fulfilling(self) -> list[int] | None:
        """List the numbers of the points that fulfil the constraints; None for too many to look at.

        Raises SettingsError where there are none.
        """
        size, levels = self._numbering.size, self._numbering.levels
        if not self._space.constraints or size > MOST_COUNTED:
            return None
        holds = self._space.holds
        numbers = [number for number in range(size) if holds(self._of_levels(levels(number)))]
        if not numbers:
            raise SettingsError([f"no point of the grid fulfils the constraints, of {size:,}"])
        return numbers
