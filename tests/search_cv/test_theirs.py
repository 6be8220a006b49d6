"""scikit-learn's own tests of its search classes, from the installed package, run on SearchCV.

GridSearchCV and RandomizedSearchCV are SearchCV here, by other names of its parameters. What can't
hold is listed, and why. One of PARTS of the tests that start processes is run each day, and all of
them where HPMPI_THEIRS is "all".
"""

import importlib.util
import math
import sys
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from sklearn import model_selection

from hpmpi.search_cv.search import SearchCV

NAME = "sklearn.model_selection.tests.test_search"

pytestmark = pytest.mark.filterwarnings("default")


class Theirs(SearchCV):
    """What SearchCV is told, and their classes are not."""

    resource = scheduler = searcher = folder = slurm = settings = None
    seed, workers, verbose, max_trials = 0, 1, 0, None


class GridSearchCV(Theirs):
    """SearchCV, made as GridSearchCV is."""

    def __init__(  # noqa: D107, PLR0913 - as theirs
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: Any = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = math.nan,
        return_train_score: Any = False,
    ) -> None:
        self.estimator, self.param_grid, self.scoring = estimator, param_grid, scoring
        self.n_jobs, self.refit, self.cv, self.verbose = n_jobs, refit, cv, verbose
        self.pre_dispatch, self.error_score = pre_dispatch, error_score
        self.return_train_score = return_train_score

    @property
    def space(self) -> Any:  # noqa: D102
        return self.param_grid


class RandomizedSearchCV(Theirs):
    """SearchCV, made as RandomizedSearchCV is."""

    def __init__(  # noqa: D107, PLR0913 - as theirs
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: Any = 10,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: Any = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = math.nan,
        return_train_score: Any = False,
    ) -> None:
        self.estimator, self.param_distributions = estimator, param_distributions
        self.n_iter, self.random_state, self.scoring = n_iter, random_state, scoring
        self.n_jobs, self.refit, self.cv, self.verbose = n_jobs, refit, cv, verbose
        self.pre_dispatch, self.error_score = pre_dispatch, error_score
        self.return_train_score = return_train_score

    @property
    def space(self) -> Any:  # noqa: D102
        return self.param_distributions

    @property
    def max_trials(self) -> Any:  # type: ignore[override] # noqa: D102
        return self.n_iter


CALLED = "they count what is called in their own process, and fits are in others"

CAN_NOT_HOLD = {
    "test_array_api_search_cv_classifier": "arrays on a GPU are of one process, and go to no other",
    "test_multi_metric_search_forwards_metadata": (
        "its scorers write what they are given into a list of their process, which is another"
    ),
    "test_search_callbacks_no_propagation": CALLED,
    "test_search_callbacks_propagation": CALLED,
    "test_search_callbacks_receive_sample_weight": CALLED,
    "test_search_callbacks_with_partial_fit_failures": CALLED,
    "test_search_cv_verbose_3": "what a fit prints is in the logs of the run",
}
"""Those of their tests that SearchCV does not pass, and why."""


def theirs() -> ModuleType:
    """Import their tests, with SearchCV in the place of their classes."""
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with (
        patch.object(model_selection, "GridSearchCV", GridSearchCV),
        patch.object(model_selection, "RandomizedSearchCV", RandomizedSearchCV),
    ):
        spec.loader.exec_module(module)
    sys.modules[NAME] = module  # where its classes say that they are
    return module


for name, each in vars(theirs()).items():
    if name.startswith("test_"):
        if name in CAN_NOT_HOLD:
            each.pytestmark = [pytest.mark.skip(reason=CAN_NOT_HOLD[name]).mark]
        globals()[name] = each
