"""Reading a table, of which one column is to be predicted: CSV as people write it, or parquet.

pandas reads it, and it becomes an array of numbers. What looks like an index is no feature. What is
not known stays so: filling it is the business of who trains.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hpmpi.data import dialect
from hpmpi.data.columns import Column
from hpmpi.data.dialect import BLANKS, UNKNOWN, Dialect
from hpmpi.data.sheets import Array, Table, told

PARQUET = (".parquet", ".pq")

CHUNK_ROWS = 1 << 16
"""How many rows are texts at a time."""

INDEX = re.compile(r"(Unnamed: \d+|__index_level_\d+__)|index|level_\d+")
"""What pandas calls an index that it has written, or made a column of."""

EXACT: dict[str, Any] = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)
"""Has pandas read numbers as Python does, where it does not do so by itself."""


def read_table(path: Path, target: str | None, groups: str | None = None) -> Table:
    """Read a table; the target is the last column, if none is said. Raises ValueError."""
    if path.suffix.lower() in PARQUET:
        return read_parquet(path, target, groups)
    *likely, last = dialect.encodings(path)
    for encoding in likely:
        try:
            return read_text(path, encoding, target, groups)
        except UnicodeDecodeError:
            pass
    return read_text(path, last, target, groups)


def read_text(path: Path, encoding: str, target: str | None, groups: str | None) -> Table:
    """Read a table that is written as text; raises ValueError."""
    how = dialect.sniff(path, encoding, target)
    wanted = target or groups
    if wanted is not None and not how.header:
        raise ValueError(f"there is no column {wanted!r}: no header")
    names: list[str | None] = [*how.names] if how.header else [None] * len(how.names)
    to_predict = place_of(names, target)
    texts = {to_predict}
    while True:
        found = gathered(frames(path, how, texts, to_predict), names)
        mixed = {place for place, column in enumerate(found.columns) if column.is_mixed}
        if not mixed:
            return to_table(found, target, groups, how.notes)
        texts |= mixed  # a number first, and a word far below: read again, as it is written


def frames(path: Path, how: Dialect, texts: set[int], to_predict: int) -> Iterator[pd.DataFrame]:
    """Read a text piece by piece, some columns as they are written; raises ValueError."""
    width = len(how.names)
    unknown = {place: [""] if place == to_predict else UNKNOWN for place in range(width)}
    with dialect.opened(path, how.encoding) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield from pd.read_csv(
                file,
                sep=how.separator,
                decimal=how.decimal,
                header=0 if how.header else None,
                names=range(width),
                index_col=False,
                dtype=dict.fromkeys(texts, str),
                keep_default_na=False,
                na_values=unknown,
                skipinitialspace=how.separator != BLANKS,
                chunksize=CHUNK_ROWS,
                low_memory=False,
                **EXACT,
            )
        except pd.errors.ParserWarning as warning:
            raise ValueError(f"a row has more than {width} cells") from warning


def read_parquet(path: Path, target: str | None, groups: str | None) -> Table:
    """Read what pandas or others have written; raises ValueError."""
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise ValueError("parquet needs pyarrow: pip install 'hpmpi[parquet]'") from error
    index = [str(name) for name in frame.index.names if name is not None]
    notes = [f"the index is left out: {told(index)}"] if index else []
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(range(len(names)), axis="columns")
    return to_table(gathered([frame], names), target, groups, notes)


class Gathered(NamedTuple):
    """All that was read: blocks of rows, each with all columns, whose names are None if they lack.

    As blocks go into the array of a table one by one, it never lies in memory twice.
    """

    names: Sequence[str | None]
    columns: list[Column]
    blocks: list[Array]

    def values(self, place: int) -> Array:
        """Take one column out of the blocks."""
        return np.concatenate([np.empty(0), *(block[:, place] for block in self.blocks)])

    def features(self, places: list[int]) -> Array:
        """Put some columns beside each other; the blocks are gone then."""
        x = np.empty((sum(map(len, self.blocks)), len(places)))
        end = len(x)
        while self.blocks:
            block = self.blocks.pop()
            x[end - len(block) : end] = block[:, places]
            end -= len(block)
        return x


def gathered(pieces: Iterable[pd.DataFrame], names: Sequence[str | None]) -> Gathered:
    """Take in a table piece by piece."""
    found = Gathered(names, [Column() for _ in names], [])
    for piece in pieces:
        block = np.empty((len(piece), len(names)))
        for place, column in enumerate(found.columns):
            block[:, place] = column.read(piece[place])
        found.blocks.append(block)
    return found


def to_table(
    found: Gathered, target: str | None, groups: str | None, notes: Sequence[str]
) -> Table:
    """Make arrays of what was read; raises ValueError."""
    names, columns = found.names, found.columns
    to_predict = place_of(names, target)
    values = found.values(to_predict)
    if len(values) == 0:
        raise ValueError("it has no rows")
    if np.isnan(values).all():
        called = names[to_predict] or to_predict + 1
        raise ValueError(f"the column {called!r} has nothing to predict in any row: name another")
    y = columns[to_predict].labels(values)
    others, together = {to_predict}, None
    if groups is not None:
        place = place_of(names, groups)
        others.add(place)
        together, _ = columns[place].meaning(found.values(place))
    indices = {place for place, name in enumerate(names) if is_index(name, found, place)} - others
    places = [place for place in range(len(names)) if place not in others | indices]
    if not places:
        raise ValueError("there must be a feature beside the target")
    x = found.features(places)
    words = {}
    for number, place in enumerate(places):
        x[:, number], alphabet = columns[place].meaning(x[:, number])
        if alphabet:
            words[number] = alphabet
    shown = [names[place] or f"feature {number + 1}" for number, place in enumerate(places)]
    dates = [name for name, place in zip(shown, places, strict=True) if columns[place].has_dates]
    said = [
        *notes,
        *of_indices([str(names[place]) for place in sorted(indices)]),
        *of_twins(names, places),
        *of_labels(columns[to_predict].alike),
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


def is_index(name: str | None, found: Gathered, place: int) -> bool:
    """Tell a column that counts rows; one without a name is none that anybody has measured."""
    named = None if name is None else INDEX.fullmatch(name)
    if not name or named is None:
        return name == ""
    values = found.values(place)
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
