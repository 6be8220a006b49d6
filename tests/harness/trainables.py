"""Call a trainable as a child process does: with a trial, its folder and its arguments."""

from pathlib import Path

from hpmpi.model.messages import Assign, Point
from hpmpi.model.trial import AttemptId, Config, Metrics
from hpmpi.study.schema import Table
from hpmpi.trainables.scoring import COSTS
from hpmpi.trainables.training import Trainable
from hpmpi.worker.handle import open_trial
from tests.harness.build import never
from tests.harness.drive import welcome


def train(  # noqa: PLR0913 - a job has many sides
    model: Trainable,
    folder: Path,
    config: Config,
    stop: int = 1,
    args: Table | None = None,
    *,
    attempt: int = 1,
    seed: int = 7,
) -> tuple[Metrics, list[Point]]:
    """Train trial 7 up to some resource, from its checkpoint on.

    Left out of the metrics is what is never twice the same: times, and how well a pickle packs.
    """
    points: list[Point] = []
    told = welcome(folder, args={"dataset": "iris", **(args or {})})
    order = Assign(AttemptId(7, 0, attempt), stop, config, seed)
    trial, _ = open_trial(told, order, points.append, never)
    metrics = model(config, trial)
    assert all(metrics.pop(name) >= 0 for name in COSTS)
    assert metrics.pop("size_bytes") > 500
    return metrics, points


def default(model: Trainable, folder: Path, args: Table | None = None) -> Metrics:
    """Call the baseline of a model."""
    told = welcome(folder, args={"dataset": "iris", **(args or {})})
    trial, _ = open_trial(
        told, Assign(AttemptId(0, 0, 1), 9, {}, seed=0), list[Point]().append, never
    )
    return model.default({}, trial)


def saved(folder: Path, name: str) -> Path:
    """Find a file of the one checkpoint that is there."""
    (file,) = folder.rglob(name)
    return file
