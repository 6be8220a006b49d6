"""What is inside of an object, to be compared: a restart must lead to the same."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

PLAIN = (str, bytes, int, float, bool, type(None))

PASSING = {"awaits", "raised", "_calls", "_raises", "_is_over"}
"""What is of an event, or of a start, and is not gone on with."""


def insides(it: Any) -> Any:
    """Write an object as plain data: its attributes, and theirs, but no functions or iterators."""
    match it:
        case _ if isinstance(it, PLAIN):
            return it
        case _ if hasattr(it, "stands_for"):
            return insides(it.stands_for)
        case msgspec.Struct():
            return {name: insides(getattr(it, name)) for name in it.__struct_fields__}
        case Mapping():
            return {repr(key): insides(value) for key, value in it.items()}
        case AbstractSet():
            return sorted(map(repr, it))
        case Sequence():
            return [insides(each) for each in it]
        case Iterator():
            return None
        case _ if callable(it) or not hasattr(it, "__dict__"):
            return None
        case _:
            return {name: insides(value) for name, value in vars(it).items() if name not in PASSING}
