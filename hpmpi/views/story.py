"""`hpmpi show --trial`: what became of one trial, step by step."""

import json
import sys

from hpmpi.errors import StoreError
from hpmpi.history.attempts import Attempt, FailedAttempt, Fate
from hpmpi.history.history import History
from hpmpi.history.standings import Standing
from hpmpi.master.seeds import seed_of
from hpmpi.model.messages import end_of, escaped, gist
from hpmpi.model.trial import Metrics
from hpmpi.model.values import label_of
from hpmpi.views.layout import aligned, span
from hpmpi.views.run_view import Summary
from hpmpi.views.show_json import as_object, finite

MOST_POINTS = 5
"""How many of the points that were reported are told, the newest."""

MINUTE_S = 60.0
"""From here on, what took so long is told as coarsely as people read it."""

Step = tuple[float, str]
"""When something happened, and what."""


def text(summary: Summary, trial: int) -> str:
    """Tell the story of a trial; raises StoreError where there is no such one."""
    history, standing = summary.history, find(summary.history, trial)
    place, ranked = place_of(history, standing)
    stands = f"place {place} of {ranked}" if place else "no result yet"
    best = f", {the_best(history)}" if standing in history.standings.best else ""
    config = history.space.shown(standing.config)
    seed = seed_of(summary.study.seed, trial)
    bracket = f", in bracket {standing.bracket}" if standing.bracket else ""
    lines = [
        f"{summary.study.name}: trial {trial} is {standing.status.value}: {stands}{best}",
        f"seed {seed}, suggested at {standing.suggested_at:.1f} s{bracket}:",
        *(f"  {name} = {label_of(value)}" for name, value in config.items()),
        "",
        *(aligned([[f"{at:.1f} s", step] for at, step in steps(history, trial)])),
        *reported(history.curves.of(trial)),
        *trouble(failures_of(history, trial)),
    ]
    return "\n".join(map(escaped, lines))


def as_json(summary: Summary, trial: int, indent: int | None = 2) -> str:
    """Tell the same for programs."""
    history, standing = summary.history, find(summary.history, trial)
    curve = history.curves.of(trial).items()
    told = {
        "study": summary.study.name,
        **as_object(place_of(history, standing)[0], standing),
        **({"on_front": standing in history.standings.front} if history.goal.others else {}),
        "bracket": standing.bracket,
        "seed": seed_of(summary.study.seed, trial),
        "suggested_at": standing.suggested_at,
        "attempts": [attempt_as_object(attempt) for attempt in attempts_of(history, trial)],
        "failures": [failure_as_object(failed) for failed in failures_of(history, trial)],
        "curve": [{"resource": resource, "metrics": metrics} for resource, metrics in curve],
    }
    return json.dumps(finite(told), indent=indent, allow_nan=False)


def find(history: History, trial: int) -> Standing:
    """Find a trial; raises StoreError where there is no such one."""
    count = len(history.trials)
    if trial >= count:
        there_are = f"its trials are 0 to {count - 1}" if count else "it has none yet"
        raise StoreError(f"there is no trial {trial} in {history.study.name}: {there_are}")
    return history.trials[trial]


def place_of(history: History, standing: Standing) -> tuple[int | None, int]:
    """Tell a trial's place, if it has one, and how many have one."""
    ranked = [it.trial for it in history.standings.ranking()]
    place = None if standing.rung < 0 else ranked.index(standing.trial) + 1
    return place, len(ranked)


def the_best(history: History) -> str:
    """Name who is best."""
    return "on the front" if history.goal.others else "the incumbent"


def attempts_of(history: History, trial: int) -> list[Attempt]:
    """List the attempts at a trial's jobs, as they were handed out."""
    return [attempt for attempt in history.attempts.values() if attempt.id.trial == trial]


def failures_of(history: History, trial: int) -> list[FailedAttempt]:
    """List the failures of a trial."""
    return [failed for failed in history.failures if failed.attempt.trial == trial]


def steps(history: History, trial: int) -> list[Step]:
    """Tell what happened to a trial, in the order in which it did."""
    told: list[Step] = []
    failures, before = failures_of(history, trial), None
    for attempt in attempts_of(history, trial):
        told.append((attempt.begun, beginning_of(attempt, before)))
        told += [(it.at, failure_of(it)) for it in failures if it.attempt == attempt.id]
        if attempt.fate not in (Fate.FAILED, Fate.LOST):  # those are failures
            told.append((attempt.end(history.at), ending_of(attempt, history)))
        before = attempt
    return sorted(told, key=lambda step: step[0])


