"""The importance of hyperparameters, computed: permutation importance, and fANOVA where Optuna is.

A forest learns the places of the trials from their configurations, so that a loss of 1e10 is no
more than the worst. How much worse it does on trials that it has not seen, once the values of a
hyperparameter are dealt out anew among them, is how much that matters (Breiman, Random Forests,
Machine Learning 45, 2001); other forests and deals give the spread. fANOVA says which share of the
variance comes of it alone and with others (Hutter et al., ICML 2014).

It is a program, whose input is a sample and whose output is what that tells, packed: scikit-learn
and Optuna take seconds to be imported, in which others can draw.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from hpmpi.views.importance import ABSENT, Importance, Sample, Weight

MOST_SHOWN = 15
"""How many hyperparameters are told, the most important."""

FOLDS, DEALS, TREES, FANOVA_TREES = 5, 3, 40, 16

Numbers = NDArray[np.float64]


def main() -> None:
    """Answer what is asked."""
    sample = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Sample)
    sys.stdout.buffer.write(msgspec.msgpack.encode(learnt(sample)))


def learnt(sample: Sample) -> Importance:
    """Learn from a sample what matters."""
    inputs, losses = np.array(sample.inputs), np.array(sample.losses)
    places = np.argsort(np.argsort(losses)) / len(losses)
    names, drops, score = permuted(inputs, places, sample.names)
    shares = fanova(inputs[:, [sample.names.index(it) for it in names]], places, names)
    weights = [
        Weight(name, float(np.mean(of)), float(np.std(of)), shares.get(name))
        for name, of in zip(names, drops.T, strict=True)
    ]
    weights.sort(key=lambda it: -it.mean)
    left_out = len(sample.names) - len(names)
    return Importance(sample.resource, len(losses), score, weights, left_out)


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


if __name__ == "__main__":
    main()
