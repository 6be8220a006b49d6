"""What may be tuned: a space of named dimensions, and its unit cube.

A searcher thinks in the unit cube, [0, 1) to the power of the number of dimensions; the space
turns a point of it into a configuration, and a configuration into a point. Equal volumes of the
cube are equally likely, so a log dimension is uniform in its logarithm and every integer and choice
has an interval of its own.

A name may have dots in it. In a study file, and in what is given as a configuration, tables in
tables stand for it: `model.lr` is the `lr` in `model`, and in a configuration it is "model.lr".

A dimension with a condition is in a configuration only where that holds: its coordinate says
nothing elsewhere, and is `NEUTRAL` in the point of such a configuration. Constraints leave holes in
the cube: what lies in one is no configuration of the space, and `at` does not ask.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, islice

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.conditions import Condition, in_order
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import Dimension, OptionalRange
from hpmpi.model.listed import Listed
from hpmpi.model.numbering import Numbering
from hpmpi.model.priors import Prior
from hpmpi.model.trial import Config, Value

EXAMPLES = 8
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it lie apart on a circle."""

NEUTRAL = 0.5
"""The coordinate of what is inactive."""

MOST_DRAWS = 10_000
"""How often one draws for a configuration that fulfils the constraints."""

MOST_COUNTED = 20_000
"""Of how many configurations those are counted that fulfil the constraints."""


