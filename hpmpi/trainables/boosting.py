"""Gradient boosting on histograms: HistGradientBoostingClassifier, or ...Regressor.

Space: `learning_rate`, `max_leaf_nodes`, `min_samples_leaf`, `l2_regularization`, ...
Resource: trees (of each class), each rung adds to those that are there; none where `max_iter` is
tuned; or "rows", "folds".
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable(
    "sklearn.ensemble.HistGradientBoostingClassifier",
    "sklearn.ensemble.HistGradientBoostingRegressor",
    resource="trees",
)
train, default = MODEL.train, MODEL.default
