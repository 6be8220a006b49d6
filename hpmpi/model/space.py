"""What may be tuned: a space of named dimensions, and its unit cube.

A searcher thinks in the unit cube, [0, 1) to the power of the number of dimensions; the space
turns a point of it into a configuration. Equal volumes of the cube are equally likely, so a log
dimension is uniform in its logarithm and every integer and choice has an interval of its own.

A name may have dots in it. In a study file, and in what is given as a configuration, tables in
tables stand for it: `model.lr` is the `lr` in `model`, and in a configuration it is "model.lr".
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.dimensions import Dimension
from hpmpi.model.trial import Config

EXAMPLES = 8
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it lie apart on a circle."""


class Space(msgspec.Struct, frozen=True):
    """The dimensions by name, in the order of the study file."""

    dimensions: dict[str, Dimension]

    @property
    def size(self) -> int | None:
        """How many configurations there are; None where there are as many as floats."""
        sizes = [dimension.size for dimension in self.dimensions.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def at(self, point: Sequence[float]) -> Config:
        """Turn a point of the unit cube (one coordinate a dimension) into a configuration."""
        pairs = zip(self.dimensions.items(), point, strict=True)
        return {name: dimension.at(unit) for (name, dimension), unit in pairs}

    def numbered(self, number: int) -> Config:
        """Compute a configuration of a finite space from its number, from 0 on."""
        config: Config = {}
        for name, dimension in self.dimensions.items():
            assert dimension.size is not None, "only what is finite can be numbered"
            number, level = divmod(number, dimension.size)
            config[name] = dimension.level(level)
        return config

    def part(self, values: Mapping[str, object]) -> Config:
        """Bring a part of a configuration into the types and the order of the space.

        Raises SpaceError unless each value belongs to a dimension and is one of its own.
        """
        given = self.flat(values)
        config: Config = {}
        for name, dimension in self.dimensions.items():
            if name in given:
                fitting = dimension.fit(given[name])
                if fitting is None:
                    raise SpaceError(self._unfit(name, given[name]))
                config[name] = fitting
        if len(config) < len(given):
            name = next(name for name in given if name not in config)
            raise SpaceError(f"{name!r} is not in [space], which has: {self.names()}")
        return config

    def whole(self, values: Mapping[str, object]) -> Config:
        """Do so with a configuration in which no dimension may be missing."""
        if values.keys() == self.dimensions.keys():  # as what searchers suggest: it is to be cheap
            fitting = {name: each.fit(values[name]) for name, each in self.dimensions.items()}
            if None not in fitting.values():
                return fitting
        config = self.part(values)
        if len(config) < len(self.dimensions):
            missing = [name for name in self.dimensions if name not in config]
            raise SpaceError(f"there is no {', '.join(missing)}; each of [space] must have a value")
        return config

    def examples(self) -> tuple[Config, ...]:
        """Take some points that lie apart, the same each time: for a look, not to be tried."""
        steps = [GOLDEN * (place + 1) for place in range(len(self.dimensions))]
        points = ([(0.5 + each * step) % 1.0 for step in steps] for each in range(EXAMPLES))
        return tuple(map(self.at, points))

    def flat(self, values: Mapping[str, object]) -> dict[str, object]:
        """Name what lies in tables by its whole name, where the space has such names."""
        if values.keys() <= self.dimensions.keys():
            return dict(values)
        return dict(self._flat(values, ""))

    def names(self) -> str:
        """List the names of the dimensions."""
        return ", ".join(self.dimensions)

    def _unfit(self, name: str, value: object) -> str:
        valid = self.dimensions[name].describe()
        return f"{name} = {value!r} is not in the space: it takes {valid}"

    def _flat(self, values: Mapping[str, object], above: str) -> Iterator[tuple[str, object]]:
        for key, value in values.items():
            name = f"{above}{key}"
            if isinstance(value, Mapping) and self._has_names_in(name):
                yield from self._flat(value, f"{name}.")
            else:
                yield name, value

    def _has_names_in(self, name: str) -> bool:
        return name not in self.dimensions and any(
            each.startswith(f"{name}.") for each in self.dimensions
        )
