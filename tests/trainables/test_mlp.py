"""The built-in perceptron: a checkpoint is as good as having gone on."""

from pathlib import Path

import numpy as np
import pytest
import skops.io

from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Config
from hpmpi.trainables import mlp
from hpmpi.trainables.snapshot import TRUSTED
from tests.harness.trainables import default, saved, train

SMALL: Config = {"hidden": 8, "layers": 2, "batch_size": 16}


def weights(folder: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Read the weights of the one checkpoint that is there; the scaler is before the model."""
    model = skops.io.load(saved(folder, "model.skops"), trusted=TRUSTED)[-1]
    return [*model.coefs_, *model.intercepts_]


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        {**SMALL, "noise": 0.1},
        {**SMALL, "solver": "sgd", "momentum": 0.7, "learning_rate": "invscaling"},
        {**SMALL, "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.01},
    ],
    ids=["adam", "noise", "sgd", "adaptive"],
)
def test_a_checkpoint_changes_no_bit_of_what_comes_after(tmp_path: Path, config: Config) -> None:
    at_once, whole_curve = train(mlp.train, tmp_path / "at once", config, 9)
    _, first_part = train(mlp.train, tmp_path / "in parts", config, 3)
    in_parts, second_part = train(mlp.train, tmp_path / "in parts", config, 9, attempt=2)
    assert in_parts == at_once
    assert first_part + second_part == whole_curve
    assert len(second_part) == 6, "it went on, and did not begin again"
    for one, other in zip(
        weights(tmp_path / "at once"), weights(tmp_path / "in parts"), strict=True
    ):
        assert np.array_equal(one, other)


def test_it_learns(tmp_path: Path) -> None:
    metrics, curve = train(
        mlp.train, tmp_path, {**SMALL, "hidden": 32, "learning_rate_init": 0.01}, 40
    )
    assert metrics["accuracy"] > 0.9
    losses = [point.metrics["train_loss"] for point in curve]
    assert losses[-1] < losses[0] / 2


def test_another_seed_is_another_model(tmp_path: Path) -> None:
    one, other = (train(mlp.train, tmp_path / str(seed), SMALL, seed=seed)[0] for seed in (1, 2))
    assert one["train_loss"] != other["train_loss"]


def test_images_are_moved_and_keep_their_pixels() -> None:
    images = np.arange(2 * 64, dtype=float).reshape(2, 64)
    moved = mlp.train.vary(images, {"shift": 1.0}, np.random.default_rng(0))
    assert not np.array_equal(moved, images)
    assert np.array_equal(np.sort(moved), images)


def test_only_images_are_moved(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="shift is for images of 8 x 8, not 4 features"):
        train(mlp.train, tmp_path, {"shift": 0.1})


def test_the_default_is_that_of_scikit_learn(tmp_path: Path) -> None:
    metrics = default(mlp.train, tmp_path)
    assert metrics.keys() >= {"accuracy", "train_loss", "size_bytes"}
    assert metrics["accuracy"] > 0.8
