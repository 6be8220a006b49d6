"""Fitting an estimator, as it comes or with what it wants beside: rows to stop early by, numbers.

What stops early by rows of its own (XGBoost's, LightGBM's and CatBoost's do) is given a tenth of
the rows to train on: those to score with are not for choosing.
"""

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from hpmpi.data.sheets import Array
from hpmpi.trainables.estimator import steps_of
from hpmpi.trainables.splits import Part, coded, hold_out

STOPPING_SHARE = 0.1
"""Of the rows to train on, how many decide where to stop."""

MOST_CLASSES = 20
ROWS_OF_EACH = 6
FEWEST_ROWS = 60
"""How many rows are enough to see whether something works at all."""


def fit(model: Any, x: Any, y: Array) -> None:
    """Fit a model; one that stops early, on nine tenths of the rows."""
    *before, estimator = steps_of(model)
    wanted = inspect.signature(estimator.fit).parameters if stops_early(estimator) else {}
    if "eval_set" not in wanted:
        model.fit(x, y)
        return
    size = max(round(STOPPING_SHARE * len(y)), len(np.unique(y)) if is_classifier(model) else 1)
    rows, others = hold_out(y, size, stratified=is_classifier(model))
    x, more = x[rows], x[others]
    if before:
        assert isinstance(model, Pipeline), "only a pipeline has several steps"
        x, more = model[:-1].fit_transform(x, y[rows]), model[:-1].transform(more)
    quiet = {"verbose": False} if "verbose" in wanted else {}
    estimator.fit(x, y[rows], eval_set=[(more, y[others])], **quiet)


def stops_early(estimator: Any) -> bool:
    """Tell whether an estimator is to stop where more rounds bring nothing."""
    given = estimator.get_params()
    return any(given[name] for name in given if name.startswith("early_stopping_round"))


def few(part: Part, *, classified: bool) -> Part:
    """Take some dozens of the rows, of each of the usual classes some, for a try."""
    if not classified or part.y_train.ndim > 1:
        train, test = (np.arange(min(len(y), FEWEST_ROWS)) for y in (part.y_train, part.y_test))
    else:
        found, counts = np.unique(part.y_train, return_counts=True)
        usual = found[np.argsort(-counts, kind="stable")][:MOST_CLASSES]
        kept = usual[np.isin(usual, part.y_test)]
        train, test = (some_of_each(y, kept) for y in (part.y_train, part.y_test))
    x_train, x_test = part.x_train[train], part.x_test[test]
    return part._replace(
        x_train=x_train, y_train=part.y_train[train], x_test=x_test, y_test=part.y_test[test]
    )


def some_of_each(y: Array, classes: Array) -> Array:
    """Find some rows of each class, in their order."""
    number = max(ROWS_OF_EACH, FEWEST_ROWS // max(1, len(classes)))
    rows = [np.flatnonzero(y == label)[:number] for label in classes]
    return np.sort(np.concatenate(rows)) if rows else np.arange(min(len(y), FEWEST_ROWS))


def wants_numbers(model: Any, part: Part) -> bool:
    """Tell whether an estimator can learn classes only where they are numbers from 0 on."""
    y = np.unique(part.y_train)
    ours = type(steps_of(model)[-1]).__module__.startswith("sklearn.")
    if ours or part.y_train.ndim > 1 or (y.dtype.kind in "iu" and [*y] == [*range(len(y))]):
        return False
    some = few(part, classified=True)
    return not can_fit(model, some.x_train, some.y_train) and can_fit(
        model, some.x_train, coded(some.y_train, some.y_test)[0]
    )


def can_fit(model: Any, x: Any, y: Array) -> bool:
    """Try to fit a copy of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit(clone(model), x, y)
        except Exception:  # noqa: BLE001 - somebody's estimator: what it says is told where it is used
            return False
    return True
