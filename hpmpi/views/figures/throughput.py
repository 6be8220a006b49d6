"""How fast results came in, how much of what was handed out came to one, how many were in work."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hpmpi.views.figures.bins import Numbers, in_work
from hpmpi.views.figures.run import CLOCKS, Run, clock, described, look_of, span_from_zero
from hpmpi.views.figures.style import PALETTE, WRONG, Looks, legend, new_figure, wrapped

BINS = 60
FEWEST_PER_BIN = 4
"""With few results there are fewer bins: one for each result is noise."""

FINE = 300
"""Bins of what needs no smoothing."""

MOST_RESTARTS = 40
ROOM = 0.08
"""Above what is whole, and below nothing, so that marks there are."""


def throughput(runs: Sequence[Run]) -> Figure | None:
    """Draw results per time, completion and jobs in work; None where no time has passed."""
    runs = [run for run in runs if run.attempts and run.ended > 0]
    if not runs:
        return None
    words = described(runs, "throughput and completion", metric=False)
    figure, panels = new_figure(*words, rows=3, size=(7.6, 6.6), sharex=True)
    second, unit = clock(max(run.ended for run in runs))
    per_s, per = rate_unit(runs)
    for number, run in enumerate(runs):
        draw(panels, run, look_of(number, run) if len(runs) > 1 else {}, (second, per_s))
    restarts = runs[0].history.starts[1 : MOST_RESTARTS + 1] if len(runs) == 1 else []
    for panel in panels:
        for number, started in enumerate(restarts):
            told = "restart of the study" if number == 0 and panel is panels[0] else None
            line: Looks = {"color": WRONG, "linestyle": "--", "linewidth": 1.2, "label": told}
            panel.axvline(started.at / second, **line)
    panels[0].set(title="Throughput", ylabel=f"results per {per}")
    completed = wrapped("Completion: results per attempt handed out", panels[1])
    panels[1].set(title=completed, ylabel="results / attempts")
    panels[1].set_ylim(-ROOM, 1 + ROOM)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[2].set(title="In work", ylabel="jobs")
    for panel in (panels[0], panels[2]):
        top = panel.dataLim.y1 or 1.0
        panel.set_ylim(-ROOM * top, (1 + ROOM) * top)
    panels[2].yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[2].set_xlabel(f"time since the study began ({unit})")
    span_from_zero(panels[2], max(run.ended for run in runs) / second)
    if len(runs) > 1 or restarts:
        legend(figure, ncols=2)
    return figure


def draw(panels: Sequence[Axes], run: Run, look: Looks, units: tuple[float, float]) -> None:
    """Draw a run's three lines; `units` are those of time and of the time that rates are per."""
    second, per_s = units
    answered = np.array([answer.at for answer in run.answers])
    begun = [attempt.begun for attempt in run.attempts]
    ended = [attempt.end(run.ended) for attempt in run.attempts]
    bins = int(np.clip(len(answered) // FEWEST_PER_BIN, 4, BINS))
    edges, fine = (np.linspace(0, run.ended, count + 1) for count in (bins, FINE))
    rates = np.histogram(answered, edges)[0] / np.diff(edges) * per_s
    running = in_work(begun, ended, fine)
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
    fastest = max(len(run.answers) / run.ended for run in runs)
    fitting = (each for each in CLOCKS if fastest * each[0] >= 1)
    seconds, unit = next(fitting, CLOCKS[-1])
    return seconds, unit.removesuffix("s") if len(unit) > 1 else unit
