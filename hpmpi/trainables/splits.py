"""Which rows are trained on, and which are scored with; what is made of features before.

Where a study asks for it, some rows are in no split: no choice is made on them, of a configuration
or anything else. Each model is scored with them as well, for who wants to know how good it is.

All that is drawn is the same in each process and run. What is learnt from the data to prepare them
(what fills blanks, which words there are, what scales) is learnt from the rows trained on.
"""

import math
import warnings
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    TimeSeriesSplit,
    check_cv,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.trainables.dataset import Dataset, DatasetSource, load
from hpmpi.trainables.options import Split

MOST_WORDS = 50
"""How many words of a feature have a feature of their own; the rarest share the last."""


class Layout(msgspec.Struct, frozen=True):
    """Which rows, how they are split, and what is made of them.

    `scaled`: features lie in [0, 1]; `filled`: what is not known is filled; `coded`: classes are
    numbers from 0 on.
    """

    source: DatasetSource
    test_size: float = 0.25
    final_test_size: float | None = None
    folds: int | None = None
    split: Split = "random"
    stratified: bool = False
    scaled: bool = False
    filled: bool = False
    coded: bool = False


class Part(NamedTuple):
    """One split; `preparer` is what was made of the features, by what the training rows say.

    `x_final` and `y_final` are the rows in no split, if there are such.
    """

    x_train: Any
    y_train: Array
    x_test: Any
    y_test: Array
    preparer: Any
    x_final: Any = None
    y_final: Array | None = None


@lru_cache(maxsize=1)
def splits(layout: Layout) -> list[tuple[Array, Array]]:
    """Split into rows to train on and to test on: scikit-learn's own folds, or one hold-out."""
    data = load(layout.source)
    number = len(data.y) - data.held_out
    try:
        rows, _ = apart(layout)
        if data.held_out and not layout.folds:
            return [(rows, np.arange(number, len(data.y)))]
        pairs = in_folds(layout, data, rows) if layout.folds else [halves(layout, data, rows)]
    except ValueError as error:
        raise ObjectiveError(f"{layout.source.dataset} can't be split: {error}") from error
    return [(rows[train], rows[test]) for train, test in pairs]


def apart(layout: Layout) -> tuple[Array, Array]:
    """Take from the rows those that are in no split; raises ValueError where there are too few."""
    data = load(layout.source)
    number = len(data.y) - data.held_out
    if layout.final_test_size is None:
        return np.arange(number), np.arange(0)
    return hold_out(data.y[:number], layout.final_test_size, stratified=layout.stratified)


def halves(layout: Layout, data: Dataset, rows: Array) -> tuple[Array, Array]:
    """Hold out one part of some rows, which are numbered from 0 on."""
    if layout.split == "time":
        first = len(rows) - math.ceil(layout.test_size * len(rows))
        return np.arange(first), np.arange(first, len(rows))
    if data.groups is not None:
        shuffled = GroupShuffleSplit(1, test_size=layout.test_size, random_state=0)
        train, test = next(iter(shuffled.split(data.x, data.y, data.groups)))
        return train, test
    return hold_out(data.y[rows], layout.test_size, stratified=layout.stratified)


def in_folds(layout: Layout, data: Dataset, rows: Array) -> list[tuple[Array, Array]]:
    """Make folds of some rows: as GridSearchCV does, where neither groups nor time count."""
    y = data.y[rows]
    groups = None if data.groups is None else data.groups[rows]
    folds: Any
    if layout.split == "time":
        folds = TimeSeriesSplit(layout.folds)
    elif groups is not None:
        folds = GroupKFold(layout.folds)
    else:
        folds = check_cv(layout.folds, y, classifier=layout.stratified)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes: the study's notes tell of them
        return list(folds.split(np.empty((len(rows), 1)), y, groups))


def hold_out(y: Array, test_size: float, *, stratified: bool) -> tuple[Array, Array]:
    """Hold rows out, of each class its share; what is alone of its class is trained on."""
    rows = np.arange(len(y))
    if not stratified or y.ndim > 1:
        train, test = train_test_split(rows, test_size=test_size, random_state=0)
        return train, test
    alone = np.isin(y, rare(y, 2))
    rest = rows[~alone]
    train, test = train_test_split(rest, test_size=test_size, random_state=0, stratify=y[rest])
    return np.concatenate([train, rows[alone]]), test


def rare(y: Array, least: int) -> Array:
    """List the classes that have fewer rows than `least`."""
    found, counts = np.unique(y, return_counts=True)
    return found[counts < least]


@lru_cache(maxsize=1)  # a hold-out stays; of folds, only one is in memory
def part(layout: Layout, number: int) -> Part:
    """Take a split's rows, and prepare them."""
    data = load(layout.source)
    train, test = splits(layout)[number]
    _, final = apart(layout)
    x_train, *others = (taken(data.x, rows) for rows in (train, test, final) if len(rows))
    ys = [data.y[rows] for rows in (train, test, final) if len(rows)]
    preparer = preparer_of(layout, data, any(map(has_blanks, (x_train, *others))))
    if preparer is not None:
        x_train, others = preparer.fit_transform(x_train), list(map(preparer.transform, others))
    if layout.coded:
        ys = coded(*ys)
    return Part(x_train, ys[0], others[0], ys[1], preparer, *others[1:], *ys[2:])


def taken(array: Any, rows: Array) -> Any:
    """Take rows; without a copy where one follows the other, as those of a fold may."""
    first, end = rows[0], rows[-1] + 1
    is_slice = end - first == len(rows) and bool((np.diff(rows) == 1).all())
    return array[first:end] if is_slice else array[rows]


def preparer_of(layout: Layout, data: Dataset, has_blanks: bool) -> Any:  # noqa: FBT001 - both matter
    """Make what fills blanks, gives each word a feature, and scales; None where nothing is to do.

    A word that is not known is one of its own.
    """
    fills = layout.filled and has_blanks
    steps: list[Any] = []
    if fills or data.words:
        numbers = [place for place in range(data.x.shape[1]) if place not in data.words]
        fill = SimpleImputer(strategy="median", keep_empty_features=True)
        spell = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MOST_WORDS, sparse_output=False
        )
        each = [("numbers", fill if fills else "passthrough", numbers)]
        steps = [ColumnTransformer([*each, ("words", spell, list(data.words))], sparse_threshold=0)]
    if layout.scaled:
        steps.append(MaxAbsScaler() if sparse.issparse(data.x) else MinMaxScaler())
    return make_pipeline(*steps) if len(steps) > 1 else next(iter(steps), None)


def has_blanks(x: Any) -> bool:
    """Tell whether something is not known."""
    values = x.data if sparse.issparse(x) else x
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def coded(train: Array, *others: Array) -> list[Array]:
    """Give classes numbers: those trained on come first, in their order."""
    known = np.unique(train)
    labels = dict.fromkeys([*known, *(label for each in others for label in np.unique(each))])
    codes = {label: code for code, label in enumerate(labels)}
    return [numbered(each, codes) for each in (train, *others)]


def numbered(y: Array, codes: dict[Any, int]) -> Array:
    """Put codes in the place of labels."""
    found, places = np.unique(y, return_inverse=True)
    return np.array([codes[label] for label in found])[places]
