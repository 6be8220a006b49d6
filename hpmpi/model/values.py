"""What a hyperparameter may be: as numpy has it, as a text says it, and what no file can hold.

Types count: 1, 1.0, true and "1" are four values, in lists and tables, too.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeGuard

import msgspec

from hpmpi.model.trial import Value

LARGEST = 2**53
"""Up to here a float holds every whole number exactly."""

DEEPEST = 64
"""How deep lists and tables may lie in each other."""

PLAIN = {bool, int, float, str}
"""The types of values that have none in them."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell numbers from text and truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays, and tuples, into what a study file can hold.

    >>> plain((64, 32.0)), plain({"layers": (1, 2)})
    ([64, 32.0], {'layers': [1, 2]})
    """
    if type(value) in PLAIN:
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def text_of(value: Value | None) -> str:
    """Write a value as text: a list or a table as JSON, and nothing where there is none.

    >>> text_of("relu"), text_of(0.5), text_of(True), text_of(None), text_of([64, {"a": 0.5}])
    ('relu', '0.5', 'True', '', '[64,{"a":0.5}]')
    """
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def label_of(value: Value | None) -> str:
    """Write a value as `text_of` does, and that there is none.

    >>> label_of(None), label_of("")
    ('none', '')
    """
    return "none" if value is None else text_of(value)


def says_number(text: str) -> float | str:
    """Read a number; a text that says none stays one."""
    try:
        return float(text)
    except ValueError:
        return text


def says(text: str, value: Value | None) -> bool:
    """Tell whether a text is how people and programs write a value; spaces around it are none."""
    text = text.strip()
    match value:
        case None:
            return not text
        case bool():
            return text.lower() == str(value).lower()
        case str():
            return text == value.strip()
        case list() | dict():
            return reads_as(text, value)
        case _:
            return says_number(text) == value


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