class Space(msgspec.Struct, frozen=True, dict=True):
    """The dimensions by name, in the order of the study file, and what holds between them."""

    dimensions: dict[str, Dimension]
    conditions: dict[str, Condition] = {}
    constraints: tuple[Constraint, ...] = ()
    priors: dict[str, Prior] = {}

    @cached_property
    def size(self) -> int | None:
        """How many configurations there are; None where they are as many as floats, or uncounted.

        With constraints, no more than `MOST_COUNTED` are looked at.
        """
        if not self.constraints:
            return self.most
        return None if self._fulfilling is None else len(self._fulfilling)

    @cached_property
    def most(self) -> int | None:
        """How many configurations there are at most: constraints aside.

        None also where conditions are so entangled that nobody counts what they leave.
        """
        sizes = [dimension.size for dimension in self.dimensions.values()]
        if None in sizes:
            return None
        if self.conditions:
            return self._numbering.size if self._numbering else None
        return math.prod(size for size in sizes if size is not None)

    @cached_property
    def optional(self) -> list[str]:
        """The dimensions that may have no value."""
        items = self.dimensions.items()
        return [name for name, dimension in items if is_optional(dimension)]

    @cached_property
    def is_plain(self) -> bool:
        """Whether each value goes with all others: nothing is inactive, nor ruled out."""
        return not (self.conditions or self.constraints)

    def at(self, point: Sequence[float]) -> Config:
        """Turn a point of the unit cube (one coordinate a dimension) into a configuration."""
        pairs = zip(self.dimensions.items(), point, strict=True)
        values = {name: dimension.at(unit) for (name, dimension), unit in pairs}
        return self._active(values) if self.conditions else values

    def unit(self, config: Mapping[str, object]) -> list[float]:
        """Turn a configuration into a point of the unit cube that `at` leads back from.

        One coordinate a dimension, in [0, 1]: 1 is the `high` of a float. Where a dimension has
        finitely many values, each has a cell of [0, 1), and its middle stands for it; what is
        inactive is `NEUTRAL`. Raises SpaceError unless it is a configuration of the space.
        """
        values = self.whole(config)
        return [
            dimension.unit(values[name]) if name in values else NEUTRAL
            for name, dimension in self.dimensions.items()
        ]

    def draw(self, random: Callable[[], float], given: Mapping[str, Value] | None = None) -> Config:
        """Draw a configuration that fulfils the constraints, and has what is `given`.

        `random` draws from [0, 1). Raises SpaceError where `MOST_DRAWS` draws bring none.
        """
        if self.is_plain:  # as most are: it is to be cheap
            point = self._point(random) if self.priors else [random() for _ in self.dimensions]
            config = self.at(point)
            return {**config, **given} if given else config
        for _ in range(MOST_DRAWS):
            drawn = self.around(given or {}, self._point(random))
            if drawn is not None:
                return drawn
        raise SpaceError(self._empty(given or {}))

    def around(self, given: Mapping[str, Value], point: Sequence[float]) -> Config | None:
        """Complete what is `given` by what a point says, as `completed` does by values."""
        pairs = zip(self.dimensions.items(), point, strict=True)
        return self.completed(
            given, {name: dimension.at(unit) for (name, dimension), unit in pairs}
        )

    def completed(self, given: Mapping[str, Value], values: Config) -> Config | None:
        """Complete what is `given` by values for all dimensions; None where that does not fit.

        So it is where something given is inactive then, or a constraint is not fulfilled.
        """
        config = self._active({**values, **given})
        return config if given.keys() <= config.keys() and self.holds(config) else None

    def holds(self, config: Config) -> bool:
        """Tell whether a configuration, as `at` makes it, fulfils the constraints."""
        return all(constraint.holds(config) for constraint in self.constraints)

    def numbered(self, number: int) -> Config:
        """Compute a configuration of a finite space from its number, from 0 on."""
        if self.constraints and self._fulfilling is not None:
            number = self._fulfilling[number]
        return self.numbered_of_most(number)

    def numbered_of_most(self, number: int) -> Config:
        """Compute a configuration that need not fulfil the constraints, from its number."""
        if self._numbering:
            levels = self._numbering.levels(number)
            items = self.dimensions.items()
            return {name: it.level(levels[name]) for name, it in items if name in levels}
        config: Config = {}
        for name, dimension in self.dimensions.items():
            assert dimension.size is not None, "only what is finite can be numbered"
            number, level = divmod(number, dimension.size)
            config[name] = dimension.level(level)
        return config

    def part(self, values: Mapping[str, object]) -> Config:
        """Bring a part of a configuration into the types and the order of the space.

        Raises SpaceError unless each value belongs to a dimension, is one of its own, and goes with
        the others.
        """
        given = self.flat(values)
        config = {name: self._fit(name, given[name]) for name in self.dimensions if name in given}
        if len(config) < len(given):
            name = next(name for name in given if name not in config)
            raise SpaceError(f"{name!r} is not in [space], which has: {self.names()}")
        for name, condition in self.conditions.items():
            for parent, valid in condition.parents.items():
                if name in config and parent in config and not valid.holds(config[parent]):
                    raise SpaceError(self._inactive(name))
        return config

    def whole(self, values: Mapping[str, object]) -> Config:
        """Do so with a configuration in which nothing may be missing, but what has no value.

        Raises SpaceError where something is inactive, too, and where a constraint is not fulfilled.
        """
        if self.is_plain and values.keys() == self.dimensions.keys():
            try:  # as with what searchers suggest: it is to be cheap
                return {name: it.fit(values[name]) for name, it in self.dimensions.items()}
            except SpaceError:
                return self.part(values)  # which says what of
        config = self._completed(self.part(values))
        for constraint in self.constraints:
            if not constraint.holds(config):
                named = [name for name in self.dimensions if name in constraint.names]
                values_of = ", ".join(f"{name} = {config[name]!r}" for name in named)
                raise SpaceError(f"{constraint.text!r} does not hold: {values_of}")
        return config

    def examples(self) -> tuple[Config, ...]:
        """Take some points that lie apart, the same each time: for a look, not to be tried."""
        steps = [GOLDEN * (place + 1) for place in range(len(self.dimensions))]
        points = ([(0.5 + each * step) % 1.0 for step in steps] for each in count())
        configs = map(self.at, islice(points, MOST_DRAWS))
        return tuple(islice(filter(self.holds, configs), EXAMPLES))

    def shown(self, config: Mapping[str, Value | None]) -> dict[str, Value | None]:
        """Show a configuration to people: values that have names by these."""
        named = self._named
        if not named:
            return dict(config)
        return {
            name: named[name].shown(value) if name in named else value
            for name, value in config.items()
        }

    def flat(self, values: Mapping[str, object]) -> dict[str, object]:
        """Name what lies in tables by its whole name, where the space has such names."""
        if values.keys() <= self.dimensions.keys():
            return dict(values)
        return dict(self._flat(values, ""))

    def names(self) -> str:
        """List the names of the dimensions."""
        return ", ".join(self.dimensions)

    @cached_property
    def _named(self) -> dict[str, Listed]:
        """The dimensions whose values have names."""
        items = self.dimensions.items()
        return {name: it for name, it in items if isinstance(it, Listed) and it.names}

    @cached_property
    def _conditioned(self) -> list[tuple[str, Condition]]:
        """The conditions, each after those of its parents."""
        order = in_order(self.dimensions, self.conditions)
        return [(name, self.conditions[name]) for name in order if name in self.conditions]

    @cached_property
    def _numbering(self) -> Numbering | None:
        """The numbers of a space with conditions, if these can be counted."""
        if not self.conditions:
            return None
        try:
            return Numbering(self.dimensions, self.conditions)
        except SpaceError:
            return None

    @cached_property
    def _fulfilling(self) -> Sequence[int] | None:
        """The numbers of those that fulfil the constraints, where these are counted."""
        if self.most is None or self.most > MOST_COUNTED:
            return None
        numbers = range(self.most)
        return array("l", [it for it in numbers if self.holds(self.numbered_of_most(it))])

    def _point(self, random: Callable[[], float]) -> list[float]:
        point = [random() for _ in self.dimensions]
        if self.priors:
            luck = random()
            for place, name in enumerate(self.dimensions):
                prior = self.priors.get(name)
                if prior is not None and luck < prior.strength:
                    point[place] = prior.near(random)
        return point

    def _active(self, values: Config) -> Config:
        """Leave out what is inactive of values for all dimensions."""
        inactive = self._inactive_in(values)
        return {name: value for name, value in values.items() if name not in inactive}

    def _inactive_in(self, values: Mapping[str, object]) -> set[str]:
        inactive: set[str] = set()
        for name, condition in self._conditioned:
            if not condition.holds(values, inactive):
                inactive.add(name)
        return inactive

    def _completed(self, config: Config) -> Config:
        """Have None where nothing was said, and raise where something is missing, or inactive."""
        values = {**dict.fromkeys(self.optional), **config}
        inactive = self._inactive_in(values)
        active = [name for name in self.dimensions if name not in inactive]
        missing = [name for name in active if name not in values]
        if missing:
            raise SpaceError(f"there is no {', '.join(missing)}; each of [space] must have a value")
        for name in config:
            if name in inactive:
                raise SpaceError(self._inactive(name))
        return {name: values[name] for name in active}

    def _fit(self, name: str, value: object) -> Value | None:
        try:
            return self.dimensions[name].fit(value)
        except SpaceError as error:
            raise SpaceError(f"{name} = {value!r} is not in the space: {error}") from None

    def _inactive(self, name: str) -> str:
        return f"{name} is inactive here, leave it out: it needs {self.conditions[name].describe()}"

    def _empty(self, given: Mapping[str, object]) -> str:
        wanted = [repr(constraint.text) for constraint in self.constraints]
        wanted += [f"{name} = {value!r}" for name, value in given.items()]
        return f"of {MOST_DRAWS} random configurations none fulfils: {', '.join(wanted)}"

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


def is_optional(dimension: Dimension) -> bool:
    """Tell whether a dimension may have no value."""
    if isinstance(dimension, Listed):
        return None in dimension.values
    return isinstance(dimension, OptionalRange)
