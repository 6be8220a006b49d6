"""Any estimator that follows scikit-learn's interface, or a pipeline of several, by import path.

    [objective_args]
    estimator = ["sklearn.preprocessing.StandardScaler", "sklearn.svm.SVC"]

Space: whatever it has. In a pipeline, `svc__C`; without a step's name, the last step is meant.
Resource: none; or any that it can do: "epochs", "trees", "rows", "folds".
"""

from hpmpi.trainables.training import Trainable

MODEL = Trainable()
train, default = MODEL.train, MODEL.default
