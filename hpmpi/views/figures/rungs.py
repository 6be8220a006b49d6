"""The rungs: how many trials came to each, and what became of them there."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from hpmpi.history.rungs import RungCounts
from hpmpi.history.series import thinned
from hpmpi.views.figures.run import Run, described
from hpmpi.views.figures.style import FAINT, INK, PALETTE, WRONG, legend, new_figure
from hpmpi.views.layout import resource_of

MOST_RUNGS = 16

PARTS = {
    "promoted": ("promoted to the next rung", PALETTE[1], ""),
    "stayed": ("result, not promoted", PALETTE[3], ""),
    "stopped": ("stopped on the way", PALETTE[4], "////"),
    "given_up": ("given up", WRONG, "xxxx"),
    "still_open": ("in work or waiting", FAINT, r"\\\\"),
}


def rungs(run: Run) -> Figure | None:
    """Draw the population of each rung; None where no job was handed out."""
    found = [(each, parts_of(each)) for each in run.summary.rungs]
    shown = thinned([pair for pair in found if sum(pair[1].values())], MOST_RUNGS)
    if not shown:
        return None
    height = 1.6 + 0.42 * max(len(shown), 2)
    figure, (panel,) = new_figure(*described([run], "rungs"), size=(7.2, height))
    places = list(range(len(shown)))
    left = [0] * len(shown)
    for part, (label, colour, hatch) in PARTS.items():
        widths = [parts[part] for _, parts in shown]
        if any(widths):
            panel.barh(
                places,
                widths,
                0.7,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0,
                label=label,
            )
        left = [sum(pair) for pair in zip(left, widths, strict=True)]
    for place, total, (_, parts) in zip(places, left, shown, strict=True):
        panel.annotate(
            said(total, parts),
            (total, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    panel.set_yticks(places, [resource_of(each.resource, run.unit) for each, _ in shown])
    panel.set(xlabel="trials", ylabel="rung", xlim=(0, 1.4 * max(left)))
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.grid(visible=False, axis="y")
    legend(figure, ncols=4)
    return figure


def parts_of(rung: RungCounts) -> dict[str, int]:
    """Split the jobs of a rung by what became of them; a promoted one was given up in no case."""
    promoted = min(rung.promoted, rung.results)
    return {
        "promoted": promoted,
        "stayed": rung.results - promoted,
        "stopped": rung.stopped,
        "given_up": rung.given_up,
        "still_open": rung.running + rung.waiting,
    }


def said(total: int, parts: dict[str, int]) -> str:
    """Say how many came to a rung, and how many of them went on."""
    return f"{total:,} trial{'s' if total > 1 else ''}" + (
        f", {parts['promoted']:,} promoted" if parts["promoted"] else ""
    )
