"""How a text file of rows and columns is written: its encoding, its separators, and its header.

What is called CSV has commas, semicolons, tabs or blanks between its cells, a comma or a point in
its numbers, and is in the encoding of whoever wrote it. What its first rows agree on is believed.
"""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

SAMPLE_CHARACTERS = 1 << 18
"""How much of a file is looked at."""

BLANKS = r"\s+"
SEPARATORS = ("\t", ";", "|", ",")
"""The rarer ones first: they stand in each row of a file of another kind only by a rare chance."""

WITH_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
WITH_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")

UNKNOWN = (
    *("", "?", "NA", "N/A", "n/a", "na", "#N/A", "<NA>"),
    *("NaN", "nan", "-NaN", "-nan", "null", "NULL", "None"),
)
"""How people write that they do not know."""

Rows = list[list[str]]


class Dialect(NamedTuple):
    """The names of the columns are "" where they have none; without a header, none has."""

    encoding: str
    separator: str
    decimal: str
    header: bool
    names: list[str]

    @property
    def notes(self) -> list[str]:
        """Say what is not as in most files."""
        said = []
        if self.encoding == LAST_ENCODING:
            said.append(f"it is not UTF-8, and read as {LAST_ENCODING}")
        if self.decimal == ",":
            said.append("its numbers are read with a decimal comma")
        return said


LAST_ENCODING = "cp1252"


def encodings(path: Path) -> list[str]:
    """List the encodings that a file may have, the likely first; any file has the last."""
    with unpacked(path) as file:
        mark = file.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return ["utf-16"]
    return ["utf-8-sig", LAST_ENCODING]


def opened(path: Path, encoding: str) -> IO[str]:
    """Open a text, also one that is compressed."""
    errors = "replace" if encoding == LAST_ENCODING else "strict"
    return io.TextIOWrapper(unpacked(path), encoding, errors, newline="")


def unpacked(path: Path) -> Any:
    """Open a file of bytes, by how its name ends."""
    take = PACKED.get(path.suffix.lower())
    return path.open("rb") if take is None else take(path)


def only_member(path: Path) -> Any:
    """Open the only file of an archive; raises ValueError where there are more."""
    archive = zipfile.ZipFile(path)
    members = [each for each in archive.namelist() if not each.endswith("/")]
    if len(members) != 1:
        raise ValueError(f"it has {len(members)} files: {', '.join(members)}")
    return archive.open(members[0])


PACKED: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zip": only_member,
}
"""What opens a compressed file."""


def sniff(path: Path, encoding: str, target: str | None) -> Dialect:
    """Look at the first rows of a file; raises ValueError where they are no rows and columns."""
    with opened(path, encoding) as file:
        text = file.read(SAMPLE_CHARACTERS)
    if "\0" in text:
        raise ValueError("it is no text")
    separator = separator_of(text)
    first, *rows = rows_of(text, separator)
    cells = [cell for row in rows for cell in row]
    decimal = ","
    if separator == "," or not any(map(WITH_COMMA.fullmatch, cells)):
        decimal = "."
    elif any(map(WITH_POINT.fullmatch, cells)):
        raise ValueError("some of its numbers have a decimal comma, and some a point")
    header = is_header(first, rows, decimal, target)
    names = first if header else [""] * len(first)
    longer = {len(row) for row in rows} == {len(first) + 1}
    if header and longer:  # a name less than cells: of the end of each row, or of its number
        names = [*names, ""] if not any(row[-1] for row in rows) else ["", *names]
    return Dialect(encoding, separator, decimal, header, names)


def separator_of(text: str) -> str:
    """Find what stands as often in each row; raises ValueError where nothing does in the first."""
    for separator in (*SEPARATORS, BLANKS):
        first, *rows = rows_of(text, separator) or [[]]
        widths = {len(row) for row in rows} or {len(first)}
        if len(widths) == 1 and max(widths) > 1 and max(widths) - len(first) in (0, 1):
            return separator
    for separator in reversed(SEPARATORS):
        if len((rows_of(text, separator) or [[]])[0]) > 1:
            return separator
    raise ValueError(
        "its first row must have a feature and a target, with a comma, semicolon or tab between"
    )


def rows_of(text: str, separator: str) -> Rows:
    """Divide the beginning of a file into rows of cells; the last may be half a row."""
    whole = len(text) < SAMPLE_CHARACTERS
    if separator == BLANKS:
        rows = [line.split() for line in text.splitlines()]
    else:
        rows = list(cells_of(text, separator))
    rows = [[cell.strip() for cell in row] for row in rows if row]
    return rows if whole or len(rows) < 2 else rows[:-1]  # noqa: PLR2004 - one must be left


def cells_of(text: str, separator: str) -> Iterator[list[str]]:
    """Divide text into cells; raises ValueError where that can't be done."""
    try:
        yield from csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    except csv.Error as error:
        raise ValueError(f"it is not CSV: {error}") from error


def is_header(first: list[str], rows: Rows, decimal: str, target: str | None) -> bool:
    """Tell whether the first row has names.

    It does where it has no number, or the name of the target, or a word above nothing but numbers;
    or where it has 0, 1, 2 ... as pandas names columns, and a word that does not come again.
    """
    numbers = [is_number(cell, decimal) for cell in first]
    if target in first or not any(numbers):
        return True
    columns = [[row[each] for row in rows if each < len(row)] for each in range(len(first))]
    for cell, number, column in zip(first, numbers, columns, strict=True):
        known = [each for each in column if each not in UNKNOWN]
        is_word = not number and cell not in UNKNOWN
        if is_word and known and all(is_number(each, decimal) for each in known):
            return True
    counted = [cell for cell, number in zip(first, numbers, strict=True) if number]
    alone = [cell not in column for cell, column in zip(first, columns, strict=True)]
    as_pandas = len(counted) > 1 and counted == [str(each) for each in range(len(counted))]
    return as_pandas and not all(numbers) and all(alone)


def is_number(text: str, decimal: str = ".") -> bool:
    """Tell what is read as a number.

    >>> [is_number(text) for text in ("-1e3", "nan", "age", "")], is_number("1,5", ",")
    ([True, True, False, False], True)
    """
    if "_" in text:  # one for Python, a code for all others
        return False
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True
