"""Tables of a run as pandas has them: text is text, whole numbers are whole, what is missing is."""

from collections.abc import Sequence

import pandas as pd

from hpmpi.history.tables import KINDS, Cell, Columns

DTYPES = {bool: "boolean", int: "Int64", float: "float64", str: "str"}
"""Of columns whose cells have one type; something may be missing in them."""

PLAIN = {bool: "bool", int: "int64"}
"""Of those that lack nothing."""


def frame_of(columns: Columns) -> pd.DataFrame:
    """Make a frame of a table."""
    return pd.DataFrame({name: column_of(name, cells) for name, cells in columns.items()})


def column_of(name: str, cells: Sequence[Cell]) -> pd.Series:
    """Give a column the type that all of its cells have; what has several, or lists, has objects.

    >>> column_of("layers", [1, None, 3]).dtype, column_of("kernel", ["rbf", None]).isna().tolist()
    (Int64Dtype(), [False, True])
    """
    kinds = {type(cell) for cell in cells if cell is not None} or {KINDS.get(name, float)}
    if kinds == {int, float}:
        kinds = {float}
    kind = kinds.pop() if len(kinds) == 1 else object
    whole = None not in cells
    dtype = PLAIN.get(kind) if whole and kind in PLAIN else DTYPES.get(kind, "object")
    return pd.Series(list(cells), dtype=dtype)
