"""What the trials of a search came to, as scikit-learn's own fits would have told it.

A row a candidate: in the order of the grid where there is one, else as they were tried. Where some
went further than others, a candidate stands where it came to, and its rank is among those that came
as far, behind those that came further.
"""

import builtins
import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hpmpi.history.history import History
from hpmpi.history.standings import Standing
from hpmpi.model.messages import FailureKind, gist
from hpmpi.model.trial import Metrics
from hpmpi.search_cv.fits import FitContext, Outcome
from hpmpi.search_cv.forms import Array
from hpmpi.search_cv.objective import FAILED, FIT_ERROR, KINDS, TIMES, scores_in
from hpmpi.search_cv.spaces import Params, SearchSpace
from hpmpi.worker.handle import TRIALS

RAISED = (FailureKind.EXCEPTION, FailureKind.BAD_VALUE)
"""The failures that a search raises, as scikit-learn's would: what can't be scored is no score."""


class Candidate(NamedTuple):
    """A trial: its parameters, how far it came, what came of each split, and how many were done."""

    params: Params
    resource: int
    outcomes: list[Outcome]
    done: int


class Reader:
    """Reads the trials of a run.

    `folder` is the run's; `splits`, how many there are; `failed`, the scores of a fit that took
    its process along, None where that is to be raised.
    """

    def __init__(self, history: History, folder: Path, splits: int, failed: Any) -> None:
        """Find what was given up."""
        self._history = history
        self._folder = folder
        self._splits = splits
        self._failed = failed
        self._failures = {it.attempt.trial: it for it in history.failures if it.final}

    def candidates(
        self, space: SearchSpace, context: FitContext, *, in_order: bool
    ) -> list[Candidate]:
        """List the candidates; raises what the estimator or the scorer has raised in a trial."""
        ended = [it for it in self._history.trials if it.rung >= 0 or it.trial in self._failures]
        if in_order:
            ended.sort(key=lambda standing: space.grid_place(standing.config))
        return [
            self._candidate(it, context.at(space.params(it.config), it.resource)) for it in ended
        ]

    def _candidate(self, standing: Standing, params: Params) -> Candidate:
        """Tell what came of a trial; of splits that were not done there is nothing."""
        if standing.rung < 0:
            failure = self._failures[standing.trial]
            if failure.kind in RAISED or self._failed is None:
                raise remade(failure.error)
            lost = nothing(self._failed, failure.error)
            return Candidate(params, standing.resource, [lost] * self._splits, self._splits)
        metrics, errors = standing.metrics, self._fit_errors(standing)
        done = sum(f"split{split}_{TIMES[0]}" in metrics for split in range(self._splits))
        outcomes = [outcome_in(metrics, split, errors.get(split)) for split in range(done)]
        missing = nothing(like(outcomes[0]["test_scores"]), None)
        outcomes += [missing] * (self._splits - done)
        return Candidate(params, standing.resource, outcomes, done)

    def _fit_errors(self, standing: Standing) -> dict[int, str]:
        """Read the tracebacks of fits that have raised, by split."""
        folder = self._folder / TRIALS / str(standing.trial)
        return {
            split: (folder / FIT_ERROR.format(split=split)).read_text(encoding="utf-8")
            for split in range(self._splits)
            if f"split{split}_{FAILED}" in standing.metrics
        }


def nothing(scores: Any, error: str | None) -> Outcome:
    """Tell of a fit that has no times: it was not done, or its process came to an end."""
    times = dict.fromkeys(TIMES, math.nan)
    return {**times, "test_scores": scores, "train_scores": scores, "fit_error": error}


def like(scores: Any) -> Any:
    """Have no numbers in the place of scores."""
    return dict.fromkeys(scores, math.nan) if isinstance(scores, dict) else math.nan


def outcome_in(metrics: Metrics, split: int, error: str | None) -> Outcome:
    """Tell what came of a fit as scikit-learn does."""
    found: Outcome = {name: metrics[f"split{split}_{name}"] for name in TIMES}
    for kind in KINDS:
        scores = scores_in(metrics, split, kind)
        found[f"{kind}_scores"] = scores.get("", scores)
    return {**found, "fit_error": error}


def remade(error: str) -> Exception:
    """Make an exception again of its description, as far as it is Python's own."""
    kind, _, message = gist(error).partition(": ")
    found: Any = getattr(builtins, kind.rpartition(".")[2], RuntimeError)
    is_error = isinstance(found, type) and issubclass(found, Exception)
    made: Exception = (found if is_error else RuntimeError)(message or kind)
    made.__cause__ = TrialError(error)
    return made


class TrialError(Exception):
    """What was raised in another process: its description and traceback."""


def heed_resources(results: dict[str, Any], candidates: Sequence[Candidate]) -> None:
    """Have `cv_results_` compare what compares.

    Means are over the splits that were done, where not all were, and ranks go by resource first.
    """
    splits = len(candidates[0].outcomes)
    done = np.array([[split < each.done for split in range(splits)] for each in candidates])
    for name in TIMES:
        values = np.array([[it[name] for it in each.outcomes] for each in candidates])
        heed_splits(results, name, values, done)
    resources = [each.resource for each in candidates]
    for key in [key for key in results if key.startswith("mean_t")]:
        name = key.removeprefix("mean_")
        scores = [results[f"split{split}_{name}"] for split in range(splits)]
        heed_splits(results, name, np.transpose(scores), done)
        if f"rank_{name}" in results:
            results[f"rank_{name}"] = ranks(resources, results[key])


def heed_splits(results: dict[str, Any], name: str, values: Array, done: Array) -> None:
    """Have the means and deviations of who has not done all splits be over those."""
    some = ~done.all(axis=1)
    part, count = done[some], done[some].sum(axis=1)
    means = np.where(part, values[some], 0).sum(axis=1) / count
    squares = np.where(part, (values[some] - means[:, None]) ** 2, 0)
    results[f"mean_{name}"][some] = means
    results[f"std_{name}"][some] = np.sqrt(squares.sum(axis=1) / count)


def ranks(resources: Sequence[int], means: Sequence[float]) -> Array:
    """Rank by resource, and then by mean, 1 being the best; what is no number is the worst.

    >>> ranks([5, 5, 1, 1, 1], [0.8, 0.7, 0.9, math.nan, 0.9]).tolist()
    [1, 2, 3, 5, 3]
    """
    places = [
        (-resource, -mean if math.isfinite(mean) else math.inf)
        for resource, mean in zip(resources, means, strict=True)
    ]
    ordered = sorted(places)
    return np.array([1 + bisect_left(ordered, place) for place in places], np.int32)
