"""scikit-learn's checks of estimators, `check_estimator`, one by one; SearchCV passes them.

Not those that GridSearchCV does not pass, either.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from hpmpi.search_cv.search import SearchCV

pytestmark = pytest.mark.filterwarnings("default")

HOW: dict[str, Any] = {"cv": 2, "error_score": "raise", "workers": 1, "verbose": 0}

NOT_GRID_SEARCH_CVS = {
    "check_supervised_y_2d": "the estimator warns of it where it is fitted",
    "check_requires_y_none": "the estimator says so in its own words",
}
"""What scikit-learn expects GridSearchCV to fail, and why it does."""


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        SearchCV(Ridge(), {"alpha": [0.1, 1.0]}, **HOW),
        SearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, **HOW),
    ],
    expected_failed_checks=lambda _: NOT_GRID_SEARCH_CVS,
)
def test_a_search_is_an_estimator(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
