"""A run as figures take it, and what all say of it: title, unit of time, axis of the metric."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from hpmpi.history.series import Story, thinned
from hpmpi.model.trial import Goal
from hpmpi.views.figures.style import LINES, MARKERS, MUTED, PALETTE, Looks, plain, shades, short
from hpmpi.views.run_view import Summary
from hpmpi.views.show import state

CLOCKS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "days"))

MOST_IN_UNIT = 180.0
"""How many of a unit of time are told before the next one is taken."""

MOST_MARKERS = 10
"""On the line of a run."""

MOST_NAMED = 7
"""How many rungs a legend names."""

MOST_BEYOND = 200
EDGES = {"min": (0.975, r"$\uparrow$"), "max": (0.025, r"$\downarrow$")}
"""Of what is worse than an axis shows: how many have a mark; how high, and where it points."""

amount = EngFormatter(sep="")
"""Writes 12000 as 12k."""


class Look(NamedTuple):
    """What a rung is told from the others by."""

    colour: str
    marker: str


class Run(msgspec.Struct, frozen=True):
    """A run by the name that it goes by beside others, and its series."""

    name: str
    summary: Summary
    story: Story

    @property
    def goal(self) -> Goal:
        """What was studied."""
        return self.summary.study.goal

    @property
    def resources(self) -> dict[int, int]:
        """The resource of each rung that there is, or that a result is of, lowest first."""
        said = {each.rung: each.resource for each in self.summary.rungs}
        return dict(sorted({**said, **{it.rung: it.resource for it in self.story.answers}}.items()))

    @property
    def looks(self) -> dict[int, Look]:
        """How each rung is told from the others: the higher, the darker."""
        rungs = self.resources
        return {
            rung: Look(colour, MARKERS[place % len(MARKERS)])
            for place, (rung, colour) in enumerate(zip(rungs, shades(len(rungs)), strict=True))
        }

    def label(self, rung: int) -> str | None:
        """Name a rung for a legend; of very many only some have a name there."""
        rungs = self.resources
        return f"resource {rungs[rung]:,}" if rung in thinned(list(rungs), MOST_NAMED) else None


def described(runs: Sequence[Run], what: str, *, metric: bool = True) -> tuple[str, str]:
    """Say in a title what is shown of which study, and in a line below by what and of how much.

    The `metric` is told where it is drawn.
    """
    goal, first = runs[0].goal, runs[0].summary
    name = short(first.study.name, 40)
    by = [f"{short(goal.metric, 60)} (mode {goal.mode})"] if metric else []
    if len(runs) > 1:
        others = {run.summary.study.name for run in runs} - {first.study.name}
        of = f"{name} and {len(others)} other{'s' if len(others) > 1 else ''}" if others else name
        return f"{of}: {what}, {len(runs)} runs", "".join(by)
    second, unit = clock(runs[0].story.ended)
    told = [f"{len(first.board.standings):,} trials", f"{first.board.results:,} results"]
    told += [f"{len(runs[0].story.ranks):,} ranks", f"{runs[0].story.ended / second:.3g} {unit}"]
    return f"{name}: {what}", "  ·  ".join([*by, ", ".join([*told, state(first)])])


def look_of(number: int, run: Run) -> Looks:
    """Tell the lines of several runs apart: by colour, dashes, markers and name."""
    place = number % len(PALETTE)
    dashes = LINES[(place + number // len(PALETTE)) % len(LINES)]
    marked: Looks = {"marker": MARKERS[place], "markersize": 4.5, "markevery": 1 / MOST_MARKERS}
    return {"color": PALETTE[place], "linestyle": dashes, "label": plain(run.name, 44), **marked}


def clock(span_s: float) -> tuple[float, str]:
    """Choose a unit of time for a span: its seconds, and its name.

    >>> clock(60), clock(7200), clock(0)
    ((1.0, 's'), (60.0, 'min'), (1.0, 's'))
    """
    fitting = (each for each in CLOCKS if span_s / each[0] <= MOST_IN_UNIT)
    return next(fitting, CLOCKS[-1])


def axis_of_metric(
    panel: Axes, goal: Goal, reach: tuple[float, float] | None, shown: Sequence[float] = ()
) -> None:
    """Name the axis of the studied metric; scale it to `reach`, and to what must be `shown`."""
    panel.set_ylabel(plain(goal.metric, 24))
    if reach is None:
        return
    low, high = min([*reach, *shown]), max([*reach, *shown])
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    panel.set_ylim(low - room, high + room)


def mark_beyond(panel: Axes, goal: Goal, points: Sequence[tuple[float, float]]) -> None:
    """Mark at the edge of an axis that is scaled already what is worse than it shows."""
    low, high = panel.get_ylim()
    places = [place for place, value in points if value < low or value > high]
    if not places:
        return
    shown = thinned(places, MOST_BEYOND)
    height, marker = EDGES[goal.mode]
    panel.scatter(
        shown,
        [height] * len(shown),
        transform=panel.get_xaxis_transform(),
        marker=marker,
        s=60,
        color=MUTED,
        linewidths=0,
        zorder=3,
        label=f"{len(places):,} worse than shown, at the edge",
    )
