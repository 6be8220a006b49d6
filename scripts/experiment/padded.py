"""Objectives of the experiment: any other with its results padded, and one that only sleeps."""

import time
from pathlib import Path
from random import Random

from hpmpi.model.trial import Config
from hpmpi.worker import objective
from hpmpi.worker.calling import Function, called
from hpmpi.worker.handle import Trial

ROOT = Path(__file__).parents[2]

PADDING = "padding"
"""The hyperparameter that makes a configuration large; the wrapped objective does not see it."""

POINT_BYTES = 1024
NAMES = [f"padding.of.a.result.{number:02}".ljust(53, ".") for number in range(16)]
"""What makes a point of a learning curve a KiB: a name of 53 characters and its number take 64."""


def padded(reference: str, result_bytes: int) -> Function:
    """Wrap an objective so that it also reports so many bytes of learning curve, in whole KiB."""
    wrapped = called(objective.load(reference, ROOT), {})

    def train(config: Config, trial: Trial) -> object:
        plain = {name: value for name, value in config.items() if name != PADDING}
        returned = wrapped(plain, trial)
        for number in range(-(-result_bytes // POINT_BYTES)):
            # After the model's own points, each at a resource of its own.
            trial.report(trial.stop + 1 + number, **dict.fromkeys(NAMES, (number + 1) / 3))
        return returned

    return train


def sleep(config: Config, trial: Trial) -> float:
    """Sleep for `args.seconds`, give or take the share `args.spread`; it costs no CPU."""
    seconds, spread = float(str(trial.args["seconds"])), float(str(trial.args.get("spread", 0)))
    share = Random(trial.seed).uniform(-spread, spread)  # noqa: S311 - no secret
    time.sleep(seconds * (1 + share))
    return float(config["x"])
