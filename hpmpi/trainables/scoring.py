"""How good, how slow, how large a model is: scikit-learn's scores by their names, and costs."""

import difflib
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Metrics
from hpmpi.trainables.options import Task
from hpmpi.trainables.splits import Part

Scorers = dict[str, Callable[[Any, Any, Any], float]]

COSTS = ("fit_s", "score_s")
"""What is summed over folds; of everything else there is the mean."""

FINAL = "test_"
"""How the name of a score begins that is of rows in no split."""

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


def check_metric(metric: str | list[str] | None, there_is: Sequence[str]) -> None:
    """Look whether an objective has the metrics of a study; raises ObjectiveError."""
    for name in metric if isinstance(metric, list) else [metric]:
        if name not in there_is:
            wrong = f"metric = {name!r} is none; there is"
            said = "the study has no metric; set `metric` to one of" if name is None else wrong
            raise ObjectiveError(f"{said}: {', '.join(there_is)}")


def measure(model: Any, part: Part, scorers: Scorers) -> Metrics:
    """Score a model on what was held out, also of each choice, and say what it costs."""
    began_at = time.monotonic()
    metrics = {
        name: float(score(model, part.x_test, part.y_test)) for name, score in scorers.items()
    }
    took_s = time.monotonic() - began_at
    if part.y_final is not None:
        for name, score in scorers.items():
            metrics[f"{FINAL}{name}"] = float(score(model, part.x_final, part.y_final))
    if isinstance(loss := getattr(model, "loss_", None), float):
        metrics["train_loss"] = loss
    return {**metrics, "score_s": took_s, **size_of(model)}


def is_curved(name: str) -> bool:
    """Tell whether a metric has a learning curve, which may be looked at while others train."""
    return name not in PLAIN and not name.startswith(FINAL)


def size_of(model: Any) -> Metrics:
    """Measure the pickle of a model, which is not kept; what can't be measured is no score."""
    try:
        return {"size_bytes": float(len(pickle.dumps(model)))}
    except Exception:  # noqa: BLE001 - somebody's estimator: it may hold a lock, a file, a GPU
        return {}


def over_folds(folds: Sequence[Metrics]) -> Metrics:
    """Join the metrics of folds: means, and standard deviations, as GridSearchCV has them."""
    names = [name for name in folds[0] if all(name in fold for fold in folds)]
    values = {name: [fold[name] for fold in folds] for name in names}
    metrics = {
        name: float(np.sum(each) if name in COSTS else np.mean(each))
        for name, each in values.items()
    }
    if len(folds) == 1:
        return metrics
    stds = {f"{name}_std": float(np.std(values[name])) for name in values if name not in PLAIN}
    return metrics | stds
