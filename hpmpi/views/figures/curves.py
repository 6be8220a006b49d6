"""Learning curves: how trials went on from rung to rung, the best of them in front."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from hpmpi.history.series import thinned, window
from hpmpi.views.figures.run import Run, amount, axis_of_metric, described, mark_beyond
from hpmpi.views.figures.style import LINES, MARKERS, PALETTE, legend, new_figure

MOST_LINES = 300
MOST_POINTS = 100
"""Behind, and of a line."""

BEST = len(PALETTE)

MOST_RUNGS = 12

WIDE = 8
"""From this ratio of the highest resource to the lowest on, their axis is a log one."""

STOPPED = "#9a9a9a"


def curves(run: Run) -> Figure | None:
    """Draw the learning curves; None where nothing has a value."""
    lines = run.story.curves
    if not lines:
        return None
    figure, (panel,) = new_figure(*described([run], "learning curves"), size=(7.2, 4.6))
    ranking = [each.trial for each in run.summary.board.ranking() if each.trial in lines][:BEST]
    others = [trial for trial in lines if trial not in ranking]
    behind(panel, run, thinned(others, MOST_LINES), len(others))
    for number, trial in enumerate(ranking):
        points = thinned(lines[trial], MOST_POINTS)
        panel.plot(
            [resource for resource, _ in points],
            [value for _, value in points],
            color=PALETTE[number],
            linestyle=LINES[number],
            marker=MARKERS[number],
            markersize=4,
            linewidth=1.5,
            markevery=max(1, len(points) // 6),
            zorder=4 - number / 10,
            label=f"{'incumbent, ' if number == 0 else ''}trial {trial}",
        )
    mark_rungs(panel, run)
    values = [value for line in lines.values() for _, value in line]
    last = [lines[trial][-1][1] for trial in ranking]
    axis_of_metric(panel, run.goal, window(values, run.goal), last)
    best = [min(line, key=lambda point: run.goal.signed(point[1])) for line in lines.values()]
    mark_beyond(panel, run.goal, best)
    legend(figure, ncols=3)
    return figure


def behind(panel: Axes, run: Run, trials: list[int], count: int) -> None:
    """Draw the trials that are not among the best, one mark all together."""
    lines = [thinned(run.story.curves[trial], MOST_POINTS) for trial in trials]
    told = f"{len(trials)} of {count:,} others" if len(trials) < count else f"{count} others"
    faint = LineCollection(
        lines, colors=STOPPED, linewidths=0.7, alpha=0.5, rasterized=len(trials) > BEST**2
    )
    panel.add_collection(faint)
    singles = [line[0] for line in lines if len(line) == 1]
    if singles:
        xs, ys = zip(*singles, strict=True)
        panel.scatter(xs, ys, s=6, color=STOPPED, alpha=0.5, linewidths=0)
    if trials:
        panel.plot([], [], color=STOPPED, linewidth=1.2, label=told)


def mark_rungs(panel: Axes, run: Run) -> None:
    """Mark the rungs on the axis of the resource."""
    resources = [resource for line in run.story.curves.values() for resource, _ in line]
    low, high = min(resources), max(resources)
    reached = [each for each in run.resources.values() if low <= each <= high]
    rungs = thinned(reached, MOST_RUNGS)
    panel.set_xlabel("resource of the trial (a tick for each rung)")
    if low > 0 and high >= WIDE * low:
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(rungs)
    panel.xaxis.set_major_formatter(amount)
    if low == high:
        panel.set_xlim((low / 2, low * 2) if low > 0 else (low - 1, low + 1))
