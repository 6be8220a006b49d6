"""How fast results came in, how much of what was handed out came to one, how many were in work."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hpmpi.views.figures.bins import Numbers, in_work
from hpmpi.views.figures.run import CLOCKS, Run, clock, described, look_of
from hpmpi.views.figures.style import PALETTE, WRONG, Looks, legend, new_figure

BINS = 60
FEWEST_PER_BIN = 4
"""With few results there are fewer bins: one for each result is noise."""

FINE = 300
"""Bins of what needs no smoothing."""

MOST_RESTARTS = 40
ROOM, MARGIN = 1.08, 1.01


def throughput(runs: Sequence[Run]) -> Figure | None:
    """Draw results per time, completion and jobs in work; None where no time has passed."""
    runs = [run for run in runs if run.story.attempts and run.story.ended > 0]
    if not runs:
        return None
    words = described(runs, "throughput and completion", metric=False)
    figure, panels = new_figure(*words, rows=3, size=(7.6, 6.6), sharex=True)
    second, unit = clock(max(run.story.ended for run in runs))
    per_s, per = rate_unit(runs)
    for number, run in enumerate(runs):
        draw(panels, run, look_of(number, run) if len(runs) > 1 else {}, (second, per_s))
    restarts = runs[0].story.restarts[:MOST_RESTARTS] if len(runs) == 1 else []
    for panel in panels:
        for number, at in enumerate(restarts):
            told = "restart of the study" if number == 0 and panel is panels[0] else None
            panel.axvline(at / second, color=WRONG, linestyle="--", linewidth=1.2, label=told)
    panels[0].set(title="Throughput", ylabel=f"results per {per}", ylim=(0, None))
    panels[1].set(title="Completion: results per attempt handed out", ylabel="results / attempts")
    panels[1].set_ylim(0, ROOM)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[2].set(title="In work", ylabel="jobs", ylim=(0, None))
    panels[2].yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[2].set_xlabel(f"time since the study began ({unit})")
    panels[2].set_xlim(0, max(run.story.ended for run in runs) / second * MARGIN)
    if len(runs) > 1 or restarts:
        legend(figure, handles=panels[0].get_legend_handles_labels()[0], ncols=2)
    return figure


def draw(panels: Sequence[Axes], run: Run, look: Looks, units: tuple[float, float]) -> None:
    """Draw a run's three lines; `units` are those of time and of the time that rates are per."""
    second, per_s = units
    story = run.story
    answered = np.array([each.at for each in story.answers])
    begun = [each.begun for each in story.attempts]
    bins = int(np.clip(len(answered) // FEWEST_PER_BIN, 4, BINS))
    edges, fine = (np.linspace(0, story.ended, count + 1) for count in (bins, FINE))
    rates = np.histogram(answered, edges)[0] / np.diff(edges) * per_s
    running = in_work(begun, [each.ended for each in story.attempts], fine)
    look = {"color": PALETTE[0], "linewidth": 1.6, **look}
    lines = (
        (np.repeat(edges, 2), np.concatenate([[0], np.repeat(rates, 2), [0]])),
        (fine[1:], completion(answered, begun, fine[1:])),
        ((fine[1:] + fine[:-1]) / 2, running),
    )
    for panel, (xs, ys) in zip(panels, lines, strict=True):
        panel.plot(xs / second, ys, **look)


def completion(answered: Numbers, begun: Sequence[float], at: Numbers) -> Numbers:
    """Tell the share of the attempts handed out so far that have brought a result."""
    results = np.searchsorted(np.sort(answered), at, side="right")
    assigned = np.searchsorted(np.sort(begun), at, side="right")
    return np.where(assigned > 0, results / np.maximum(assigned, 1), np.nan)


def rate_unit(runs: Sequence[Run]) -> tuple[float, str]:
    """Choose per what time results are counted, so that there is one at least in it."""
    fastest = max(len(run.story.answers) / run.story.ended for run in runs)
    fitting = (each for each in CLOCKS if fastest * each[0] >= 1)
    seconds, unit = next(fitting, CLOCKS[-1])
    return seconds, unit.removesuffix("s") if len(unit) > 1 else unit
