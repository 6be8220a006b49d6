"""Comma-separated numbers, of which one column is to be predicted."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Table(NamedTuple):
    """x: (rows, features), y: (rows); the names of the features, where there is a header."""

    x: Array
    y: Array
    names: list[str]


def read_columns(path: Path, target: str | None) -> Table:
    """Read comma-separated numbers, also compressed (.gz, .bz2, .xz); the target may be words.

    The target is the last column, if none is said. A first row without a number, or with the name
    of the target, is the header. Raises ValueError.
    """
    common = {"delimiter": ",", "comments": None, "quotechar": '"', "encoding": "utf-8-sig"}
    read: Any = partial(np.loadtxt, path, **common)
    names = [str(cell).strip() for cell in read(dtype=str, max_rows=1, ndmin=1)]
    if len(names) < 2:  # noqa: PLR2004 - a feature and the target
        raise ValueError("its first row must have a feature and a target, with a comma between")
    header = target in names or not any(map(is_number, names))
    if not header and not all(map(is_number, names[:-1])):
        raise ValueError("its first row has numbers and words; a header has words only")
    if target is not None and (not header or target not in names):
        there_is = ", ".join(names) if header else "no header"
        raise ValueError(f"there is no column {target!r}: {there_is}")
    column = names.index(target) if target is not None else len(names) - 1
    features = [each for each in range(len(names)) if each != column]
    y = np.char.strip(read(skiprows=int(header), usecols=column, ndmin=1, dtype=str))
    if "" in y:
        raise ValueError(f"row {1 + int(np.argmax(y == ''))} has nothing to predict")
    try:
        x = read(skiprows=int(header), usecols=features, ndmin=2)
    except ValueError as error:
        said = "rows from 0, without the header; what is not known must be nan"
        raise ValueError(f"{error} ({said})") from error
    y = y.astype(float) if all(map(is_number, np.unique(y))) else y
    return Table(x, y, [names[each] for each in features] if header else [])


def is_number(text: str) -> bool:
    """Tell what float() reads.

    >>> [is_number(text) for text in ("-1e3", "nan", "age", "")]
    [True, True, False, False]
    """
    try:
        float(text)
    except ValueError:
        return False
    return True
