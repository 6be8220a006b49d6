"""`hpmpi show`: the leaderboard of a run, finished or not, for people and for programs."""

import json
import math
import shutil
from collections import Counter
from typing import Any

from hpmpi.decisions import Failure
from hpmpi.leaderboard import Standing
from hpmpi.messages import escaped, gist
from hpmpi.summary import Summary
from hpmpi.trial import Value

UNFINISHED = "unfinished"

WIDTH = 120
"""Of a line where there is no terminal."""

MOST_NAMED = 5
"""How many of the trials that were given up are named, the newest."""


def text(summary: Summary, top: int) -> str:
    """Write the best `top` trials as a table, and below it what the run came to."""
    metric = summary.study.goal.metric
    ranking = summary.board.ranking()
    rows = [["rank", "trial", metric, "resource", "configuration"]]
    rows += [
        [
            str(place),
            str(standing.trial),
            f"{standing.metrics[metric]:.6g}",
            str(standing.resource),
            configuration(standing),
        ]
        for place, standing in enumerate(ranking[:top], start=1)
    ]
    lines = [headline(summary), *(["", *aligned(rows)] if ranking else [])]
    if len(ranking) > top:
        lines.append(f"... and {len(ranking) - top} more")
    lines += ["", *setbacks(summary.failures), *conclusion(summary)]
    return "\n".join(map(escaped, lines))


def as_json(summary: Summary, top: int) -> str:
    """Write the same as JSON; what is not finite is null."""
    board = summary.board
    told = {
        "study": summary.study.name,
        "state": state(summary),
        "trials": len(board.standings),
        "results": board.results,
        "elapsed_s": summary.elapsed_s,
        "failures": count(summary.failures),
        "given_up": [
            {"trial": it.trial, "rung": it.rung, "kind": it.kind.value, "error": it.error}
            for it in given_up(summary.failures)
        ],
        "metric": summary.study.goal.metric,
        "mode": summary.study.goal.mode,
        "baseline": summary.baseline,
        "gain": summary.gain,
        "leaderboard": [
            as_object(place, standing)
            for place, standing in enumerate(board.ranking()[:top], start=1)
        ],
    }
    return json.dumps(finite(told), indent=2, allow_nan=False)


def as_object(place: int, standing: Standing) -> dict[str, object]:
    """Say where a trial stands, for JSON."""
    return {
        "rank": place,
        "trial": standing.trial,
        "status": standing.status.value,
        "rung": standing.rung,
        "resource": standing.resource,
        "metrics": standing.metrics,
        "config": standing.config,
    }


def headline(summary: Summary) -> str:
    """Say in a line how far the run is."""
    board = summary.board
    parts = [f"{len(board.standings)} trials", f"{board.results} results"]
    parts += [f"{summary.elapsed_s:.0f} s"]
    parts += [f"{times} x {kind}" for kind, times in count(summary.failures).items()]
    return f"{summary.study.name}: {state(summary)}; {', '.join(parts)}"


def state(summary: Summary) -> str:
    """Name the state of a run."""
    return summary.outcome.value if summary.outcome else UNFINISHED


def conclusion(summary: Summary) -> list[str]:
    """Say what is best, and by how much it beats the baseline."""
    incumbent, metric = summary.board.incumbent, summary.study.goal.metric
    if incumbent is None:
        return ["no trial has succeeded" + ("" if summary.outcome else " yet")]
    reached = incumbent.metrics[metric]
    lines = [f"best: trial {incumbent.trial}, {metric} {reached:.6g} at {incumbent.resource}"]
    if summary.baseline is not None and summary.gain is not None:
        compared = "better" if summary.gain > 0 else "worse" if summary.gain < 0 else "different"
        lines.append(
            f"baseline: {metric} {summary.baseline[metric]:.6g}; "
            f"the best is {compared} by {abs(summary.gain):.4g}"
        )
    return lines


def setbacks(failures: list[Failure]) -> list[str]:
    """Say, by kind, how often attempts failed and how the newest did; and what was given up."""
    if not failures:
        return []
    rows = [["failure", "times", "newest", "it said"]]
    newest = {it.kind.value: it for it in failures}
    for kind, times in count(failures).items():
        it = newest[kind]
        place = f"trial {it.trial} rung {it.rung} (rank {it.rank})"
        rows.append([kind, str(times), place, escaped(gist(it.error))])
    lines = aligned(rows)
    lost = [f"trial {it.trial} ({it.kind.value})" for it in reversed(given_up(failures))]
    if lost:
        lines.append(f"given up: {len(lost)}, the newest: {', '.join(lost[:MOST_NAMED])}")
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    return [*(cut(line, width) for line in lines), ""]


def count(failures: list[Failure]) -> dict[str, int]:
    """Count failures by kind."""
    return dict(sorted(Counter(it.kind.value for it in failures).items()))


def given_up(failures: list[Failure]) -> list[Failure]:
    """Pick the failures that jobs were given up with."""
    return [it for it in failures if it.final]


def configuration(standing: Standing) -> str:
    """Write a configuration in a line."""
    return "  ".join(f"{name}={short(value)}" for name, value in standing.config.items())


def short(value: Value) -> str:
    """Write a value with as many digits as people read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def aligned(rows: list[list[str]]) -> list[str]:
    """Align the columns but the last to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def cut(line: str, width: int) -> str:
    """Cut a line to a width.

    >>> cut("as long as it is", 10), cut("short", 10)
    ('as long...', 'short')
    """
    return line if len(line) <= width else f"{line[: width - 3]}..."


def printable(text: str) -> str:
    """Escape what acts on a terminal, in text of several lines."""
    return "\n".join(map(escaped, text.split("\n")))


def finite(value: Any) -> Any:
    """Replace the numbers that JSON has no word for."""
    match value:
        case dict():
            return {key: finite(each) for key, each in value.items()}
        case list():
            return [finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
