"""Data as arrays by name (forms.py), and back: exactly what they were, without pickle.

So a node holds all of it once, and a process maps it.
"""

import sys
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from scipy import sparse

from hpmpi.search_cv.forms import (
    INNER,
    Array,
    Categories,
    Coded,
    Column,
    Frame,
    Labels,
    Masked,
    Matrix,
    Parts,
    Plain,
    Range,
    Series,
    Texts,
    Value,
    Whole,
    Words,
)


class NoColumnError(Exception):
    """A column, or an index, that is none of these."""


# -- apart ---------------------------------------------------------------------------------------


def take_apart(name: str, value: Any, parts: Parts) -> Value:
    """Lay down the parts of a value by names that begin with this one; say how it was made."""
    if isinstance(value, np.ndarray) and type(value) in (np.ndarray, np.memmap):
        return apart_array(name, value, parts)
    if isinstance(value, list) and value and all(type(it) is str for it in value):
        return apart_texts(name, value, parts)
    if sparse.issparse(value) and value.format in INNER:
        for inner in INNER[value.format]:
            parts.arrays[f"{name}.{inner}"] = getattr(value, inner)
        is_array = isinstance(value, sparse.sparray)
        return Matrix(name, value.format, tuple(map(int, value.shape)), is_array)
    if "pandas" in sys.modules:
        own = Parts({}, {})
        with suppress(NoColumnError):
            form = apart_table(name, value, own)
            parts.arrays.update(own.arrays)
            parts.objects.update(own.objects)
            return form
    parts.objects[name] = value
    return Whole(name)


def apart_array(name: str, value: Array, parts: Parts) -> Plain | Coded | Whole:
    """Lay down an array; what it has of objects by their levels."""
    if not value.dtype.hasobject:
        parts.arrays[name] = value
        return Plain(name)
    try:
        return apart_levels(name, value, parts)
    except NoColumnError:
        parts.objects[name] = value
        return Whole(name)


def apart_texts(name: str, texts: Iterable[str], parts: Parts) -> Texts:
    """Lay down texts, whatever half characters they have."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    parts.arrays[f"{name}.bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
    parts.arrays[f"{name}.ends"] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)[1:]
    return Texts(name)


def apart_levels(name: str, value: Array, parts: Parts) -> Coded:
    """Lay down the place of each object among all that there are; raises NoColumnError."""
    places: dict[Hashable, int] = {}
    levels: list[Any] = []
    codes = np.empty(value.size, np.int32)
    for number, each in enumerate(value.ravel()):
        key = identity(each)
        if key not in places:
            places[key] = len(levels)
            levels.append(each)
        codes[number] = places[key]
    parts.arrays[f"{name}.places"] = codes.reshape(value.shape)
    if all(type(it) is str for it in levels):
        return Coded(name, apart_texts(f"{name}.levels", levels, parts))
    parts.objects[f"{name}.levels"] = levels
    return Coded(name, Whole(f"{name}.levels"))


def identity(value: Any) -> Hashable:
    """Tell what is another object to a search: 1, 1.0 and True are, NaN is itself.

    Raises NoColumnError for what can't be told apart.
    """
    if isinstance(value, float):
        return type(value), value.hex()
    try:
        hash(value)
    except TypeError as error:
        raise NoColumnError from error
    return type(value), value


def apart_table(name: str, value: Any, parts: Parts) -> Series | Frame:
    """Lay down what pandas has; raises NoColumnError for all else."""
    import pandas as pd  # noqa: PLC0415 - only where there are tables of its

    if type(value) is pd.DataFrame:
        return apart_frame(name, value, parts)
    if type(value) is not pd.Series:
        raise NoColumnError
    parts.objects[f"{name}.name"] = value.name
    index = apart_index(f"{name}.index", value.index, parts)
    return Series(name, apart_column(f"{name}.0", value, parts), index)


def apart_frame(name: str, value: Any, parts: Parts) -> Frame:
    """Lay down a table; raises NoColumnError."""
    kinds = set(value.dtypes)
    titles = apart_index(f"{name}.titles", value.columns, parts)
    index = apart_index(f"{name}.index", value.index, parts)
    columns: list[Column] | Plain
    if len(kinds) == 1 and is_numpy(kind := kinds.pop()) and not kind.hasobject:
        parts.arrays[f"{name}.all"] = value.to_numpy()
        columns = Plain(f"{name}.all")
    else:
        columns = [
            apart_column(f"{name}.{place}", value.iloc[:, place], parts)
            for place in range(value.shape[1])
        ]
    return Frame(name, columns, titles, index)


def apart_index(name: str, index: Any, parts: Parts) -> Labels:
    """Lay down an index; raises NoColumnError."""
    import pandas as pd  # noqa: PLC0415 - as above

    if index.nlevels > 1:
        raise NoColumnError
    parts.objects[f"{name}.name"] = index.name
    if isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1):
        return Range(name, len(index))
    return apart_column(name, pd.Series(index, dtype=index.dtype), parts)


def apart_column(name: str, column: Any, parts: Parts) -> Column:
    """Lay down a column; raises NoColumnError for what is none of these."""
    import pandas as pd  # noqa: PLC0415 - as above

    kind = column.dtype
    if is_numpy(kind):
        if kind.hasobject:
            return apart_levels(name, column.to_numpy(), parts)
        parts.arrays[name] = column.to_numpy()
        return Plain(name)
    if isinstance(kind, pd.CategoricalDtype):
        parts.arrays[f"{name}.places"] = column.cat.codes.to_numpy()
        levels = apart_index(f"{name}.levels", kind.categories, parts)
        return Categories(name, levels, bool(kind.ordered))
    if isinstance(kind, pd.StringDtype):
        places, levels = pd.factorize(column)
        parts.arrays[f"{name}.places"] = places
        return Words(name, str(kind), apart_texts(f"{name}.levels", map(str, levels), parts))
    if isinstance(kind, pd.api.extensions.ExtensionDtype) and kind.kind in "biuf":
        parts.arrays[f"{name}.missing"] = column.isna().to_numpy(bool)
        parts.arrays[name] = column.to_numpy(np.dtype(kind.type), na_value=0)
        return Masked(name, str(kind))
    raise NoColumnError


def is_numpy(kind: Any) -> bool:
    """Tell numpy's types of a column from those of pandas."""
    return isinstance(kind, np.dtype)


