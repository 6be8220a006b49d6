"""The figures of the experiment, in the style of those of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullLocator

from hpmpi.views.figures.style import (
    FAINT,
    HATCHES,
    INK,
    LINES,
    MARKERS,
    MUTED,
    PALETTE,
    WRONG,
    legend,
    new_figure,
    save,
    styled,
)
from scripts.experiment.matrix import Cell
from scripts.experiment.summary import (
    LOADS,
    PAYS,
    Scaling,
    Spread,
    Summary,
    crowd,
    loads,
    named,
    scalings,
    series,
    written,
)

MOST_PANELS = 8
ROOM = 0.08
"""How much of an axis is left above the highest mark."""

RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 15,
    "markeredgewidth": 2,
    "markeredgecolor": WRONG,
    "markerfacecolor": "none",
    "linestyle": "none",
    "clip_on": False,
}

RATES = {"throughput_per_s": "results a second", "completion": "completed of those assigned"}


def draw(summaries: Sequence[Summary], title: str, folder: Path) -> list[Path]:
    """Draw all that there is something of; return the files."""
    with styled():
        figures = {
            "runtime": runtime(scalings(summaries), title),
            "speedup": speedup(scalings(summaries), title),
            "balance": balance(summaries, title),
            "load": load(summaries, title),
        }
    drawn = [(name, figure) for name, figure in figures.items() if figure is not None]
    return [path for name, figure in drawn for path in save(figure, folder / name)]


# -- workers ---------------------------------------------------------------------------------------


def runtime(found: Sequence[Scaling], title: str) -> Figure | None:
    """Draw runtime against workers, beside the ideal line, and mark where it stops paying."""
    if not found:
        return None
    shown = found[:MOST_PANELS]
    columns = min(2, len(shown))
    figure, panels = new_figure(
        f"{title}: runtime by workers",
        "from the first job handed out to the last result; median, least and greatest",
        rows=-(-len(shown) // columns),
        columns=columns,
    )
    for each, panel in zip(shown, panels, strict=False):
        workers = [point.workers for point in each.points]
        ideal = [point.ideal_s for point in each.points]
        panel.plot(workers, ideal, color=MUTED, linestyle="--", label="ideal: T(1) / workers")
        whole = [point.process_s for point in each.points]
        panel.plot(workers, whole, color=MUTED, linestyle=":", label="all of mpirun, its start too")
        spreads = [point.runtime_s for point in each.points]
        whiskers(panel, workers, spreads, {**looks(0), "label": "measured"})
        if each.stop is not None:
            at = each.points[each.stop]
            label = f"more do not pay: the next step gains under {PAYS:.0%} of the ideal"
            panel.plot(at.workers, at.runtime_s.middle, label=label, **RING)
        panel.set(title=named(each.cell), xscale="log", yscale="log", ylabel="seconds")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_locator(FixedLocator(workers))
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FormatStrFormatter("%g"))
        panel.set_xlabel("workers")
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    legend(figure, handles=handles(panels), ncols=2, labelspacing=1.0)
    return figure


def speedup(found: Sequence[Scaling], title: str) -> Figure | None:
    """Draw speed-up and efficiency against workers, of all models in one."""
    if not found:
        return None
    figure, (left, right) = new_figure(
        f"{title}: speed-up and efficiency",
        "against one worker of each model; medians",
        columns=2,
    )
    workers = sorted({point.workers for each in found for point in each.points})
    left.plot(workers, workers, color=FAINT, linewidth=3, label="ideal")
    right.axhline(1, color=FAINT, linewidth=3)
    for number, each in enumerate(found):
        at = [point.workers for point in each.points]
        look = looks(number)
        efficiencies = [point.efficiency for point in each.points]
        speedups = [many * share for many, share in zip(at, efficiencies, strict=True)]
        left.plot(at, speedups, **look, label=named(each.cell))
        right.plot(at, efficiencies, **look)
    left.set(title="speed-up", xlabel="workers", ylabel="times as fast as one")
    right.set(title="efficiency", xlabel="workers", ylabel="speed-up / workers")
    for panel in (left, right):
        from_zero(panel)
        panel.xaxis.set_major_locator(FixedLocator(workers))
    legend(figure, handles=handles([left]), ncols=3)
    return figure


# -- ranks -----------------------------------------------------------------------------------------


def balance(summaries: Sequence[Summary], title: str) -> Figure | None:
    """Draw the jobs and busy seconds of each rank, without ranks killed and with."""
    pairs = [(line[0], line[-1]) for line in series(summaries, "kills_per_min", "completion")]
    if not pairs:
        return None
    pair = max(pairs, key=lambda each: (each[0].cell.workers, each[0].cell.trials))
    figure, panels = new_figure(
        f"{title}: task distribution across workers",
        f"{named(pair[0].cell)}, {crowd(pair[0].cell)}; one run of each",
        columns=2,
        rows=2,
        sharey="row",
        sharex=True,
    )
    for number, summary in enumerate(pair):
        record = max(summary.records, key=lambda each: each.lost)
        shares = (("jobs", "jobs answered"), ("busy_s", "seconds busy"))
        for (what, label), panel in zip(shares, panels[number::2], strict=True):
            for lost in (False, True):
                bars = [each for each in record.ranks if each.lost is lost]
                if not bars:
                    continue
                panel.bar(
                    [each.rank for each in bars],
                    [getattr(each, what) for each in bars],
                    color=WRONG if lost else PALETTE[1],
                    hatch=HATCHES[1] if lost else "",
                    edgecolor="white",
                    label="lost on the way" if lost else "there until the end",
                )
            values = [float(getattr(each, what)) for each in record.ranks]
            mean = sum(values) / len(values)
            panel.axhline(mean, color=INK, linestyle="--", linewidth=1.2, label="mean")
            panel.set(xlabel="rank" if what == "busy_s" else "", ylabel="" if number else label)
            panel.xaxis.set_major_locator(FixedLocator([each.rank for each in record.ranks]))
        told = f"{record.killed} killed, {record.lost} lost" if record.killed else "no rank killed"
        panels[number].set_title(told)
    legend(figure, handles=handles(panels))
    return figure


# -- load ------------------------------------------------------------------------------------------


def load(summaries: Sequence[Summary], title: str) -> Figure | None:
    """Draw throughput and completion against volume and sizes, with kills and without."""
    axes = [along for along in LOADS if loads(summaries, along)]
    if not axes:
        return None
    figure, panels = new_figure(
        f"{title}: throughput and completion against load",
        "medians with the least and the greatest; orange and hollow: with ranks killed",
        rows=2,
        columns=len(axes),
        sharex="col",
        size=(max(6.4, 3.6 * len(axes)), 6.4),
    )
    lines_of = {along: loads(summaries, along) for along in axes}
    crews = sorted({crew(each[0].cell) for lines in lines_of.values() for each in lines})
    for column, along in enumerate(axes):
        lines = lines_of[along]
        values = sorted({getattr(each.cell, along) for line in lines for each in line})
        for row, (measure, label) in enumerate(RATES.items()):
            panel = panels[row * len(axes) + column]
            for line in lines:
                at = [float(values.index(getattr(each.cell, along))) for each in line]
                spreads = [spread for each in line if (spread := each[measure])]
                name = f"{line[0].cell.model}, {crowd(line[0].cell)}"
                look = looks(crews.index(crew(line[0].cell)))
                if line[0].cell.kills_per_min:
                    look |= {"color": WRONG, "markerfacecolor": "white"}
                whiskers(panel, at, spreads, {**look, "label": name})
            panel.set_xticks(range(len(values)), [written(along, value) for value in values])
            panel.set(ylabel="" if column else label, xlabel=LOADS[along] if row else "")
            panel.set_xlim(-0.4, len(values) - 0.6)
    bottom = min(panel.get_ylim()[0] for panel in panels[len(axes) :])
    for above, below in zip(panels, panels[len(axes) :], strict=False):
        from_zero(above)
        below.set_ylim(bottom, 1 + ROOM * (1 - bottom))
    legend(figure, handles=handles(panels), ncols=3)
    return figure


# -- marks -----------------------------------------------------------------------------------------


def whiskers(
    panel: Axes, at: Sequence[float], spreads: Sequence[Spread], look: dict[str, Any]
) -> None:
    """Draw a line of medians, each with its least and greatest."""
    middles = [each.middle for each in spreads]
    below = [each.middle - each.least for each in spreads]
    above = [each.greatest - each.middle for each in spreads]
    panel.errorbar(at, middles, yerr=[below, above], capsize=3, elinewidth=1.2, **look)


def looks(number: int) -> dict[str, Any]:
    """Give a line its colour, style and marker: when all were used once, in other company."""
    turn, step = divmod(number, len(PALETTE))
    line, marker = (step + turn) % len(LINES), (step + 2 * turn) % len(MARKERS)
    return {"color": PALETTE[step], "linestyle": LINES[line], "marker": MARKERS[marker]}


def crew(cell: Cell) -> tuple[str, int]:
    """Tell what lines of the same look have in common, ranks killed or not."""
    return cell.model, cell.workers


def from_zero(panel: Axes) -> None:
    """Have an axis begin at zero, and end above the highest mark."""
    panel.set_ylim(0, (1 + ROOM) * panel.dataLim.ymax)


def handles(panels: Sequence[Axes]) -> list[Any]:
    """Collect what a legend has to explain, each once."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values())
