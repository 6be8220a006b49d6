"""What more of costs more: how a model is taken from one amount to the next.

epochs   partial_fit, one pass over the training rows at a time
trees    warm_start, with more and more of them; where there is none, each rung fits anew
rows     so many of the training rows, the classes in their shares; each rung fits anew
folds    so many of the k folds, a model for each; the score is the mean over them
none     every rung does the same: for schedulers that have one rung
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.trainables.dataset import spread
from hpmpi.trainables.estimator import last, title
from hpmpi.trainables.fitting import fit
from hpmpi.trainables.options import Kind
from hpmpi.trainables.splits import Part

Vary = Callable[[Array, int], Array]
"""Changes the training features, (rows, features), for an epoch."""


class Resource(NamedTuple):
    """The amounts at which to stop and score, between two; and how to train up to one.

    Where it `continues`, the model at one amount is where the next begins.
    """

    points: Callable[[int, int], Iterable[int]]
    train: Callable[[Any, Part, int, Vary], int]
    continues: bool = False


def each(start: int, stop: int) -> Iterable[int]:
    """Stop at each.

    >>> list(each(2, 5))
    [3, 4, 5]
    """
    return range(start + 1, stop + 1)


def doubled(start: int, stop: int) -> Iterable[int]:
    """Stop at powers of two from 16 on, and at the end: each stop costs as much as some trees.

    >>> list(doubled(0, 135)), list(doubled(5, 15)), list(doubled(32, 64))
    ([16, 32, 64, 128, 135], [15], [64])
    """
    powers = (2**k for k in range(max(4, start.bit_length()), (stop - 1).bit_length()))
    return [*powers, stop] if stop > start else []


def once(start: int, stop: int) -> Iterable[int]:
    """Stop at the end only.

    >>> once(3, 9)
    [9]
    """
    return [stop] if stop > start else []


def one_epoch(model: Any, part: Part, reached: int, vary: Vary) -> int:
    """Pass over the training rows once more; returns how many there are."""
    options = {"classes": labels_of(part.y_train)} if is_classifier(model) else {}
    model.partial_fit(vary(part.x_train, reached - 1), part.y_train, **options)
    return len(part.y_train)


def labels_of(y: Array) -> Array:
    """List the classes; of several labels a row, there are as many as labels."""
    return np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])


def trees(model: Any, part: Part, reached: int, _: Vary) -> int:
    """Grow the trees that are missing: as many as are asked for, also where "auto" would stop."""
    grown = {count_of_trees(model): reached, f"{last(model)}warm_start": True}
    if model.get_params().get(stops := f"{last(model)}early_stopping") == "auto":
        grown[stops] = False
    model.set_params(**grown)
    model.fit(part.x_train, part.y_train)
    return len(part.y_train)


def trees_anew(model: Any, part: Part, reached: int, _: Vary) -> int:
    """Grow all of the trees: what can't add to them begins again."""
    model.set_params(**{count_of_trees(model): reached})
    fit(model, part.x_train, part.y_train)
    return len(part.y_train)


def some_rows(model: Any, part: Part, reached: int, _: Vary) -> int:
    """Fit anew, with so many rows, or with all that there are."""
    rows = spread(part.y_train, stratified=is_classifier(model))[:reached]
    fit(model, part.x_train[rows], part.y_train[rows])
    return len(rows)


def all_rows(model: Any, part: Part, _reached: int, _: Vary) -> int:
    """Fit anew."""
    fit(model, part.x_train, part.y_train)
    return len(part.y_train)


RESOURCES: dict[Kind, Resource] = {
    "epochs": Resource(each, one_epoch, continues=True),
    "trees": Resource(doubled, trees, continues=True),
    "rows": Resource(once, some_rows),
    "folds": Resource(each, all_rows),
    "none": Resource(once, all_rows),
}


TREES_ANEW = Resource(once, trees_anew)


def resource_of(kind: Kind, model: Any) -> Resource:
    """Say how a model is taken from one amount to the next."""
    warm = f"{last(model)}warm_start" in model.get_params()
    return TREES_ANEW if kind == "trees" and not warm else RESOURCES[kind]


def count_of_trees(model: Any) -> str:
    """Name the hyperparameter that counts trees; "" where none does."""
    before, there_is = last(model), model.get_params()
    boosts = title(model).rpartition(" ")[2].startswith("HistGradientBoosting")
    count = before + ("max_iter" if boosts else "n_estimators")
    return count if count in there_is else ""


def choose(said: Kind | None, usual: Kind, model: Any, values: Mapping[str, Any]) -> Kind:
    """Choose the resource of a model: its usual one, unless the study says another.

    A number of trees that is tuned is no resource. Raises ObjectiveError for what can't be.
    """
    count = count_of_trees(model)
    tuned = any(count in (name, last(model) + name) for name in values)
    can: list[Kind] = ["rows", "folds", "none"]
    can += ["trees"] if count and not tuned else []
    can += ["epochs"] if hasattr(model, "partial_fit") else []
    if said is not None and said not in can:
        why = f", whose {count} is set" if tuned and said == "trees" else ""
        raise ObjectiveError(
            f"objective_args.resource = {said!r} is nothing for {title(model)}{why}; "
            f"there is: {', '.join(can)}"
        )
    return said or (usual if usual in can else "none")
