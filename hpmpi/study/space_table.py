"""The `[space]` table of a study becomes a space, or every mistake in it is said."""

from collections.abc import Callable, Iterator

from hpmpi.errors import SpaceError
from hpmpi.model.dimensions import Choice, Dimension, Float, Int
from hpmpi.model.space import Space
from hpmpi.study.schema import Table, dotted, fill_struct

DIMENSIONS: dict[str, type[Dimension]] = {"float": Float, "int": Int, "choice": Choice}

LONGEST_NAME = 200
"""How long the name of a hyperparameter or a metric is at most: it is that of a column."""

TOLD = 40
"""How much of one that is too long is told, in characters."""


def make_space(table: object, problems: list[str]) -> Space | None:
    """Make the space of a `[space]` table."""
    before = len(problems)
    dimensions: dict[str, Dimension] = {}
    for name, entry in entries(table if isinstance(table, dict) else {}):
        problems += name_problems("space", name)
        if name in dimensions:
            problems.append(f"space.{name} stands twice; give each hyperparameter once")
        dimension = make_dimension(f"space.{name}", entry, problems)
        if dimension is not None:
            dimensions[name] = dimension
    if table == {}:
        problems.append("[space] is empty; it must have a hyperparameter at least")
    return Space(dimensions) if len(problems) == before else None


def entries(table: Table, above: str = "") -> Iterator[tuple[str, object]]:
    """List the hyperparameters of a table, and of the tables in it, with dots in their names."""
    for key, entry in table.items():
        name = dotted(above, key)
        if isinstance(entry, dict) and not isinstance(entry.get("type"), str) and holds_any(entry):
            yield from entries(entry, name)
        else:
            yield name, entry


def holds_any(table: Table) -> bool:
    """Tell whether a table has hyperparameters in it, and is none itself."""
    return any(isinstance(each, dict) for each in table.values())


def make_dimension(where: str, entry: object, problems: list[str]) -> Dimension | None:
    """Make a dimension of its table."""
    valid = ", ".join(DIMENSIONS)
    if not isinstance(entry, dict) or "type" not in entry:
        values = entry if isinstance(entry, list) else [entry]
        example = f'{{ type = "choice", values = {values!r} }}'
        hint = "" if isinstance(entry, dict) else f", such as {example}"
        problems.append(f"{where} = {entry!r} must be a table with a type, one of: {valid}{hint}")
        return None
    kind = entry["type"]
    if not isinstance(kind, str) or kind not in DIMENSIONS:
        problems.append(f"{where}.type = {kind!r} is not known; there is: {valid}")
        return None
    rest = {key: value for key, value in entry.items() if key != "type"}
    dimension = fill_struct(DIMENSIONS[kind], rest, where, problems)
    if dimension is not None:
        attempt(dimension.check, where, problems)
    return dimension


def name_problems(where: str, name: str) -> list[str]:
    """Say why a name can't be that of a column."""
    if 0 < len(name) <= LONGEST_NAME and name.isprintable():
        return []
    shown = repr(name) if len(name) <= TOLD else f"{name[:TOLD]!r}... of {len(name)} characters"
    must = f"it must have 1 to {LONGEST_NAME} characters, and none that can't be printed"
    return [f"{where}: {shown} can't be a name: {must}"]


def attempt(check: Callable[[], None], where: str, problems: list[str]) -> None:
    """Collect what a check raises."""
    try:
        check()
    except SpaceError as error:
        problems.append(f"{where}: {error}")
