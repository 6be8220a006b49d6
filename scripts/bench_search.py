"""How good searchers and schedulers are: the real Master, in virtual time, over recorded curves.

python scripts/bench_search.py --tables DIR --json FILE [--problems NAME ...]
    [--searchers "NAME KEY=VALUE ..." ...] [--schedulers "NAME KEY=VALUE ..." ...]
    [--workers 1 8 64 500] [--seeds 20] [--worth 25 50 100 200 | --trials N]
    [--prior right]
python scripts/bench_search.py --json FILE [--table] [--bars] [--figures DIR]

FILE is written after each seed of a case, and what it has is not measured again: what was ended
goes on, with more seeds, too. With `--table`, `--bars` or `--figures` nothing is measured: tables,
what is wanted and what came of it, and figures are made of FILE alone.

A trial's worth is the resource of one full training. The regret is the true final loss of the trial
with the best result at the highest rung so far, less the least loss that is known: the mean over
the seeds, after so many trials' worth of results. `1 %` is from when on it is among the best
hundredth, the median over the seeds, and `took` when it was the end: in mean full trainings on one
worker, times the workers. `spent` is what all results are worth, and `ms` the CPU of an ask. With
`--trials` a study has so many, and goes on to its end. With `--prior` somebody expects the best
where it is, or where the worst is.
"""

import argparse
import inspect
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import search_tables
from optuna_beside import OPTUNA
from search_cells import Cells, good_after, mean, regrets
from searched import FINAL, RIGHT, SETTLED, TABLES, WRONG, load, there
from virtual import SCHEDULERS, SEARCHERS, Case, Course, course, method

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.errors import HpmpiError
from hpmpi.study.references import find

RECORDED = [it for it in (*FINAL, *TABLES) if it not in SETTLED]
WORTH = (25, 50, 100, 200)
MANY, MORE_WORTH = 200, (*WORTH, 500, 1000, 2000)
"""More workers than `MANY` have begun too many trials at once for the first to say much."""

COLUMNS = {"+-": (10, ".5f"), "1 %": (8, ".0f"), "took": (8, ".0f"), "spent": (8, ".0f")}
COLUMNS |= {"ms": (8, ".2f"), "seeds": (7, ".0f")}


def main() -> None:
    """Measure, or tell what was measured."""
    asked = asked_for()
    try:
        cells = Cells(asked.json)
        if asked.table:
            print(*search_tables.tables(cells), sep="\n")
        if asked.bars:
            print(*search_tables.bars(cells), sep="\n")
        if asked.figures:
            from search_figures import draw  # noqa: PLC0415 - needs matplotlib

            print(*draw(cells, asked.figures), sep="\n")
        if not (asked.table or asked.bars or asked.figures):
            measure(asked, cells)
    except HpmpiError as error:
        print(f"bench_search.py: {error}", file=sys.stderr)
        sys.exit(harness.BAD_INPUT)


def measure(asked: argparse.Namespace, cells: Cells) -> None:
    """Measure what is not there yet; write a line a case, in a table for each list of worths."""
    titles: tuple[int, ...] | None = None
    for case in cases(asked):
        problem = load(case.problem, asked.tables, case.prior)
        for seed in range(len(cells.courses.get(case, [])), asked.seeds):
            cells.add(case, course(case, problem, seed))
        lines = [*harness.table(columns(case), {str(case): row(case, cells.courses[case])}, 60)]
        print(*lines[titles == case.worth :], sep="\n", flush=True)
        titles = case.worth


def columns(case: Case) -> dict[str, tuple[int, str]]:
    """Say how the numbers of a case are written."""
    return {str(worth): (10, ".5f") for worth in case.worth or ("end",)} | COLUMNS


def row(case: Case, courses: list[Course]) -> list[float]:
    """Sum up the courses of a case."""
    last = mean([each.regrets[-1] for each in courses])
    means = [each.value for each in regrets(case, courses).values()] or [last.value]
    medians = [
        statistics.median(it) for it in zip(*((c.took, c.spent) for c in courses), strict=True)
    ]
    ask_ms = statistics.fmean(each.ask_ms for each in courses)
    return [*means, last.error, good_after(courses), *medians, ask_ms, len(courses)]


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    """List what is to be measured, as far as it is there."""
    missing = there(asked.problems, asked.tables)
    for name, why in missing.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    for workers in asked.workers:
        worth = tuple(asked.worth or (MORE_WORTH if workers > MANY else WORTH))
        for problem in asked.problems:
            for scheduler in asked.schedulers:
                for searcher in asked.searchers:
                    if problem not in missing and goes(problem, searcher, scheduler):
                        end = ((), asked.trials) if asked.trials else (worth, None)
                        yield Case(problem, searcher, scheduler, workers, *end, asked.prior)


def goes(problem: str, searcher: str, scheduler: str) -> bool:
    """Tell whether a problem has curves where they are wanted, and Optuna's have what they need."""
    beside = OPTUNA.get(searcher)
    if beside is not None:
        return beside.is_there() and scheduler == "full"
    return scheduler == "full" or problem in TABLES


def asked_for() -> argparse.Namespace:
    """Read the options."""
    options = harness.Options(__doc__ or "")
    add, count = options.add_argument, harness.count()
    add("--tables", type=Path, default=Path("tables"), metavar="DIR", help="where the curves are")
    add("--problems", nargs="+", choices=[*FINAL, *TABLES], default=RECORDED)
    usual = ["random", "sobol", "evolution", "gp", *OPTUNA]
    add("--searchers", type=searcher, nargs="+", default=usual, metavar="METHOD")
    add("--schedulers", type=scheduler, nargs="+", default=["full", "asha"], metavar="METHOD")
    add("--workers", type=count, nargs="+", default=[1, 8, 64, 500], metavar="W")
    add("--worth", type=count, nargs="+", metavar="N", help="trainings' worth")
    add("--trials", type=count, metavar="N", help="of a study that goes on to its end")
    add("--prior", choices=[RIGHT, WRONG], default="", help="where the best is expected")
    add("--seeds", type=count, default=20, metavar="N")
    add("--table", action="store_true", help="tell what was measured, in Markdown")
    add("--bars", action="store_true", help="tell what is wanted, and what came of it")
    add("--figures", type=Path, metavar="DIR", help="draw what was measured")
    asked = options.read()
    asked.worth = sorted(asked.worth or [])
    return asked


def searcher(text: str) -> str:
    """Read a searcher with its settings."""
    if text in OPTUNA:
        return text
    return checked(text, SEARCHERS, lambda name: find(name, hpmpi.master.searchers))


def scheduler(text: str) -> str:
    """Read a scheduler with its settings."""
    return checked(text, SCHEDULERS, lambda name: find(name, hpmpi.master.schedulers))


def checked(text: str, names: list[str], found: Callable[[str], Any]) -> str:
    """Check a method's name, and those of its settings; return it as it was given."""
    try:
        name, settings = method(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
    for key in settings:
        if key not in inspect.signature(found(name)).parameters:
            raise argparse.ArgumentTypeError(f"{name} has no setting {key}")
    return text


if __name__ == "__main__":
    main()
