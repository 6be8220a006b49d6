"""The study that a search is: what a study file would have said of it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from sklearn.base import is_classifier

from hpmpi.errors import SettingsError
from hpmpi.search_cv.fits import FOLDS, ROWS, FitContext
from hpmpi.search_cv.objective import REFERENCE, SearchArgs
from hpmpi.search_cv.spaces import SearchSpace
from hpmpi.study.methods import SCHEDULER
from hpmpi.study.schema import Table, keywords

MAY_CHANGE = ["objective_args.parcel"]
"""Where the search lies when it is called again; what it is made of may not."""

WHOLE = "parameter of the estimator that is set to a whole number, the most that it may be"

ETA = 3
PROMOTIONS = 3
"""How often a candidate may be promoted, where a parameter is the resource and no least is said:
with fewer, bad ones cost much, and with more, the first rung says little."""

ROWS_OF_CLASS = 2
"""How many rows each class has at least in each split, as HalvingGridSearchCV has it."""


def study_of(  # noqa: PLR0913 - what a search says of its study
    context: FitContext,
    space: SearchSpace,
    args: SearchArgs,
    *,
    searcher: str | Mapping[str, Any] | None,
    scheduler: str | Mapping[str, Any],
    max_trials: int | None,
) -> Table:
    """Write the study of a search; raises SettingsError for what is no resource."""
    if context.resource in space.parameters:
        raise SettingsError(
            [f"resource = {context.resource!r} is in space, too: take it out there"]
        )
    is_grid = space.is_listed and max_trials is None
    return {
        "name": type(context.estimator).__name__,
        "objective": REFERENCE,
        "metric": args.metric,
        "mode": "max",
        "space": space.table(),
        "searcher": named(searcher or ("grid" if is_grid else "random")),
        "scheduler": scheduler_of(context, scheduler),
        "stop": {} if max_trials is None else {"max_trials": max_trials},
        "run": {"may_change": MAY_CHANGE},
        "objective_args": msgspec.to_builtins(args),
    }


def named(method: str | Mapping[str, Any]) -> Table:
    """Take a name for the table that has nothing but it."""
    return {"method": method} if isinstance(method, str) else dict(method)


def scheduler_of(context: FitContext, given: str | Mapping[str, Any]) -> Table:
    """Write `[scheduler]`: how far candidates go, and from where on they are compared."""
    table = {"method": "asha", "max_resource": most_of(context), **named(given)}
    if "min_resource" in keywords(SCHEDULER.find(table["method"])):
        eta = int(table.get("eta", ETA))
        table.setdefault("min_resource", min(least_of(context, eta), table["max_resource"]))
    return table


def most_of(context: FitContext) -> int:
    """Say how much of the resource there is."""
    resource, known = context.resource, context.estimator.get_params()
    if resource == FOLDS:
        return len(context.splits)
    if resource == ROWS:
        return min(len(split.train) for split in context.splits)
    most = known.get(resource)
    if not isinstance(most, int | np.integer) or isinstance(most, bool):
        whole = [name for name, it in known.items() if type(it) is int]
        there_is = ", ".join(whole) or "none is set"
        raise SettingsError(
            [f"resource = {resource!r} must be {FOLDS!r}, {ROWS!r} or a {WHOLE}: {there_is}"]
        )
    return int(most)


def least_of(context: FitContext, eta: int) -> int:
    """Say at how much of the resource candidates are compared first."""
    if context.resource == FOLDS:
        return 1
    if context.resource == ROWS:
        is_of_classes = is_classifier(context.estimator) and context.y is not None
        classes = len(set(np.ravel(context.y).tolist())) if is_of_classes else 1
        return ROWS_OF_CLASS * len(context.splits) * classes
    least: int = most_of(context) // eta**PROMOTIONS
    return max(1, least)
