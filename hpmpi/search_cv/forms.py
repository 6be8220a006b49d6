"""How data are made of arrays by name, and of objects that stay whole: a form says so.

An array is itself; a matrix of scipy's its arrays; a table of pandas' an array a column, or one
where all are of one type. What is no number is its place among its levels: words, blanks of each
kind, numbers among words. Texts lie one after another. What is none of these stays whole, among
objects by name.
"""

from typing import Any, NamedTuple

import msgspec
from numpy.typing import NDArray

Array = NDArray[Any]

INNER = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "dia": ("data", "offsets"),
}
"""The arrays that a matrix is of, by its format, in the order in which it is made of them."""


class Parts(NamedTuple):
    """What data are taken apart into, by name: arrays, and objects that stay whole."""

    arrays: dict[str, Array]
    objects: dict[str, Any]


class Form(msgspec.Struct, frozen=True, tag=str.lower):
    """How some of the parts were one value; `name`: what theirs begin with."""

    name: str


class Whole(Form, frozen=True):
    """An object as it is."""


class Plain(Form, frozen=True):
    """An array of numbers or truth values, of moments, or of texts of one width."""


class Texts(Form, frozen=True):
    """A list of texts: `name.bytes` has them one after another, `name.ends` where each ends."""


class Coded(Form, frozen=True):
    """An array of objects: the places of each in a list of all that there are."""

    levels: Texts | Whole


class Matrix(Form, frozen=True):
    """A sparse matrix, or array, of scipy's."""

    format: str
    shape: tuple[int, ...]
    is_array: bool


class Masked(Form, frozen=True):
    """A column of numbers of which some are missing, `name.missing`."""

    dtype: str


class Words(Form, frozen=True):
    """A column of texts, of which some are missing."""

    dtype: str
    levels: Texts


class Categories(Form, frozen=True):
    """A column of categories, by the place of each in an index of them."""

    levels: "Labels"
    ordered: bool


class Range(Form, frozen=True):
    """An index that only counts."""

    size: int


Column = Plain | Coded | Masked | Words | Categories

Labels = Range | Column
"""An index; what it is called is the object `name.name`."""


class Series(Form, frozen=True):
    """A column by itself; its own name is an object."""

    column: Column
    index: Labels


class Frame(Form, frozen=True):
    """A table: an array, or columns; the names of its columns are an index, too."""

    columns: list[Column] | Plain
    titles: Labels
    index: Labels


Value = Whole | Plain | Texts | Coded | Matrix | Series | Frame
