"""A file of candidates: CSV, JSON or JSON lines become configurations, or what is wrong with them.

The first candidate is row 1. What is wrong names the file, the row and the line that it begins in.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.searchers.list import checked
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Value

SEPARATORS = (",", ";", "\t")

BEGINNING = re.compile(r"[^\s,]")
"""Where an item of a JSON list begins, or the list ends."""


class Row(NamedTuple):
    """A candidate, or why it is none, and in which line of the file it begins."""

    line: int
    candidate: dict[str, Any] | SpaceError


class BrokenError(Exception):
    """A file that is not what its name says; the message goes after the file's name."""


def read(path: Path, space: Space) -> list[Config]:
    """Read the candidates of a study; raises SettingsError with all that is wrong."""
    take = FORMATS.get(path.suffix.lower())
    if take is None:
        raise SettingsError([f"{path} must end in one of these: {', '.join(FORMATS)}"])
    try:
        rows = list(take(path.read_text(encoding="utf-8-sig"), space))
    except BrokenError as error:
        raise SettingsError([f"{path} {error}"]) from error
    except OSError as error:
        raise SettingsError([f"{path} can't be read: {error.strerror}"]) from error
    except ValueError as error:
        raise SettingsError([f"{path} is no text in UTF-8: {error}"]) from error
    if not rows:
        raise SettingsError([f"{path} has no candidates; there must be one at least"])
    candidates = [row.candidate for row in rows]
    return checked(candidates, space, lambda row: f"{path} row {row + 1} (line {rows[row].line})")


def from_csv(text: str, space: Space) -> Iterator[Row]:
    """Read a header of hyperparameters, in any order, and a candidate a row.

    A column without a name, as pandas writes an index, is none of them.
    """
    how: Any = {"delimiter": separator(text, space), "skipinitialspace": True, "strict": True}
    reader = csv.reader(io.StringIO(text), **how)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not names:
            return
        check_header([name for name in names if name], space)
        takes = [cache(reading(name, space)) if name else str for name in names]
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield Row(line, of_cells(names, takes, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BrokenError(f"is not CSV: {error} (line {reader.line_num})") from error


def reading(name: str, space: Space) -> Callable[[str], Value | None]:
    """Find how the cells of a column are read: where there is nothing, it may be inactive."""
    read = space.dimensions[name].read
    if name not in space.conditions:
        return read
    return lambda text: read(text) if text.strip() else None


def separator(text: str, space: Space) -> str:
    """Find what stands between the names in the first line; a comma, unless it shows."""
    first = text.lstrip().partition("\n")[0].strip()
    for mark in SEPARATORS:
        names = {name.strip(' "') for name in first.split(mark)} - {""}
        if names <= space.dimensions.keys() and names >= {*needed(space)} and names:
            return mark
    return ","


def check_header(names: list[str], space: Space) -> None:
    """Raise BrokenError unless each hyperparameter has a column, and nothing else has.

    What may be inactive, or without a value, needs none.
    """
    said = {
        "lacks the columns": [name for name in needed(space) if name not in names],
        "has columns that are not in [space]": [it for it in names if it not in space.dimensions],
        "has columns twice": [name for name in space.dimensions if names.count(name) > 1],
    }
    wrong = [f"{what}: {', '.join(which)}" for what, which in said.items() if which]
    if wrong:
        raise BrokenError(f"{'; '.join(wrong)}; its first line must name: {space.names()}")


def needed(space: Space) -> list[str]:
    """List the hyperparameters that all configurations have a value of."""
    return [name for name in space.dimensions if name not in {*space.conditions, *space.optional}]


def of_cells(
    names: list[str], takes: Sequence[Callable[[str], Value | None]], cells: list[str]
) -> dict[str, Any] | SpaceError:
    """Make a candidate of the cells of a row."""
    if len(cells) != len(names):
        return SpaceError(f"it has {len(cells)} cells, and the first line {len(names)}")
    try:
        columns = zip(names, takes, cells, strict=True)
        return {name: take(cell) for name, take, cell in columns if name}
    except SpaceError as error:
        return error


def from_json(text: str, _space: Space) -> Iterator[Row]:
    """Read a list of objects."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenError(f"is not JSON: {error}") from error
    if not isinstance(found, list):
        raise BrokenError("must have a list of objects: [{...}, {...}]")
    for each, line in zip(found, lines(text), strict=False):
        yield Row(line, of_object(each))


def lines(text: str) -> Iterator[int]:
    """Find the line that each item of a JSON list begins in."""
    decode = json.JSONDecoder().raw_decode
    end = text.index("[") + 1
    line = 1 + text.count("\n", 0, end)
    while (mark := BEGINNING.search(text, end)) is not None and mark[0] != "]":
        line += text.count("\n", end, mark.start())
        yield line
        _, end = decode(text, mark.start())
        line += text.count("\n", mark.start(), end)


def from_json_lines(text: str, _space: Space) -> Iterator[Row]:
    """Read an object a line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield Row(number, of_object(json.loads(line)))
            except (ValueError, RecursionError) as error:
                yield Row(number, SpaceError(f"it is not JSON: {error}"))


def of_object(found: object) -> dict[str, Any] | SpaceError:
    """Take what is an object as a candidate."""
    return found if isinstance(found, dict) else SpaceError(f"{found!r} is not an object: {{...}}")


FORMATS: dict[str, Callable[[str, Space], Iterator[Row]]] = {
    ".csv": from_csv,
    ".json": from_json,
    ".jsonl": from_json_lines,
    ".ndjson": from_json_lines,
}
"""What a file has, by how its name ends."""
