"""The rows of tables for a terminal: the best trials, those in work, and the rungs.

Trials have a column for each hyperparameter, at the end, where a narrow terminal cuts them off.
"""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from hpmpi.history.overview import Overview
from hpmpi.history.rungs import RungCounts
from hpmpi.history.standings import Standing
from hpmpi.model.trial import Metrics, Value
from hpmpi.model.values import label_of
from hpmpi.views.layout import cut, span

LONGEST_VALUE = 1000
"""Of a configuration, in characters."""

LONGEST_CONFIG = 100
"""Of the short form of a configuration, in a line with other things, in characters."""


def leaderboard(view: Overview) -> list[list[str]]:
    """Lay out the best trials, a row for each below a head; by several metrics, with their fronts.

    The front is that in the rung, and not told of who has no number in one of them.
    """
    several, names = bool(view.goal.others), view.goal.names
    head = ["place", *(["front"] if several else []), "trial", *names, view.study.unit]
    rows = [
        [
            str(place),
            *([str(view.fronts.get(it.trial, ""))] if several else []),
            str(it.trial),
            *numbers(it.metrics, names),
            str(it.resource),
        ]
        for place, it in enumerate(view.best, start=1)
    ]
    return with_configs(view, [head, *rows], view.best)


def running(view: Overview, most: int) -> list[list[str]]:
    """Lay out the trials in work: by whom, since when, how far they are, and the newest metrics."""
    names, trials = view.goal.names, view.running[:most]
    head = ["running", "rank", "for", view.study.unit, *names]
    rows = [
        [
            f"trial {it.standing.trial}",
            str(it.attempt.rank),
            span(it.attempt.took_s(view.at)),
            f"{it.newest.resource if it.newest else it.attempt.start} of {it.attempt.resource}",
            *numbers(it.newest.metrics if it.newest else {}, names),
        ]
        for it in trials
    ]
    return with_configs(view, [head, *rows], [it.standing for it in trials])


def rungs(view: Overview) -> list[list[str]]:
    """Count the jobs by rung, where there is more than one."""
    return jobs_by_rung(view.rungs, view.study.unit) if len(view.rungs) > 1 else []


def jobs_by_rung(counts: Sequence[RungCounts], unit: str, number: str = "{}") -> list[list[str]]:
    """Write a row a rung below a head, each `number` in this form; what is zero in all is left out.

    There is at least one.
    """
    rungs = [msgspec.structs.asdict(rung) for rung in counts]
    names = [name for name in rungs[0] if any(rung[name] for rung in rungs)]
    titles = {"resource": unit, "given_up": "given up"}
    rows = [[number.format(rung[name]) for name in names] for rung in rungs]
    return [[titles.get(name, name) for name in names], *rows]


def numbers(metrics: Metrics, names: Sequence[str]) -> list[str]:
    """Write metrics, each for a cell of its own."""
    return [f"{metrics[name]:.6g}" if name in metrics else "" for name in names]


def with_configs(
    view: Overview, rows: list[list[str]], standings: Sequence[Standing]
) -> list[list[str]]:
    """Add a column for each hyperparameter that any of these trials has, in the space's order."""
    configs = [view.space.shown(standing.config) for standing in standings]
    known = dict.fromkeys(name for config in configs for name in config)
    names = dict.fromkeys([*filter(known.__contains__, view.space.dimensions), *known])
    cells = [[short(it[name]) if name in it else "" for name in names] for it in configs]
    return [[*row, *more] for row, more in zip(rows, [[*names], *cells], strict=True)]


def configuration(config: Mapping[str, Value | None], most: int = sys.maxsize) -> str:
    """Write a configuration in a line."""
    return cut("  ".join(f"{name}={short(value)}" for name, value in config.items()), most)


def short(value: Value | None) -> str:
    """Write a value with as many digits as people read."""
    return f"{value:.4g}" if isinstance(value, float) else cut(label_of(value), LONGEST_VALUE)
