"""A study as Python says it: a study file, a table such as a file is, or an objective and keywords.

What is said in Python becomes what a file could have said, and is checked as that is. Names of
files are from the current folder, but those in a study file, which are from where that lies.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hpmpi.api import arrays
from hpmpi.api.functions import reference
from hpmpi.errors import SettingsError
from hpmpi.leader import run
from hpmpi.model.dimensions import Dimension
from hpmpi.study import checks
from hpmpi.study.data_table import Source
from hpmpi.study.schema import Table
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import written
from hpmpi.study.toml import extremes

Given = str | Path | Mapping[str, Any] | Callable[..., Any] | None
"""A study file, a study, an objective or its import path; None where keywords say it."""

FUNCTIONS = ("objective", "baseline")
"""The keys that may be functions."""


class Study(NamedTuple):
    """A checked study, the folder from which its files are named, and its run folder."""

    settings: Settings
    origin: Path
    folder: Path


def study_of(given: Given, keys: Mapping[str, Any], out: str | Path | None) -> Study:
    """Check a study, and keep its arrays beside its run folder; raises HpmpiError.

    `keys` are as at the top of a study file; in a table that is given, too, theirs count.
    """
    table, origin = table_of(given)
    for key, value in keys.items():
        before = table.get(key)
        both = isinstance(before, dict) and isinstance(value, Mapping)
        table[key] = {**before, **value} if both else value  # type: ignore[dict-item]
    data = table.pop("data") if is_arrays(table.get("data")) else None
    settings = checks.check(named(plain_table(table)), origin)
    folder = (run.folder_of(settings) if out is None else Path(out)).absolute()
    if data is not None:
        source = Source(source=str(arrays.keep(data, folder)))
        settings = msgspec.structs.replace(settings, data=source)
    return Study(settings, origin, folder)


def table_of(given: Given) -> tuple[dict[str, Any], Path]:
    """Read what a study is given as; and the folder from which it names files."""
    here = Path.cwd()
    match given:
        case None:
            return {}, here
        case Path() | str() if str(given).endswith(".toml"):
            return checks.read_table(Path(given)), Path(given).parent.absolute()
        case Mapping():
            return dict(given), here
        case _:
            return {"objective": given}, here


def named(table: Table) -> Table:
    """Name a study by its objective or program, where it has no name."""
    program = next(iter(table.get("command") or [""]))
    place = str(table.get("objective", program)).partition(":")[0]
    is_file = place.endswith(".py") or "objective" not in table
    stem = Path(place).stem if is_file else place.rpartition(".")[2]
    return {"name": stem, **table}


def is_arrays(data: object) -> bool:
    """Tell whether `data` are arrays by name, and not where to read them."""
    return isinstance(data, Mapping) and not isinstance(data.get("source", 0), str)


def plain_table(table: Mapping[str, Any]) -> Table:
    """Bring a study into what a file can say, or raise SettingsError with all that it can't."""
    problems: list[str] = []
    named_functions = {key: reference(table[key]) for key in FUNCTIONS if callable(table.get(key))}
    plain: Table = plain_value({**table, **named_functions}, "", problems)
    problems += extremes(plain)
    if problems:
        raise SettingsError(problems)
    return plain


def plain_value(value: Any, where: str, problems: list[str]) -> Any:
    """Bring a value into those that TOML has; what is None in a table is left out."""
    if isinstance(value, Dimension):
        return written(value)
    match value:
        case str() | bool() | int() | float():
            return value
        case Path():
            return str(value)
        case Mapping():
            return {
                str(key): plain_value(each, f"{where}.{key}" if where else str(key), problems)
                for key, each in value.items()
                if each is not None
            }
        case list() | tuple() | range():
            return [
                plain_value(each, f"{where}[{index}]", problems) for index, each in enumerate(value)
            ]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy's
        return value.item()
    problems.append(
        f"{where} = {value!r:.80} can't be said in a study file, which has numbers, texts, truth "
        "values, lists and tables"
    )
    return None
