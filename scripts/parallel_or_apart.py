"""Distribute one training, or the trials? The time to the best configuration with W ranks.

python scripts/parallel_or_apart.py --tables DIR [--problem digits_mlp] [--ranks 64] [--seeds 10]
    [--serial 0 0.05 0.1 0.2 0.5] [--costs 0 0.02] [--json FILE] [--figure FOLDER]
python scripts/parallel_or_apart.py --real [--ranks 2] [--repetitions 3] [--json FILE]

W ranks are W trials of one rank each, W/2 of two, W/4 of four, or groups that grow: a trial takes
eta times the ranks at each rung. In virtual time (grouped.py) trials sleep: a job has a serial
share, and each doubling of its ranks costs a share of what it takes on one. Told is when a trial
that was trained in full is among the best hundredth, in the median over the seeds.

With `--real`, ranks that mpirun starts halve eight configurations of a softmax regression, and of
2NN with 200 units a layer, on digits (grouped_ranks.py): seconds, medians.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import harness
from grouped import Scaling, Width, time_to_good
from searched import TABLES, Problem, load

from hpmpi.model.trial import Config

ETA = 3
MODELS = {"softmax": ("softmax", 1), "2NN": ("2nn", 200)}
TRIALS = 8

Found = dict[str, dict[str, dict[str, float]]]
"""By cost, serial share and layout: the time to the best."""


def widths(ranks: int) -> dict[str, Width]:
    """Say how many ranks a job of a rung has, by the layouts' names."""
    fixed = {f"{ranks // size} x {size}": size for size in (1, 2, 4) if ranks % size == 0}
    layouts: dict[str, Width] = {name: lambda _, it=size: it for name, size in fixed.items()}
    return layouts | {"grown": lambda rung: min(ETA**rung, ranks)}


def asleep(asked: argparse.Namespace, problem: Problem) -> Found:
    """Measure in virtual time."""
    found: Found = {}
    for cost in asked.costs:
        rows = found.setdefault(f"{cost:g}", {})
        for serial in asked.serial:
            scaling = Scaling(serial, cost)
            rows[f"{serial:g}"] = {
                name: statistics.median(
                    time_to_good(problem, asked.ranks, width, scaling, seed)
                    for seed in range(asked.seeds)
                )
                for name, width in widths(asked.ranks).items()
            }
        print(f"a doubling costs {cost:g}; by serial share, in full trainings on one rank:")
        tell(rows)
    return found


def awake(asked: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure real models by real ranks."""
    rows = {}
    program = str(Path(__file__).with_name("grouped_ranks.py"))
    for name, (model, hidden) in MODELS.items():
        words = [program, model, str(hidden), str(TRIALS), str(asked.repetitions)]
        said = harness.run([*harness.mpirun(asked.ranks), sys.executable, *words])
        rows[name] = {it: statistics.median(took) for it, took in json.loads(said).items()}
        tell({f"{name}, s": rows[name]})
    return rows


def remembered(row: Callable[[Config], int]) -> Callable[[Config], int]:
    """Look each configuration up once: all layouts try the same."""
    known = cache(lambda values: row(dict(values)))
    return lambda config: known(tuple(config.items()))


def tell(rows: dict[str, dict[str, float]]) -> None:
    """Write a table."""
    columns = dict.fromkeys(next(iter(rows.values())), (10, ".2f"))
    lines = {name: [*row.values()] for name, row in rows.items()}
    print(*harness.table(columns, lines, 12), sep="\n", flush=True)


def draw(found: Found, ranks: int, folder: Path) -> list[Path]:
    """Draw times against the serial share, a panel for each cost."""
    from matplotlib.ticker import FixedLocator, NullLocator  # noqa: PLC0415 - few need it

    from hpmpi.views.figures import style  # noqa: PLC0415 - likewise

    with style.styled():
        figure, panels = style.new_figure(
            "More trials, or more ranks for each?",
            f"Time with {ranks} ranks until a fully trained trial is among the best hundredth; "
            "lower is better.",
            columns=len(found),
            size=(3.6 * len(found), 3.6),
            sharey=True,
        )
        for panel, (cost, rows) in zip(panels, found.items(), strict=True):
            for place, name in enumerate(widths(ranks)):
                marks = {"marker": style.MARKERS[place], "linestyle": style.LINES[place]}
                times = [row[name] for row in rows.values()]
                panel.plot(range(len(rows)), times, color=style.PALETTE[place], label=name, **marks)
            panel.xaxis.set_major_locator(FixedLocator([*range(len(rows))]))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.set_xticklabels([f"{100 * float(serial):g} %" for serial in rows])
            panel.set_title(f"a doubling of the ranks costs {100 * float(cost):g} %")
            panel.set_xlabel("of a training, what is serial")
            panel.set_yscale("log")
        panels[0].set_ylabel("full trainings on one rank")
        style.legend(figure, handles=panels[0].lines)
        return style.save(figure, folder / "parallel-or-apart", ("svg",))


def main() -> None:
    """Measure, and tell."""
    options = harness.Options(__doc__ or "")
    add, count = options.add_argument, harness.count()
    add("--tables", type=Path, default=Path("tables"), metavar="DIR", help="where the curves are")
    add("--problem", choices=TABLES, default="digits_mlp")
    add("--ranks", type=count, metavar="W", help="default: 64, or 2 with --real")
    add("--seeds", type=count, default=10, metavar="N")
    add("--serial", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.5], metavar="S")
    add("--costs", type=float, nargs="+", default=[0.0, 0.02], metavar="S")
    add("--real", action="store_true", help="by real ranks")
    add("--repetitions", type=count, default=3, metavar="N", help="of what is real")
    add("--figure", type=Path, metavar="FOLDER", help="draw what sleeps")
    asked = options.read()
    asked.ranks = asked.ranks or (2 if asked.real else 64)
    if asked.real:
        harness.write(asked.json, awake(asked))
        return
    if not (asked.tables / f"{asked.problem}.npz").is_file():
        options.error(f"there is no {asked.problem}.npz in {asked.tables}: name its folder")
    problem = load(asked.problem, asked.tables)
    found = asleep(asked, problem._replace(row=remembered(problem.row)))
    harness.write(asked.json, found)
    if asked.figure:
        print(*draw(found, asked.ranks, asked.figure), sep="\n")


if __name__ == "__main__":
    main()
