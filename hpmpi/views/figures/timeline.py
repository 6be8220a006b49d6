"""What each rank did when: a bar a job; of many ranks or jobs, how busy they were.

Failures, lost ranks, retries and restarts of the study are marked in both.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from hpmpi.history.attempts import USEFUL, Attempt, Fate
from hpmpi.history.series import thinned
from hpmpi.views.figures.bins import in_work
from hpmpi.views.figures.run import Run, clock, described
from hpmpi.views.figures.style import FAINT, INK, MUTED, WRONG, Looks, legend, new_figure

MOST_BARS = 2000
MOST_ROWS = 48
BINS = 300
MOST_MARKS = 250

MARGIN = 1.012
"""How much of the time axis there is, so that a mark at its end is whole."""

BAR = 0.76
"""How much of its row a bar fills."""

WASTED = frozenset(Fate) - USEFUL


def timeline(run: Run) -> Figure | None:
    """Draw what the ranks did; None where none of them was given a job."""
    ranks, ended = run.ranks, run.ended
    if not run.attempts:
        return None
    groups = -(-len(ranks) // MOST_ROWS)
    rows = {rank: place // groups for place, rank in enumerate(ranks)}
    count = max(rows.values()) + 1
    height = 1.9 + min(5.0, 0.3 * max(count, 2) if groups == 1 else 5.0)
    words = described([run], "what the ranks did", metric=False)
    figure, (panel,) = new_figure(*words, size=(9.6, height))
    second, unit = clock(ended)
    if groups == 1 and len(run.attempts) <= MOST_BARS:
        bars(panel, run, rows, second)
    else:
        image(figure, panel, run, rows, second)
    marks(panel, run, rows, second)
    names = [f"{ranks[row * groups]}" for row in range(count)]
    ticks = thinned(range(count), 24)
    panel.set_yticks(ticks, [names[row] for row in ticks])
    of_ranks = "rank" if groups == 1 else f"rank (each row is {groups} of them)"
    panel.set(xlabel=f"time since the study began ({unit})", ylabel=of_ranks)
    panel.set(ylim=(count - 0.4, -0.6), xlim=(0, max(ended / second, 1e-9) * MARGIN))
    panel.grid(visible=False, axis="y")
    legend(figure, ncols=7)
    return figure


def bars(panel: Axes, run: Run, rows: dict[int, int], second: float) -> None:
    """Draw a bar for each attempt, darker for a higher rung; hatched where it came to nothing."""
    for rung, look in run.looks.items():
        those = [it for it in run.attempts if it.id.rung == rung and it.fate in USEFUL]
        look_of_rung = {"facecolor": look.colour, "edgecolor": "white", "label": run.label(rung)}
        add_bars(panel, those, rows, (second, run.ended), **look_of_rung)
    wasted = [it for it in run.attempts if it.fate in WASTED]
    pattern = {"facecolor": "white", "edgecolor": WRONG, "hatch": "////", "linewidth": 0.6}
    add_bars(panel, wasted, rows, (second, run.ended), **pattern, label="came to nothing")


def add_bars(
    panel: Axes,
    those: Iterable[Attempt],
    rows: dict[int, int],
    times: tuple[float, float],
    **looks: Any,
) -> None:
    """Draw attempts that look the same, as one mark; `times`: the unit, and when the run ended."""
    second, now = times
    corners = [
        rectangle(it.begun, it.end(now), rows[rank], second) for it in those for rank in it.slot
    ]
    if corners:
        panel.add_collection(PolyCollection(corners, **{"linewidth": 0.4, **looks}))


def rectangle(
    begun: float, ended: float, row: int, second: float, tall: float = BAR
) -> list[tuple[float, float]]:
    """Give the corners of a bar in a row."""
    left, right, top, bottom = begun / second, ended / second, row - tall / 2, row + tall / 2
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def image(figure: Figure, panel: Axes, run: Run, rows: dict[int, int], second: float) -> None:
    """Draw how busy each row of ranks was, bin by bin."""
    edges = np.linspace(0, max(run.ended, 1e-9), BINS + 1)
    spans: dict[int, list[Attempt]] = {row: [] for row in rows.values()}
    for attempt in run.attempts:
        for rank in attempt.slot:
            spans[rows[rank]].append(attempt)
    sizes = np.bincount(list(rows.values()))
    busy = [
        in_work([it.begun for it in spans[row]], [it.end(run.ended) for it in spans[row]], edges)
        / size
        for row, size in enumerate(sizes)
    ]
    shown = panel.imshow(
        np.clip(busy, 0, 1),
        extent=(0, edges[-1] / second, len(sizes) - 0.5, -0.5),
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    panel.grid(visible=False)
    figure.colorbar(
        shown, ax=panel, label="share of the time with a job", pad=0.01, aspect=30, format="{x:.0%}"
    )


def marks(panel: Axes, run: Run, rows: dict[int, int], second: float) -> None:
    """Mark what went wrong, and what was done about it."""
    absences = run.history.ranks.absences
    gone = [rectangle(it.begun, it.end(run.ended), rows[it.rank], second, 0.9) for it in absences]
    few = len(rows) <= MOST_ROWS and len(gone) <= MOST_MARKS
    if gone and few:
        panel.add_collection(
            PolyCollection(
                gone,
                facecolor=FAINT,
                edgecolor=MUTED,
                hatch="\\\\\\\\",
                linewidth=0,
                alpha=0.9,
                label="lost rank",
                zorder=0.5,
            )
        )
    edged: Looks = {"edgecolor": "white", "linewidths": 0.6}
    failed = [(it.end(run.ended), it.rank) for it in run.attempts if it.fate is Fate.FAILED]
    lost = [(it.begun, it.rank) for it in absences]
    again = [(it.begun, it.rank) for it in run.attempts if it.id.number > 1]
    scatter(
        panel, failed, rows, second, **edged, marker="X", facecolor=WRONG, s=36, label="failure"
    )
    hollow: Looks = {"marker": "^", "facecolor": "white", "edgecolor": INK, "linewidths": 0.8}
    scatter(panel, again, rows, second, **hollow, s=20, label="retry")
    scatter(
        panel, lost, rows, second, **edged, marker="D", facecolor=INK, s=34, label="declared lost"
    )
    for number, started in enumerate(thinned(run.history.starts[1:], 40)):
        told = "restart of the study" if number == 0 else None
        panel.axvline(started.at / second, color=WRONG, linestyle="--", linewidth=1.3, label=told)


def scatter(
    panel: Axes,
    places: Sequence[tuple[float, int]],
    rows: dict[int, int],
    second: float,
    **looks: Any,
) -> None:
    """Mark (time, rank) pairs, of very many a part."""
    shown = thinned(places, MOST_MARKS)
    if not shown:
        return
    if len(shown) < len(places):
        looks["label"] = f"{looks['label']} ({len(shown)} of {len(places):,})"
    xs, ys = [at / second for at, _ in shown], [rows[rank] for _, rank in shown]
    panel.scatter(xs, ys, zorder=3, **looks)
