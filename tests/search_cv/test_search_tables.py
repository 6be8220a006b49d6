"""Data taken apart, and put together again: what was there before, in value, type and order."""

from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from hpmpi.search_cv.forms import INNER, Parts, Value, Whole
from hpmpi.search_cv.tables import put_together, take_apart

MIXED = pd.DataFrame(
    {
        "number": [1.0, 2, np.nan],
        "word": ["x", None, "y"],
        "object": pd.Series(["x", None, np.nan], dtype=object),
        "mixed": pd.Series([1, "a", True], dtype=object),
        "kind": pd.Categorical(["u", None, "v"], categories=["v", "u", "z"], ordered=True),
        "class": pd.Categorical([1, 2, 1]),
        "whole": pd.array([1, None, 3], dtype="Int64"),
        "truth": pd.array([True, None, False], dtype="boolean"),
        "plain": [True, False, True],
        "day": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        "text": pd.array(["p", pd.NA, "é"], dtype="string"),
        5: np.arange(3, dtype=np.int8),
    }
)

ARRAYS: list[Any] = [
    np.eye(3),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array(["a", "bb"]),
    np.array(["a", None, 1, 1.0, True, np.nan], dtype=object).reshape(2, 3),
    np.zeros((0, 3)),
    np.array(["2020-01-01"], dtype="datetime64[D]"),
    ["text é", "", "\ud800"],
    [[1, 2], [3]],
    [],
    None,
    0.5,
]

MATRICES: list[Any] = [
    *(
        sparse.random(4, 4, 0.5, kind, random_state=0)
        for kind in ("csr", "csc", "bsr", "dia", "coo")
    ),
    sparse.csr_array(np.eye(3)),
]

TABLES: list[Any] = [
    MIXED,
    MIXED.set_index("word"),
    MIXED[["word"]],
    MIXED.iloc[::2],
    pd.DataFrame(np.arange(12.0).reshape(4, 3)),
    pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list("abc")).astype("float32"),
    pd.DataFrame([[1, 2]], columns=["twice", "twice"]),
    pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
    pd.DataFrame([[1], [2]], index=pd.Index(["p", "q"], name="who")),
]

SERIES: list[Any] = [MIXED[name] for name in MIXED] + [
    pd.Series([1, 2, 3], name="q", index=[3, 4, 5]),
    pd.Series(["a"] * 3, index=pd.date_range("2020", periods=3, freq=None)),
]


def again(value: Any) -> Any:
    parts = Parts({}, {})
    form = take_apart("X", value, parts)
    assert not any(array.dtype.hasobject for array in parts.arrays.values())
    told = msgspec.json.decode(msgspec.json.encode(form), type=Value)
    return put_together(told, parts)


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_arrays_and_texts_are_the_same_again(value: Any) -> None:
    assert joblib.hash(again(value)) == joblib.hash(value)


@pytest.mark.parametrize("matrix", MATRICES, ids=lambda it: f"{type(it).__name__}")
def test_sparse_matrices_are_the_same_again(matrix: Any) -> None:
    found = again(matrix)
    assert type(found) is type(matrix)
    assert found.dtype == matrix.dtype
    for inner in INNER.get(matrix.format, ("data", "row", "col")):
        np.testing.assert_array_equal(getattr(found, inner), getattr(matrix, inner))


@pytest.mark.parametrize("table", TABLES, ids=lambda it: f"{it.shape} {it.columns[0]}")
def test_tables_are_the_same_again(table: Any) -> None:
    pd.testing.assert_frame_equal(again(table), table)


@pytest.mark.parametrize("series", SERIES, ids=lambda it: str(it.name))
def test_columns_by_themselves_are_the_same_again(series: Any) -> None:
    pd.testing.assert_series_equal(again(series), series, check_freq=False)


def test_a_table_of_numbers_keeps_the_order_of_its_memory() -> None:
    rows = np.arange(12.0).reshape(4, 3)
    for table in (pd.DataFrame(rows), pd.DataFrame(np.asfortranarray(rows))):
        assert again(table).to_numpy().flags.c_contiguous == table.to_numpy().flags.c_contiguous


def test_what_is_nothing_of_this_stays_whole_and_leaves_nothing_else() -> None:
    parts = Parts({}, {})
    odd = pd.DataFrame({"a": [1, 2], "list": [[1], [2]]})
    assert take_apart("X", odd, parts) == Whole("X")
    assert parts.arrays == {}
    assert parts.objects.keys() == {"X"}
