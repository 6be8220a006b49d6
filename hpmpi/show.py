"""`hpmpi show`: the leaderboard of a run, finished or not, for people and for programs."""

import json
import math
from typing import Any

from hpmpi.leaderboard import Standing
from hpmpi.summary import Summary
from hpmpi.trial import Value

UNFINISHED = "unfinished"


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
    lines = [headline(summary), "", *aligned(rows)]
    if len(ranking) > top:
        lines.append(f"... and {len(ranking) - top} more")
    return "\n".join([*lines, "", *conclusion(summary)])


def as_json(summary: Summary, top: int) -> str:
    """Write the same as JSON; what is not finite is null."""
    board = summary.board
    told = {
        "study": summary.study.name,
        "state": state(summary),
        "trials": len(board.standings),
        "results": board.results,
        "elapsed_s": summary.elapsed_s,
        "failures": dict(summary.failures),
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
    parts += [f"{count} x {kind}" for kind, count in sorted(summary.failures.items())]
    return f"{summary.study.name}: {state(summary)}; {', '.join(parts)}"


def state(summary: Summary) -> str:
    """Name the state of a run."""
    return summary.outcome.value if summary.outcome else UNFINISHED


def conclusion(summary: Summary) -> list[str]:
    """Say what is best, and by how much it beats the baseline."""
    incumbent, metric = summary.board.incumbent, summary.study.goal.metric
    if incumbent is None:
        return ["no trial has succeeded"]
    reached = incumbent.metrics[metric]
    lines = [f"best: trial {incumbent.trial}, {metric} {reached:.6g} at {incumbent.resource}"]
    if summary.baseline is not None and summary.gain is not None:
        compared = "better" if summary.gain > 0 else "worse" if summary.gain < 0 else "different"
        lines.append(
            f"baseline: {metric} {summary.baseline[metric]:.6g}; "
            f"the best is {compared} by {abs(summary.gain):.4g}"
        )
    return lines


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
