"""How a text file of rows and columns is written: its encoding, its separators, and its header.

What is called CSV has commas, semicolons, tabs or blanks between its cells, a comma or a point in
its numbers, and is in the encoding of whoever wrote it. What its first rows agree on is believed.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

SAMPLE_ROWS = 1000
"""How many rows of a file are looked at."""

BLANKS = r"\s+"
SEPARATORS = ("\t", ";", "|", ",")
"""The rarer ones first: they stand in each row of a file of another kind only by a rare chance."""

WITH_COMMA = r"[-+]?\d+,\d+([eE][-+]?\d+)?"
WITH_POINT = r"[-+]?\d*\.\d+([eE][-+]?\d+)?"

UNKNOWN = (
    *("", "?", "NA", "N/A", "n/a", "na", "#N/A", "<NA>"),
    *("NaN", "nan", "-NaN", "-nan", "null", "NULL", "None"),
)
"""How people write that they do not know."""

LAST_ENCODING = "cp1252"
ENCODINGS = ("utf-8-sig", "utf-16", LAST_ENCODING)
"""The likely first; UTF-16 begins with a mark, or is none, and any file has the last."""


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


def read_csv(path: Path, encoding: str, separator: str, **how: Any) -> Any:
    """Have pandas read a file, also one that is compressed."""
    return pd.read_csv(
        path,
        sep=separator,
        skipinitialspace=separator != BLANKS,
        keep_default_na=False,
        encoding=encoding,
        encoding_errors="replace" if encoding == LAST_ENCODING else "strict",
        **how,
    )


def sniff(path: Path, encoding: str, target: str | None) -> Dialect:
    """Look at the first rows of a file; raises ValueError where they are no rows and columns."""
    separator, rows = separated(path, encoding)
    if rows.melt()["value"].str.contains("\0", na=False).any():
        raise ValueError("it is no text")
    cells = rows[1:].melt()["value"].astype(str)
    decimal = ","
    if separator == "," or not cells.str.fullmatch(WITH_COMMA).any():
        decimal = "."
    elif cells.str.fullmatch(WITH_POINT).any():
        raise ValueError("some of its numbers have a decimal comma, and some a point")
    beyond = rows.iloc[1:, -1]
    rows = rows.iloc[:, :-1].fillna("")
    header = is_header(list(rows.iloc[0]), rows[1:], decimal, target)
    names = list(rows.iloc[0]) if header else [""] * rows.shape[1]
    if header and beyond.notna().any():  # a name less than cells: of the row's number, or its end
        names = ["", *names] if (beyond != "").any() else [*names, ""]
    return Dialect(encoding, separator, decimal, header, names)


def separated(path: Path, encoding: str) -> tuple[str, Any]:
    """Find what stands as often in each row; raises ValueError where nothing does in the first.

    The rows come with it, in a table that has a column more than the first row.
    """
    ragged: tuple[str, Any] | None = None
    for separator in (*SEPARATORS, BLANKS):
        rows, fits = sample(path, encoding, separator)
        if fits:
            return separator, rows
        if rows.shape[1] > 1 and separator != BLANKS:
            ragged = separator, rows
    if ragged is None:
        raise ValueError(
            "its first row must have a feature and a target, with a comma, semicolon or tab between"
        )
    return ragged


def sample(path: Path, encoding: str, separator: str) -> tuple[Any, bool]:
    """Divide the beginning of a file into cells, and tell whether each row has as many of them.

    What a row lacks is not known; all but the first may have one more.
    """
    how: dict[str, Any] = {"header": None, "dtype": str}
    first = read_csv(path, encoding, separator, nrows=1, **how)
    if first.shape[1] == 1:
        return first, False
    names = range(first.shape[1] + 1)
    how |= {"names": names, "engine": "python"}  # that one tells nothing from an empty cell
    try:
        rows = read_csv(path, encoding, separator, nrows=SAMPLE_ROWS, **how)
    except pd.errors.ParserError:
        return first.reindex(columns=names), False
    rows = rows.apply(lambda column: column.str.strip())
    more = rows.iloc[1:, -1].notna()
    return rows, rows.iloc[:, :-1].notna().all(axis=None) and (more.all() or not more.any())


def is_header(first: list[str], rows: Any, decimal: str, target: str | None) -> bool:
    """Tell whether the first row has names.

    It does where it has no number, or the name of the target, or a word above nothing but numbers;
    or where it has 0, 1, 2 ... as pandas names columns, and a word that does not come again.
    """
    counted = [cell for cell in first if is_number(cell, decimal)]
    if target in first or not counted:
        return True
    columns = [set(rows[place]) for place in rows]
    for cell, column in zip(first, columns, strict=True):
        known = column.difference(UNKNOWN)
        is_word = cell not in counted and cell not in UNKNOWN
        if is_word and known and all(is_number(each, decimal) for each in known):
            return True
    alone = all(cell not in column for cell, column in zip(first, columns, strict=True))
    as_pandas = len(counted) > 1 and counted == [str(each) for each in range(len(counted))]
    return as_pandas and len(counted) < len(first) and alone


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
