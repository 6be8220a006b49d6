"""The frozen data that a study is, and how it is stored; `checks` reads and checks a study file."""

from typing import Annotated, Literal

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.model.trial import Goal, Mode, names_of
from hpmpi.study.data_table import Source
from hpmpi.study.schema import Table, fill_struct
from hpmpi.study.toml import dump, load

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

MAY_BE_NAMED = ("objective", "command", "resume", "objective_args", "data")
"""Of what no decision follows: `may_change` may name it, and what is in it."""


RESOURCE = "resource"
"""What the resource is called that has no name of its own."""


class PlateauTable(msgspec.Struct, frozen=True):
    """`[stop] plateau`: that so many trials bring nothing better by more than `epsilon`."""

    trials: Count
    epsilon: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class StopTable(msgspec.Struct, frozen=True):
    """`[stop]`: when the study is complete; whichever comes first.

    The target counts at `target_resource` and above; at the highest rung, if nothing is said.
    `max_resource_total` is for all trials together. When that is spent, or there is a `plateau`,
    what is in work may come to its end.
    """

    max_trials: Count | None = None
    time_s: Positive | None = None
    target: float | None = None
    target_resource: Count | None = None
    max_resource_total: Count | None = None
    plateau: PlateauTable | None = None


class Limits(msgspec.Struct, frozen=True):
    """`[limits]`: what is too long, too often, too much.

    `quarantine`: how many jobs that others can do a rank may fail in a row before it is put aside;
    0 is for any number.
    """

    patience_s: Positive = 30.0
    max_failures: Count = 3
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 20.0
    trial_time_s: Positive | None = None
    trial_memory_mb: Positive | None = None
    quarantine: Annotated[int, msgspec.Meta(ge=0)] = 3


class RunTable(msgspec.Struct, frozen=True):
    """`[run]`: what is kept of the checkpoints, how often run.h5 is written, who may be busy.

    Without `gpus_per_trial`, the ranks of a node share its GPUs. `isolation`: what stands between
    an objective and its rank. `start`: whether a node imports the objective once, and its processes
    are forked from that where they can be, or each imports it. `folder`: where an objective works,
    hpmpi's own working folder or one for each attempt. `may_change`: the settings that no result
    depends on.

    `ranks_per_trial`: how many ranks a job takes, the same at all rungs or one for each, the last
    for those above; `grow = "eta"`: that many times more at each rung, as fewer trials are left.
    `world`: what the members of such a trial find each other by.

    `short_s`: where jobs take no longer, and one rank, a rank has its next one queued; but for a
    searcher that learns.
    """

    keep: Literal["incumbent", "newest", "all"] = "incumbent"
    checkpoint_s: Positive = 30.0
    gpus_per_trial: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_concurrent: Count | None = None
    short_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.2
    isolation: Literal["process", "none"] = "process"
    start: Literal["fork", "spawn"] = "fork"
    folder: Literal["shared", "own"] = "shared"
    may_change: list[NonEmpty] = []
    ranks_per_trial: Count | Annotated[list[Count], msgspec.Meta(min_length=1)] | None = None
    grow: Literal["eta"] | None = None
    world: Literal["none", "torch", "mpi"] | None = None

    @property
    def in_groups(self) -> bool:
        """Whether trials may take several ranks."""
        return self.grow is not None or self.ranks_per_trial not in (None, 1)

    @property
    def first_sizes(self) -> tuple[int, ...]:
        """How many ranks a job takes, rung by rung, as far as that is said."""
        said = self.ranks_per_trial
        return tuple(said) if isinstance(said, list) else (said or 1,)


class Settings(msgspec.Struct, frozen=True):
    """A whole study, defaults included; it has an `objective` or a `command`."""

    name: NonEmpty
    space: Table
    objective: NonEmpty | None = None
    command: list[str] | None = None
    resume: list[str] = []
    metric: NonEmpty | Annotated[list[NonEmpty], msgspec.Meta(min_length=1)] | None = None
    mode: Mode | Annotated[list[Mode], msgspec.Meta(min_length=1)] = "min"
    seed: int = 0
    baseline: NonEmpty | None = None
    searcher: Table = msgspec.field(default_factory=dict)
    scheduler: Table = msgspec.field(default_factory=dict)
    stop: StopTable = StopTable()
    limits: Limits = Limits()
    run: RunTable = RunTable()
    data: Source = Source()
    objective_args: Table = msgspec.field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What the resource is called: `[scheduler] unit`, such as epochs."""
        return str(self.scheduler.get("unit", RESOURCE))

    @property
    def metrics(self) -> list[str]:
        """The metrics that are studied, the one or several."""
        return names_of(self.metric)

    @property
    def modes(self) -> list[Mode]:
        """Which way is better in each."""
        return self.mode if isinstance(self.mode, list) else [self.mode]

    @property
    def goal(self) -> Goal:
        """Which metrics are studied, and which way is better in each."""
        pairs = zip(self.metrics, self.modes, strict=False)  # what is checked has as many
        first, *others = (Goal(metric, mode) for metric, mode in pairs)
        return Goal(first.metric, first.mode, tuple(others))

    def toml(self) -> str:
        """Write the study as it runs."""
        return dump(msgspec.to_builtins(self))


def parse(text: str) -> Settings:
    """Read a study as it was stored; raises SettingsError.

    Whoever stored it may be anybody: nothing that it names is looked for, imported or built.
    """
    problems: list[str] = []
    table = load(text, "the stored study")
    # A study that was stored without a word of these began when nobody was put aside, or queued.
    for name, before in (("limits", {"quarantine": 0}), ("run", {"short_s": 0})):
        if isinstance(told := table.get(name, {}), dict):
            table[name] = before | told
    settings = fill_struct(Settings, table, "", problems)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings
