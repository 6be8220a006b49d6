"""Parallel coordinates: a line a trial through its hyperparameters, the best dark and in front."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hpmpi.history.series import thinned
from hpmpi.history.standings import Standing
from hpmpi.model.dimensions import Dimension, Int, OptionalRange
from hpmpi.model.listed import Listed
from hpmpi.model.values import label_of
from hpmpi.views.figures.run import Run, described
from hpmpi.views.figures.style import FAINT, INK, PALETTE, TURNED, Looks, legend, new_figure, plain
from hpmpi.views.importance import unit_of
from hpmpi.views.layout import resource_of

MOST_AXES = 12
MOST_LINES, MOST_SHAPES = 1000, 300
"""How many trials are drawn; and behind, how many lines an SVG keeps as shapes."""

BEST_SHARE, FEWEST_BEST, MOST_BEST = 0.1, 5, 30
"""Which part of the trials is in front."""

BELOW = -0.12
"""Where the lines of trials are that have no value of a hyperparameter."""

MOST_NAMES = 8
"""Of values of a hyperparameter."""

PER_INCH = 14
"""How many letters of names an inch has room for."""


def parallel(run: Run) -> Figure | str:
    """Draw the trials at the highest rung that has enough, or of all; or say why not."""
    names = axes_of(run)
    if len(names) < 2:  # noqa: PLR2004 - a line has two ends
        return "a line through the hyperparameters takes two of them"
    ranked = run.ranking
    if not ranked:
        return "no trial has a result yet"
    dimensions = {name: run.history.space.dimensions[name] for name in names}
    best = ranked[: min(max(FEWEST_BEST, int(BEST_SHARE * len(ranked))), MOST_BEST)]
    title, subtitle = described([run], "parallel coordinates")
    figure, (panel,) = new_figure(title, subtitle, size=(max(6.4, 1.25 * len(names)), 4.4))
    others = thinned(ranked[len(best) :], MOST_LINES)
    lines = [points(it, dimensions) for it in [*others, *reversed(best)]]
    some = f"{len(others):,} of " if len(others) < len(ranked) - len(best) else ""
    at = resource_of(best[0].resource, run.unit)
    last = len(others)
    faint: Looks = {"colors": FAINT, "linewidths": 0.7, "rasterized": last > MOST_SHAPES}
    dark: Looks = {"colors": PALETTE[2], "linewidths": 1.2, "alpha": 0.8}
    darkest: Looks = {"colors": PALETTE[0], "linewidths": 2.6}
    for some_lines, look, label in (
        (lines[:last], faint, f"{some}{len(ranked) - len(best):,} others"),
        (lines[last:-1], dark, f"the next {len(best) - 1} on the leaderboard"),
        (lines[-1:], darkest, f"first, trial {best[0].trial}, at {at}"),
    ):
        if some_lines:
            panel.add_collection(LineCollection(some_lines, **look, label=label))
    lacking = any(height == BELOW for line in lines for _, height in line)
    frame(panel, dimensions, lacking=lacking)
    legend(figure, ncols=3)
    return figure


def axes_of(run: Run) -> list[str]:
    """Name the hyperparameters that have an axis: the most important, or the first."""
    names = list(run.history.space.dimensions)
    if len(names) <= MOST_AXES or run.importance is None:
        return names[:MOST_AXES]
    return [it.name for it in run.importance.weights[:MOST_AXES]]


def points(standing: Standing, dimensions: dict[str, Dimension]) -> list[tuple[float, float]]:
    """Find where the line of a trial crosses each axis."""
    config = standing.config
    units = [unit_of(config, name, dimension) for name, dimension in dimensions.items()]
    return [(place, BELOW if unit is None else unit) for place, unit in enumerate(units)]


def frame(panel: Axes, dimensions: dict[str, Dimension], *, lacking: bool) -> None:
    """Draw the axes, with numbers at their ends or the names of choices."""
    for place, dimension in enumerate(dimensions.values()):
        panel.axvline(place, color=INK, linewidth=0.8)
        for height, label in marks_of(dimension):
            panel.annotate(
                plain(label, 14),
                (place, height),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
                zorder=5,
            )
    names = [plain(name, 24) for name in dimensions]
    turned = len(names) * max(map(len, names)) > panel.bbox.width / 100 * PER_INCH
    panel.set_xticks(range(len(names)), names, **TURNED if turned else {})
    panel.set_yticks([BELOW] if lacking else [], ["none"] if lacking else [])
    panel.set(xlim=(-0.1, len(names) - 0.55), ylim=((BELOW if lacking else 0.0) - 0.06, 1.06))
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)


def marks_of(dimension: Dimension) -> list[tuple[float, str]]:
    """Choose what an axis is marked with, and where."""
    if isinstance(dimension, Listed):
        values = thinned(dimension.values, MOST_NAMES)
        return [(dimension.unit(it), label_of(dimension.shown(it))) for it in values]
    numbers = dimension.range if isinstance(dimension, OptionalRange) else dimension
    ends: Sequence[Any] = (numbers.low, numbers.at(0.5), numbers.high)
    if isinstance(numbers, Int) and numbers.size <= MOST_NAMES:
        ends = [numbers.level(it) for it in range(numbers.size)]
    return [(dimension.unit(it), f"{it:.3g}") for it in dict.fromkeys(ends)]
