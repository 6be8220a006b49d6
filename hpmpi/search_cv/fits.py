"""The fits of a search: what they have in common, and one of them, as scikit-learn's own are.

Each is scikit-learn's `_fit_and_score` of a fresh clone, so that a score is, bit by bit, the one
that GridSearchCV comes to: the same clones, random states, rows, scorer, weights and error scores.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.model_selection._validation import _fit_and_score

from hpmpi.search_cv.forms import Array
from hpmpi.search_cv.spaces import Params
from hpmpi.trainables.dataset import spread

Outcome = dict[str, Any]
"""What scikit-learn returns of a fit: `test_scores`, `train_scores`, `fit_time`, `fit_error`..."""

FOLDS, ROWS = "folds", "rows"
"""The resources that are no parameter of the estimator."""


class Split(NamedTuple):
    """Rows to train with, and to score with, by number."""

    train: Array
    test: Array


class FitContext(NamedTuple):
    """What all fits of a search have in common.

    `config` is scikit-learn's, as it was where the search was called. `resource` is what more of
    costs more: "folds", "rows", or a parameter of the estimator that is a whole number.
    """

    estimator: Any
    X: Any
    y: Any
    splits: list[Split]
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    resource: str
    error_score: Any
    return_train_score: bool
    config: dict[str, Any]

    def fit(self, params: Params, split: int, resource: int) -> Outcome:
        """Fit and score a candidate with one split; raises what the estimator or scorer raises."""
        train, test = self.splits[split]
        if self.resource == ROWS:
            train = self.some_rows(train, resource)
        with sklearn.config_context(**self.config):
            outcome: Outcome = _fit_and_score(
                clone(self.estimator),
                self.X,
                self.y,
                scorer=self.scorer,
                train=train,
                test=test,
                verbose=0,
                parameters=self.at(params, resource),
                fit_params=self.fit_params,
                score_params=self.score_params,
                return_train_score=self.return_train_score,
                return_times=True,
                error_score=self.error_score,
            )
        return outcome

    def at(self, params: Params, resource: int) -> Params:
        """Say what an estimator is set to at a resource."""
        return params if self.resource in (FOLDS, ROWS) else {**params, self.resource: resource}

    def some_rows(self, train: Array, count: int) -> Array:
        """Take so many rows, the classes in their shares; all of them in their own order."""
        if count >= len(train):
            return train
        y = train if self.y is None else np.asarray(self.y)[train]
        drawn = spread(y, stratified=is_classifier(self.estimator))[:count]
        rows: Array = train[np.sort(drawn)]
        return rows


def scores_of(outcome: Mapping[str, Any], kind: str) -> dict[str, float]:
    """Take the scores of a fit by name; one without a name is called ''."""
    scores = outcome.get(f"{kind}_scores", {})
    return scores if isinstance(scores, dict) else {"": scores}
