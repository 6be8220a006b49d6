"""How the work was distributed over the ranks: jobs, and busy seconds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpmpi.history.series import shares
from hpmpi.views.figures.bins import Numbers
from hpmpi.views.figures.run import Run, described, look_of
from hpmpi.views.figures.style import INK, PALETTE, WRONG, Looks, legend, new_figure

MOST_BARS = 40
"""Ranks that have a bar each; more are one outline."""

MOST_TICKS = 20

NOTHING = {"facecolor": "white", "edgecolor": WRONG, "hatch": "////", "linewidth": 0.6}
BOLD = {"color": WRONG, "linewidth": 0}
"""What came to nothing, on a bar and where there is no room for a hatch."""

HUNDRED = 100

ROOM = 1.06
"""Above the highest bar, of it; below the lines of several runs, whose marks are whole there."""


PARTS = (("Jobs", "jobs", "results", "failures"), ("Time", "busy (s)", "useful_s", "wasted_s"))
"""Of a panel: its title, its axis, what is good and what is not."""


def ranks(runs: Sequence[Run]) -> Figure | None:
    """Draw what each rank did in all; None where none of them was given a job."""
    runs = [run for run in runs if run.attempts]
    if not runs:
        return None
    words = described(runs, "the work of each rank", metric=False)
    figure, panels = new_figure(*words, rows=2, size=(7.6, 5.2), sharex=True)
    for panel, (title, label, good, bad) in zip(panels, PARTS, strict=True):
        if len(runs) > 1:
            compared(panel, runs, good)
        else:
            stacked(panel, runs[0], good, bad)
        top = panel.dataLim.y1 * ROOM or 1.0
        panel.set(title=title, ylabel=label, ylim=(0 if len(runs) == 1 else top - top * ROOM, top))
        panel.grid(visible=False, axis="x")
    if len(runs) == 1:
        panels[1].set_xlim(runs[0].ranks[0] - 0.6, runs[0].ranks[-1] + 0.6)
    panels[1].xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))
    panels[1].set_xlabel("rank" if len(runs) == 1 else "ranks of each run, the busiest first")
    legend(figure, ncols=2)
    return figure


def stacked(panel: Axes, run: Run, good: str, bad: str) -> None:
    """Draw a bar a rank, or one outline for very many; and the mean."""
    found = shares(run.history)
    goods, bads = (np.array([getattr(it, name) for it in found], float) for name in (good, bad))
    parts: tuple[tuple[Numbers, Numbers, Looks], ...] = (
        (
            goods,
            np.zeros_like(goods),
            {"color": PALETTE[1], "linewidth": 0, "label": "brought a result"},
        ),
        (
            goods + bads,
            goods,
            {**(BOLD if len(found) > MOST_BARS else NOTHING), "label": "came to nothing"},
        ),
    )
    for tops, bottoms, look in parts:
        if (tops == bottoms).all():
            continue
        if len(found) > MOST_BARS:
            edges = np.arange(len(found) + 1) + run.ranks[0] - 0.5
            panel.stairs(tops, edges, baseline=bottoms, fill=True, **look)
        else:
            panel.bar(run.ranks, tops - bottoms, 0.75, bottom=bottoms, **look)
    mean = float(goods.mean())
    panel.axhline(mean, color=INK, linestyle="--", linewidth=1.2)
    panel.annotate(
        f"mean of\nresults: {mean:,.{0 if mean > HUNDRED else 3}{'f' if mean > HUNDRED else 'g'}}",
        (1, mean),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def compared(panel: Axes, runs: Sequence[Run], name: str) -> None:
    """Draw a line a run over its ranks, the busiest first."""
    for number, run in enumerate(runs):
        values = sorted((getattr(it, name) for it in shares(run.history)), reverse=True)
        panel.plot(range(1, len(values) + 1), values, **look_of(number, run))
