"""A support vector machine: SVC, or SVR.

Space: `C`, `gamma`, `kernel`, `degree`, `class_weight`, ...; of SVR also `epsilon`.
Resource: none; or "rows", "folds". Features are scaled to [0, 1].
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable("sklearn.svm.SVC", "sklearn.svm.SVR", scale=True)
train, default = MODEL.train, MODEL.default
