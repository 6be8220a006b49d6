"""k-nearest neighbours: KNeighborsClassifier, or KNeighborsRegressor.

Space: `n_neighbors`, `weights` ("uniform", "distance"), `p` (1: Manhattan, 2: Euclid), ...
Resource: none; or "rows", "folds". Features are scaled to [0, 1].
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable(
    "sklearn.neighbors.KNeighborsClassifier", "sklearn.neighbors.KNeighborsRegressor", scale=True
)
train, default = MODEL.train, MODEL.default
