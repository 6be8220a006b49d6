"""Hyperparameters by themselves: numbers, whole numbers and choices.

A dimension maps [0, 1) to its values. Where these are finitely many, its `size` says how many, and
`level` numbers them from 0 on. What stands for one of its values, such as 1 for 1.0, `fit` turns
into it; numbers and arrays of numpy's are welcome.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, TypeGuard

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.trial import Value

LARGEST = 2**53
"""Up to here a float holds every whole number exactly."""

FINEST = 1e-10
"""How close the values of a float may lie, relative to their size: they have 12 digits."""

LEAST = 2.0**-1022
"""How small a float may be that has all its digits."""

CLOSE, ROUNDING = 1e-9, 1e-11
"""How far from a value a float may be that is meant to be it: in steps, and relative to its size,
as values have 12 digits."""

DEEPEST = 64
"""How deep lists and tables may lie in each other."""

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
        if self.size is not None:
            return self.level(part_of(self.size, unit))
        if self.log:
            value = math.exp(between(math.log(self.low), math.log(self.high), unit))
        else:
            value = between(self.low, self.high, unit)
        return rounded(value, self.low, self.high)

    def fit(self, value: object) -> float | None:
        """Take what stands for one of the values as that; None for what does not."""
        value, room = plain(value), self.step or 0.0
        if not is_number(value) or not self.low - room <= value <= self.high + room:
            return None
        if self.step is None or self.size is None:
            return float(value)
        steps = (value - self.low) / self.step
        number = min(max(round(steps), 0), self.size - 1)
        return self.level(number) if abs(steps - number) <= self._close(self.step) else None

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return float(text)
        except ValueError:
            return text

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
        value = plain(value)
        if not is_number(value) or not self.low <= value <= self.high or value != int(value):
            return None
        return int(value) if (int(value) - self.low) % (self.step or 1) == 0 else None

    def read(self, text: str) -> Value:
        """Take the value that a text says; the text itself where it says none."""
        try:
            return int(text)
        except ValueError:
            return text

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


def unfit(value: object, depth: int = 0) -> Iterator[str]:
    """Say what in a value no file can hold as it is."""
    match value:
        case list() | dict() if depth == DEEPEST:
            yield f"there are lists or tables more than {DEEPEST} deep in each other"
        case list() | dict():
            for each in value.values() if isinstance(value, dict) else value:
                yield from unfit(each, depth + 1)
        case bool() | str():
            pass
        case float():
            if not math.isfinite(value):
                yield f"the value {value} must be finite"
        case int():
            if abs(value) > LARGEST:
                yield f"the value {value} is too large"
        case _:
            yield f"the value {value} is neither number, text, truth value, list nor table"


def rounded(value: float, low: float, high: float) -> float:
    """Round to 12 digits, within the bounds.

    So it is 0.3, and not 0.30000000000000004 or what another machine's exp makes of it.

    >>> rounded(0.1 + 0.2, 0.0, 1.0), rounded(2 / 3, 0.0, 2 / 3)
    (0.3, 0.6666666666666666)
    """
    return min(max(float(f"{value:.12g}"), low), high)


def part_of(size: int, unit: float) -> int:
    """Find in which of `size` equal parts of [0, 1) a number lies."""
    return min(int(unit * size), size - 1)


def between(low: float, high: float, unit: float) -> float:
    """Interpolate; exact at both ends, and free of overflow."""
    return low * (1 - unit) + high * unit


def in_steps(step: float | None) -> str:
    """Say of what is valid how far it is apart."""
    return "" if step is None else f" in steps of {step}"


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell numbers from text and truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays, and tuples, into what a study file can hold.

    >>> plain((64, 32.0)), plain({"layers": (1, 2)})
    ([64, 32.0], {'layers': [1, 2]})
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def says(text: str, value: Value) -> bool:
    """Tell whether a text is how people and programs write a value; spaces around it are none."""
    text = text.strip()
    match value:
        case bool():
            return text.lower() == str(value).lower()
        case str():
            return text == value.strip()
        case list() | dict():
            return reads_as(text, value)
    try:
        return float(text) == value
    except ValueError:
        return False


def reads_as(text: str, value: Value) -> bool:
    """Tell whether a text is the JSON of a value.

    >>> reads_as("[64, 32]", [64, 32]), reads_as("[64, 32]", [64, 32.0]), reads_as("[64", [64])
    (True, False, False)
    """
    try:
        return same(msgspec.json.decode(text), value)
    except msgspec.DecodeError:
        return False


def same(one: object, other: object) -> bool:
    """Compare values so that 1, 1.0 and true are three, in lists and tables, too."""
    if type(one) is not type(other):
        return False
    match one, other:
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case _:
            return one == other
