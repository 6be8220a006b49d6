"""The front of several metrics: the first beside each of the others; and the hypervolume."""

from collections.abc import Sequence
from itertools import chain, pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpmpi.history.hypervolume import Volumes, at_the_top, hypervolumes
from hpmpi.history.series import finite, reach_of, thinned
from hpmpi.model.fronts import PAIR
from hpmpi.model.trial import Goal, Metrics
from hpmpi.views.figures.run import Run, axis_of_metric, clock, described
from hpmpi.views.figures.style import INK, MUTED, PALETTE, Looks, legend, new_figure, plain, short
from hpmpi.views.layout import resource_of

MOST_DOTS = 1500
MOST_TIMES = 200
"""How many results are drawn, and at how many times the hypervolume is."""

MOST_PANELS = 6
"""How many metrics are drawn beside the first."""


def front(run: Run) -> Figure | None:
    """Draw the results at the highest rung reached; None of one metric, or without a result."""
    goal, results = run.goal, [attempt.metrics for attempt in at_the_top(run.history)]
    if not goal.others or not results:
        return None
    others = goal.others[:MOST_PANELS]
    volumes = hypervolumes(run.history, MOST_TIMES)
    best = [standing.metrics for standing in run.history.standings.front]
    resource = run.history.standings.front[0].resource
    title, told = described([run], "front", metric=False)
    by = ", ".join(f"{short(each.metric, 30)} (mode {each.mode})" for each in goal.each)
    columns = len(others) + (volumes is not None)
    figure, panels = new_figure(title, f"{by}  ·  {told}", columns=columns)
    for panel, other in zip(panels, others, strict=False):
        beside(panel, goal, other, results, best)
        if len(goal.names) == PAIR:
            stairs(panel, goal, other, best)
        for each, which in ((goal, "x"), (other, "y")):
            reach = reach_of((finite(it[each.metric]) for it in results), each)
            at_front = [finite(it[each.metric]) for it in best]
            axis_of_metric(panel, each, reach, at_front, which)
        panel.set_title(f"At {resource_of(resource, run.unit)}: nothing beats the front")
    if volumes is not None:
        grown(panels[-1], volumes, run.ended)
    legend(figure)
    return figure


def beside(
    panel: Axes, goal: Goal, other: Goal, results: Sequence[Metrics], best: Sequence[Metrics]
) -> None:
    """Draw two metrics of all results, and those of the front."""
    shown = thinned(results, MOST_DOTS)
    count = f" (some {MOST_DOTS:,} of {len(results):,})" if len(shown) < len(results) else ""
    behind: Looks = {"s": 14, "color": MUTED, "alpha": 0.5, "label": f"results{count}"}
    before: Looks = {"s": 36, "color": PALETTE[0], "marker": "D", "zorder": 3, "label": "the front"}
    for its, looks in ((shown, behind), (best, before)):
        x, y = ([finite(it[each.metric]) for it in its] for each in (goal, other))
        panel.scatter(x, y, linewidths=0, **looks)


def stairs(panel: Axes, goal: Goal, other: Goal, best: Sequence[Metrics]) -> None:
    """Draw the edge of what the front of two metrics dominates."""
    ascending = sorted(best, key=lambda it: goal.signed(it[goal.metric]))
    points = [(finite(it[goal.metric]), finite(it[other.metric])) for it in ascending]
    corners = [(after[0], before[1]) for before, after in pairwise(points)]
    steps = [*chain.from_iterable(zip(points, corners, strict=False)), points[-1]]
    panel.plot(*zip(*steps, strict=True), color=INK, linewidth=1.2)


def grown(panel: Axes, volumes: Volumes, ended: float) -> None:
    """Draw the hypervolume over time, on to the end of the run."""
    second, unit = clock(ended)
    times = [at / second for at, _ in volumes.shares]
    shares = [share for _, share in volumes.shares]
    panel.plot(
        [0.0, *times, ended / second], [0.0, *shares, shares[-1]], drawstyle="steps-post", color=INK
    )
    to = ", ".join(f"{plain(name, 16)} {value:.4g}" for name, value in volumes.reference.items())
    panel.set(
        xlabel=f"time since the study began ({unit})",
        ylabel="share that is dominated",
        title=f"Hypervolume up to {to}",
        ylim=(0, 1),
    )
