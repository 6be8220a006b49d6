"""Hyperparameters by themselves: numbers, whole numbers and choices.

A dimension maps [0, 1) to its values. Where these are finitely many, its `size` says how many, and
`level` numbers them from 0 on. What stands for one of its values, such as 1 for 1.0, `fit` turns
into it; numbers and arrays of numpy's are welcome.
"""

import math
from typing import Annotated

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.trial import Value
from hpmpi.model.values import LARGEST, is_number, plain, same, says, says_number, unfit

FINEST = 1e-10
"""How close the values of a float may lie, relative to their size: they have 12 digits."""

LEAST = 2.0**-1022
"""How small a float may be that has all its digits."""

CLOSE, ROUNDING = 1e-9, 1e-11
"""How far from a value a float may be that is meant to be it: in steps, and relative to its size,
as values have 12 digits."""

Whole = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Step = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


class Float(msgspec.Struct, frozen=True, tag="float", forbid_unknown_fields=True):
    """A number from `low` to `high`, both included; with `step`, of low + k * step only."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def check(self) -> None:
        """Raise SpaceError where the bounds or the step make no sense."""
        check_bounds(self.low, self.high, log=self.log)
        if self.step is None:
            return
        check_step(self.step, log=self.log)
        if self.step < max(-self.low, self.high) * FINEST:
            raise SpaceError(f"step = {self.step} is too small: 12 digits do not tell the values")
        check_levels(self)

    @property
    def size(self) -> int | None:
        """How many values there are; None where there are as many as floats."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return None
        steps = self.high / self.step - self.low / self.step
        return math.floor(steps + self._close(self.step)) + 1

    def level(self, number: int) -> float:
        """Compute a value from its number."""
        return rounded(self.low + number * (self.step or 0.0), self.low, self.high)

    def at(self, unit: float) -> float:
        """Map [0, 1) to the range."""
        if self.step is not None and self.size is not None:
            return self.level(part_of(self.size, unit))
        if self.log:
            value = math.exp(between(math.log(self.low), math.log(self.high), unit))
        else:
            value = between(self.low, self.high, unit)
        return rounded(value, self.low, self.high)

    def fit(self, value: object) -> float | None:
        """Take what stands for one of the values as that; None for what does not."""
        if type(value) is float and self.step is None:  # as what is drawn: each trial pays for it
            return value if self.low <= value <= self.high else None
        value = plain(value)
        if not is_number(value):
            return None
        if self.step is None:
            return float(value) if self.low <= value <= self.high else None
        if self.size is None or not self.low - self.step <= value <= self.high + self.step:
            return None
        steps = (value - self.low) / self.step
        number = min(max(round(steps), 0), self.size - 1)
        return self.level(number) if abs(steps - number) <= self._close(self.step) else None

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        return says_number(text)

    def describe(self) -> str:
        """Say what is valid."""
        return f"a number from {self.low} to {self.high}{in_steps(self.step)}"

    def _close(self, step: float) -> float:
        return CLOSE + ROUNDING * max(-self.low, self.high) / step


class Int(msgspec.Struct, frozen=True, tag="int", forbid_unknown_fields=True):
    """A whole number from `low` to `high`, both included; with `step`, of low + k * step only."""

    low: Whole
    high: Whole
    log: bool = False
    step: Step | None = None

    def check(self) -> None:
        """Raise SpaceError where the bounds or the step make no sense."""
        check_bounds(self.low, self.high, log=self.log)
        if self.step is not None:
            check_step(self.step, log=self.log)
            check_levels(self)

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def level(self, number: int) -> int:
        """Compute a value from its number."""
        return self.low + number * (self.step or 1)

    def at(self, unit: float) -> int:
        """Map [0, 1) to the range, each whole number having its own interval."""
        if not self.log:
            return self.level(part_of(self.size, unit))
        value = math.exp(between(math.log(self.low), math.log(self.high + 1), unit))
        return math.floor(rounded(value, self.low, self.high))

    def fit(self, value: object) -> int | None:
        """Take what stands for one of the values as that; None for what does not."""
        if type(value) is int and self.step is None:
            return value if self.low <= value <= self.high else None
        value = plain(value)
        if not is_number(value) or not self.low <= value <= self.high or value != int(value):
            return None
        return int(value) if (int(value) - self.low) % (self.step or 1) == 0 else None

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return int(text)
        except ValueError:
            return says_number(text)

    def describe(self) -> str:
        """Say what is valid."""
        return f"a whole number from {self.low} to {self.high}{in_steps(self.step)}"


class Choice(msgspec.Struct, frozen=True, tag="choice", forbid_unknown_fields=True):
    """One of the values given, which may be lists and tables."""

    values: Annotated[list[Value], msgspec.Meta(min_length=1)]

    def check(self) -> None:
        """Raise SpaceError where a value stands twice, or is one that no file can hold."""
        for index, value in enumerate(self.values):
            for problem in unfit(value):
                raise SpaceError(f"{problem}; give it a name, as text")
            if any(same(value, other) for other in self.values[:index]):
                raise SpaceError(f"the value {value!r} stands twice; give each value once")

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def level(self, number: int) -> Value:
        """Take a value by its number."""
        return self.values[number]

    def at(self, unit: float) -> Value:
        """Map [0, 1) to the values, each having an interval of the same length."""
        return self.values[part_of(self.size, unit)]

    def fit(self, value: object) -> Value | None:
        """Take what stands for one of the values as that; None for what does not."""
        for each in self.values:
            if each is value:
                return each
        value = plain(value)
        return next((each for each in self.values if same(each, value)), None)

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


def check_bounds(low: float, high: float, *, log: bool) -> None:
    """Raise SpaceError unless both are finite, `low` not above `high`, and positive for log."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"low = {low} and high = {high} must be finite")
    if low > high:
        raise SpaceError(f"low = {low} must not be greater than high = {high}")
    if log and low <= 0:
        raise SpaceError(f"low = {low} must be greater than 0 where log = true")


def check_step(step: float, *, log: bool) -> None:
    """Raise SpaceError unless it is a step."""
    if log:
        raise SpaceError(f"step = {step} does not go with log = true: leave one of them out")
    if not LEAST <= step < math.inf:
        raise SpaceError(f"step = {step} must be greater than 0, and finite")


def check_levels(dimension: Float | Int) -> None:
    """Raise SpaceError where a step leads beyond the bounds."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if low < high and dimension.size == 1:
        raise SpaceError(f"step = {step} is more than there is from low = {low} to high = {high}")


def rounded(value: float, low: float, high: float) -> float:
    """Round to 12 digits, within the bounds.

    So it is 0.3, and not 0.30000000000000004 or what another machine's exp makes of it.

    >>> rounded(0.1 + 0.2, 0.0, 1.0), rounded(2 / 3, 0.0, 2 / 3)
    (0.3, 0.6666666666666666)
    """
    value = float(f"{value:.12g}")
    if value < low:
        return low
    return min(value, high)


def part_of(size: int, unit: float) -> int:
    """Find in which of `size` equal parts of [0, 1) a number lies."""
    return min(int(unit * size), size - 1)


def between(low: float, high: float, unit: float) -> float:
    """Interpolate; exact at both ends, and free of overflow."""
    return low * (1 - unit) + high * unit


def in_steps(step: float | None) -> str:
    """Say of what is valid how far it is apart."""
    return "" if step is None else f" in steps of {step}"
