"""A multi-layer perceptron: MLPClassifier, or MLPRegressor.

Space: any of its arguments, and

- `hidden`, units a layer, with `layers`;
- `noise`: standard deviation of Gaussian noise that is added to the features, anew in each epoch
  (Bishop, Training with Noise is Equivalent to Tikhonov Regularization, Neural Comp. 7, 1995);
- `shift`: probability that an image is moved by a pixel along an axis, in each epoch (LeCun et
  al., Gradient-Based Learning Applied to Document Recognition, 1998); `digits` only.

Resource: epochs; or "rows", "folds", "none". Features are scaled to [0, 1]. `train_loss` is a
metric, too.
"""

from typing import Any

import numpy as np

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Config
from hpmpi.trainables.training import Trainable

OWN = ("hidden", "layers", "noise", "shift")
"""Hyperparameters that are not MLPClassifier's."""

SIDE = 8
"""Pixels along a side of a digit."""


def arguments(config: Config) -> dict[str, Any]:
    """Turn `hidden` and `layers` into what MLPClassifier calls them; leave out what is ours."""
    values: dict[str, Any] = {name: value for name, value in config.items() if name not in OWN}
    if "hidden" in config or "layers" in config:
        hidden, layers = config.get("hidden", 100), config.get("layers", 1)
        values["hidden_layer_sizes"] = (hidden,) * int(layers)
    return values


def augment(x: Array, config: Config, draw: np.random.Generator) -> Array:
    """Vary the training data for an epoch; x: (rows, features)."""
    shift, noise = float(config.get("shift", 0.0)), float(config.get("noise", 0.0))
    if shift > 0 and x.shape[1] != SIDE**2:
        raise ObjectiveError(f"shift is for images of {SIDE} x {SIDE}, not {x.shape[1]} features")
    if shift > 0:
        images = x.reshape(-1, SIDE, SIDE).copy()
        for axis in (1, 2):
            moves = draw.choice([-1, 0, 1], p=[shift / 2, 1 - shift, shift / 2], size=len(images))
            for move in (-1, 1):
                moved = moves == move
                images[moved] = np.roll(images[moved], move, axis)
        x = images.reshape(len(x), -1)
    return x + noise * draw.standard_normal(x.shape) if noise > 0 else x


train = Trainable(
    "sklearn.neural_network.MLPClassifier",
    "sklearn.neural_network.MLPRegressor",
    resource="epochs",
    scale=True,
    own=OWN,
    arguments=arguments,
    vary=augment,
)
default = train.default
