"""What happens to a master, and what comes of it, as the lines of a play.

> 3.000 rank 2: finished trial 0 rung 0 attempt 1 loss 0.5
decided result trial 0 rung 0 attempt 1
decided assigned trial 2 rung 0 attempt 1 rank 2
tell rank 2: train trial 2 rung 0 attempt 1 to 1
"""

from hpmpi.master.reaction import Reaction
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Learnt, Silent, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Point,
    Progress,
    Ready,
    Recall,
    Report,
    Returned,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Chosen,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Quarantined,
    Released,
    Suspension,
)
from hpmpi.model.trial import AttemptId, Metrics


def event_line(event: Event, now: float) -> str:
    """Write an event."""
    match event:
        case Heard(rank, report):
            return f"> {now:.3f} rank {rank}: {report_words(report)}"
        case Tick():
            return f"> {now:.3f} tick"
        case Silent(ranks):
            return f"> {now:.3f} silent {' '.join(map(str, ranks))}"
        case Drain(why):
            return f"> {now:.3f} drain {why}"
        case Due(ends_at):
            return f"> {now:.3f} due {ends_at:.3f}"
        case Learnt(observations):
            return f"> {now:.3f} learnt {len(observations)}"
        case Interrupted(saved):
            known = "".join(f" trial {trial} saved {at}" for trial, at in saved.items())
            return f"> {now:.3f} interrupted{known}"


def read_event(line: str) -> tuple[Event, float]:
    """Read what `event_line` wrote."""
    arrow, now, what, *rest = line.split()
    assert arrow == ">", f"no event: {line}"
    return _event(what, rest), float(now)


def _event(what: str, rest: list[str]) -> Event:
    match what:
        case "rank":
            rank, *words = rest
            return Heard(int(rank.rstrip(":")), read_report(words))
        case "tick":
            return Tick()
        case "silent":
            return Silent(tuple(map(int, rest)))
        case "drain":
            return Drain(" ".join(rest))
        case "due":  # the study began in 1970
            return Due(float(rest[0]), float(rest[0]))
        case "interrupted":
            return Interrupted(dict(zip(map(int, rest[1::4]), map(int, rest[3::4]), strict=True)))
    raise AssertionError(f"no event: {what}")


def report_words(report: Report) -> str:
    """Write a report; where it comes from and what went wrong is not told."""
    match report:
        case Finished(attempt, metrics, saved):
            return f"finished {attempt}{numbers(metrics)}{saved_words(saved)}"
        case Failed(attempt, kind, error, used):
            says = "" if error == "error" else f" says {error}"
            return f"failed {attempt} kind {kind.name}{says}{' used 1' if used else ''}"
        case Suspended(attempt, saved):
            return f"suspended {attempt}{saved_words(saved)}"
        case Cancelled(attempt) | Returned(attempt):
            return f"{type(report).__name__.lower()} {attempt}"
        case Progress(attempt, [Point(resource, metrics)]):
            return f"progress {attempt} resource {resource}{numbers(metrics)}"
        case _:
            return type(report).__name__.lower()


def read_report(words: list[str]) -> Report:
    """Read what `report_words` wrote."""
    what, *rest = words
    fields = dict(zip(rest[::2], rest[1::2], strict=True))
    attempt = AttemptId(*(int(fields.pop(name, 0)) for name in ("trial", "rung", "attempt")))
    match what:
        case "ready":
            return Ready("host", 0)
        case "unfit":
            return Unfit("host", "error")
        case "beat":
            return Beat()
        case "goodbye":
            return Goodbye()
        case "cancelled" | "returned":
            return (Cancelled if what == "cancelled" else Returned)(attempt)
        case "failed":
            kind, says = FailureKind[fields["kind"]], fields.get("says", "error")
            return Failed(attempt, kind, says, used="used" in fields)
        case "suspended":
            return Suspended(attempt, int(fields["saved"]))
        case "finished":
            saved = int(fields.pop("saved", 0))
            return Finished(attempt, read_numbers(fields), saved)
        case "progress":
            resource = int(fields.pop("resource"))
            return Progress(attempt, [Point(resource, read_numbers(fields))])
    raise AssertionError(f"no report: {words}")


def reaction_lines(reaction: Reaction) -> list[str]:
    """Write what comes of an event."""
    return [
        *([] if reaction.entry is None else entry_lines(reaction.entry)),
        *map(order_line, reaction.orders),
        *map(discard_line, reaction.discards),
    ]


def entry_lines(entry: Entry) -> list[str]:
    """Write who was silent, and what was decided."""
    silent = entry.event.ranks if isinstance(entry.event, Silent) else ()
    return [
        *(f"silent rank {rank}" for rank in silent),
        *(f"decided {decision_words(decision)}" for decision in entry.decisions),
    ]


def order_line(tell: Tell) -> str:
    """Write what a rank is told."""
    return f"tell rank {tell.rank}: {order_words(tell.order)}"


def order_words(order: Assign | Cancel | Recall | Beat | Save) -> str:
    """Write an order."""
    match order:
        case Assign(attempt, resource):
            start = f" from {order.saved}" if order.saved else ""
            left = "" if order.deadline_s is None else f", {order.deadline_s:g} s left"
            afresh = ", afresh" if order.fresh else ""
            return f"train {attempt}{start} to {resource}{left}{afresh}"
        case Cancel(attempt):
            return f"cancel {attempt}"
        case Recall(attempt):
            return f"recall {attempt}"
        case Beat() | Save():
            return type(order).__name__.lower()


def discard_line(trial: int) -> str:
    """Write whose checkpoints nobody needs."""
    return f"discard trial {trial}"


def decision_words(decision: Decision) -> str:
    """Write a decision; what follows from the event is known from it."""
    match decision:
        case Back(rank) | Quarantined(rank):
            return f"{type(decision).__name__.lower()} rank {rank}"
        case Released(rank, on_trial):
            return f"released rank {rank}{' on trial' if on_trial else ''}"
        case Assigned(attempt, rank=rank, queued=queued):
            return f"assigned {attempt} rank {rank}{' queued' if queued else ''}"
        case Failure(attempt, kind, final):
            last = ", given up" if final else ""
            return f"failure {attempt} kind {kind.name}{last}"
        case Suspension(attempt, saved):
            return f"suspension {attempt}{saved_words(saved)}"
        case Deadline(drains_at):
            return f"deadline, drains at {drains_at:g}"
        case Draining(why):
            return f"draining: {why}"
        case Ended(outcome):
            return f"ended {outcome.value}"
        case Chosen(trial, rung):
            return f"chosen trial {trial} rung {rung}"
        case _:
            return f"{type(decision).__name__.lower()} {decision.attempt}"


def numbers(metrics: Metrics) -> str:
    """Write metrics."""
    return "".join(f" {name} {value}" for name, value in metrics.items())


def read_numbers(fields: dict[str, str]) -> Metrics:
    """Read metrics."""
    return {name: float(value) for name, value in fields.items()}


def saved_words(saved: int) -> str:
    """Write the resource of a checkpoint, if there is one."""
    return f" saved {saved}" if saved else ""
