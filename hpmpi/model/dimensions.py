"""Hyperparameters by themselves: numbers, whole numbers, choices, and values in an order.

A dimension maps [0, 1) to its values by `at`, and `unit` leads back. Where these are finitely many,
its `size` says how many; `level` numbers them from 0 on, and `number` leads back; each has a part
of [0, 1), its cell. What stands for one of its values, such as 1 for 1.0, `fit` turns into it;
numbers and arrays of numpy's are welcome. What is optional has None among its values.
"""

import math
from typing import Annotated, Any

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.intervals import between, leading_back, middle, part_of, rounded, share
from hpmpi.model.listed import Listed
from hpmpi.model.trial import Value
from hpmpi.model.values import LARGEST, is_number, plain, says_number

FINEST = 1e-10
"""How close the values of a float may lie, relative to their size: they have 12 digits."""

NONE_SHARE = 0.25
"""How much of [0, 1) is None in a range that is optional."""

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

    def number(self, value: float) -> int:
        """Compute the number of a value, where there are finitely many."""
        return 0 if self.step is None else round((value - self.low) / self.step)

    def at(self, unit: float) -> float:
        """Map [0, 1) to the range."""
        if self.step is not None and self.size is not None:
            return self.level(part_of(self.size, unit))
        if self.log:
            value = math.exp(between(math.log(self.low), math.log(self.high), unit))
        else:
            value = between(self.low, self.high, unit)
        return rounded(value, self.low, self.high)

    def unit(self, value: float) -> float:
        """Map a value back; to the middle of its cell, where there are finitely many."""
        if self.size is not None:
            return middle(self.size, self.number(value))
        if self.log:
            unit = share(math.log(self.low), math.log(self.high), math.log(value))
        else:
            unit = share(self.low, self.high, value)
        return leading_back(self.at, value, unit)

    def fit(self, value: object) -> float:
        """Take what stands for one of the values as that; raises SpaceError for what does not."""
        if type(value) is float and self.step is None and self.low <= value <= self.high:
            return value  # as what is drawn: each trial pays for it
        value = plain(value)
        if is_number(value):
            if self.step is None and self.low <= value <= self.high:
                return float(value)
            if self.step is not None and self._is_near(value, self.step):
                steps = (value - self.low) / self.step
                number = min(max(round(steps), 0), (self.size or 1) - 1)
                if abs(steps - number) <= self._close(self.step):
                    return self.level(number)
        raise misfit(self)

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        return says_number(text)

    def describe(self) -> str:
        """Say what is valid."""
        return f"a number from {self.low} to {self.high}{in_steps(self.step)}"

    def _is_near(self, value: float, step: float) -> bool:
        return self.low - step <= value <= self.high + step

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

    def number(self, value: int) -> int:
        """Compute the number of a value."""
        return (value - self.low) // (self.step or 1)

    def at(self, unit: float) -> int:
        """Map [0, 1) to the range, each whole number having its own interval."""
        if not self.log:
            return self.level(part_of(self.size, unit))
        value = math.exp(between(math.log(self.low), math.log(self.high + 1), unit))
        return math.floor(rounded(value, self.low, self.high))

    def unit(self, value: int) -> float:
        """Map a value back, to the middle of its cell."""
        if self.log:
            ends = [math.log(end) for end in (self.low, self.high + 1, value, value + 1)]
            unit = share(ends[0], ends[1], (ends[2] + ends[3]) / 2)
        else:
            unit = middle(self.size, self.number(value))
        return leading_back(self.at, value, unit)

    def fit(self, value: object) -> int:
        """Take what stands for one of the values as that; raises SpaceError for what does not."""
        if type(value) is int and self.step is None and self.low <= value <= self.high:
            return value
        value = plain(value)
        if is_number(value) and self.low <= value <= self.high and value == int(value):
            whole = int(value)
            if (whole - self.low) % (self.step or 1) == 0:
                return whole
        raise misfit(self)

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return int(text)
        except ValueError:
            return says_number(text)

    def describe(self) -> str:
        """Say what is valid."""
        return f"a whole number from {self.low} to {self.high}{in_steps(self.step)}"


class Choice(Listed, frozen=True, tag="choice"):
    """One of some values, each as far from the others."""


class Ordinal(Listed, frozen=True, tag="ordinal"):
    """One of some values that are in an order."""


class OptionalRange(msgspec.Struct, frozen=True, tag="optional"):
    """A number or none: None has the first part of [0, 1), `NONE_SHARE`, and is the level 0."""

    range: Float | Int

    def check(self) -> None:
        """Raise SpaceError where the range makes no sense."""
        self.range.check()

    @property
    def size(self) -> int | None:
        """How many values there are, with None."""
        return None if self.range.size is None else self.range.size + 1

    def level(self, number: int) -> Value | None:
        """Take a value by its number."""
        return self.range.level(number - 1) if number else None

    def number(self, value: Any) -> int:
        """Find the number of a value."""
        return 0 if value is None else self.range.number(value) + 1

    def at(self, unit: float) -> Value | None:
        """Map [0, 1) to None and the range."""
        if unit < NONE_SHARE:
            return None
        return self.range.at((unit - NONE_SHARE) / (1 - NONE_SHARE))

    def unit(self, value: Any) -> float:
        """Map a value back, to the middle of its cell, where there are finitely many."""
        if value is None:
            return NONE_SHARE / 2
        unit = NONE_SHARE + (1 - NONE_SHARE) * self.range.unit(value)
        return leading_back(self._ranged, value, unit)

    def fit(self, value: object) -> Value | None:
        """Take what stands for one of the values as that; raises SpaceError for what does not."""
        return None if value is None else self.range.fit(value)

    def read(self, text: str) -> Value | None:
        """Take the value that a text says; the text itself where it says none."""
        return self.range.read(text) if text.strip() else None

    def describe(self) -> str:
        """Say what is valid."""
        return f"{self.range.describe()}, or no value"

    def _ranged(self, unit: float) -> Any:
        value = self.at(unit)
        return -math.inf if value is None else value


Dimension = Float | Int | Choice | Ordinal | OptionalRange


def misfit(dimension: Dimension) -> SpaceError:
    """Say what a dimension takes."""
    return SpaceError(f"it takes {dimension.describe()}")


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


def in_steps(step: float | None) -> str:
    """Say of what is valid how far it is apart."""
    return "" if step is None else f" in steps of {step}"
