"""What happens to a master and what it wants done, as the lines of a play.

> 3.000 rank 2: finished trial 0 rung 0 attempt 1 loss 0.5
record result trial 0 rung 0 attempt 1 rank 2 loss 0.5
record assigned trial 2 rung 0 attempt 1 rank 2
tell rank 2: train trial 2 rung 0 attempt 1 to 1
"""

from hpmpi.model.events import (
    Command,
    Discard,
    Drain,
    Due,
    Event,
    Heard,
    Interrupted,
    Leave,
    Record,
    Tell,
    Tick,
)
from hpmpi.model.messages import (
    Assign,
    Beat,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Point,
    Progress,
    Ready,
    Report,
    Save,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Suspension,
)
from hpmpi.model.trial import Metrics

Attempt = (
    Assign
    | Assigned
    | Failed
    | Failure
    | Finished
    | Late
    | Progress
    | Result
    | Suspended
    | Suspension
)


def event_line(event: Event, now: float) -> str:
    """Write an event."""
    match event:
        case Heard(rank, report):
            return f"> {now:.3f} rank {rank}: {report_words(report)}"
        case Tick():
            return f"> {now:.3f} tick"
        case Drain(why):
            return f"> {now:.3f} drain {why}"
        case Due(ends_at):
            return f"> {now:.3f} due {ends_at:.3f}"
        case Interrupted(saved):
            known = "".join(f" trial {trial} saved {at}" for trial, at in saved.items())
            return f"> {now:.3f} interrupted{known}"


def read_event(line: str) -> tuple[Event, float]:
    """Read what `event_line` wrote."""
    arrow, now, what, *rest = line.split()
    assert arrow == ">", f"no event: {line}"
    match what:
        case "rank":
            rank, *words = rest
            return Heard(int(rank.rstrip(":")), read_report(words)), float(now)
        case "tick":
            return Tick(), float(now)
        case "drain":
            return Drain(" ".join(rest)), float(now)
        case "due":  # the study began in 1970
            return Due(float(rest[0]), float(rest[0])), float(now)
        case "interrupted":
            return Interrupted(
                dict(zip(map(int, rest[1::4]), map(int, rest[3::4]), strict=True))
            ), float(now)
    raise AssertionError(f"no event: {line}")


def report_words(report: Report) -> str:
    """Write a report; where it comes from and what went wrong is not told."""
    match report:
        case Finished(metrics=metrics, saved=saved):
            return f"finished {attempt(report)}{numbers(metrics)}{saved_words(saved)}"
        case Failed(kind=kind, error=error, used=used):
            says = "" if error == "error" else f" says {error}"
            return f"failed {attempt(report)} kind {kind.name}{says}{' used 1' if used else ''}"
        case Suspended(saved=saved):
            return f"suspended {attempt(report)}{saved_words(saved)}"
        case Progress(points=[Point(resource, metrics)]):
            return f"progress {attempt(report)} resource {resource}{numbers(metrics)}"
        case _:
            return type(report).__name__.lower()


def read_report(words: list[str]) -> Report:
    """Read what `report_words` wrote."""
    what, *rest = words
    fields = dict(zip(rest[::2], rest[1::2], strict=True))
    trial, rung, tried = (int(fields.pop(name, 0)) for name in ("trial", "rung", "attempt"))
    match what:
        case "ready":
            return Ready("host", 0)
        case "unfit":
            return Unfit("host", "error")
        case "beat":
            return Beat()
        case "goodbye":
            return Goodbye()
        case "failed":
            kind, says = FailureKind[fields["kind"]], fields.get("says", "error")
            return Failed(trial, rung, tried, kind, says, used="used" in fields)
        case "suspended":
            return Suspended(trial, rung, tried, int(fields["saved"]))
        case "finished":
            saved = int(fields.pop("saved", 0))
            return Finished(trial, rung, tried, read_numbers(fields), saved)
        case "progress":
            resource = int(fields.pop("resource"))
            return Progress(trial, rung, tried, [Point(resource, read_numbers(fields))])
    raise AssertionError(f"no report: {words}")


def command_line(command: Command) -> str:
    """Write a command."""
    match command:
        case Tell(rank, Assign() as order):
            start = f" from {order.saved}" if order.saved else ""
            left = "" if order.deadline_s is None else f", {order.deadline_s:g} s left"
            afresh = ", afresh" if order.fresh else ""
            work = f"train {attempt(order)}{start} to {order.resource}{left}{afresh}"
            return f"tell rank {rank}: {work}"
        case Tell(rank, Beat() | Save() as order):
            return f"tell rank {rank}: {type(order).__name__.lower()}"
        case Record(decision):
            return f"record {decision_words(decision)}"
        case Discard(trial):
            return f"discard trial {trial}"
        case Leave(outcome):
            return f"leave {outcome.value}"
    raise AssertionError(f"no command: {command}")


def decision_words(decision: Decision) -> str:
    """Write a decision; when it was taken is known from the event."""
    match decision:
        case Joined(rank=rank) | Refused(rank=rank) | Lost(rank=rank) | Back(rank=rank):
            return f"{type(decision).__name__.lower()} rank {rank}"
        case Assigned(rank=rank):
            return f"assigned {attempt(decision)} rank {rank}"
        case Result(rank=rank, metrics=metrics, saved=saved):
            result = f"{attempt(decision)} rank {rank}{numbers(metrics)}{saved_words(saved)}"
            return f"result {result}"
        case Failure(rank=rank, kind=kind, final=final):
            last = ", given up" if final else ""
            return f"failure {attempt(decision)} rank {rank} kind {kind.name}{last}"
        case Late(rank=rank):
            return f"late {attempt(decision)} rank {rank}"
        case Suspension(rank=rank, saved=saved):
            return f"suspension {attempt(decision)} rank {rank}{saved_words(saved)}"
        case Deadline(ends_at=ends_at, drains_at=drains_at):
            return f"deadline at {ends_at:g}, drains at {drains_at:g}"
        case Draining(why=why):
            return f"draining: {why}"
        case _:
            return type(decision).__name__.lower()


def attempt(it: Attempt) -> str:
    """Name an attempt."""
    return f"trial {it.trial} rung {it.rung} attempt {it.attempt}"


def numbers(metrics: Metrics) -> str:
    """Write metrics."""
    return "".join(f" {name} {value}" for name, value in metrics.items())


def read_numbers(fields: dict[str, str]) -> Metrics:
    """Read metrics."""
    return {name: float(value) for name, value in fields.items()}


def saved_words(saved: int) -> str:
    """Write the resource of a checkpoint, if there is one."""
    return f" saved {saved}" if saved else ""
