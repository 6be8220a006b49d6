"""The data of the trainables: found, loaded once in a process, and split.

Nothing ever stands in for what is not there. All that is drawn is the same in each process and run.
"""

import contextlib
import fcntl
import lzma
import socket
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sklearn import datasets
from sklearn.model_selection import check_cv, train_test_split
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.multiclass import type_of_target

from hpmpi.columns import Array, Table, read_columns
from hpmpi.data import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.trainables.options import Task

BUILT_IN: dict[str, Task] = {
    "breast_cancer": "classification",
    "california_housing": "regression",
    "covtype": "classification",
    "diabetes": "regression",
    "digits": "classification",
    "iris": "classification",
    "wine": "classification",
}
FETCHED = {"california_housing": "the houses of California", "covtype": "the forest cover types"}
"""What scikit-learn has in its cache or on the internet, in words."""

UNREADABLE = (ValueError, OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)
"""What is raised for a file that is not what its name says."""

MOST_CLASSES = 20
"""Of whole numbers; where there are more, a study says whether they are classes."""

FETCH_S = 20.0
"""How long a server may be silent."""


class Layout(msgspec.Struct, frozen=True):
    """Which rows, how they are split, and whether their features are scaled to [0, 1]."""

    dataset: str
    target: str | None
    validation: str | None
    rows: int | None
    test_size: float
    folds: int | None
    stratified: bool
    scaled: bool


class Data(NamedTuple):
    """x: (rows, features), y: (rows); the last `held_out` rows are for validation."""

    x: Array
    y: Array
    task: Task | None
    held_out: int


class Part(NamedTuple):
    """One split; what is scaled is scaled by what the training rows say."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    scaler: Any


def located(name: str, origin: Path) -> str:
    """Say where a file of data is that is named relative to a study's folder."""
    return name if name in BUILT_IN else str((origin / name).absolute())


@cache
def load(dataset: str, target: str | None, validation: str | None, rows: int | None) -> Data:
    """Load a data set by name, or a file; raises ObjectiveError."""
    x, y, names = table(dataset, target)
    task = BUILT_IN.get(dataset) or task_of(y)
    if rows is not None:
        kept = np.sort(spread(y, stratified=task == "classification")[:rows])
        x, y = x[kept], y[kept]
    if validation is None:
        return Data(x, y, task, 0)
    more_x, more_y, more_names = table(validation, target)
    if names and more_names and sorted(names) == sorted(more_names):
        more_x = more_x[:, [more_names.index(name) for name in names]]
    elif more_x.shape[1] != x.shape[1]:
        said = f"{validation} has {more_x.shape[1]} features, and {dataset} {x.shape[1]}"
        raise ObjectiveError(said)
    elif names and more_names:
        alone = ", ".join(sorted({*names} ^ {*more_names}))
        raise ObjectiveError(f"{validation} and {dataset} have other features: {alone}")
    if is_numeric(more_y) != is_numeric(y):
        raise ObjectiveError(f"{validation} and {dataset}: one has words to predict, one numbers")
    return Data(np.concatenate([x, more_x]), np.concatenate([y, more_y]), task, len(more_y))


def task_of(y: Array) -> Task | None:
    """Tell classes from numbers; None for more whole numbers than most have classes."""
    if str(type_of_target(y)).startswith("continuous"):
        return "regression"
    is_clear = not is_numeric(y) or len(np.unique(y)) <= MOST_CLASSES
    return "classification" if is_clear else None


def is_numeric(y: Array) -> bool:
    """Tell numbers from words."""
    return y.dtype.kind in "fiu"


def whole(layout: Layout) -> Data:
    """Load what a layout is of."""
    return load(layout.dataset, layout.target, layout.validation, layout.rows)


@lru_cache(maxsize=1)
def splits(layout: Layout) -> list[tuple[Array, Array]]:
    """Split into rows to train on and to test on: scikit-learn's own folds, or one hold-out."""
    data = whole(layout)
    rows, number = np.arange(len(data.y)), len(data.y)
    try:
        if data.held_out:
            return [(rows[: number - data.held_out], rows[number - data.held_out :])]
        if layout.folds:
            folds = check_cv(layout.folds, data.y, classifier=layout.stratified)
            return list(folds.split(data.x, data.y))
        classes = data.y if layout.stratified else None
        train, test = train_test_split(
            rows, test_size=layout.test_size, random_state=0, stratify=classes
        )
    except ValueError as error:
        raise ObjectiveError(f"{layout.dataset} can't be split: {error}") from error
    return [(train, test)]


