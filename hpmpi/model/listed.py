"""Values one by one: what choices, and values in an order, have in common."""

from typing import Annotated

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.intervals import middle, part_of
from hpmpi.model.trial import Value
from hpmpi.model.values import plain, same, says, unfit


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some values one by one, which may be lists and tables; they may have names.

    A name stands for its value wherever one is given, and is what people are shown.
    """

    values: Annotated[list[Value | None], msgspec.Meta(min_length=1)]
    names: list[str | None] | None = None

    def check(self) -> None:
        """Raise SpaceError where a value stands twice, or is one that no file can hold."""
        for index, value in enumerate(self.values):
            for problem in unfit(value) if value is not None else ():
                raise SpaceError(f"{problem}; give it a name, as text")
            if any(same(value, other) for other in self.values[:index]):
                raise SpaceError(f"the value {value!r} stands twice; give each value once")
        for name, value in zip(self.names or (), self.values, strict=False):
            if name is None:
                continue
            if not (name and name.isprintable()):
                raise SpaceError(f"{name!r} can't be the name of a value: it must be printable")
            if value != name and any(says(name, other) for other in self.values):
                raise SpaceError(f"the name {name!r} is that of {value!r}, and a value, too")

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def level(self, number: int) -> Value | None:
        """Take a value by its number."""
        return self.values[number]

    def number(self, value: Value | None) -> int:
        """Find the number of a value."""
        return next(number for number, it in enumerate(self.values) if same(it, value))

    def at(self, unit: float) -> Value | None:
        """Map [0, 1) to the values, each having an interval of the same length."""
        return self.values[part_of(self.size, unit)]

    def unit(self, value: Value | None) -> float:
        """Map a value back, to the middle of its cell."""
        return middle(self.size, self.number(value))

    def fit(self, value: object) -> Value | None:
        """Take what stands for one of the values as that; raises SpaceError for what does not."""
        for own in self.values:
            if own is value:
                return own
        value = plain(value)
        for number, own in enumerate(self.values):
            if same(own, value) or (value is not None and value == self.name(number)):
                return own
        raise SpaceError(f"it takes {self.describe()}")

    def name(self, number: int) -> str | None:
        """Find the name of a value by its number."""
        return self.names[number] if self.names else None

    def shown(self, value: Value | None) -> Value | None:
        """Show a value by its name, where it has one."""
        if not self.names:
            return value
        names = (self.name(n) for n, own in enumerate(self.values) if same(own, value))
        return next(names, None) or value

    def read(self, text: str) -> Value | None:
        """Take the value that a text says; the text itself where it says none.

        Raises SpaceError where it may be one or another, such as 1 or "1".
        """
        if text.strip() in (self.names or ()):
            assert self.names is not None
            return self.values[self.names.index(text.strip())]
        found = [value for value in self.values if says(text, value)]
        if len(found) > 1:
            either = " or ".join(repr(value) for value in found)
            raise SpaceError(f"{text!r} may be {either}; JSON can tell them apart")
        return found[0] if found else text

    def describe(self) -> str:
        """Say what is valid."""
        words = [self.name(number) or repr(value) for number, value in enumerate(self.values)]
        return f"one of {', '.join(words)}".replace("None", "no value")
