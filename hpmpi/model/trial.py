"""What is tuned and what comes of it: configurations, jobs, goals.

A trial is one configuration and what became of it; trials are numbered from 0 in the order in which
they are chosen. A job is (trial, rung); an attempt is one try at a job, numbered from 1. The first
job of a trial may be at any rung.
"""

import math
from typing import Any, Literal, NamedTuple

import msgspec

Value = bool | int | float | str | list[Any] | dict[str, Any]
"""What a hyperparameter may be; lists and tables hold such values, too."""

Config = dict[str, Any]
"""A value for each hyperparameter; who computes with one knows which of them it is."""

Metrics = dict[str, float]

Losses = tuple[float, ...]
"""What several metrics come to, each turned so that less is better."""

Mode = Literal["min", "max"]

Studied = str | list[str] | None
"""The metrics of a study, as its file has them."""

WORST = math.inf
"""The loss of a result that is no number, and of a job that was given up."""


def names_of(metric: Studied) -> list[str]:
    """Name the metrics that are studied.

    >>> names_of(None), names_of(["accuracy", "bytes"])
    (['loss'], ['accuracy', 'bytes'])
    """
    return metric if isinstance(metric, list) else [metric or "loss"]


class JobKey(NamedTuple):
    """What identifies a job."""

    trial: int
    rung: int


class AttemptId(NamedTuple):
    """What identifies an attempt at a job: how many there were, with this one."""

    trial: int
    rung: int
    number: int

    @property
    def job(self) -> JobKey:
        """The job that it is an attempt at."""
        return tuple.__new__(JobKey, self[:2])  # as JobKey(...) does, at half of the cost

    def __str__(self) -> str:
        """Name it to people."""
        return f"trial {self.trial} rung {self.rung} attempt {self.number}"


BASELINE = -1
"""The trial that has no configuration: what the others are compared with, by one job at rung 0."""

DATA = -2
"""The trial that is none: a job that reads the study's data, which no journal has."""


class Job(msgspec.Struct, frozen=True, gc=False):
    """Train a trial up to `resource`, at which rung `rung` compares.

    `bracket` is that of the trial, where a scheduler has several: all its jobs have the same.
    """

    trial: int
    rung: int
    resource: int
    config: Config
    bracket: int = 0

    @property
    def key(self) -> JobKey:
        """What identifies this job."""
        return JobKey(self.trial, self.rung)


class Goal(msgspec.Struct, frozen=True):
    """Which metric is studied, and which way is better; and which `others` are studied with it."""

    metric: str
    mode: Mode
    others: tuple["Goal", ...] = ()

    @property
    def each(self) -> tuple["Goal", ...]:
        """All metrics, each by itself."""
        return (Goal(self.metric, self.mode), *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return (self.metric, *(other.metric for other in self.others))

    def is_in(self, metrics: Metrics) -> bool:
        """Tell whether all of it is there."""
        return self.metric in metrics and all(it.metric in metrics for it in self.others)

    def loss(self, metrics: Metrics) -> float:
        """Turn the studied metric so that less is better; what is not finite is the worst.

        Of several it is the first, and the worst where any is not finite.
        """
        if self.others and WORST in self.losses(metrics):
            return WORST
        return self.signed(metrics[self.metric])

    def losses(self, metrics: Metrics) -> Losses:
        """Turn all metrics so, each by itself.

        >>> Goal("accuracy", "max", (Goal("size", "min"),)).losses({"size": 7.0, "accuracy": 0.9})
        (-0.9, 7.0)
        """
        return (
            self.signed(metrics[self.metric]),
            *(other.signed(metrics[other.metric]) for other in self.others),
        )

    def signed(self, value: float) -> float:
        """Turn one value of the studied metric into a loss.

        >>> Goal("accuracy", "max").signed(0.9), Goal("error", "min").signed(float("-inf"))
        (-0.9, inf)
        """
        if not math.isfinite(value):
            return WORST
        return -value if self.mode == "max" else value
