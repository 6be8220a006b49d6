"""The incumbent: over time, and over the resource spent; of one run, or of several together."""

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpmpi.history.series import Answer, Reach, finite, reach_of, thinned
from hpmpi.study.settings import RESOURCE
from hpmpi.views.figures.run import (
    Run,
    amount,
    axis_of_metric,
    clock,
    described,
    look_of,
    mark_beyond,
    span_from_zero,
)
from hpmpi.views.figures.style import INK, WRONG, Looks, legend, new_figure

MOST_DOTS = 1500
FEWEST_DOTS = 20
FEW = 200
"""Results whose dots may be larger."""

MOST_STEPS = 400

DOTTED = (0, (1, 1.5))

DIFFERENT = "the runs have different metrics"


def incumbent(runs: Sequence[Run]) -> Figure | str | None:
    """Draw how the best result grew; None where there is none, or why runs do not compare."""
    runs = [run for run in runs if run.best]
    if not runs:
        return None
    if len({(run.goal.metric, run.goal.mode) for run in runs}) > 1:
        return DIFFERENT
    figure, panels = new_figure(*described(runs, "incumbent"), columns=2, sharey=True)
    second, unit = clock(max(run.ended for run in runs))
    scales = {"at": 1 / second, "spent": 1.0}
    for number, run in enumerate(runs):
        for panel, (name, factor) in zip(panels, scales.items(), strict=True):
            if len(runs) == 1:
                dots(panel, run, name, factor)
            steps(panel, run, name, factor, look_of(number, run) if len(runs) > 1 else {})
    count = len(runs[0].answers)
    many = len(runs) == 1 and count > MOST_DOTS
    sampled = f" (dots: some {MOST_DOTS:,} of {count:,} results)" if many else ""
    panels[0].set(xlabel=f"time since the study began ({unit})", title=f"Over time{sampled}")
    unit = runs[0].unit if len({run.unit for run in runs}) == 1 else RESOURCE
    panels[1].set(xlabel=f"{unit} spent by all results", title=f"Over {unit}")
    span_from_zero(panels[0], max(run.ended for run in runs) / second)
    span_from_zero(panels[1], max(run.answers[-1].spent for run in runs))
    panels[1].xaxis.set_major_formatter(amount)
    panels[1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    scale_metric(panels, runs)
    for panel, (name, factor) in zip(panels, scales.items(), strict=True):
        points = [(getattr(each, name) * factor, each.value) for each in drawn(runs)]
        mark_beyond(panel, runs[0].goal, points)
    legend(figure, ncols=9 if len(runs) == 1 else 2)
    return figure


def drawn(runs: Sequence[Run]) -> list[Answer]:
    """List the results that are drawn: all of one run, and of several the best."""
    return [it for run in runs for it in run.best] if runs[1:] else runs[0].answers


def scale_metric(panels: Sequence[Axes], runs: Sequence[Run]) -> None:
    """Scale the axis that the panels share, and draw the baseline where there is one."""
    goal, best = runs[0].goal, [run.best[-1].value for run in runs]
    reach = reach_of((each.value for run in runs for each in run.answers), goal)
    assert reach is not None, "who has a best result has one"
    inside = [it.value for it in drawn(runs) if reach.holds(it.value)] + best
    low, high = min(inside), max(inside)
    reached = {it for it in map(baseline, runs) if not math.isnan(it)}
    reached = reached if len(reached) == 1 else set()
    near = {it for it in reached if is_near(it, low, high, log=reach.log)}
    axis_of_metric(panels[0], goal, Reach(low, high, reach.log), [*near])
    for each in reached:
        told = f"baseline: {each:.4g}{'' if near else ', beyond the axis'}"
        for panel in panels:
            panel.axhline(each, color=WRONG, linestyle=DOTTED, label=told)


def is_near(value: float, low: float, high: float, *, log: bool) -> bool:
    """Tell whether a value is no further beyond an axis than that is long."""
    if log and min(value, low) > 0:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return 2 * low - high <= value <= 2 * high - low


def dots(panel: Axes, run: Run, name: str, factor: float) -> None:
    """Draw all results behind, by rung; of very many a part."""
    by_rung: dict[int, list[Answer]] = {}
    for each in run.answers:
        if not math.isnan(each.value):
            by_rung.setdefault(each.rung, []).append(each)
    looks = run.looks
    for rung, those in sorted(by_rung.items()):
        share = len(those) / len(run.answers)
        shown = thinned(those, FEWEST_DOTS + int(share * MOST_DOTS))
        panel.scatter(
            [getattr(each, name) * factor for each in shown],
            [each.value for each in shown],
            s=9 if len(run.answers) > FEW else 20,
            alpha=0.55,
            linewidths=0,
            color=looks[rung].colour,
            marker=looks[rung].marker,
            label=run.label(rung),
        )


def steps(panel: Axes, run: Run, name: str, factor: float, look: Looks) -> None:
    """Draw the incumbent, on to the end of the run."""
    best, last = run.best, run.answers[-1]
    ends = {"at": run.ended, "spent": last.spent}
    shown = thinned(best, MOST_STEPS)
    panel.plot(
        [getattr(each, name) * factor for each in shown] + [ends[name] * factor],
        [each.value for each in shown] + [best[-1].value],
        **{"drawstyle": "steps-post", "zorder": 3, "color": INK, "label": "incumbent", **look},
    )
    climbed = [
        after
        for before, after in pairwise(best)
        if run.goal.signed(after.value) > run.goal.signed(before.value)
    ]
    if climbed and not look:
        panel.scatter(
            [getattr(each, name) * factor for each in climbed],
            [each.value for each in climbed],
            s=34,
            color="white",
            edgecolors=INK,
            linewidths=1.4,
            zorder=4,
            label=f"more {run.unit}: above, though worse",
        )


def baseline(run: Run) -> float:
    """Give what the baseline reached; NaN where there is none."""
    return finite((run.summary.baseline or {}).get(run.goal.metric, math.nan))
