"""The columns of a CSV file: whole numbers, numbers, or else texts.

Read row by row into arrays, which take eight bytes a number; a column that begins with numbers and
turns out to have texts has the file read again. An empty field among numbers is no number (NaN).
"""

import csv
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpmpi.errors import ObjectiveError


def columns_of(path: Path) -> dict[str, Any]:
    """Read a file again until the kind of each column is known: an array, or a list of texts."""
    texts: set[str] = set()
    try:
        while True:
            with path.open(newline="", encoding="utf-8-sig") as file:
                columns = Columns(csv.reader(file), path, texts)
                if columns.read():
                    return columns.columns
    except (UnicodeDecodeError, csv.Error) as error:
        raise ObjectiveError(f"{path} is no CSV file: {error}") from error


class Columns:
    """The columns of a CSV file, each as narrow as its fields allow so far."""

    def __init__(self, rows: Iterator[list[str]], path: Path, texts: set[str]) -> None:
        """Read rows, the first of which has the names; `texts` are known to be no numbers."""
        self._rows = rows
        self._path = path
        self._texts = texts
        self.columns: dict[str, Any] = {}

    def read(self) -> bool:
        """Read all; false if a column that began with numbers has turned out to have texts."""
        names = next(self._rows, [])
        if not names or len(set(names)) < len(names) or "" in names:
            raise ObjectiveError(f"{self._path}: the first line must name each column, once")
        columns: list[Any] = [[] if name in self._texts else array("q") for name in names]
        known = len(self._texts)
        for number, row in enumerate(self._rows, start=2):
            if not row:
                continue
            if len(row) != len(names):
                said = f"{len(row)} fields, and {len(names)} columns"
                raise ObjectiveError(f"{self._path}: row {number} has {said}")
            for index, field in enumerate(row):
                try:
                    columns[index].append(number_of(field, columns[index]))
                except (TypeError, ValueError, OverflowError):
                    columns[index] = self._wider(names[index], columns[index], field)
            if len(self._texts) > known:
                return False
        self.columns = dict(zip(names, columns, strict=True))
        return True

    def _wider(self, name: str, column: Any, field: str) -> Any:
        try:
            value = float(field or "nan")
        except ValueError:
            self._texts.add(name)
            return []
        return array("d", [*column, value])


def number_of(field: str, column: Any) -> object:
    """Read a field as its column's kind; raises ValueError."""
    if isinstance(column, list):
        return field
    return int(field) if column.typecode == "q" else float(field or "nan")
