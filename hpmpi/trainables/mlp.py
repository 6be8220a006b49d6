"""A multi-layer perceptron (scikit-learn), trained epoch by epoch.

Resource: epochs. Data: one of scikit-learn's own classification sets, features scaled to [0, 1], a
quarter of it held out, always the same one. Metrics: `accuracy` on what is held out, `train_loss`,
and the model's `size_bytes`. Space: any of MLPClassifier's arguments, and

- `hidden`, units a layer, with `layers`;
- `noise`: standard deviation of Gaussian noise that is added to the features, anew in each epoch
  (Bishop, Training with Noise is Equivalent to Tikhonov Regularization, Neural Comp. 7, 1995);
- `shift`: probability that an image is moved by a pixel along an axis, in each epoch (LeCun et
  al., Gradient-Based Learning Applied to Document Recognition, 1998); `digits` only.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler

from hpmpi.errors import ObjectiveError
from hpmpi.objective import Trial
from hpmpi.trial import Config, Metrics

DATASETS = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}

TRUSTED = [
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
]
"""What a checkpoint may hold beside what skops knows: nothing in it can make us run its code."""

OURS = ("noise", "shift")
"""Hyperparameters that are not MLPClassifier's."""

SIDE = 8
"""Pixels along a side of a digit."""

Array = NDArray[Any]


def train(config: Config, trial: Trial) -> Metrics:
    """Train up to `trial.stop` epochs, from the trial's newest checkpoint on."""
    x_train, x_test, y_train, y_test = split(str(trial.args.get("dataset", "digits")))
    if trial.previous:
        model = skops.io.load(trial.previous / "model.skops", trusted=TRUSTED)
    else:
        model = MLPClassifier(random_state=trial.seed, **arguments(config))
    classes = np.unique(y_train)
    for epoch in range(trial.start, trial.stop):
        # A generator for each epoch: what goes on from a checkpoint draws what it would have drawn.
        draw = np.random.default_rng([trial.seed, epoch])
        model.partial_fit(augment(x_train, config, draw), y_train, classes=classes)
        trial.report(epoch + 1, accuracy=model.score(x_test, y_test), train_loss=model.loss_)
        if trial.should_save(epoch + 1):
            with trial.checkpoint(epoch + 1) as folder:
                skops.io.dump(model, folder / "model.skops")
    return measure(model, model.score(x_test, y_test))


def default(config: Config, trial: Trial) -> Metrics:
    """Train scikit-learn's MLPClassifier with the arguments it has by itself."""
    x_train, x_test, y_train, y_test = split(str(trial.args.get("dataset", "digits")))
    model = MLPClassifier(random_state=trial.seed, **config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x_train, y_train)
    return measure(model, model.score(x_test, y_test))


@cache
def split(dataset: str) -> tuple[Array, Array, Array, Array]:
    """Load a data set, scale it to [0, 1], and hold a quarter of it out, the same one always.

    Returns x_train, x_test (rows, features), y_train, y_test (rows); raises ObjectiveError.
    """
    if dataset not in DATASETS:
        there_is = ", ".join(DATASETS)
        raise ObjectiveError(f"objective_args.dataset = {dataset!r} is not known: {there_is}")
    x, y = DATASETS[dataset](return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.25, random_state=0, stratify=y
    )
    scaler = MinMaxScaler().fit(x_train)
    return scaler.transform(x_train), scaler.transform(x_test), y_train, y_test


def arguments(config: Config) -> dict[str, Any]:
    """Turn `hidden` and `layers` into what MLPClassifier calls them; leave out what is ours."""
    rest: dict[str, Any] = {name: value for name, value in config.items() if name not in OURS}
    hidden, layers = rest.pop("hidden", 100), rest.pop("layers", 1)
    return {"hidden_layer_sizes": (hidden,) * layers, **rest}


def augment(x: Array, config: Config, draw: np.random.Generator) -> Array:
    """Vary the training data for an epoch; x: (rows, features)."""
    shift, noise = float(config.get("shift", 0.0)), float(config.get("noise", 0.0))
    if shift > 0:
        images = x.reshape(-1, SIDE, SIDE).copy()
        for axis in (1, 2):
            moves = draw.choice([-1, 0, 1], p=[shift / 2, 1 - shift, shift / 2], size=len(images))
            for move in (-1, 1):
                moved = moves == move
                images[moved] = np.roll(images[moved], move, axis)
        x = images.reshape(len(x), -1)
    return x + noise * draw.standard_normal(x.shape)


def measure(model: MLPClassifier, accuracy: float) -> Metrics:
    """Collect the metrics of a trained model."""
    return {
        "accuracy": float(accuracy),
        "train_loss": float(model.loss_),
        "size_bytes": float(len(skops.io.dumps(model))),
    }
