"""One column of a table: what pandas has read of it becomes numbers.

A truth value is 0 or 1, a date its days since 1970, and a word its place in the column's alphabet,
which is told beside: what is made of words is the business of who trains.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hpmpi.data.dialect import is_number
from hpmpi.data.sheets import Array

DATES = ("ISO8601", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
"""How dates are written; the first that fits all of a column counts."""

types = pd.api.types


class Meaning(NamedTuple):
    """The numbers of a column; the alphabet, where these are of words; whether they are dates."""

    values: Array
    words: list[str]
    has_dates: bool


def meaning(column: Any) -> Meaning:
    """Turn a column into numbers; raises ValueError for what is neither number, date nor word."""
    if (values := measured(column)) is not None:
        return Meaning(values, [], types.is_datetime64_any_dtype(column.dtype))
    codes, words = spelt(column)
    for read in (truths, figures, dates):
        if (values := read(words)) is not None:
            return Meaning(np.append(values, np.nan)[codes], [], read is dates)
    return Meaning(np.where(codes < 0, np.nan, codes), words, has_dates=False)


def labels(column: Any, decimal: str) -> tuple[Array, list[str]]:
    """Turn what is to be predicted into numbers, or take words as they are.

    Words of digits that would become one number, as codes, stay words, and are returned as well.
    Raises ValueError where a row has nothing.
    """
    if (values := measured(column)) is not None:
        return values, []
    codes, words = spelt(column)
    if (codes < 0).any():
        raise ValueError(f"row {1 + int(np.argmin(codes))} has nothing to predict")
    values = figures(words, decimal)
    alike = [] if values is None else merged(words, values)
    return np.asarray(words if values is None or alike else values)[codes], alike


def measured(column: Any) -> Array | None:
    """Take what pandas knows as numbers; None for words, and what may be some."""
    if types.is_datetime64_any_dtype(column.dtype):
        return days(column)
    if types.is_timedelta64_dtype(column.dtype):
        column = column / pd.Timedelta(days=1)
    if types.is_numeric_dtype(column.dtype):  # truth values, too
        return np.asarray(column.to_numpy(float, na_value=np.nan))
    return None


def spelt(column: Any) -> tuple[Array, list[str]]:
    """Turn words into places in their alphabet, -1 where there is none."""
    try:
        codes, found = pd.factorize(column)
    except TypeError as error:
        raise ValueError("a column is neither of numbers, dates nor words") from error
    words = pd.Index([str(word).strip() for word in found], dtype=object)
    places, alphabet = pd.factorize(words, sort=True)
    return np.append(places, -1)[codes], list(alphabet)


def truths(words: Sequence[str]) -> Array | None:
    """Read true and false; None where there are others."""
    written = [word.lower() for word in words]
    return np.array(written) == "true" if {*written} == {"true", "false"} else None


def figures(words: Sequence[str], decimal: str = ".") -> Array | None:
    """Read numbers; None where there are others."""
    if not all(is_number(word, decimal) for word in words):
        return None
    return np.array([float(word.replace(decimal, ".")) for word in words])


def merged(words: Sequence[str], numbers: Array) -> list[str]:
    """List the words of digits that are others as words, and not as numbers.

    >>> merged(["01", "1", "2", "2.0"], np.array([1.0, 1.0, 2.0, 2.0]))
    ['01', '1']
    """
    digits = pd.Series(numbers, words).filter(regex=r"^-?\d+$")  # 1 and 1.0 are spellings of one
    return list(digits[digits.duplicated(keep=False)].index)


def dates(words: Sequence[str]) -> Array | None:
    """Read dates; None where there are others."""
    if not all(any(map(str.isdigit, word)) for word in words):  # "now" is one for pandas
        return None
    for form in DATES:
        try:
            return days(pd.Series(pd.to_datetime(words, format=form, utc=True)))
        except (ValueError, OverflowError):
            pass
    return None


def days(values: Any) -> Array:
    """Count the days since 1970."""
    moments = pd.to_datetime(values, utc=True)
    since = (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    return np.asarray(since.to_numpy(float, na_value=np.nan))
