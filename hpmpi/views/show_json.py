"""`hpmpi show --json`: how a run stands, for programs."""

import json
import math
from typing import Any

import msgspec

from hpmpi.history.leaderboard import Standing
from hpmpi.history.progress import RankState
from hpmpi.views.run_view import Summary
from hpmpi.views.show import count, given_up, state


def text(summary: Summary, top: int, indent: int | None = 2) -> str:
    """Write all of it and the best `top` trials; on one line without `indent`."""
    board, incumbent = summary.board, summary.board.incumbent
    told = {
        **heading(summary),
        **present_as_objects(summary),
        "rungs": [msgspec.structs.asdict(rung) for rung in summary.rungs],
        "given_up": [
            {"trial": it.trial, "rung": it.rung, "kind": it.kind.value, "error": it.error}
            for it in given_up(summary.failures)
        ],
        "metric": summary.study.goal.metric,
        "mode": summary.study.goal.mode,
        "incumbent": None if incumbent is None else incumbent.trial,
        "baseline": summary.baseline,
        "gain": summary.gain,
        "leaderboard": [
            as_object(place, standing)
            for place, standing in enumerate(board.ranking()[:top], start=1)
        ],
    }
    return json.dumps(finite(told), indent=indent, allow_nan=False)


def as_object(place: int, standing: Standing) -> dict[str, object]:
    """Say where a trial stands, for JSON."""
    return {
        "place": place,
        "trial": standing.trial,
        "status": standing.status.value,
        "rung": standing.rung,
        "resource": standing.resource,
        "metrics": standing.metrics,
        "config": standing.config,
    }


def heading(summary: Summary) -> dict[str, object]:
    """Say how far the run is."""
    return {
        "study": summary.study.name,
        "state": state(summary),
        "trials": len(summary.board.standings),
        "results": summary.board.results,
        "elapsed_s": summary.elapsed_s,
        "failures": count(summary.failures),
    }


def present_as_objects(summary: Summary) -> dict[str, object]:
    """Say what the ranks do and until when they may; what is not there (any more) is null."""
    progress, sign, deadline = summary.progress, summary.sign, summary.progress.deadline
    holder = sign and {"host": sign.lease.host, "pid": sign.lease.pid, "age_s": sign.age_s}
    left_s = deadline and deadline.epoch_s - summary.looked_at
    told = {
        "ranks": {each.value: number for each, number in progress.ranks().items()},
        "lost": progress.ranks_that_are(RankState.LOST),
        "unfit": progress.ranks_that_are(RankState.UNFIT),
        "deadline": deadline and {"epoch_s": deadline.epoch_s, "left_s": left_s},
        "draining": progress.draining and progress.draining.why,
    }
    return {"holder": holder, **(told if summary.goes_on else dict.fromkeys(told))}


def finite(value: Any) -> Any:
    """Replace the numbers that JSON has no word for by null."""
    match value:
        case dict():
            return {key: finite(each) for key, each in value.items()}
        case list():
            return [finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