def beginning_of(attempt: Attempt, before: Attempt | None) -> str:
    """Tell who was to make an attempt, and why, by the one `before`."""
    where = f"rank {attempt.rank}{f' on {attempt.host}' if attempt.host else ''}"
    others = ", ".join(map(str, attempt.others))
    where += f" with {others}" if others else ""
    what = f"{name_of(attempt)} by {where}, from {attempt.start} to {attempt.resource}"
    if before is None:
        return what
    if before.id.rung != attempt.id.rung:
        return f"promoted to rung {attempt.id.rung}: {what}"
    return f"goes on: {what}" if before.fate is Fate.SAVED else f"tried again: {what}"


def ending_of(attempt: Attempt, history: History) -> str:
    """Tell what became of an attempt that has not failed."""
    took_s = attempt.took_s(history.at)
    took = f"after {span(took_s) if took_s >= MINUTE_S else f'{took_s:.1f} s'}"
    name = name_of(attempt)
    match attempt.fate:
        case Fate.RESULT:
            kept = f"; saved at {attempt.saved}" if attempt.saved else ""
            of = f"the best {history.goal.metric}" if history.goal.others else "the incumbent"
            best = f", {of} then" if attempt in history.best else ""
            return f"{name} brought {numbers(attempt.metrics)} {took}{best}{kept}"
        case Fate.SAVED:
            return f"{name} was suspended {took}; saved at {attempt.saved}"
        case Fate.OPEN:
            return f"{name} is in work by now, {took}"
        case Fate.QUEUED:
            return f"{name} is queued behind another"
        case _:
            return f"{name} was {attempt.fate.value} {took}"


def failure_of(failed: FailedAttempt) -> str:
    """Tell how an attempt failed."""
    end = "; given up" if failed.final else ""
    _, rung, number = failed.attempt
    return f"rung {rung} attempt {number} failed ({failed.kind.value}): {gist(failed.error)}{end}"


def reported(curve: dict[int, Metrics]) -> list[str]:
    """Tell the newest points of a learning curve."""
    newest = list(curve.items())[-MOST_POINTS:]
    if not newest:
        return []
    count = f"the newest {MOST_POINTS} of {len(curve)}" if len(curve) > MOST_POINTS else ""
    rows = [[f"{resource}", numbers(metrics)] for resource, metrics in newest]
    return ["", f"reported at {count}".rstrip() + ":", *aligned(rows)]


def trouble(failures: list[FailedAttempt]) -> list[str]:
    """Tell all that is kept of what the newest failure said that did."""
    for failed in reversed(failures):
        if lines := end_of(failed.error, sys.maxsize):
            _, rung, number = failed.attempt
            return ["", f"rung {rung} attempt {number} said:", *(f"    {it}" for it in lines)]
    return []


def numbers(metrics: Metrics) -> str:
    """Write metrics in a line."""
    return ", ".join(f"{name} {value:.6g}" for name, value in metrics.items())


def name_of(attempt: Attempt) -> str:
    """Name an attempt within its trial."""
    return f"rung {attempt.id.rung} attempt {attempt.id.number}"


def attempt_as_object(attempt: Attempt) -> dict[str, object]:
    """Tell of an attempt, for JSON."""
    return {
        "rung": attempt.id.rung,
        "attempt": attempt.id.number,
        "rank": attempt.rank,
        "host": attempt.host,
        "start": attempt.start,
        "resource": attempt.resource,
        "begun": attempt.begun,
        "ended": attempt.ended,
        "fate": attempt.fate.value,
        "saved": attempt.saved,
        "metrics": attempt.metrics,
    }


def failure_as_object(failed: FailedAttempt) -> dict[str, object]:
    """Tell of a failure, for JSON."""
    return {
        "rung": failed.attempt.rung,
        "attempt": failed.attempt.number,
        "rank": failed.rank,
        "kind": failed.kind.value,
        "final": failed.final,
        "at": failed.at,
        "error": failed.error,
    }