@lru_cache(maxsize=1)  # a hold-out stays; of folds, only one is in memory
def part(layout: Layout, number: int) -> Part:
    """Take a split's rows, scaled where that is wanted."""
    data = whole(layout)
    train, test = splits(layout)[number]
    x_train, x_test = taken(data.x, train), taken(data.x, test)
    scaler = MinMaxScaler().fit(x_train) if layout.scaled else None
    if scaler is not None:
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    return Part(x_train, data.y[train], x_test, data.y[test], scaler)


def taken(array: Array, rows: Array) -> Array:
    """Take rows; without a copy where one follows the other, as those of a fold may."""
    first, end = rows[0], rows[-1] + 1
    is_slice = end - first == len(rows) and bool((np.diff(rows) == 1).all())
    return array[first:end] if is_slice else array[rows]


def spread(y: Array, *, stratified: bool) -> Array:
    """Order rows at random, the classes so that the first few have their shares of any number."""
    drawn = np.random.default_rng(0).permutation(len(y))
    if not stratified:
        return drawn
    groups = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(groups)
    by_class = np.lexsort((drawn, groups))
    places = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    return by_class[np.argsort((places + 0.5) / np.repeat(counts, counts), kind="stable")]


def table(name: str, target: str | None) -> Table:
    """Load a data set; raises ObjectiveError."""
    path = Path(name)
    if path.is_dir():  # of [data]
        try:
            return checked(of_arrays(data_in(name) or {}, target), "[data]")
        except ValueError as error:
            raise ObjectiveError(f"[data] can't be used: {error}") from error
    if name in FETCHED:
        return Table(*fetch(name), [])
    if name in BUILT_IN:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return Table(x, y, [])
    if not path.is_file():
        raise ObjectiveError(
            f"the data set {path.name!r} is not known; there is: {', '.join(BUILT_IN)}; or a file, "
            f"and {path} is none"
        )
    try:
        read = read_arrays if path.suffix == ".npz" else read_columns
        found = read(path, target)
    except UNREADABLE as error:
        raise ObjectiveError(f"{path} can't be read: {error}") from error
    return checked(found, path)


def checked(found: Table, path: object) -> Table:
    """Raise ObjectiveError for a target that is not known in each row."""
    if found.y.dtype.kind == "f" and not np.isfinite(found.y).all():
        raise ObjectiveError(f"{path}: the target is not a number in each row")
    return found


def fetch(name: str) -> tuple[Array, Array]:
    """Take scikit-learn's cached copy, or have it fetch one; raises ObjectiveError."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(FETCH_S)
    try:
        with alone(Path(datasets.get_data_home())):
            x, y = getattr(datasets, f"fetch_{name}")(return_X_y=True)
    except OSError as error:
        raise ObjectiveError(
            f"{FETCHED[name]} are not here, and can't be fetched ({error}); "
            "give a file: --set objective_args.dataset=PATH"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return x, y


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time into a folder, unless nobody can write there.

    scikit-learn writes some of its files in place, where another process may find a half.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context((folder / ".lock").open("w")), fcntl.LOCK_EX)
        yield


def read_arrays(path: Path, target: str | None) -> Table:
    """Read an .npz."""
    with np.load(path, allow_pickle=False) as arrays:
        return of_arrays(arrays, target)


def of_arrays(arrays: Mapping[str, Any], target: str | None) -> Table:
    """Take `x` or `X`, and `y` or what `target` names; raises ValueError."""
    x = next((name for name in ("x", "X") if name in arrays), "x")
    for name in (x, target or "y"):
        if name not in arrays:
            raise ValueError(f"there is no array {name!r}, but {', '.join(arrays)}")
    found = Table(arrays[x], arrays[target or "y"], [])
    if len(found.x) != len(found.y):
        raise ValueError(f"{x} has {len(found.x)} rows, and {target or 'y'} {len(found.y)}")
    return found
