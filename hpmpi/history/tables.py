"""The journal told as tables: what people and other programs want to read.

A table is its columns, all of one length, in order. A cell is a value as it was given, of whatever
type, or None where there is none: who writes a table brings that into what its format has.
A hyperparameter or metric whose name is taken by a column of ours has its table's name before it,
such as `metric.loss`.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence

from hpmpi.history.leaderboard import Leaderboard, Standing, curves
from hpmpi.history.series import Fate, attempts
from hpmpi.model.messages import gist
from hpmpi.model.records import Assigned, Decision, Failure, Joined, Lost, Result
from hpmpi.model.trial import Value

Cell = Value | None
Columns = dict[str, list[Cell]]

ANSWERED = frozenset({Fate.RESULT, Fate.SAVED, Fate.FAILED, Fate.LATE})
"""The fates of attempts whose rank has said what came of them."""

KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "trial", "rung", "attempt", "resource", "rank", "bracket"), int),
    **dict.fromkeys(("place", "jobs", "times_lost"), int),
    **dict.fromkeys(("status", "host", "kind", "error"), str),
    "final": bool,
}
"""What the columns of ours hold that hold no numbers with fractions, for when they are empty."""


def tell(decisions: Sequence[Decision], board: Leaderboard) -> dict[str, Columns]:
    """Make all tables of a journal and the leaderboard that it leads to."""
    return {
        "trials": trials(board),
        "results": results(decisions, board),
        "leaderboard": leaderboard(board),
        "curves": learning_curves(decisions),
        "ranks": ranks(decisions),
        "failures": failures(decisions),
    }


def trials(board: Leaderboard) -> Columns:
    """List the trials: id, status, bracket, and a column per hyperparameter."""
    standings = board.standings
    ours: Columns = {
        "id": [each.trial for each in standings],
        "status": [each.status.value for each in standings],
        "bracket": [0] * len(standings),
    }
    return ours | spread([each.config for each in standings], "config", ours)


def results(decisions: Sequence[Decision], board: Leaderboard) -> Columns:
    """List the results as they came in; times in seconds since the study began."""
    found = [each for each in decisions if isinstance(each, Result)]
    begun = beginnings(decisions)
    ours: Columns = {
        "trial": [each.trial for each in found],
        "rung": [each.rung for each in found],
        "attempt": [each.attempt for each in found],
        "resource": [each.resource for each in found],
        "loss": [board.goal.loss(each.metrics) for each in found],
        "rank": [each.rank for each in found],
        "started": [begun[each.trial, each.rung, each.attempt] for each in found],
        "finished": [each.at for each in found],
    }
    return ours | spread([each.metrics for each in found], "metric", ours)


def leaderboard(board: Leaderboard) -> Columns:
    """List the trials that have a result, best first."""
    return placed(board.ranking())


def standings(board: Leaderboard, failures: Sequence[Failure]) -> Columns:
    """List all trials, best first, those without a result last, and why a trial was given up."""
    errors = reasons(failures)
    ordered = board.ordered()
    return placed(ordered, {"error": [errors.get(each.trial, "") for each in ordered]})


def reasons(failures: Sequence[Failure]) -> dict[int, str]:
    """Say of each trial that was given up what its last error was, in a line."""
    return {it.trial: gist(it.error) for it in failures if it.final}


def placed(ranking: Sequence[Standing], more: Columns | None = None) -> Columns:
    """List trials in an order: place, trial, status, and a column per metric and hyperparameter."""
    ours: Columns = {
        "place": list(range(1, len(ranking) + 1)),
        "trial": [each.trial for each in ranking],
        "status": [each.status.value for each in ranking],
        "rung": [each.rung for each in ranking],
        "resource": [each.resource for each in ranking],
        **(more or {}),
    }
    metrics = spread([each.metrics for each in ranking], "metric", ours)
    return ours | metrics | spread([each.config for each in ranking], "config", ours | metrics)


def learning_curves(decisions: Sequence[Decision]) -> Columns:
    """List the points that objectives reported, by trial and resource."""
    points = sorted(curves(decisions).items())
    ours: Columns = {
        "trial": [trial for (trial, _), _ in points],
        "resource": [resource for (_, resource), _ in points],
    }
    return ours | spread([metrics for _, metrics in points], "metric", ours)


def ranks(decisions: Sequence[Decision]) -> Columns:
    """List the ranks: host, attempts that they have answered, seconds that they were busy, losses.

    A rank is busy with an attempt until it has answered, or was lost, or its start was over.
    """
    hosts = {each.rank: each.host for each in decisions if isinstance(each, Joined)}
    lost = Counter(each.rank for each in decisions if isinstance(each, Lost))
    jobs: Counter[int] = Counter()
    busy_s: defaultdict[int, float] = defaultdict(float)
    for each in attempts(decisions, decisions[-1].at if decisions else 0.0):
        jobs[each.rank] += each.fate in ANSWERED
        busy_s[each.rank] += each.ended - each.begun
    known = sorted({*hosts, *lost})
    return {
        "rank": list(known),
        "host": [hosts.get(rank, "") for rank in known],
        "jobs": [jobs[rank] for rank in known],
        "busy_s": [busy_s[rank] for rank in known],
        "times_lost": [lost[rank] for rank in known],
    }


def failures(decisions: Sequence[Decision]) -> Columns:
    """List the attempts that came to nothing."""
    found = [each for each in decisions if isinstance(each, Failure)]
    return {
        "trial": [each.trial for each in found],
        "rung": [each.rung for each in found],
        "attempt": [each.attempt for each in found],
        "rank": [each.rank for each in found],
        "kind": [each.kind.value for each in found],
        "final": [each.final for each in found],
        "at": [each.at for each in found],
        "error": [each.error for each in found],
    }


def beginnings(decisions: Sequence[Decision]) -> dict[tuple[int, int, int], float]:
    """Find when each attempt, by trial, rung and number, was handed out."""
    return {
        (each.trial, each.rung, each.attempt): each.at
        for each in decisions
        if isinstance(each, Assigned)
    }


def spread(rows: Sequence[Mapping[str, Value]], kind: str, taken: Container[str]) -> Columns:
    """Turn rows of named values into columns, in the order in which the names come up."""
    names = list(dict.fromkeys(name for row in rows for name in row))
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
