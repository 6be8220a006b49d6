"""Logistic regression; for numbers, its like: ridge regression.

Space: `C`, `l1_ratio`, `solver`, `tol`, `class_weight`, ...; of Ridge: `alpha`, ...
Resource: none; or "rows", "folds". Features are scaled to [0, 1].
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable(
    "sklearn.linear_model.LogisticRegression", "sklearn.linear_model.Ridge", scale=True
)
train, default = MODEL.train, MODEL.default
