"""The frozen data that a study is, and how it is stored; `checks` reads and checks a study file."""

from typing import Annotated, Literal

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.model.trial import Goal
from hpmpi.study.data_table import Source
from hpmpi.study.schema import Table, fill_struct
from hpmpi.study.toml import dump, load

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

MAY_BE_NAMED = ("objective", "objective_args", "data")
"""Of what no decision follows: `may_change` may name it, and what is in it."""


class Stop(msgspec.Struct, frozen=True):
    """`[stop]`: when the study is complete; whichever comes first.

    The target counts at `target_resource` and above; at the highest rung, if nothing is said.
    """

    max_trials: Count | None = None
    time_s: Positive | None = None
    target: float | None = None
    target_resource: Count | None = None


class Limits(msgspec.Struct, frozen=True):
    """`[limits]`: what is too long, too often, too much."""

    patience_s: Positive = 30.0
    max_failures: Count = 3
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 20.0
    trial_time_s: Positive | None = None
    trial_memory_mb: Positive | None = None


class Run(msgspec.Struct, frozen=True):
    """`[run]`: what is kept of the checkpoints, how often run.h5 is written, who may be busy.

    Without `gpus_per_trial`, the ranks of a node share its GPUs. `isolation`: what stands between
    an objective and its rank. `folder`: where an objective works, hpmpi's own working folder or one
    for each attempt. `may_change`: the settings that no result depends on.
    """

    keep: Literal["incumbent", "newest", "all"] = "incumbent"
    checkpoint_s: Positive = 30.0
    gpus_per_trial: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_concurrent: Count | None = None
    isolation: Literal["process", "none"] = "process"
    folder: Literal["shared", "own"] = "shared"
    may_change: list[NonEmpty] = []


class Settings(msgspec.Struct, frozen=True):
    """A whole study, defaults included."""

    name: NonEmpty
    objective: NonEmpty
    space: Table
    metric: NonEmpty | None = None
    mode: Literal["min", "max"] = "min"
    seed: int = 0
    baseline: NonEmpty | None = None
    searcher: Table = msgspec.field(default_factory=dict)
    scheduler: Table = msgspec.field(default_factory=dict)
    stop: Stop = Stop()
    limits: Limits = Limits()
    run: Run = Run()
    data: Source = Source()
    objective_args: Table = msgspec.field(default_factory=dict)

    @property
    def goal(self) -> Goal:
        """Which metric is studied, and which way is better."""
        return Goal(self.metric or "loss", self.mode)

    def toml(self) -> str:
        """Write the study as it runs."""
        return dump(msgspec.to_builtins(self))


def parse(text: str) -> Settings:
    """Read a study as it was stored; raises SettingsError.

    Whoever stored it may be anybody: nothing that it names is looked for, imported or built.
    """
    problems: list[str] = []
    settings = fill_struct(Settings, load(text, "the stored study"), "", problems)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings
