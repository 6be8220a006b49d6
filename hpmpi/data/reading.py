"""Reading a table, of which one column is to be predicted: CSV as people write it, or parquet.

pandas reads it, and it becomes an array of numbers. What looks like an index is no feature. What is
not known stays so: filling it is the business of who trains.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hpmpi.data import dialect
from hpmpi.data.columns import labels, meaning, measured
from hpmpi.data.dialect import ENCODINGS, UNKNOWN
from hpmpi.data.sheets import Table, told

PARQUET = (".parquet", ".pq")

INDEX = re.compile(r"(Unnamed: \d+|__index_level_\d+__)|index|level_\d+")
"""What pandas calls an index that it has written, or made a column of."""

EXACT: dict[str, Any] = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)
"""Has pandas read numbers as Python does, where it does not do so by itself."""


class Sheet(NamedTuple):
    """What was read: columns by their places, whose names are None if they lack, and notes."""

    columns: Any
    names: Sequence[str | None]
    notes: Sequence[str]
    decimal: str = "."


def read_table(path: Path, target: str | None, groups: str | None = None) -> Table:
    """Read a table; the target is the last column, if none is said. Raises ValueError."""
    if path.suffix.lower() in PARQUET:
        return to_table(read_parquet(path), target, groups)
    *likely, last = ENCODINGS
    for encoding in likely:
        with contextlib.suppress(UnicodeError):
            return to_table(read_text(path, encoding, target, groups), target, groups)
    return to_table(read_text(path, last, target, groups), target, groups)


def read_text(path: Path, encoding: str, target: str | None, groups: str | None) -> Sheet:
    """Read a table that is written as text; raises ValueError."""
    how = dialect.sniff(path, encoding, target)
    wanted = target or groups
    if wanted is not None and not how.header:
        raise ValueError(f"there is no column {wanted!r}: no header")
    names: list[str | None] = [*how.names] if how.header else [None] * len(how.names)
    to_predict = place_of(names, target)
    places = range(len(names))
    options = {
        "decimal": how.decimal,
        "header": 0 if how.header else None,
        "names": places,
        "index_col": False,
        "dtype": {to_predict: str},  # as it is written
        "na_values": dict.fromkeys(places, UNKNOWN) | {to_predict: [""]},
        **EXACT,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        try:
            columns = dialect.read_csv(path, encoding, how.separator, **options)
        except pd.errors.DtypeWarning:  # a number first, and a word far below: as it is written
            columns = dialect.read_csv(path, encoding, how.separator, low_memory=False, **options)
        except pd.errors.ParserWarning as warning:
            raise ValueError(f"a row has more than {len(names)} cells") from warning
    return Sheet(columns, names, how.notes, how.decimal)


def read_parquet(path: Path) -> Sheet:
    """Read what pandas or others have written; raises ValueError."""
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise ValueError("parquet needs pyarrow: pip install 'hpmpi[parquet]'") from error
    index = [str(name) for name in frame.index.names if name is not None]
    notes = [f"the index is left out: {told(index)}"] if index else []
    names = [str(name) for name in frame.columns]
    return Sheet(frame.set_axis(range(len(names)), axis="columns"), names, notes)


def to_table(sheet: Sheet, target: str | None, groups: str | None) -> Table:
    """Make arrays of what was read, column by column; raises ValueError."""
    columns, names = sheet.columns, sheet.names
    to_predict = place_of(names, target)
    if columns.empty:
        raise ValueError("it has no rows")
    if columns[to_predict].isna().all():
        called = names[to_predict] or to_predict + 1
        raise ValueError(f"the column {called!r} has nothing to predict in any row: name another")
    y, alike = labels(columns[to_predict], sheet.decimal)
    others, together = {to_predict}, None
    if groups is not None:
        place = place_of(names, groups)
        others.add(place)
        together = meaning(columns[place])[0]
    places = [place for place in columns if place not in others]
    indices = [place for place in places if is_index(names[place], columns[place])]
    places = [place for place in places if place not in indices]
    if not places:
        raise ValueError("there must be a feature beside the target")
    x = np.empty((len(y), len(places)))
    shown = [names[place] or f"feature {number + 1}" for number, place in enumerate(places)]
    words, dates = {}, []
    for number, place in enumerate(places):
        x[:, number], alphabet, has_dates = meaning(columns.pop(place))
        if alphabet:
            words[number] = alphabet
        if has_dates:
            dates.append(shown[number])
    said = [
        *sheet.notes,
        *of_indices([str(names[place]) for place in indices]),
        *of_twins(names, places),
        *of_labels(alike),
        *of_features(dates, [shown[number] for number in words]),
    ]
    kept = [] if None in names else unlike(shown)
    return Table(x, y, kept, words, together, 0, said)


def place_of(names: Sequence[str | None], wanted: str | None) -> int:
    """Find a column; without a name, the last that may have one. Raises ValueError."""
    there_is = [name for name in names if name]
    if wanted is None:
        last = max((place for place, name in enumerate(names) if name != ""), default=0)
        wanted = names[last]
        if not wanted:
            return last
    if wanted not in there_is:
        raise ValueError(f"there is no column {wanted!r}: {', '.join(there_is)}")
    places = [place for place, name in enumerate(names) if name == wanted]
    if len(places) > 1:  # one would be a feature, and tell what is to be predicted
        raise ValueError(f"{of_places(places)} have the same name, {wanted!r}: leave one of them")
    return places[0]


def of_places(places: list[int]) -> str:
    """Say where columns stand, as people count."""
    return f"columns {', '.join(str(place + 1) for place in places)}"


def is_index(name: str | None, column: Any) -> bool:
    """Tell a column that counts rows; one without a name is none that anybody has measured."""
    named = None if name is None else INDEX.fullmatch(name)
    if not name or named is None:
        return name == ""
    values = measured(column)
    if values is None:  # words or dates, none of which comes again, are names of the rows
        values = pd.factorize(column)[0]
    counts = len(np.unique(values)) == len(values) and bool((values == np.floor(values)).all())
    return np.array_equal(values, np.arange(len(values))) or (named[1] is not None and counts)


def of_indices(names: list[str]) -> Iterator[str]:
    """Say what was left out."""
    if nameless := names.count(""):
        columns = "a column" if nameless == 1 else f"{nameless} columns"
        yield f"{columns} without a name, as an index has none: left out"
    if named := [name for name in names if name]:
        yield f"what counts the rows, as an index does: left out: {told(named)}"


def of_twins(names: Sequence[str | None], places: list[int]) -> Iterator[str]:
    """Say which features have the same name."""
    for name in dict.fromkeys(names[place] for place in places):
        twins = [place for place in places if names[place] == name]
        if name is not None and len(twins) > 1:
            yield f"{of_places(twins)} have the same name, and are a feature each: {name}"


def of_labels(alike: list[str]) -> Iterator[str]:
    """Say that digits are words."""
    if alike:
        yield f"what is to be predicted is words, as some would be one number: {told(alike)}"


def of_features(dates: list[str], words: list[str]) -> Iterator[str]:
    """Say what is not what is written."""
    if dates:
        yield f"dates are days since 1970: {told(dates)}"
    if words:
        yield f"words are encoded, a feature for each: {told(words)}"


def unlike(names: list[str]) -> list[str]:
    """Tell columns of the same name apart, as pandas does.

    >>> unlike(["a", "b", "a"])
    ['a', 'b', 'a.1']
    """
    found: dict[str, None] = {}
    for name in names:
        count = 0
        while (other := f"{name}.{count}" if count else name) in found:
            count += 1
        found[other] = None
    return list(found)