# -- together ------------------------------------------------------------------------------------


def put_together(form: Value, parts: Parts) -> Any:
    """Make the value that was taken apart."""
    match form:
        case Whole(name):
            return parts.objects[name]
        case Texts():
            return texts_of(form, parts)
        case Matrix():
            return matrix_of(form, parts)
        case Series(name, column, index):
            import pandas as pd  # noqa: PLC0415 - as above

            values = column_of(column, parts)
            labels = index_of(index, parts)
            return pd.Series(values, labels, name=parts.objects[f"{name}.name"])
        case Frame():
            return frame_of(form, parts)
        case Plain() | Coded():
            return array_of(form, parts)


def array_of(form: Plain | Coded, parts: Parts) -> Array:
    """Take an array, or make one of objects."""
    if isinstance(form, Plain):
        return parts.arrays[form.name]
    levels = put_together(form.levels, parts)
    objects = np.empty(len(levels), object)
    objects[:] = levels
    return objects[parts.arrays[f"{form.name}.places"]]


def texts_of(form: Texts, parts: Parts) -> list[str]:
    """Make a list of texts."""
    whole = parts.arrays[f"{form.name}.bytes"].tobytes()
    ends = parts.arrays[f"{form.name}.ends"].tolist()
    begins = [0, *ends[:-1]] if ends else []
    pairs = zip(begins, ends, strict=True)
    return [whole[begin:end].decode("utf-8", "surrogatepass") for begin, end in pairs]


def matrix_of(form: Matrix, parts: Parts) -> Any:
    """Make a matrix of its arrays."""
    maker = getattr(sparse, f"{form.format}_{'array' if form.is_array else 'matrix'}")
    inner = tuple(parts.arrays[f"{form.name}.{each}"] for each in INNER[form.format])
    return maker(inner, shape=form.shape)


def frame_of(form: Frame, parts: Parts) -> Any:
    """Make a table."""
    import pandas as pd  # noqa: PLC0415 - as above

    if isinstance(form.columns, Plain):
        table = pd.DataFrame(parts.arrays[form.columns.name], copy=False)
    else:
        columns = [column_of(column, parts) for column in form.columns]
        table = pd.DataFrame(dict(enumerate(columns)))
    table.index = index_of(form.index, parts)
    table.columns = index_of(form.titles, parts)
    return table


def index_of(form: Labels, parts: Parts) -> Any:
    """Make an index."""
    import pandas as pd  # noqa: PLC0415 - as above

    own = parts.objects[f"{form.name}.name"]
    if isinstance(form, Range):
        return pd.RangeIndex(form.size, name=own)
    labels = column_of(form, parts)
    return pd.Index(labels, dtype=labels.dtype, name=own)


def column_of(form: Column, parts: Parts) -> Any:
    """Make a column."""
    import pandas as pd  # noqa: PLC0415 - as above

    match form:
        case Plain():
            return parts.arrays[form.name]
        case Coded():  # of words alone pandas would make another type
            return pd.Series(array_of(form, parts), dtype=object)
        case Masked(name, dtype):
            values = pd.array(parts.arrays[name], dtype=dtype)
            values[parts.arrays[f"{name}.missing"]] = pd.NA
            return values
        case Words(name, dtype, levels):
            kind = pd.api.types.pandas_dtype(dtype)
            words = np.array([*texts_of(levels, parts), kind.na_value], object)
            return pd.array(words[parts.arrays[f"{name}.places"]], dtype=kind)
        case Categories(name, levels, ordered):
            categories = index_of(levels, parts)
            kind = pd.CategoricalDtype(categories, ordered=ordered)
            return pd.Categorical.from_codes(parts.arrays[f"{name}.places"], dtype=kind)
