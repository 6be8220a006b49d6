"""Arrays by name become rows to train on and what to predict of them, as people lay them out.

x, y                                    or X; or another for y, as the study says
x_train, y_train, x_test, y_test        as Keras has its own: the last two are to score with
data, indices, indptr, shape, format    what scipy.sparse.save_npz writes, with labels beside
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hpmpi.data.sheets import Array, Table

HELD_OUT = ("test", "val", "valid")

SPARSE = ("format", "shape", "data")

BESIDE = "a sparse matrix has no labels: name a file beside it, target = 'labels.npy'; "


def read_arrays(path: Path, target: str | None, groups: str | None) -> Table:
    """Read an .npz; `target` may be an .npy file beside it. Raises ValueError."""
    with np.load(path, allow_pickle=False) as arrays:
        if target is None or not target.endswith(".npy"):
            return of_arrays(arrays, target, groups)
        labels = np.load(path.parent / target, allow_pickle=False)
        return of_arrays({**arrays, target: labels}, target, groups)


def of_arrays(arrays: Mapping[str, Any], target: str | None, groups: str | None) -> Table:
    """Make a table; raises ValueError where something is missing, or does not fit."""
    if "x" not in arrays and "X" not in arrays and ("x_train" in arrays or "X_train" in arrays):
        return of_parts(arrays, target or "y", groups)
    x: Any
    if all(each in arrays for each in SPARSE):
        x, y = of_sparse(arrays), named(arrays, target or "y", BESIDE)
        name = "the matrix"
    else:
        name = next((name for name in ("x", "X") if name in arrays), "x")
        x, y = features(named(arrays, name)), named(arrays, target or "y")
    y = labels(y)
    together = None if groups is None else np.asarray(named(arrays, groups))
    for other, rows in ((target or "y", y), (groups, together)):
        if rows is not None and len(rows) != x.shape[0]:
            raise ValueError(f"{name} has {x.shape[0]} rows, and {other} {len(rows)}")
    return Table(x, y, groups=together)


def of_parts(arrays: Mapping[str, Any], y: str, groups: str | None) -> Table:
    """Take what is to train on, and what is to score with; raises ValueError."""
    if groups is not None:
        raise ValueError("what is to score with is said: groups says nothing then")
    train = of_part(arrays, "train", y)
    held_out = next((part for part in HELD_OUT if f"{y}_{part}" in arrays), None)
    if held_out is None:
        return train
    test = of_part(arrays, held_out, y)
    if train.x.shape[1] != test.x.shape[1]:
        said = f"x_train has {train.x.shape[1]} features, and x_{held_out} {test.x.shape[1]}"
        raise ValueError(said)
    x = np.concatenate([train.x, test.x])
    return Table(x, np.concatenate([train.y, test.y]), held_out=len(test.y))


def of_part(arrays: Mapping[str, Any], part: str, y: str) -> Table:
    """Take what has the name of a part behind it; raises ValueError."""
    there_is = [each for each in (f"x_{part}", f"X_{part}") if each in arrays]
    x = named(arrays, (there_is or [f"x_{part}"])[0])
    return of_arrays({"x": x, y: named(arrays, f"{y}_{part}")}, y, None)


def named(arrays: Mapping[str, Any], name: str, why: str = "") -> Any:
    """Find an array; raises ValueError."""
    if name not in arrays:
        raise ValueError(f"{why}there is no array {name!r}, but {', '.join(arrays)}")
    return arrays[name]


def of_sparse(arrays: Mapping[str, Any]) -> Any:
    """Make a matrix of what scipy has written; raises ValueError."""
    kind = str(np.asarray(arrays["format"]).astype(str))
    makers = {
        "csr": ("indices", "indptr"),
        "csc": ("indices", "indptr"),
        "bsr": ("indices", "indptr"),
        "coo": ("row", "col"),
    }
    if kind not in makers:
        raise ValueError(f"a sparse matrix of the kind {kind!r}; there is: {', '.join(makers)}")
    where = tuple(named(arrays, name) for name in makers[kind])
    given = (arrays["data"], where) if kind == "coo" else (arrays["data"], *where)
    shape = tuple(int(length) for length in arrays["shape"])
    return getattr(sparse, f"{kind}_matrix")(given, shape=shape).tocsr()


def features(x: Array) -> Array:
    """Make rows of features, also of images; raises ValueError where they are no numbers."""
    if x.dtype.kind not in "fiub" or x.ndim == 0:
        raise ValueError(f"x has no rows of numbers, but is of type {x.dtype}")
    return x if x.ndim == 2 else x.reshape(len(x), -1)  # noqa: PLR2004 - as it is for scikit-learn


def labels(y: Array) -> Array:
    """Make one label a row, or several; raises ValueError."""
    if y.ndim not in (1, 2) or y.dtype.kind not in "fiubSU":
        raise ValueError(f"what is to predict has the shape {y.shape} and the type {y.dtype}")
    if y.ndim == 2 and y.shape[1] == 1:  # noqa: PLR2004 - a column
        y = y.ravel()
    return np.char.decode(y) if y.dtype.kind == "S" else y
