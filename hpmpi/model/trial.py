"""What is tuned and what comes of it: configurations, jobs, goals.

A trial is one configuration and what became of it; trials are numbered from 0 in the order in which
they are chosen. A job is (trial, rung); an attempt is one try at a job, numbered from 1.
"""

import math
from typing import Any, Literal, NamedTuple

import msgspec

Value = bool | int | float | str | list[Any] | dict[str, Any]
"""What a hyperparameter may be; lists and tables hold such values, too."""

Config = dict[str, Any]
"""A value for each hyperparameter; who computes with one knows which of them it is."""

Metrics = dict[str, float]

WORST = math.inf
"""The loss of a result that is no number, and of a job that was given up."""


class JobKey(NamedTuple):
    """What identifies a job."""

    trial: int
    rung: int


class AttemptId(NamedTuple):
    """An attempt at a job that a rank was told to make and has not answered."""

    job: JobKey
    attempt: int


class Job(msgspec.Struct, frozen=True, gc=False):
    """Train a trial up to `resource`, at which rung `rung` compares."""

    trial: int
    rung: int
    resource: int
    config: Config

    @property
    def key(self) -> JobKey:
        """What identifies this job."""
        return JobKey(self.trial, self.rung)


class Goal(msgspec.Struct, frozen=True):
    """Which metric is studied, and which way is better."""

    metric: str
    mode: Literal["min", "max"]

    def loss(self, metrics: Metrics) -> float:
        """Turn the studied metric so that less is better; what is not finite is the worst."""
        return self.signed(metrics[self.metric])

    def signed(self, value: float) -> float:
        """Turn one value of the studied metric into a loss.

        >>> Goal("accuracy", "max").signed(0.9), Goal("error", "min").signed(float("-inf"))
        (-0.9, inf)
        """
        if not math.isfinite(value):
            return WORST
        return -value if self.mode == "max" else value
