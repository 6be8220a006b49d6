"""The tables of what bench_search.py has measured, in Markdown, and what is wanted of it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from search_cells import Cells, Mean, good_after, mean, regrets
from virtual import Case, Course

MOST = 4
"""At how many worths, the last ones, a table has the regret."""

BARS: dict[tuple[str, str], dict[int, float]] = {
    ("protein_structure", "gp"): {25: 0.015, 50: 0.002, 100: 0.0005},
    ("cifar100", "gp"): {25: 2.4, 50: 1.6, 100: 0.3},
    ("digits_mlp", "gp"): {25: 0.0050, 50: 0.0032, 100: 0.0028},
    ("lcbench_covertype", "gp"): {100: 0.078},
    ("protein_structure", "evolution"): {200: 0.015},
}
"""The regret that is wanted, with `full` and one worker, after so many trainings' worth."""

FIRST = ("random", "grid", "sobol", "evolution", "gp", "full", "asha", "asha delay=true")
"""Who comes first in tables."""

BESIDE = ("random", "optuna-tpe", "optuna-gp")
"""Who stands beside those of whom something is wanted."""


def tables(cells: Cells) -> Iterator[str]:
    """Write all tables: regrets by the number of workers, and what schedulers cost."""
    ended = {case: it for case, it in cells.courses.items() if case.worth}
    for workers in sorted({case.workers for case in ended}):
        here = {case: it for case, it in ended.items() if case.workers == workers}
        compared = {case: it for case, it in here.items() if rivals(case, here)}
        if compared:
            yield f"Regret with {workers} worker{'s' * (workers > 1)}:"
            yield ""
            yield from regret_table(compared)
            yield ""
    yield "Until among the best hundredth, `random`:"
    yield ""
    yield from schedulers_table(ended)
    yield ""
    yield "Studies of so many trials, to their end, `random`:"
    yield ""
    yield from ends_table({case: it for case, it in cells.courses.items() if case.trials})


def rivals(case: Case, courses: Iterable[Case]) -> list[Case]:
    """List the other searchers that were measured alike."""
    return [it for it in courses if alike(it) == alike(case) and it.searcher != case.searcher]


def alike(case: Case) -> tuple[object, ...]:
    """Say what two cases share of which searchers are compared."""
    return case.problem, case.scheduler, case.workers, case.worth


# -- searchers ------------------------------------------------------------------------------------


def regret_table(courses: dict[Case, list[Course]]) -> Iterator[str]:
    """Write a row a problem and scheduler, a column a searcher."""
    searchers = in_order((case.searcher for case in courses), FIRST)
    shown = max((case.worth for case in courses), key=len)[-MOST:]
    yield from head([f"after {' / '.join(map(str, shown))}", *searchers])
    for problem, scheduler in in_order((case.problem, case.scheduler) for case in courses):
        row = {
            case.searcher: (len(runs), [regrets(case, runs)[worth] for worth in shown])
            for case, runs in courses.items()
            if (case.problem, case.scheduler) == (problem, scheduler)
        }
        best = min((means[-1] for _, means in row.values()), key=lambda it: it.value)
        cells = (cell(*row[it], best) if it in row else "" for it in searchers)
        yield line([f"{problem}, {scheduler}", *cells])


def cell(seeds: int, means: Sequence[Mean], best: Mean) -> str:
    """Write regrets; in bold, if the last is not worse than the best by more than chance."""
    words = " ".join(number(it.value) for it in means)
    return f"{words} ({seeds})" if means[-1].is_above(best) else f"**{words}** ({seeds})"


def number(value: float) -> str:
    """Write two digits that count, as short as can be.

    >>> number(0.0594), number(3.1475), number(0.0), number(123.4)
    ('.059', '3.1', '0', '123')
    """
    if value >= 10:  # noqa: PLR2004 - two digits
        return f"{value:.0f}"
    digits = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{digits}f}".removeprefix("0") or "0"


# -- schedulers -----------------------------------------------------------------------------------


def schedulers_table(courses: dict[Case, list[Course]]) -> Iterator[str]:
    """Write when runs were good: a row a scheduler, a column a problem and number of workers."""
    chance = {case: it for case, it in courses.items() if case.searcher == "random"}
    scheduled = {case.problem for case in chance if case.scheduler != "full"}
    chance = {case: it for case, it in chance.items() if case.problem in scheduled}
    columns = sorted({(case.problem, case.workers) for case in chance})
    yield from head(["", *(f"{problem}, W={workers}" for problem, workers in columns)])
    for scheduler in in_order((case.scheduler for case in chance), FIRST):
        row = {(it.problem, it.workers): it for it in chance if it.scheduler == scheduler}
        yield line([scheduler, *(when(chance, row.get(column)) for column in columns)])


def when(courses: dict[Case, list[Course]], case: Case | None) -> str:
    """Write when half of the runs of a case were good."""
    if case is None:
        return ""
    median = good_after(courses[case])
    seeds = len(courses[case])
    return f"{'never' if math.isinf(median) else f'{median:.0f}'} ({seeds})"


def ends_table(courses: dict[Case, list[Course]]) -> Iterator[str]:
    """Write what studies came to that go on to their end: a row a problem, beside its scheduler."""
    yield from head(["", "regret", "+-", "resource", "time", "seeds"])
    for case, runs in sorted(courses.items(), key=lambda it: (it[0].problem, it[0].scheduler)):
        regret = mean([it.regrets[-1] for it in runs])
        spent, took = (mean([getattr(it, of) for it in runs]).value for of in ("spent", "took"))
        words = [number(regret.value), number(regret.error), number(spent), number(took)]
        title = f"{case.problem}, {case.scheduler}, {case.trials} trials, W={case.workers}"
        yield line([title, *words, str(len(runs))])


# -- what is wanted -------------------------------------------------------------------------------


def bars(cells: Cells) -> Iterator[str]:
    """Say what is wanted of whom, and what came of it, beside others."""
    alone = {
        (case.problem, case.searcher): regrets(case, runs) | {0: Mean(len(runs), 0.0)}
        for case, runs in cells.courses.items()
        if (case.scheduler, case.workers) == ("full", 1) and case.worth
    }
    yield from head(["", "after", "wanted", "found", "+-", "seeds", "", *BESIDE])
    for (problem, searcher), wanted in BARS.items():
        found = alone.get((problem, searcher), {})
        for worth, most in wanted.items():
            if worth in found:
                value, error = found[worth]
                verdict = "reached" if value <= most else "missed"
                words = [number(most), number(value), number(error), number(found[0].value)]
                beside = (alone.get((problem, it), {}).get(worth) for it in BESIDE)
                others = ("" if it is None else number(it.value) for it in beside)
                title = f"{problem}, {searcher}"
                yield line([title, str(worth), *words, verdict, *others])


# -- Markdown -------------------------------------------------------------------------------------


def head(words: Sequence[str]) -> list[str]:
    """Write a table's head."""
    return [line(words), "|" + "---|" * len(words)]


def line(words: Iterable[str]) -> str:
    """Write a table's row."""
    return "| " + " | ".join(words) + " |"


def in_order(items: Iterable[Any], first: Iterable[Any] = ()) -> list[Any]:
    """List each once, as they come, but for those that are first."""
    there = dict.fromkeys(items)
    return [*dict.fromkeys([it for it in first if it in there] + [*there])]
