"""`hpmpi show --json`: how a run stands, for programs."""

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from hpmpi.history.agreement import agreements
from hpmpi.history.history import History
from hpmpi.history.hypervolume import hypervolumes
from hpmpi.history.ranks import RankState
from hpmpi.history.standings import Standing
from hpmpi.views import paid
from hpmpi.views.run_view import Summary
from hpmpi.views.show import count, given_up, state


def text(summary: Summary, top: int, indent: int | None = 2) -> str:
    """Write all of it and the best `top` trials; on one line without `indent`."""
    history, incumbent = summary.history, summary.history.incumbent
    told = {
        **heading(summary),
        **present_as_objects(summary),
        "rungs": [msgspec.structs.asdict(rung) for rung in summary.rungs],
        "rank_correlations": correlations(history),
        "given_up": [
            {
                "trial": failed.attempt.trial,
                "rung": failed.attempt.rung,
                "kind": failed.kind.value,
                "error": failed.error,
            }
            for failed in given_up(history.failures)
        ],
        "metric": as_one(history.goal.names),
        "mode": as_one([goal.mode for goal in history.goal.each]),
        "incumbent": None if incumbent is None else incumbent.trial,
        **front_as_object(history),
        "baseline": summary.baseline,
        "gain": summary.gain,
        "judge": summary.judge.metric,
        "paid": paid.as_object(history),
        "leaderboard": as_objects(history, history.standings.ranking()[:top]),
    }
    return json.dumps(finite(told), indent=indent, allow_nan=False)


def as_one(items: Sequence[str]) -> str | list[str]:
    """Write what is one by itself, and several as a list, as a study file does."""
    return items[0] if len(items) == 1 else list(items)


def correlations(history: History) -> list[dict[str, object]]:
    """Say how far neighbouring rungs agree; of several metrics, by which."""
    several = bool(history.goal.others)
    return [
        msgspec.structs.asdict(it) | ({"metric": goal.metric} if several else {})
        for goal in history.goal.each
        for it in agreements(history, goal)
    ]


def front_as_object(history: History) -> dict[str, object]:
    """Say who is on the front, and how much that dominates, where several metrics are studied."""
    if not history.goal.others:
        return {}
    volume = hypervolumes(history)
    return {
        "front": sorted(it.trial for it in history.standings.front),
        "reference": None if volume is None else volume.reference,
        "hypervolume": None if volume is None else volume.shares[-1][1],
    }


def as_objects(history: History, ordered: Sequence[Standing]) -> list[dict[str, object]]:
    """Say where trials stand, in order; by several metrics, on which front of their rung."""
    fronts = history.standings.fronts() if history.goal.others else None
    return [
        as_object(place, it) | ({} if fronts is None else {"front": fronts.get(it.trial)})
        for place, it in enumerate(ordered, start=1)
    ]


def as_object(place: int | None, standing: Standing) -> dict[str, object]:
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
        "trials": len(summary.history.trials),
        "results": summary.history.results,
        "elapsed_s": summary.history.at,
        "failures": count(summary.history.failures),
    }


def present_as_objects(summary: Summary) -> dict[str, object]:
    """Say what the ranks do and until when they may; what is not there (any more) is null."""
    ranks, sign, deadline = summary.history.ranks, summary.sign, summary.history.deadline
    holder = sign and {"host": sign.lease.host, "pid": sign.lease.pid, "age_s": sign.age_s}
    left_s = deadline and deadline.epoch_s - summary.looked_at
    told = {
        "ranks": {state.value: number for state, number in ranks.counts().items()},
        "lost": [*ranks.in_state(RankState.LOST)],
        "unfit": [*ranks.in_state(RankState.UNFIT)],
        "quarantined": [*ranks.in_state(RankState.QUARANTINED)],
        "broken_nodes": ranks.broken_hosts,
        "deadline": deadline and {"epoch_s": deadline.epoch_s, "left_s": left_s},
        "draining": summary.history.draining,
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
