"""The data of the trainables: found, loaded once in a process, and brought together.

Nothing ever stands in for what is not there.
"""

import contextlib
import fcntl
import lzma
import socket
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn import datasets
from sklearn.utils.multiclass import type_of_target

from hpmpi.data.mapped import data_in
from hpmpi.data.sheets import ALPHABETS, Array, Table, instead
from hpmpi.errors import ObjectiveError
from hpmpi.trainables.arrays import of_arrays, read_arrays
from hpmpi.trainables.fashion import FASHION, fashion_mnist
from hpmpi.trainables.options import Task

BUILT_IN: dict[str, Task] = {
    "breast_cancer": "classification",
    "california_housing": "regression",
    "covtype": "classification",
    "diabetes": "regression",
    "digits": "classification",
    FASHION: "classification",
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


class DatasetSource(NamedTuple):
    """Where data are, which column or array is to predict, and how many of the rows are used."""

    dataset: str
    target: str | None = None
    validation: str | None = None
    rows: int | None = None
    groups: str | None = None


class Dataset(NamedTuple):
    """A table, and what its labels are; the last `held_out` rows are for validation."""

    x: Any
    y: Array
    task: Task | None
    held_out: int
    names: Sequence[str]
    words: Mapping[int, list[str]]
    groups: Array | None
    notes: Sequence[str]


def located(name: str, origin: Path) -> str:
    """Say where a file of data is that is named relative to a study's folder."""
    return name if name in BUILT_IN else str((origin / name).absolute())


@cache
def load(source: DatasetSource) -> Dataset:
    """Load a data set by name, or a file; raises ObjectiveError."""
    found = table(source.dataset, source.target, source.groups)
    task = BUILT_IN.get(source.dataset) or task_of(found.y)
    if source.validation is not None:
        if found.held_out:
            raise ObjectiveError(f"{source.dataset} has rows to score with: no validation beside")
        found = joined(found, table(source.validation, source.target, None), source)
    if source.rows is not None:
        found = thinned(found, source.rows, stratified=task == "classification")
    return Dataset(
        *(found.x, found.y, task, found.held_out),
        *(found.names, found.words, found.groups, found.notes),
    )


@cache
def classes(source: DatasetSource) -> list[Any]:
    """List what is to be predicted, where that is one label a row."""
    y = load(source).y
    return np.unique(y).tolist() if y.ndim == 1 else []


def task_of(y: Array) -> Task | None:
    """Tell classes from numbers; None for more whole numbers than most have classes."""
    if str(type_of_target(y)).startswith("continuous"):
        return "regression"
    is_clear = not is_numeric(y) or len(np.unique(y)) <= MOST_CLASSES
    return "classification" if is_clear else None


def is_numeric(y: Array) -> bool:
    """Tell numbers from words."""
    return y.dtype.kind in "fiu"


def joined(one: Table, other: Table, source: DatasetSource) -> Table:
    """Put what is to score with after what is to train on; raises ObjectiveError."""
    name, more = source.dataset, source.validation
    if one.names and other.names and sorted(one.names) == sorted(other.names):
        other = ordered(other, [list(other.names).index(each) for each in one.names])
    elif other.x.shape[1] != one.x.shape[1]:
        said = f"{more} has {other.x.shape[1]} features, and {name} {one.x.shape[1]}"
        raise ObjectiveError(said)
    elif one.names and other.names:
        alone = ", ".join(sorted({*one.names} ^ {*other.names}))
        raise ObjectiveError(f"{more} and {name} have other features: {alone}")
    if is_numeric(other.y) != is_numeric(one.y):
        raise ObjectiveError(f"{more} and {name}: one has words to predict, one numbers")
    words = {each: alphabet(one, other, each, source) for each in {*one.words, *other.words}}
    tables = [spelt(each, words) for each in (one, other)]
    x, y = stacked([each.x for each in tables]), np.concatenate([each.y for each in tables])
    notes = list(dict.fromkeys([*one.notes, *other.notes]))
    return Table(x, y, one.names, words, None, len(other.y), notes)


def ordered(found: Table, places: list[int]) -> Table:
    """Put features in another order."""
    words = {new: found.words[old] for new, old in enumerate(places) if old in found.words}
    return found._replace(x=found.x[:, places], words=words)


def alphabet(one: Table, other: Table, place: int, source: DatasetSource) -> list[str]:
    """List the words of a feature in both; raises ObjectiveError where one has numbers."""
    for each in (one, other):
        if place not in each.words and not np.isnan(each.x[:, place]).all():
            name = one.names[place] if one.names else f"feature {place + 1}"
            said = f"{source.validation} and {source.dataset}: one has words, one numbers"
            raise ObjectiveError(f"{said}: {name}")
    return sorted({*one.words.get(place, []), *other.words.get(place, [])})


def spelt(found: Table, words: Mapping[int, list[str]]) -> Table:
    """Spell features in other alphabets."""
    for place, letters in words.items():
        if found.words.get(place, letters) != letters:
            places = np.array([letters.index(word) for word in found.words[place]])
            found.x[:, place] = instead(found.x[:, place], places)
    return found


def thinned(found: Table, rows: int, *, stratified: bool) -> Table:
    """Take so many of the rows to train on."""
    last = len(found.y) - found.held_out
    drawn = np.sort(spread(found.y[:last], stratified=stratified)[:rows])
    kept = np.concatenate([drawn, np.arange(last, len(found.y))])
    groups = None if found.groups is None else found.groups[kept]
    return found._replace(x=found.x[kept], y=found.y[kept], groups=groups)


def stacked(parts: Sequence[Any]) -> Any:
    """Put rows under each other."""
    if any(sparse.issparse(each) for each in parts):
        return sparse.vstack(parts).tocsr()
    return np.concatenate(parts)


def spread(y: Array, *, stratified: bool) -> Array:
    """Order rows at random, the classes so that the first few have their shares of any number."""
    drawn = np.random.default_rng(0).permutation(len(y))
    if not stratified or y.ndim > 1:
        return drawn
    groups = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(groups)
    by_class = np.lexsort((drawn, groups))
    places = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    return by_class[np.argsort((places + 0.5) / np.repeat(counts, counts), kind="stable")]


def table(name: str, target: str | None, groups: str | None) -> Table:
    """Load a data set; raises ObjectiveError."""
    path = Path(name)
    if name in FETCHED:
        return Table(*fetch(name))
    if name == FASHION:
        return fashion_mnist()
    if name in BUILT_IN:
        return Table(*getattr(datasets, f"load_{name}")(return_X_y=True))
    if not path.is_dir() and not path.is_file():
        raise ObjectiveError(
            f"the data set {path.name!r} is not known; there is: {', '.join(BUILT_IN)}; or a file, "
            f"and {path} is none"
        )
    shown = "[data]" if path.is_dir() else str(path)
    try:
        found = of_study(name, target, groups) if path.is_dir() else read(path, target, groups)
    except UNREADABLE as error:
        can_not = "can't be used" if path.is_dir() else "can't be read"
        raise ObjectiveError(f"{shown} {can_not}: {error}") from error
    if found.y.dtype.kind == "f" and not np.isfinite(found.y).all():
        raise ObjectiveError(f"{shown}: the target is not a number in each row")
    return found


def read(path: Path, target: str | None, groups: str | None) -> Table:
    """Read a file; raises ValueError."""
    if path.suffix == ".npz":
        return read_arrays(path, target, groups)
    from hpmpi.data.reading import read_table  # noqa: PLC0415 - has pandas

    return read_table(path, target, groups)


def of_study(folder: str, target: str | None, groups: str | None) -> Table:
    """Take the data of `[data]`, with the alphabets of words; raises ValueError."""
    data: Mapping[str, Any] = data_in(folder) or {}
    found = of_arrays(data, target, groups)
    words = {
        int(name.removeprefix(ALPHABETS)): data[name].tolist()
        for name in data
        if name.startswith(ALPHABETS)
    }
    return found._replace(words=words)


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
