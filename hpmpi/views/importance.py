"""How much each hyperparameter matters: permutation importance, and fANOVA where Optuna is.

A forest learns the places of the trials at one rung from their configurations, so that a loss of
1e10 is no more than the worst. How much worse it does on trials that it has not seen, once the
values of a hyperparameter are dealt out anew among them, is how much that matters (Breiman, Random
Forests, Machine Learning 45, 2001); other forests and deals give the spread. fANOVA says which
share of the variance comes of it alone and with others (Hutter et al., ICML 2014).
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from hpmpi.errors import SpaceError
from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.history.series import thinned
from hpmpi.model.listed import Listed
from hpmpi.model.space import Space
from hpmpi.model.trial import BASELINE, Config

FEWEST, ENOUGH = 20, 60
"""Of fewer trials at a rung, nothing is learnt; with enough, no lower rung is asked."""

LITTLE = 0.1
"""Below this R², what a forest has learnt says next to nothing."""

MOST_TRIALS, MOST_SHOWN = 300, 15
"""How many trials are learnt from, and how many hyperparameters are told, the most important."""

FOLDS, DEALS, TREES, FANOVA_TREES = 5, 3, 40, 16

ABSENT = -1.0
"""Where a hyperparameter is that a trial does not have; others are from 0 to 1."""

Numbers = NDArray[np.float64]


class Weight(msgspec.Struct, frozen=True):
    """What a hyperparameter matters: the mean loss of R² without it, its standard deviation.

    `fanova`: the share of the variance that it explains, where that was computed.
    """

    name: str
    mean: float
    spread: float
    fanova: float | None = None


class Importance(msgspec.Struct, frozen=True):
    """What matters, most first, as learnt from some `trials` at a `resource`.

    `score`: the R² of the forest on trials that it has not seen; about 0 is that it knows nothing.
    `left_out`: how many hyperparameters matter less than those that are told.
    """

    resource: int
    trials: int
    score: float
    weights: list[Weight]
    left_out: int


def importance(history: History) -> Importance | None:
    """Compute it at the highest rung with trials enough; None where there is none."""
    results, space = enough(history), history.space
    if not results or not space.dimensions:
        return None
    results = thinned(results, MOST_TRIALS)
    losses = [history.goal.loss(it.metrics) for it in results]
    configs = [history.trials[it.id.trial].config for it in results]
    places = np.argsort(np.argsort(losses)) / len(losses)
    inputs = np.array([encoded(space, config) for config in configs])
    names, drops, score = permuted(inputs, places, list(space.dimensions))
    shares = fanova(inputs[:, [list(space.dimensions).index(it) for it in names]], places, names)
    weights = [
        Weight(name, float(np.mean(of)), float(np.std(of)), shares.get(name))
        for name, of in zip(names, drops.T, strict=True)
    ]
    weights.sort(key=lambda it: -it.mean)
    left_out = len(space.dimensions) - len(names)
    return Importance(results[0].resource, len(results), score, weights, left_out)


def enough(history: History) -> list[Attempt]:
    """List the results at the highest rung that has enough, or at that which has most."""
    by_rung: dict[int, list[Attempt]] = {}
    for attempt in history.answers:
        if attempt.fate is Fate.RESULT and attempt.id.trial != BASELINE:
            by_rung.setdefault(attempt.id.rung, []).append(attempt)
    rung = max(by_rung, key=lambda it: (min(len(by_rung[it]), ENOUGH), it), default=0)
    results = by_rung.get(rung, [])
    return results if len(results) >= FEWEST else []


def encoded(space: Space, config: Config) -> list[float]:
    """Write a configuration as numbers from 0 to 1; a choice by where it is among the values."""
    units = (unit_of(config, name, dimension) for name, dimension in space.dimensions.items())
    return [ABSENT if unit is None else unit for unit in units]


def unit_of(config: Config, name: str, dimension: Any) -> float | None:
    """Find where a trial is in the range of a hyperparameter; None where it has no value of it."""
    value = config.get(name)
    if name not in config or (value is None and not isinstance(dimension, Listed)):
        return None
    try:
        return float(dimension.unit(dimension.fit(value)))
    except SpaceError:  # a run folder may be anybody's
        return None


def permuted(
    inputs: Numbers, places: Numbers, names: Sequence[str]
) -> tuple[list[str], Numbers, float]:
    """Tell of the hyperparameters that the forests use most what R² is lost without each."""
    folds = list(KFold(FOLDS, shuffle=True, random_state=0).split(inputs))
    forests = [forest().fit(inputs[seen], places[seen]) for seen, _ in folds]
    used = np.mean([it.feature_importances_ for it in forests], axis=0)
    columns = np.argsort(-used)[:MOST_SHOWN]
    random = np.random.default_rng(0)
    drops, scores = [], []
    for model, (_, unseen) in zip(forests, folds, strict=True):
        known, truth = inputs[unseen], places[unseen]
        scores.append(model.score(known, truth))
        for _ in range(DEALS):
            dealt = [model.score(with_dealt(known, it, random), truth) for it in columns]
            drops.append(scores[-1] - np.array(dealt))
    return [names[it] for it in columns], np.array(drops), float(np.mean(scores))


def forest() -> RandomForestRegressor:
    """Make a forest that is the same each time."""
    return RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0)


def with_dealt(inputs: Numbers, column: int, random: np.random.Generator) -> Numbers:
    """Deal the values of a hyperparameter out anew."""
    dealt = inputs.copy()
    random.shuffle(dealt[:, column])
    return dealt


def fanova(inputs: Numbers, places: Numbers, names: Sequence[str]) -> dict[str, float]:
    """Compute the shares of the variance by Optuna; empty where it is not installed."""
    with contextlib.suppress(ImportError), quiet():
        import optuna  # noqa: PLC0415 - it is not everywhere, and takes a second

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study()
        optuna.logging.set_verbosity(before)
        unit = optuna.distributions.FloatDistribution(ABSENT, 1.0)
        shape: dict[str, optuna.distributions.BaseDistribution] = dict.fromkeys(names, unit)
        for row, place in zip(inputs, places, strict=True):
            params = dict(zip(names, map(float, row), strict=True))
            made = optuna.trial.create_trial(params=params, distributions=shape, value=float(place))
            study.add_trial(made)
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=FANOVA_TREES, seed=0)
        return {name: float(it) for name, it in evaluator.evaluate(study).items()}
    return {}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what Optuna warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
