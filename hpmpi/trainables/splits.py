"""Which rows are trained on, and which are scored with; what is made of features before.

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
from hpmpi.trainables.dataset import Data, Source, load
from hpmpi.trainables.options import Split

MOST_WORDS = 50
"""How many words of a feature have a feature of their own; the rarest share the last."""


class Layout(msgspec.Struct, frozen=True):
    """Which rows, how they are split, and what is made of them.

    `scaled`: features lie in [0, 1]; `filled`: what is not known is filled; `coded`: classes are
    numbers from 0 on.
    """

    source: Source
    test_size: float = 0.25
    folds: int | None = None
    split: Split = "random"
    stratified: bool = False
    scaled: bool = False
    filled: bool = False
    coded: bool = False


class Part(NamedTuple):
    """One split; `preparer` is what was made of the features, by what the training rows say."""

    x_train: Any
    y_train: Array
    x_test: Any
    y_test: Array
    preparer: Any


@lru_cache(maxsize=1)
def splits(layout: Layout) -> list[tuple[Array, Array]]:
    """Split into rows to train on and to test on: scikit-learn's own folds, or one hold-out."""
    data = load(layout.source)
    number = len(data.y) - data.held_out
    try:
        if layout.folds:
            return in_folds(layout, data, number)
        if data.held_out:
            return [(np.arange(number), np.arange(number, len(data.y)))]
        if layout.split == "time":
            first = number - math.ceil(layout.test_size * number)
            return [(np.arange(first), np.arange(first, number))]
        if data.groups is not None:
            shuffled = GroupShuffleSplit(1, test_size=layout.test_size, random_state=0)
            return list(shuffled.split(data.x, data.y, data.groups))
        return [hold_out(data.y, layout.test_size, stratified=layout.stratified)]
    except ValueError as error:
        raise ObjectiveError(f"{layout.source.dataset} can't be split: {error}") from error


def in_folds(layout: Layout, data: Data, number: int) -> list[tuple[Array, Array]]:
    """Make folds of the first rows: as GridSearchCV does, where neither groups nor time count."""
    y, groups = data.y[:number], data.groups
    folds: Any
    if layout.split == "time":
        folds = TimeSeriesSplit(layout.folds)
    elif groups is not None:
        folds = GroupKFold(layout.folds)
    else:
        folds = check_cv(layout.folds, y, classifier=layout.stratified)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes: the study's notes tell of them
        return list(folds.split(np.empty((number, 1)), y, groups))


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
    x_train, x_test = taken(data.x, train), taken(data.x, test)
    y_train, y_test = data.y[train], data.y[test]
    preparer = preparer_of(layout, data, has_blanks(x_train) or has_blanks(x_test))
    if preparer is not None:
        x_train, x_test = preparer.fit_transform(x_train), preparer.transform(x_test)
    if layout.coded:
        y_train, y_test = coded(y_train, y_test)
    return Part(x_train, y_train, x_test, y_test, preparer)


def taken(array: Any, rows: Array) -> Any:
    """Take rows; without a copy where one follows the other, as those of a fold may."""
    first, end = rows[0], rows[-1] + 1
    is_slice = end - first == len(rows) and bool((np.diff(rows) == 1).all())
    return array[first:end] if is_slice else array[rows]


def preparer_of(layout: Layout, data: Data, has_blanks: bool) -> Any:  # noqa: FBT001 - both matter
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


def coded(train: Array, test: Array) -> tuple[Array, Array]:
    """Give classes numbers: those trained on come first, in their order."""
    known = np.unique(train)
    codes = {label: code for code, label in enumerate([*known, *np.setdiff1d(test, known)])}
    return numbered(train, codes), numbered(test, codes)


def numbered(y: Array, codes: dict[Any, int]) -> Array:
    """Put codes in the place of labels."""
    found, places = np.unique(y, return_inverse=True)
    return np.array([codes[label] for label in found])[places]
