"""A history as tables: what people and other programs want to read.

A table is its columns, all of one length, in order. A cell is a value as it was given, of whatever
type, or None where there is none: who writes a table brings that into what its format has.
A hyperparameter or metric whose name is taken by a column of ours has its table's name before it,
such as `metric.loss`. Hyperparameters are in the order of the space, and values that have names
are shown by these. Where several metrics are studied, there is no loss, and a front in its place.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from hpmpi.history.attempts import ANSWERED, Attempt, Fate
from hpmpi.history.history import History
from hpmpi.history.paid import RankTime, times
from hpmpi.history.standings import Standing
from hpmpi.model.messages import gist
from hpmpi.model.trial import Goal, Metrics, Value

Cell = Value | None
Columns = dict[str, list[Cell]]

KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "trial", "rung", "attempt", "resource", "rank", "bracket"), int),
    **dict.fromkeys(("place", "front", "jobs", "times_lost"), int),
    **dict.fromkeys(("status", "host", "kind", "error"), str),
    "final": bool,
}
"""What the columns of ours hold that hold no numbers with fractions, for when they are empty."""


def tell(history: History) -> dict[str, Columns]:
    """Make all tables."""
    return {
        "trials": trials(history),
        "results": results(history),
        "leaderboard": placed(history, history.standings.ranking()),
        "curves": curves(history),
        "ranks": ranks(history),
        "failures": failures(history),
    }


def trials(history: History) -> Columns:
    """List the trials: id, status, bracket, and a column per hyperparameter."""
    ours: Columns = {
        "id": [standing.trial for standing in history.trials],
        "status": [standing.status.value for standing in history.trials],
        "bracket": [standing.bracket for standing in history.trials],
    }
    return ours | configs(history, history.trials, ours)


def results(history: History) -> Columns:
    """List the results as they came in; times in seconds since the study began."""
    found = [(it, it.metrics) for it in history.answers if it.fate is Fate.RESULT]
    ours: Columns = {
        "trial": [attempt.id.trial for attempt, _ in found],
        "rung": [attempt.id.rung for attempt, _ in found],
        "attempt": [attempt.id.number for attempt, _ in found],
        "resource": [attempt.resource for attempt, _ in found],
        **({} if history.goal.others else {"loss": losses(history.goal, found)}),
        "rank": [attempt.rank for attempt, _ in found],
        "started": [attempt.begun for attempt, _ in found],
        "finished": [attempt.ended for attempt, _ in found],
    }
    ours |= used([attempt for attempt, _ in found])
    return ours | spread([metrics for _, metrics in found], "metric", ours)


def used(attempts: Sequence[Attempt]) -> Columns:
    """Say what attempts have used, if that was measured; of GPUs where there are some."""
    usages = [attempt.usage for attempt in attempts]
    gpus = [None if it is None else it.gpu for it in usages]
    names = ("cpu_s", "memory_bytes", "read_bytes", "written_bytes")
    columns: Columns = {name: [getattr(it, name, None) for it in usages] for name in names}
    if any(gpus):
        columns["gpu_memory_bytes"] = [getattr(it, "memory_bytes", None) for it in gpus]
        columns["gpu_busy_share"] = [getattr(it, "busy_share", None) for it in gpus]
    return columns if any(usages) else {}


def losses(goal: Goal, found: Iterable[tuple[Attempt, Metrics]]) -> list[Cell]:
    """Say what results come to, so that less is better."""
    return [goal.loss(metrics) for _, metrics in found]


def standings(history: History) -> Columns:
    """List all trials, best first, those without a result last, and why a trial was given up."""
    errors = reasons(history)
    ordered = history.standings.ordered()
    why: list[Cell] = [errors.get(standing.trial, "") for standing in ordered]
    return placed(history, ordered, {"error": why})


def reasons(history: History) -> dict[int, str]:
    """Say of each trial that was given up what its last error was, in a line."""
    return {it.attempt.trial: gist(it.error) for it in history.failures if it.final}


def placed(history: History, ranking: Sequence[Standing], more: Columns | None = None) -> Columns:
    """List trials in an order: place, trial, status, and a column per metric and hyperparameter.

    Of several metrics, the front as well: in its rung, from 1 on; none where one is no number.
    """
    fronts = history.standings.fronts() if history.goal.others else {}
    ours: Columns = {
        "place": list(range(1, len(ranking) + 1)),
        **({"front": [fronts.get(it.trial) for it in ranking]} if history.goal.others else {}),
        "trial": [standing.trial for standing in ranking],
        "status": [standing.status.value for standing in ranking],
        "rung": [standing.rung for standing in ranking],
        "resource": [standing.resource for standing in ranking],
        **(more or {}),
    }
    columns = ours | spread([standing.metrics for standing in ranking], "metric", ours)
    return columns | configs(history, ranking, columns)


def configs(history: History, standings: Sequence[Standing], taken: Container[str]) -> Columns:
    """Turn the configurations of trials into columns."""
    space = history.space
    rows = [space.shown(standing.config) for standing in standings]
    return spread(rows, "config", taken, space.dimensions)


def curves(history: History) -> Columns:
    """List the points that objectives reported, by trial and resource."""
    points = [
        (trial, resource, metrics)
        for trial in history.curves
        for resource, metrics in history.curves.of(trial).items()
    ]
    ours: Columns = {
        "trial": [trial for trial, _, _ in points],
        "resource": [resource for _, resource, _ in points],
    }
    return ours | spread([metrics for _, _, metrics in points], "metric", ours)


def ranks(history: History) -> Columns:
    """List the ranks: host, attempts that they have answered, where their seconds went, losses.

    A rank is busy with an attempt until it has answered, or was lost, or its start was over.
    """
    jobs: Counter[int] = Counter()
    for attempt in history.attempts.values():
        jobs[attempt.rank] += attempt.fate in ANSWERED
    known, seconds = list(history.ranks), times(history)
    return {
        "rank": [*known],
        "host": [history.ranks.hosts[rank] for rank in known],
        "jobs": [jobs[rank] for rank in known],
        **{
            name: [getattr(seconds[rank], name) for rank in known]
            for name in RankTime.__struct_fields__
        },
        "times_lost": [history.ranks.times_lost[rank] for rank in known],
    }


def failures(history: History) -> Columns:
    """List the attempts that came to nothing."""
    return {
        "trial": [failed.attempt.trial for failed in history.failures],
        "rung": [failed.attempt.rung for failed in history.failures],
        "attempt": [failed.attempt.number for failed in history.failures],
        "rank": [failed.rank for failed in history.failures],
        "kind": [failed.kind.value for failed in history.failures],
        "final": [failed.final for failed in history.failures],
        "at": [failed.at for failed in history.failures],
        "error": [failed.error for failed in history.failures],
    }


TABLES: dict[str, Callable[[History], Columns]] = {
    "trials": standings,
    "results": results,
    "curves": curves,
    "failures": failures,
    "ranks": ranks,
}
"""The tables as people ask for them, in Python and of `export`: the trials are best first."""


def spread(
    rows: Sequence[Mapping[str, Cell]], kind: str, taken: Container[str], order: Iterable[str] = ()
) -> Columns:
    """Turn rows of named values into columns, in an `order`; else in that in which they come up."""
    known = dict.fromkeys(name for row in rows for name in row)
    names = dict.fromkeys([*filter(known.__contains__, order), *known])
    columns: Columns = {}
    for name in names:
        title = name
        while not title or title in columns or title in taken:
            title = f"{kind}.{title}"
        columns[title] = [row.get(name) for row in rows]
    return columns


def without_nul(text: str) -> str:
    r"""Write out the NUL, where texts end for HDF5 and readers of CSV; dying programs print some.

    >>> print(without_nul("no\0 end"))
    no\0 end
    """
    return text.replace("\0", "\\0")
