"""The figures of what bench_search.py has measured: by searcher, and by scheduler."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from search_cells import Cells, good_after, regrets
from search_tables import FIRST, in_order
from virtual import Case, Course

from hpmpi.views.figures.style import FAINT, MUTED, PALETTE, Looks, legend, new_figure, save, styled

Courses = dict[Case, list[Course]]

SEARCHERS: dict[str, Looks] = {
    "random": {"color": MUTED, "marker": "o"},
    "sobol": {"color": PALETTE[4], "marker": "v"},
    "evolution": {"color": PALETTE[3], "marker": "^"},
    "optuna-tpe": {"color": PALETTE[2], "marker": "D"},
    "gp": {"color": PALETTE[0], "marker": "s"},
}
"""Who is drawn, and how."""

SCHEDULERS: dict[str, Looks] = {"full": {"linestyle": "-"}, "asha": {"linestyle": "--"}}

WORKERS: dict[int, Looks] = {
    1: {"color": PALETTE[3], "marker": "o"},
    8: {"color": PALETTE[2], "marker": "^"},
    64: {"color": PALETTE[0], "marker": "s"},
    500: {"color": MUTED, "marker": "D"},
}

FEW, MANY = 1, 64
"""How many workers there are in the rows of the first figure."""

UNITS = {
    "protein_structure": "squared error",
    "cifar100": "% error",
    "digits_mlp": "error",
    "covtype20k_mlp": "error",
    "lcbench_covertype": "error",
    "lcbench_adult": "error",
}
"""What the regret of each problem is in."""


def draw(cells: Cells, folder: Path) -> list[Path]:
    """Draw what there is; return the files."""
    courses = {case: runs for case, runs in cells.courses.items() if case.worth}
    with styled():
        drawn = {"search": by_searcher(courses), "schedulers": by_scheduler(courses)}
    drawable = {name: it for name, it in drawn.items() if it is not None}
    return [file for name, it in drawable.items() for file in save(it, folder / name, ("svg",))]


# -- searchers ------------------------------------------------------------------------------------


def by_searcher(courses: Courses) -> Figure | None:
    """Draw the regret against what was spent: a column a problem, a row a number of workers."""
    shown = {case: runs for case, runs in courses.items() if is_line(case)}
    problems = [name for name in UNITS if any(case.problem == name for case in shown)]
    if not problems:
        return None
    figure, panels = new_figure(
        "How far the best found is from the best there is",
        "Mean regret over seeds, on recorded trainings; lower is better, both axes logarithmic. "
        "Solid: each trial trained in full; dashed: ASHA.",
        rows=2,
        columns=len(problems),
        size=(2.0 * len(problems) + 0.6, 5.4),
        sharex=True,
        sharey="col",
    )
    for column, problem in enumerate(problems):
        here = {case: runs for case, runs in shown.items() if case.problem == problem}
        pair = panels[column], panels[column + len(problems)]
        draw_regrets(pair, here)
        pair[0].set_title(f"{problem}\n{UNITS[problem]}")
    for panel, workers in zip(panels[:: len(problems)], (FEW, MANY), strict=True):
        panel.set_ylabel(named(workers), fontweight="bold")
    figure.supxlabel("full trainings' worth spent", fontsize=9)
    handles = {f"{line.get_label()}": line for panel in panels for line in panel.lines}
    names = [it for name in SEARCHERS for it in (name, f"{name}, ASHA") if it in handles]
    legend(figure, 3, handles=[handles[name] for name in names], handlelength=3.5)
    return figure


def draw_regrets(pair: tuple[Axes, Axes], courses: Courses) -> None:
    """Draw a problem's regrets with few workers and with many, on the same scale."""
    means = {
        case: [mean.value for mean in regrets(case, runs).values()]
        for case, runs in courses.items()
    }
    values = [value for each in means.values() for value in each]
    zero = min((value for value in values if value > 0), default=1.0) / 2
    for panel, workers in zip(pair, (FEW, MANY), strict=True):
        for case, each in means.items():
            if case.workers == workers:
                looks = SEARCHERS[case.searcher] | SCHEDULERS[case.scheduler]
                name = f"{case.searcher}{', ASHA' * (case.scheduler == 'asha')}"
                panel.plot(case.worth, [max(it, zero) for it in each], **looks, ms=4, label=name)
        scale(panel, zero if 0 in values else 0.0)


def is_line(case: Case) -> bool:
    """Tell whether a case is in the figure."""
    is_usual = case.workers in (FEW, MANY) and case.searcher in SEARCHERS
    compared = case.scheduler == "full" or (case.scheduler, case.searcher) == ("asha", "random")
    return is_usual and compared


def scale(panel: Axes, zero: float) -> None:
    """Scale the axes; what is drawn at `zero` is none."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator([25, 50, 100, 200]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:.0f}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    steps = (1, 2, 5) if high < 50 * max(low, zero) else (1,)
    ticks = [step * 10.0**power for power in range(-6, 3) for step in steps]
    ticks = [it for it in ticks if max(low, 1.5 * zero) < it < high]
    panel.yaxis.set_major_locator(FixedLocator([*([zero] if zero else []), *ticks]))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda it, _: "0" if it == zero else f"{it:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


# -- schedulers -----------------------------------------------------------------------------------


def by_scheduler(courses: Courses) -> Figure | None:
    """Draw when random search was good: a panel a problem, a row a scheduler."""
    shown = {
        case: runs
        for case, runs in courses.items()
        if case.searcher == "random" and case.workers in WORKERS
    }
    scheduled = {case.problem for case in shown if case.scheduler != "full"}
    problems = [name for name in UNITS if name in scheduled]
    methods = in_order((case.scheduler for case in shown if case.problem in scheduled), FIRST)
    if not problems:
        return None
    figure, panels = new_figure(
        "What it takes random search until its best is among the best hundredth",
        "From when on it stays so: median over seeds, in full trainings on one worker times the "
        "workers; less is better. Never: with half of the seeds.",
        columns=len(problems),
        size=(2.3 * len(problems) + 1.4, 0.28 * len(methods) + 1.8),
        sharey=True,
    )
    for panel, problem in zip(panels, problems, strict=True):
        here = {case: good_after(runs) for case, runs in shown.items() if case.problem == problem}
        draw_times(panel, here, methods)
        panel.set_title(problem)
    panels[0].invert_yaxis()
    handles = {f"{line.get_label()}": line for panel in panels for line in panel.lines}
    names = [it for workers in WORKERS if (it := named(workers)) in handles]
    legend(figure, handles=[handles[name] for name in names])
    return figure


def draw_times(panel: Axes, times: dict[Case, float], methods: list[str]) -> None:
    """Draw when runs were good, a row a scheduler; those that never were at the right edge."""
    finite = [time for time in times.values() if math.isfinite(time)]
    least, never = min(finite, default=1.0), 2 * max(finite, default=1.0)
    for case, time in times.items():
        place, row = min(time, never), methods.index(case.scheduler)
        panel.plot(place, row, **WORKERS[case.workers], ls="", ms=6, label=named(case.workers))
    panel.axvline(never, color=FAINT, zorder=0)
    panel.set_xscale("log")
    steps = [step * 10**power for power in range(4) for step in (1, 2, 5)]
    ticks = [it for it in steps if least / 1.5 < it < never / 2.5]
    panel.set_xticks([*ticks, never], [*map(str, ticks), "never"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(least / 1.6, never * 1.3)
    panel.set_yticks(range(len(methods)), methods)


def named(workers: int) -> str:
    """Write a number of workers."""
    return f"{workers} worker{'s' * (workers > 1)}"
