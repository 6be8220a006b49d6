"""What trials came to, told as scikit-learn tells it."""

import math
from typing import Any

import numpy as np
import pytest

from hpmpi.search_cv.objective import mean, metrics_of
from hpmpi.search_cv.outcomes import Candidate, heed_resources, nothing, outcome_in, remade

TIMES = {"fit_time": 1.0, "score_time": 0.5}


@pytest.mark.parametrize("scores", [0.25, {"a": 0.25, "a_b": 0.5, "score": math.inf}], ids=str)
@pytest.mark.parametrize("split", [0, 1, 10])
def test_an_outcome_is_what_its_metrics_say(scores: Any, split: int) -> None:
    outcome = {**TIMES, "test_scores": scores, "train_scores": scores, "fit_error": None}
    others = metrics_of(1, {**outcome, "test_scores": 0.75, "train_scores": 0.75})
    found = outcome_in({**others, **metrics_of(split, outcome)}, split, None)
    assert found == outcome if split != 1 else found["test_scores"] is not None


def test_a_fold_that_has_failed_has_its_error_score_for_each_metric() -> None:
    failed = {**TIMES, "test_scores": math.nan, "fit_error": "no"}
    metrics = metrics_of(0, {**TIMES, "test_scores": {"b": 1.0, "a": 0.5}, "fit_error": None})
    assert mean(metrics, 1, "a") == 0.5
    assert mean(metrics, 1, None) == 1.0
    metrics |= metrics_of(1, failed)
    assert math.isnan(mean(metrics, 2, "a"))
    assert metrics["split1_failed"] == 1


def candidate(resource: int, scores: list[float]) -> Candidate:
    outcomes = [{**TIMES, "fit_time": score, "test_scores": score} for score in scores]
    return Candidate(
        {}, resource, [*outcomes, *[nothing(math.nan, None)] * (3 - len(scores))], len(scores)
    )


def test_who_came_further_ranks_before_and_means_are_over_what_was_done() -> None:
    scores = [[0.5, 0.7, 0.6], [0.9], [0.4, math.nan, 0.4], [0.8], [0.2, 0.4]]
    candidates = [candidate(len(it), it) for it in scores]
    whole = np.array([[*it, *[math.nan] * (3 - len(it))] for it in scores])
    results = {f"split{split}_test_score": whole[:, split] for split in range(3)}
    for name in ("test_score", "fit_time", "score_time"):
        results |= {f"mean_{name}": whole.mean(axis=1), f"std_{name}": whole.std(axis=1)}
    results["rank_test_score"] = np.zeros(5, np.int32)
    heed_resources(results, candidates)
    np.testing.assert_allclose(results["mean_test_score"], [0.6, 0.9, math.nan, 0.8, 0.3])
    np.testing.assert_allclose(results["std_test_score"][[1, 4]], [0, 0.1])
    np.testing.assert_allclose(results["mean_fit_time"][[1, 4]], [0.9, 0.3])
    assert results["rank_test_score"].tolist() == [1, 4, 2, 5, 3]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("ValueError: C is negative: -1\n\nTraceback ...", ValueError, "C is negative: -1"),
        ("own.OwnError: no", RuntimeError, "no"),
        ("KeyboardInterrupt", RuntimeError, "KeyboardInterrupt"),
        ("killed by SIGSEGV; its last output: ...", RuntimeError, "killed by SIGSEGV"),
    ],
)
def test_an_exception_of_pythons_own_is_made_again(
    error: str, kind: type[Exception], message: str
) -> None:
    made = remade(error)
    assert (type(made), str(made)) == (kind, message)
    assert str(made.__cause__) == error
