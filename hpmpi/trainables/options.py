"""What a study says in `[objective_args]` to the trainables: checked, and filled with defaults."""

from typing import Annotated, Any, Literal

import msgspec

from hpmpi.errors import ObjectiveError
from hpmpi.study.schema import fill_struct

Task = Literal["classification", "regression"]
Kind = Literal["epochs", "trees", "rows", "folds", "none"]
Split = Literal["random", "time"]

DEFAULT = "digits"
"""The data set, where neither `dataset` nor `[data]` says one."""

FOLDS = 5
"""How many folds there are where they are the resource and nothing is said."""


class Options(msgspec.Struct, frozen=True):
    """`[objective_args]`, as docs/models.md lists them; None is what the data or the model says."""

    estimator: str | list[str] | None = None
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    random_state: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None = None
    dataset: str | None = None
    target: str | None = None
    validation: str | None = None
    rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    test_size: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.25
    final_test_size: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    folds: Annotated[int, msgspec.Meta(ge=2)] | None = None
    groups: str | None = None
    split: Split = "random"
    scoring: str | list[str] | None = None
    resource: Kind | None = None
    task: Task | None = None
    scale: bool | None = None


def read(args: dict[str, object]) -> Options:
    """Check the table; raises ObjectiveError with every mistake."""
    problems: list[str] = []
    options = fill_struct(Options, args, "objective_args", problems)
    if options and options.validation and (options.folds or options.resource == "folds"):
        problems.append("objective_args.validation is held out: there are no folds beside it")
    if options and options.validation and (options.groups or options.split == "time"):
        beside = "groups" if options.groups else "split"
        problems.append(f"objective_args.validation is held out: {beside} says nothing then")
    if options and options.final_test_size and (options.groups or options.split == "time"):
        problems.append("objective_args.final_test_size is drawn: no groups, no time beside it")
    if options and options.groups and options.split == "time":
        problems.append('objective_args.groups and split = "time" exclude each other')
    if options is None or problems:
        raise ObjectiveError("; ".join(problems))
    return options
