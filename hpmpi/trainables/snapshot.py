"""A checkpoint of a trainable: `scores.json`, and `model.skops` with what has been trained.

The folder may be anybody's: nothing is unpickled, and only types are loaded that run no code of
their own, beside the class that the study itself names. Of several folds, `model.skops` is a list.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skops.io
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UntrustedTypesFoundException

from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Metrics
from hpmpi.trainables.estimator import steps_of, title

MODEL = "model.skops"
SCORES = "scores.json"

PREPARED = "prepared"
"""The step before a model that prepares its features."""

TRUSTED = [
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
]
"""What a checkpoint may hold beside what skops knows: nothing in it can make us run its code.

Forged trees may crash the process that predicts with them, which is the objective's own.
"""


class NotKeptError(Exception):
    """A model that can't be written so that it can be read safely."""


def save_scores(folder: Path, folds: Sequence[Metrics]) -> None:
    """Write the metrics of the folds that are done."""
    (folder / SCORES).write_text(json.dumps(folds))


def load_scores(folder: Path) -> list[Metrics]:
    """Read the metrics of the folds that were done."""
    folds: list[Metrics] = json.loads((folder / SCORES).read_text())
    return folds


def save_models(folder: Path, models: Sequence[Any], preparers: Sequence[Any]) -> None:
    """Write the models, each with what prepares its features; raises NotKeptError."""
    whole = [
        model if preparer is None else Pipeline([(PREPARED, preparer), ("model", model)])
        for model, preparer in zip(models, preparers, strict=True)
    ]
    try:
        written = skops.io.dumps(whole if len(whole) > 1 else whole[0])
        unknown = set(skops.io.get_untrusted_types(data=written)) - set(trusted(models[0]))
    except Exception as error:  # somebody's estimator: it may hold a lock, a file, a GPU
        raise NotKeptError(f"{title(models[0])} is not kept: {error}") from error
    if unknown:
        raise NotKeptError(f"{title(models[0])} is not kept: it has {', '.join(sorted(unknown))}")
    (folder / MODEL).write_bytes(written)


def load_models(folder: Path, like: Any) -> list[Any]:
    """Read the models that were saved of an estimator `like` this; raises ObjectiveError."""
    try:
        found = skops.io.load(folder / MODEL, trusted=trusted(like))
    except UntrustedTypesFoundException as error:
        said = str(error).partition("\n")[0]
        raise ObjectiveError(f"{folder / MODEL} is none of ours: {said}") from error
    models = found if isinstance(found, list) else [found]
    return [model[-1] if is_prepared(model) else model for model in models]


def is_prepared(model: Any) -> bool:
    """Tell whether a model was written with what prepares its features."""
    return isinstance(model, Pipeline) and model.steps[0][0] == PREPARED


def trusted(model: Any) -> list[str]:
    """List what may be loaded, with the classes that the study names."""
    inner = [each for each in model.get_params().values() if hasattr(each, "fit")]
    kinds = [type(each) for each in [*steps_of(model), *inner]]
    return [*TRUSTED, *(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)]
