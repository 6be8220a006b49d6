"""A decision tree: DecisionTreeClassifier, or DecisionTreeRegressor.

Space: `max_depth`, `min_samples_leaf`, `criterion`, `ccp_alpha`, `max_features`, ...
Resource: none; or "rows", "folds".
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable("sklearn.tree.DecisionTreeClassifier", "sklearn.tree.DecisionTreeRegressor")
train, default = MODEL.train, MODEL.default
