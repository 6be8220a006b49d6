"""TOML: what a study file may hold, how `--set` changes it, and how a study is stored."""

import datetime as dt
import tomllib
from collections.abc import Iterator
from typing import Any

import tomli_w

from hpmpi.errors import SettingsError
from hpmpi.model.values import DEEPEST
from hpmpi.study.schema import Table


def load(text: str, origin: str) -> Table:
    """Read TOML; raises SettingsError for what is none, and for what no program can work with."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number without an end
        raise SettingsError([f"{origin} is not TOML: {error}"]) from error
    for problem in extremes(table):
        raise SettingsError([f"{origin}: {problem}"])
    return table


def extremes(value: object, depth: int = 0) -> Iterator[str]:
    """Find what TOML does not promise to be readable: larger numbers, and no end of brackets.

    And dates: between ranks, and in a study that is stored, they would be texts.
    """
    if depth > DEEPEST:
        yield f"there are tables or lists more than {DEEPEST} deep in each other"
        return
    match value:
        case int() if not -(2**63) <= value < 2**63:
            yield "there is a whole number of more than 64 bits"
        case dt.date() | dt.time():
            yield f"there is a date or time, {value}: write it as text, between quotes"
        case dict() | list():
            for each in value.values() if isinstance(value, dict) else value:
                yield from extremes(each, depth + 1)
        case _:
            pass


def apply(table: Table, change: str) -> None:
    """Make the change that a `--set table.key=value` asks for; raises SettingsError."""
    path, equals, text = change.partition("=")
    *tables, key = keys_of(path)
    if not equals or not all([*tables, key]):
        example = "such as --set stop.max_trials=20"
        raise SettingsError([f"--set {change[:80]!r} must be table.key=value, {example}"])
    value = value_of(change, text.strip())
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise SettingsError([f"--set {change!r}: {name} is not a table"])
    table[key] = value


def keys_of(path: str) -> list[str]:
    """Split a key at its dots, but for those in quotes.

    >>> keys_of("space.lr.high"), keys_of('space."model.lr".high')
    (['space', 'lr', 'high'], ['space', 'model.lr', 'high'])
    """
    try:
        table: Any = tomllib.loads(f"{path} = 0")
    except (ValueError, RecursionError):
        table = {}
    keys = []
    while isinstance(table, dict) and table:
        key, table = table.popitem()
        keys.append(key)
    return keys or [part.strip() for part in path.split(".")]


def value_of(change: str, text: str, option: str = "--set") -> Any:
    """Read a value as TOML does; what is no value in TOML is a text, unless another was meant."""
    given = f"{option} {change[:80]!r}"
    try:
        change.encode()
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text in {"True", "False"}:
            said = f"a truth value is {text.lower()}, and a text has quotes"
            raise SettingsError([f"{given}: {said}"]) from error
        if text.startswith(("[", "{")):
            said = f"this is no list and no table, where texts have quotes ({error})"
            raise SettingsError([f"{given}: {said}"]) from error
        value = text
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{given} can't be read: {error}"]) from error
    for problem in extremes(value):
        raise SettingsError([f"{given}: {problem}"])
    return value


def dump(table: Table) -> str:
    """Write a table as TOML, without what has no value."""
    return tomli_w.dumps(without_none(table))


def without_none(value: Any) -> Any:
    """Leave out what has no value: TOML has no word for it."""
    if isinstance(value, dict):
        return {key: without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_none(each) for each in value]
    return value
