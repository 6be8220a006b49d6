"""What is trained in a forked child is what is trained in a started one, to the last bit."""

import sys
from pathlib import Path

import pytest

from hpmpi.model.messages import Ready
from hpmpi.model.trial import Metrics, Value
from hpmpi.transports.resources import Share
from tests.harness.drive import child_of, welcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux")

TRAINABLES: dict[str, dict[str, Value]] = {
    "boosting": {"max_leaf_nodes": 5},
    "forest": {"max_depth": 3},
    "knn": {"n_neighbors": 3},
    "logistic": {"C": 0.5},
    "mlp": {"hidden": 16, "noise": 0.1},
    "svm": {"C": 2.0},
    "tree": {"max_depth": 4},
}

OWN = {
    "torch": """
import torch
def train(config, trial):
    torch.manual_seed(trial.seed)
    layers = torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    model, x = torch.nn.Sequential(*layers), torch.randn(2000, 32)
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(20):
        optimizer.zero_grad()
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}
""",
    "xgboost": """
import numpy as np, xgboost
def train(config, trial):
    x = np.random.default_rng(trial.seed).normal(size=(3000, 20))
    data = xgboost.DMatrix(x[:, :-1], x[:, -1] * x[:, 0])
    options = {"seed": trial.seed, "subsample": 0.5}
    model = xgboost.train(options, data, 20)
    return {"loss": float(np.mean(model.predict(data)))}
""",
    "lightgbm": """
import numpy as np, lightgbm
def train(config, trial):
    x = np.random.default_rng(trial.seed).normal(size=(3000, 20))
    data = lightgbm.Dataset(x[:, :-1], x[:, -1] * x[:, 0])
    options = {"seed": trial.seed, "bagging_fraction": 0.5, "bagging_freq": 1, "verbose": -1}
    model = lightgbm.train({**options, "deterministic": True}, data, 20)
    return {"loss": float(np.mean(model.predict(x[:, :-1])))}
""",
}


def untimed(metrics: Metrics) -> Metrics:
    """Leave out how long it took."""
    return {name: each for name, each in metrics.items() if not name.endswith("_s")}


def trained(folder: Path, objective: str, config: dict[str, Value], *, forks: bool) -> Metrics:
    """Train twice in a child that has two threads; return what comes of it."""
    folder.mkdir()
    told = welcome(
        folder,
        objective,
        forks=forks,
        metric="loss" if "own" in objective else "accuracy",
        args={} if "own" in objective else {"dataset": "digits"},
    )
    with child_of(told, Share(threads=2)) as rig:
        found = [untimed(rig.succeed(**config).metrics) for _ in range(2)]
        (ready,) = (each for each in rig.left() if isinstance(each, Ready))
        assert not any("fork" in note for note in ready.notes)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("name", TRAINABLES)
def test_a_forked_trainable_trains_as_a_started_one(tmp_path: Path, name: str) -> None:
    objective, config = f"hpmpi.trainables.{name}:train", TRAINABLES[name]
    forked = trained(tmp_path / "forked", objective, config, forks=True)
    assert forked == trained(tmp_path / "started", objective, config, forks=False)


@pytest.mark.parametrize("name", OWN)
def test_a_forked_library_trains_as_a_started_one(tmp_path: Path, name: str) -> None:
    pytest.importorskip(name)
    (tmp_path / "own.py").write_text(OWN[name])
    objective = f"{tmp_path / 'own.py'}:train"
    forked = trained(tmp_path / "forked", objective, {}, forks=True)
    assert forked == trained(tmp_path / "started", objective, {}, forks=False)
