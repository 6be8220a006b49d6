"""Tables checked against typed signatures: every mistake is collected, none is raised.

A mistake is said with its table and key, what was given, and what is valid. The same door serves
our own frozen structs and the keywords of a user's class.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

Table = dict[str, Any]
Homes = Mapping[str, Sequence[str]]
"""By a key, where it is at home: the whole names of the settings that are called so."""

CLOSE_ELSEWHERE = 0.75
"""How close a key of another table must be to be meant, by difflib's ratio; 0.6 in its own."""

Form = TypeVar("Form", bound=msgspec.Struct)


class Problems(list[str]):
    """Mistakes as they are found; a key that is none is told of its `homes`."""

    def __init__(self, homes: Homes) -> None:
        """Start without mistakes."""
        super().__init__()
        self.homes = homes


def fill_struct(kind: type[Form], table: object, where: str, problems: list[str]) -> Form | None:
    """Make a struct of a table, and of the tables in it; None where there is a mistake."""
    parameters = inspect.signature(kind).parameters
    values = fill(parameters, get_type_hints(kind, include_extras=True), table, where, problems)
    return None if values is None else kind(**values)


def fill_keywords(
    kind: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    table: object,
    where: str,
    problems: list[str],
) -> Table | None:
    """Check a table against some parameters of a class; defaults are filled in."""
    hints = get_type_hints(kind.__init__, include_extras=True)
    values = fill(parameters, hints, table, where, problems)
    defaults = {name: each.default for name, each in parameters.items() if given(each.default)}
    return None if values is None else defaults | values


def keywords(kind: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Find the keyword-only parameters of a class."""
    parameters = inspect.signature(kind).parameters.items()
    return {name: it for name, it in parameters if it.kind is it.KEYWORD_ONLY}


def fill(
    parameters: Mapping[str, inspect.Parameter],
    hints: Mapping[str, Any],
    table: object,
    where: str,
    problems: list[str],
) -> Table | None:
    """Convert each value of a table to its parameter's type."""
    if not isinstance(table, dict):
        problems.append(f"{where} = {table!r} must be a table")
        return None
    before = len(problems)
    homes = problems.homes if isinstance(problems, Problems) else {}
    values = {}
    for key, value in table.items():
        if key in parameters:
            values[key] = convert(value, hints.get(key, Any), dotted(where, key), problems)
        else:
            problems.append(unknown(where, key, list(parameters), homes))
    problems += [
        f"{dotted(where, key)} is missing; it must be given"
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in table
    ]
    return values if len(problems) == before else None


def convert(value: object, hint: Any, where: str, problems: list[str]) -> object:
    """Convert one value; a table of its own where the type is a struct, or that and None."""
    struct = next((it for it in (hint, *get_args(hint)) if is_struct(it)), None)
    if struct is not None:
        return fill_struct(struct, value, where, problems)
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        said = str(error).replace("`", "").replace(" - at $[...]", "").replace("$", "")
        said = said.replace(" | null", "")
        said = said.replace("object", "table").replace("array", "list").replace("str", "text")
        if words := choices(hint):
            said = f"there is: {', '.join(words)}"
        problems.append(f"{where} = {value!r} is not valid: {said[0].lower()}{said[1:]}")
        return None


def is_struct(hint: Any) -> bool:
    """Tell whether a type is one of our own tables."""
    return inspect.isclass(hint) and issubclass(hint, msgspec.Struct)


def choices(hint: Any) -> list[str]:
    """List the words that a type takes, where it takes nothing but some words, or nothing."""
    if get_origin(hint) is Literal:
        return list(map(repr, get_args(hint)))
    parts = (it for it in get_args(hint) if it is not NoneType and not isinstance(it, msgspec.Meta))
    kinds = [choices(it) for it in parts]
    return list(dict.fromkeys(word for words in kinds for word in words)) if all(kinds) else []


def unknown(where: str, key: str, valid: Sequence[str], homes: Homes) -> str:
    """Say that a key is none, which one may be meant, maybe elsewhere, and which there are.

    >>> unknown("scheduler", "max_trials", ["method"], {"max_trials": ["stop.max_trials"]})
    'scheduler.max_trials is not a setting; did you mean stop.max_trials? [scheduler] has: method'
    """
    close = [*homes.get(key, ()), *difflib.get_close_matches(key, valid, n=1)]
    if not close:
        alike = difflib.get_close_matches(key, homes, n=1, cutoff=CLOSE_ELSEWHERE)
        close = [name for it in alike for name in homes[it]]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    table = f"[{where}]" if where else "the top level"
    return f"{dotted(where, key)} is not a setting; {hint}{table} has: {', '.join(valid)}"


def dotted(where: str, key: str) -> str:
    """Name a key with its table."""
    return f"{where}.{key}" if where else key


def given(default: object) -> bool:
    """Tell whether a parameter has a default that a file can hold."""
    return default is not inspect.Parameter.empty and default is not None
