"""The built-in perceptron: a checkpoint is as good as having gone on."""

from pathlib import Path

import numpy as np
import pytest
import skops.io

from hpmpi.errors import ObjectiveError
from hpmpi.messages import Assign, Point
from hpmpi.objective import open_trial
from hpmpi.trainables import mlp
from hpmpi.trial import Config, Metrics
from tests.build import never
from tests.drive import welcome

SMALL: Config = {"hidden": 8, "layers": 2, "batch_size": 16}


def train(
    folder: Path, config: Config, resource: int, *, attempt: int = 1, dataset: str = "iris"
) -> tuple[Metrics, list[Point]]:
    """Train trial 7 up to some epoch, from its checkpoint on."""
    points: list[Point] = []
    told = welcome(folder, args={"dataset": dataset})
    order = Assign(7, 0, attempt, resource, config, seed=7)
    trial, _ = open_trial(told, order, points.append, never)
    return mlp.train(config, trial), points


def weights(folder: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Read the weights of the one checkpoint that is there."""
    (file,) = folder.rglob("model.skops")
    model = skops.io.load(file, trusted=mlp.TRUSTED)
    return [*model.coefs_, *model.intercepts_]


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        {**SMALL, "solver": "sgd", "momentum": 0.7, "learning_rate": "invscaling"},
        {**SMALL, "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.01},
    ],
    ids=["adam", "sgd", "adaptive"],
)
def test_a_checkpoint_changes_no_bit_of_what_comes_after(tmp_path: Path, config: Config) -> None:
    at_once, whole_curve = train(tmp_path / "at once", config, 9)
    _, first_part = train(tmp_path / "in parts", config, 3)
    in_parts, second_part = train(tmp_path / "in parts", config, 9, attempt=2)
    assert in_parts == at_once
    assert first_part + second_part == whole_curve
    assert len(second_part) == 6, "it went on, and did not begin again"
    for one, other in zip(
        weights(tmp_path / "at once"), weights(tmp_path / "in parts"), strict=True
    ):
        assert np.array_equal(one, other)


def test_it_learns(tmp_path: Path) -> None:
    metrics, curve = train(tmp_path, {**SMALL, "hidden": 32, "learning_rate_init": 0.01}, 40)
    assert metrics["accuracy"] > 0.9
    assert metrics["size_bytes"] > 1000
    losses = [point.metrics["train_loss"] for point in curve]
    assert losses[-1] < losses[0] / 2


def test_another_seed_is_another_model(tmp_path: Path) -> None:
    told = welcome(tmp_path, args={"dataset": "iris"})
    losses = set()
    for seed in (1, 2):
        order = Assign(seed, 0, 1, 1, SMALL, seed)
        trial, _ = open_trial(told, order, list[Point]().append, never)
        losses.add(mlp.train(SMALL, trial)["train_loss"])
    assert len(losses) == 2


def test_a_data_set_that_is_not_known_is_said(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError) as caught:
        train(tmp_path, SMALL, 1, dataset="mnist")
    assert str(caught.value) == (
        "objective_args.dataset = 'mnist' is not known: breast_cancer, digits, iris, wine"
    )


@pytest.mark.parametrize("dataset", list(mlp.DATASETS))
def test_the_split_is_always_the_same_and_scaled(dataset: str) -> None:
    split = mlp.split(dataset)
    mlp.split.cache_clear()
    for one, other in zip(split, mlp.split(dataset), strict=True):
        assert np.array_equal(one, other)
    x_train, x_test, y_train, y_test = split
    assert x_train.min() == 0.0
    assert x_train.max() <= 1.0 + 1e-12
    assert len(x_test) == len(y_test)
    assert len(x_train) == len(y_train)
    assert set(y_train) == set(y_test)


def test_the_default_is_that_of_scikit_learn(tmp_path: Path) -> None:
    told = welcome(tmp_path, args={"dataset": "iris"})
    order = Assign(0, 0, 1, 9, {}, seed=0)
    trial, _ = open_trial(told, order, list[Point]().append, never)
    metrics = mlp.default({}, trial)
    assert set(metrics) == {"accuracy", "train_loss", "size_bytes"}
    assert metrics["accuracy"] > 0.8
