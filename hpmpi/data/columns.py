"""One column of a table: what pandas has read of it, piece by piece, becomes numbers.

A truth value is 0 or 1, a date its days since 1970, and a word its place in the column's alphabet,
which is told beside: what is made of words is the business of who trains.
"""

from typing import Any

import numpy as np
import pandas as pd

from hpmpi.data.dialect import is_number
from hpmpi.data.sheets import Array, instead

DATES = ("ISO8601", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
"""How dates are written; the first that fits all of a column counts."""


class Column:
    """What is known of a column so far: whether it has numbers, and its words, as they came up."""

    def __init__(self) -> None:
        """Know nothing."""
        self._places: dict[str, int] = {}
        self._has_numbers = False
        self.has_dates = False
        self.alike: list[str] = []

    @property
    def is_mixed(self) -> bool:
        """Whether pieces of it are numbers, and others words."""
        return self._has_numbers and bool(self._places)

    def read(self, piece: Any) -> Array:
        """Turn the next piece into numbers, and words into the places in which they came up.

        Raises ValueError for what is neither number, date nor word.
        """
        types = pd.api.types
        if types.is_datetime64_any_dtype(piece.dtype):
            self.has_dates = True
            numbers = days(piece)
        elif types.is_timedelta64_dtype(piece.dtype):
            numbers = (piece / pd.Timedelta(days=1)).to_numpy(float)
        elif types.is_numeric_dtype(piece.dtype):  # truth values, too
            numbers = piece.to_numpy(float, na_value=np.nan)
        else:
            return self._spelt(piece)
        self._has_numbers |= not np.isnan(numbers).all()
        return np.asarray(numbers)

    def meaning(self, values: Array) -> tuple[Array, list[str]]:
        """Say what all that was read means: numbers, and the alphabet where these are of words."""
        if not self._places:
            return values, []
        words = np.array(list(self._places))
        meant = first_that_fits(words)
        if meant is None:
            order = np.argsort(words)
            return instead(values, np.argsort(order)), [str(word) for word in words[order]]
        self.has_dates = meant[1]
        return instead(values, meant[0]), []

    def labels(self, values: Array) -> Array:
        """Say what all that was read is to be predicted: numbers, or words as they are.

        Words of digits that would become one number, as codes, stay words, and are `alike`.
        Raises ValueError where a row has nothing.
        """
        if not self._places:
            return values
        unknown = np.isnan(values)
        if unknown.any():
            raise ValueError(f"row {1 + int(np.argmax(unknown))} has nothing to predict")
        words = np.array(list(self._places))
        meant = figures(words)
        self.alike = [] if meant is None else merged(words, meant)
        kept = words if meant is None or self.alike else meant
        return np.asarray(kept[values.astype(int)])

    def _spelt(self, piece: Any) -> Array:
        try:
            codes, words = pd.factorize(piece)
        except TypeError as error:
            raise ValueError("a column is neither of numbers, dates nor words") from error
        places = [self._places.setdefault(str(it).strip(), len(self._places)) for it in words]
        spelt = np.array([*map(float, places), np.nan])  # the last for -1, not known
        return np.asarray(spelt[codes])


def first_that_fits(words: Array) -> tuple[Array, bool] | None:
    """Read words as numbers, and tell whether they are dates; None where they are words."""
    for read in (truths, figures, dates):
        if (found := read(words)) is not None:
            return found, read is dates
    return None


def truths(words: Array) -> Array | None:
    """Read true and false; None where there are others."""
    written = np.char.lower(words)
    return (written == "true").astype(float) if {*written} == {"true", "false"} else None


def figures(words: Array) -> Array | None:
    """Read numbers; None where there are others."""
    texts = [str(word) for word in words]
    return np.array(list(map(float, texts))) if all(map(is_number, texts)) else None


def merged(words: Array, numbers: Array) -> list[str]:
    """List the words of digits that are others as words, and not as numbers.

    >>> merged(np.array(["01", "1", "2", "2.0"]), np.array([1.0, 1.0, 2.0, 2.0]))
    ['01', '1']
    """
    digits = np.char.isdigit(np.char.lstrip(words, "-"))  # 1 and 1.0 are spellings of a number
    _, places, counts = np.unique(numbers[digits], return_inverse=True, return_counts=True)
    return [str(word) for word in np.sort(words[digits][counts[places] > 1])]


def dates(words: Array) -> Array | None:
    """Read dates; None where there are others."""
    if not all(any(map(str.isdigit, str(word))) for word in words):  # "now" is one for pandas
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
