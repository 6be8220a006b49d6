"""How good, how slow, how large a model is: scikit-learn's scores by their names, and costs."""

import difflib
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from hpmpi.errors import ObjectiveError
from hpmpi.trainables.dataset import Part
from hpmpi.trainables.options import Task
from hpmpi.trial import Metrics

Scorers = dict[str, Callable[[Any, Any, Any], float]]

COSTS = ("fit_s", "score_s")
"""What is summed over folds; of everything else there is the mean."""

PLAIN = (*COSTS, "size_bytes", "train_rows")
"""What has no standard deviation over folds, and no learning curve."""


def scorers(said: str | list[str] | None, task: Task) -> Scorers:
    """Find scorers by name; accuracy or r2 where nothing is said; raises ObjectiveError."""
    default = "accuracy" if task == "classification" else "r2"
    names = [said] if isinstance(said, str) else said or [default]
    for name in names:
        if name not in get_scorer_names():
            close = difflib.get_close_matches(name, get_scorer_names(), n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            there_is = ", ".join(get_scorer_names())
            raise ObjectiveError(
                f"objective_args.scoring: {name!r} is not known; {hint}there is: {there_is}"
            )
    return {name: get_scorer(name) for name in names}


def measure(model: Any, part: Part, scorers: Scorers) -> Metrics:
    """Score a model on what was held out; `size_bytes` is that of its pickle, which is not kept."""
    began_at = time.monotonic()
    metrics = {
        name: float(score(model, part.x_test, part.y_test)) for name, score in scorers.items()
    }
    took_s = time.monotonic() - began_at
    if isinstance(loss := getattr(model, "loss_", None), float):
        metrics["train_loss"] = loss
    return {**metrics, "score_s": took_s, "size_bytes": float(len(pickle.dumps(model)))}


def over_folds(folds: Sequence[Metrics]) -> Metrics:
    """Join the metrics of folds: means, and standard deviations, as GridSearchCV has them."""
    values = {name: [fold[name] for fold in folds] for name in folds[0]}
    metrics = {
        name: float(np.sum(each) if name in COSTS else np.mean(each))
        for name, each in values.items()
    }
    if len(folds) == 1:
        return metrics
    stds = {f"{name}_std": float(np.std(values[name])) for name in values if name not in PLAIN}
    return metrics | stds
