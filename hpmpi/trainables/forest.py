"""A random forest: RandomForestClassifier, or RandomForestRegressor.

Space: `max_depth`, `max_features`, `min_samples_leaf`, `ccp_alpha`, `criterion`, ...
Resource: trees, each rung adds to those that are there; none where `n_estimators` is tuned; or
"rows", "folds".
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable(
    "sklearn.ensemble.RandomForestClassifier",
    "sklearn.ensemble.RandomForestRegressor",
    resource="trees",
)
train, default = MODEL.train, MODEL.default
