"""Learning curves: how trials went on from rung to rung, the best of them in front."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpmpi.history.series import reach_of, thinned
from hpmpi.views.figures.run import Run, amount, axis_of_metric, described, mark_beyond
from hpmpi.views.figures.style import LINES, MARKERS, PALETTE, legend, log_axis, new_figure

MOST_LINES = 300
MOST_POINTS = 100
"""Behind, and of a line."""

BEST = len(PALETTE)

FEWEST_RUNGS, MOST_RUNGS = 3, 12
"""How many rungs have ticks of their own: of fewer, the axis is numbered as others are."""

WIDE = 8
"""From this ratio of the highest resource to the lowest on, their axis is a log one."""

STOPPED = "#9a9a9a"


def curves(run: Run) -> Figure | str:
    """Draw the learning curves; or say that there is none."""
    lines = run.curves
    if len({resource for line in lines.values() for resource, _ in line}) <= 1:
        return f"there are no curves: no trial was told of at more than one {run.unit}"
    figure, (panel,) = new_figure(*described([run], "learning curves"), size=(7.2, 4.6))
    ranking = [each.trial for each in run.ranking if each.trial in lines][:BEST]
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
    reach = reach_of(values, run.goal)
    begin = 0 if reach and reach.log else -1  # powers have room for whole curves
    best = [value for trial in ranking for _, value in lines[trial][begin:]]
    axis_of_metric(panel, run.goal, reach, best)
    worst = [max(line, key=lambda point: run.goal.signed(point[1])) for line in lines.values()]
    mark_beyond(panel, run.goal, worst, "curves go beyond the axis")
    legend(figure)
    return figure


def behind(panel: Axes, run: Run, trials: list[int], count: int) -> None:
    """Draw the trials that are not among the best, one mark all together."""
    lines = [thinned(run.curves[trial], MOST_POINTS) for trial in trials]
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
    resources = [resource for line in run.curves.values() for resource, _ in line]
    low, high = min(resources), max(resources)
    reached = [each for each in run.resources.values() if low <= each <= high]
    is_ladder = len(reached) >= FEWEST_RUNGS
    panel.set_xlabel(f"{run.unit} of the trial{' (a tick for each rung)' if is_ladder else ''}")
    if low > 0 and high >= WIDE * low and is_ladder:
        log_axis(panel, "x", low, high)
    if is_ladder:
        panel.set_xticks(thinned(reached, MOST_RUNGS))
    else:
        panel.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    panel.xaxis.set_major_formatter(amount)
