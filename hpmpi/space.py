"""What may be tuned: a space of named dimensions, and its unit cube.

A searcher thinks in the unit cube, [0, 1) to the power of the number of dimensions; the space
turns a point of it into a configuration. Equal volumes of the cube are equally likely, so a log
dimension is uniform in its logarithm and every integer and choice has an interval of its own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.trial import Config, Value

LARGEST = 2**53
"""Up to here a float holds every whole number exactly."""

LONGEST_NAME = 200
"""How many characters a name may have, as that of a metric: each file and table has it."""

EXAMPLES = 8
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it lie apart on a circle."""

Whole = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]


class Float(msgspec.Struct, frozen=True, tag="float", forbid_unknown_fields=True):
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False

    def check(self) -> None:
        """Raise SpaceError where the bounds make no sense."""
        check_bounds(self.low, self.high, log=self.log)

    def at(self, unit: float) -> float:
        """Map [0, 1) to the range."""
        if self.log:
            value = math.exp(between(math.log(self.low), math.log(self.high), unit))
        else:
            value = between(self.low, self.high, unit)
        return min(max(value, self.low), self.high)

    def holds(self, value: Value) -> bool:
        """Tell whether a configuration may have this value."""
        return is_number(value) and self.low <= float(value) <= self.high

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return float(text)
        except ValueError:
            return text

    def describe(self) -> str:
        """Say what is valid."""
        return f"a number from {self.low} to {self.high}"


class Int(msgspec.Struct, frozen=True, tag="int", forbid_unknown_fields=True):
    """A whole number from `low` to `high`, both included."""

    low: Whole
    high: Whole
    log: bool = False

    def check(self) -> None:
        """Raise SpaceError where the bounds make no sense."""
        check_bounds(self.low, self.high, log=self.log)

    def at(self, unit: float) -> int:
        """Map [0, 1) to the range, each whole number having its own interval."""
        if self.log:
            value = math.exp(between(math.log(self.low), math.log(self.high + 1), unit))
        else:
            value = between(self.low, self.high + 1, unit)
        return min(max(math.floor(value), self.low), self.high)

    def holds(self, value: Value) -> bool:
        """Tell whether a configuration may have this value."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= int(value) <= self.high

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return int(text)
        except ValueError:
            return text

    def describe(self) -> str:
        """Say what is valid."""
        return f"a whole number from {self.low} to {self.high}"


class Choice(msgspec.Struct, frozen=True, tag="choice", forbid_unknown_fields=True):
    """One of the values given."""

    values: Annotated[list[Value], msgspec.Meta(min_length=1)]

    def check(self) -> None:
        """Raise SpaceError where a value stands twice, or is one that no file can hold."""
        for index, value in enumerate(self.values):
            if isinstance(value, float) and not math.isfinite(value):
                raise SpaceError(f"the value {value} must be finite; give it a name, as text")
            if isinstance(value, int) and abs(value) > LARGEST:
                raise SpaceError(f"the value {value} is too large; give it a name, as text")
            if any(same(value, other) for other in self.values[:index]):
                raise SpaceError(f"the value {value!r} stands twice; give each value once")

    def at(self, unit: float) -> Value:
        """Map [0, 1) to the values, each having an interval of the same length."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Value) -> bool:
        """Tell whether a configuration may have this value."""
        return any(same(value, other) for other in self.values)

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none.

        Raises SpaceError where it may be one or another, such as 1 or "1".
        """
        found = [value for value in self.values if says(text, value)]
        if len(found) > 1:
            either = " or ".join(repr(value) for value in found)
            raise SpaceError(f"{text!r} may be {either}; JSON can tell them apart")
        return found[0] if found else text

    def describe(self) -> str:
        """Say what is valid."""
        return f"one of {', '.join(repr(value) for value in self.values)}"


Dimension = Float | Int | Choice


class Space(msgspec.Struct, frozen=True):
    """The dimensions by name, in the order of the study file."""

    dimensions: dict[str, Dimension]

    def at(self, point: Sequence[float]) -> Config:
        """Turn a point of the unit cube (one coordinate a dimension) into a configuration."""
        pairs = zip(self.dimensions.items(), point, strict=True)
        return {name: dimension.at(unit) for (name, dimension), unit in pairs}

    def check(self, values: Mapping[str, Value]) -> None:
        """Raise SpaceError unless each value belongs to a dimension and lies in it."""
        for name, value in values.items():
            if name not in self.dimensions:
                raise SpaceError(f"{name!r} is not in [space], which has: {self.names()}")
            if not self.dimensions[name].holds(value):
                valid = self.dimensions[name].describe()
                raise SpaceError(f"{name} = {value!r} is not in the space: it takes {valid}")

    def whole(self, values: Mapping[str, Value]) -> Config:
        """Order the values as the dimensions are; raises SpaceError unless each has a valid one."""
        missing = [name for name in self.dimensions if name not in values]
        if missing:
            raise SpaceError(f"there is no {', '.join(missing)}; each of [space] must have a value")
        self.check(values)
        return {
            name: float(values[name]) if isinstance(dimension, Float) else values[name]
            for name, dimension in self.dimensions.items()
        }

    def examples(self) -> tuple[Config, ...]:
        """Take some points that lie apart, the same each time: for a look, not to be tried."""
        steps = [GOLDEN * (place + 1) for place in range(len(self.dimensions))]
        points = ([(0.5 + each * step) % 1.0 for step in steps] for each in range(EXAMPLES))
        return tuple(map(self.at, points))

    def names(self) -> str:
        """List the names of the dimensions."""
        return ", ".join(self.dimensions)


def check_name(name: str) -> None:
    """Raise SpaceError for a name that the results can't be written with."""
    if len(name) > LONGEST_NAME or "\0" in name:
        named = f"{name[:20]!r}... of {len(name)} characters" if len(name) > 20 else repr(name)  # noqa: PLR2004 - of it to say which
        raise SpaceError(
            f"the name {named} is none that results can be written with: it takes at most "
            f"{LONGEST_NAME} characters, and no NUL"
        )


def check_bounds(low: float, high: float, *, log: bool) -> None:
    """Raise SpaceError unless both are finite, `low` is below `high`, and positive for log."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"low = {low} and high = {high} must be finite")
    if low >= high:
        raise SpaceError(f"low = {low} must be less than high = {high}")
    if log and low <= 0:
        raise SpaceError(f"low = {low} must be greater than 0 where log = true")


def between(low: float, high: float, unit: float) -> float:
    """Interpolate; exact at both ends, and free of overflow."""
    return low * (1 - unit) + high * unit


def is_number(value: Value) -> bool:
    """Tell numbers from text and truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def says(text: str, value: Value) -> bool:
    """Tell whether a text is how people and programs write a value; spaces around it are none."""
    if isinstance(value, bool):
        return text.strip().lower() == str(value).lower()
    if isinstance(value, str):
        return text.strip() == value.strip()
    try:
        return float(text) == value
    except ValueError:
        return False


def same(one: Value, other: Value) -> bool:
    """Compare values so that 1, 1.0 and true are three."""
    return type(one) is type(other) and one == other
