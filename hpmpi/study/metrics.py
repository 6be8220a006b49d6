"""What is studied, checked: one metric, or several and what goes with them.

By several, trials are ranked by fronts (hpmpi.model.fronts). What needs one number, such as a
target, is refused beside them.
"""

from collections.abc import Iterator
from inspect import signature
from pathlib import Path

from hpmpi.study.methods import SCHEDULER
from hpmpi.study.references import NotThereError, builtin
from hpmpi.study.settings import Settings, StopTable
from hpmpi.study.space_table import name_problems

ONE_METRIC = {
    "target": "no one number says that several are good enough",
    "plateau": "no one number says by how much a front is better than another",
}
"""What of `[stop]` wants one metric, and why."""


def problems(study: Settings, origin: Path | None) -> Iterator[str]:
    """Say what is wrong with the metrics of a study, or does not go with several."""
    metrics, modes = study.metrics, study.modes
    for name in dict.fromkeys(metrics):
        yield from name_problems("metric", name)
        if metrics.count(name) > 1:
            yield f"metric = {metrics} names {name!r} twice"
    if isinstance(study.metric, list) != isinstance(study.mode, list) or len(metrics) != len(modes):
        words = ", ".join(['"max"', *['"min"'] * (len(metrics) - 1)])
        example = f"[{words}]" if isinstance(study.metric, list) else words
        yield (
            f"mode = {study.mode!r} does not go with metric = {study.metric!r}: it must say which "
            f"way is better, of each metric, as mode = {example} does"
        )
    if len(metrics) > 1:
        yield from of_one_metric(study.stop)
        yield from of_scheduler(study.scheduler.get("method", SCHEDULER.default), origin)


def of_one_metric(stop: StopTable) -> Iterator[str]:
    """Say what of `[stop]` does not go with several metrics."""
    for name, why in ONE_METRIC.items():
        if getattr(stop, name) is not None:
            yield (
                f"stop.{name} is for one metric: {why}; with several, use max_trials, time_s or "
                "max_resource_total"
            )


def of_scheduler(method: object, origin: Path | None) -> Iterator[str]:
    """Say that a scheduler compares trials by one metric, if so."""
    try:
        kind = SCHEDULER.find(method, origin)
    except NotThereError:  # which is said elsewhere
        return
    if not ranks_several(kind):
        able = [it for it in builtin(SCHEDULER.package) if ranks_several(SCHEDULER.find(it))]
        yield (
            f"scheduler.method = {method!r} compares trials by one metric; with several, use "
            f"{', '.join(map(repr, able))}, or a scheduler of yours that names `goal`"
        )


def ranks_several(kind: object) -> bool:
    """Tell whether a scheduler takes a goal of several metrics."""
    return callable(kind) and "goal" in signature(kind).parameters
