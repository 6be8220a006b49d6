"""Lines of journals, for tests of what is made of them; and a journal of a large study.

    python -m tests.harness.histories 100000

tells what a line costs who reads it, and what memory all that they say takes.
"""

import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hpmpi.history.history import History
from hpmpi.model.events import Due, Event, Heard, Silent, Tick
from hpmpi.model.messages import (
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Point,
    Progress,
    Ready,
    Returned,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Late,
    Line,
    Result,
    Started,
    Stopped,
    Suggestion,
    Suspension,
    Unqueued,
)
from hpmpi.model.trial import BASELINE, AttemptId, Config, Metrics
from hpmpi.study.settings import Settings
from hpmpi.views import export
from hpmpi.views.run_view import Summary

FORMAT = 3

STUDY = Settings(name="mine", objective="train.py:train", space={}).toml()
"""A study of a loss, of which less is better."""

ETA = 3


def started(
    at: float = 0.0,
    ranks: int = 4,
    rungs: Sequence[int] = (1, 3, 9),
    settings: str = STUDY,
    start: str = "cafe",
) -> Started:
    """Start a study."""
    return Started(at, "0.2", settings, start, ranks, tuple(rungs), FORMAT)


def entry(at: float, event: Event, *decisions: Decision) -> Entry:
    """Write what was decided on an event."""
    return Entry(at, event, decisions)


def ready(rank: int, host: str | None = None, *notes: str, at: float = 0.0) -> Entry:
    """Have a rank be ready."""
    return entry(at, Heard(rank, Ready(host or f"node{rank}", 16 + rank, notes)))


def unfit(rank: int, error: str, at: float = 0.0) -> Entry:
    """Have a rank be unfit."""
    return entry(at, Heard(rank, Unfit(f"node{rank}", error)))


def assigned(  # noqa: PLR0913 - all that a job handed out is
    trial: int,
    rung: int = 0,
    number: int = 1,
    rank: int = 1,
    *,
    at: float = 1.0,
    config: Config | None = None,
    resource: int | None = None,
    bracket: int = 0,
    queued: bool = False,
) -> Entry:
    """Hand a job out; the first one at rung 0, or one with a `config`, begins its trial."""
    begins = trial != BASELINE and ((rung == 0 and number == 1) or config is not None)
    resource = ETA ** min(max(rung, 0), 30) if resource is None else resource
    attempt = AttemptId(trial, rung, number)
    decision = Assigned(attempt, resource, rank, bracket, queued=queued)
    suggestion = Suggestion(trial, {"x": trial / 8} if config is None else config)
    return Entry(at, Tick(), (decision,), (suggestion,) if begins else ())


def returned(trial: int, rung: int = 0, number: int = 1, rank: int = 1, at: float = 2.0) -> Entry:
    """Have a rank give back what was queued on it."""
    attempt = AttemptId(trial, rung, number)
    return entry(at, Heard(rank, Returned(attempt)), Unqueued(attempt))


def result(  # noqa: PLR0913 - all that a result is
    trial: int,
    loss: float | Metrics,
    rung: int = 0,
    number: int = 1,
    rank: int = 1,
    *,
    at: float = 2.0,
    saved: int = 0,
    over: Iterable[int] = (),
) -> Entry:
    """Have a result come in."""
    attempt = AttemptId(trial, rung, number)
    metrics = loss if isinstance(loss, dict) else {"loss": loss}
    report = Finished(attempt, metrics, saved)
    return entry(at, Heard(rank, report), Result(attempt, tuple(over)))


def failure(  # noqa: PLR0913 - all that a failure is
    trial: int,
    kind: FailureKind = FailureKind.EXCEPTION,
    error: str = "ValueError: no",
    *,
    rung: int = 0,
    number: int = 1,
    rank: int = 1,
    at: float = 2.0,
    final: bool = False,
) -> Entry:
    """Have an attempt fail."""
    attempt = AttemptId(trial, rung, number)
    over = (trial,) if final else ()
    decision = Failure(attempt, kind, final, over)
    return entry(at, Heard(rank, Failed(attempt, kind, error)), decision)


def lost(rank: int, *jobs: tuple[int, int, int], at: float = 2.0) -> Entry:
    """Lose a rank, with attempts at jobs that are tried again."""
    failures = (Failure(AttemptId(*job), FailureKind.LOST) for job in jobs)
    return entry(at, Silent((rank,)), *failures)


def back(rank: int, held: tuple[int, int, int] | None = None, at: float = 3.0) -> Entry:
    """Hear a lost rank again, by a report that says nothing else."""
    decision = Back(rank, None if held is None else AttemptId(*held))
    return entry(at, Heard(rank, Ready(f"node{rank}", 16 + rank)), decision)


def suspension(  # noqa: PLR0913 - all that it is
    trial: int, saved: int, rung: int = 0, number: int = 1, rank: int = 1, *, at: float = 2.0
) -> Entry:
    """Have a job be saved for a drain."""
    attempt = AttemptId(trial, rung, number)
    return entry(at, Heard(rank, Suspended(attempt, saved)), Suspension(attempt, saved))


def late(trial: int, rung: int = 0, number: int = 1, rank: int = 1, *, at: float = 4.0) -> Entry:
    """Have an answer come too late."""
    attempt = AttemptId(trial, rung, number)
    return entry(at, Heard(rank, Finished(attempt, {"loss": 0.0})), Late(attempt))


def progress(
    trial: int, *points: Point, rung: int = 0, number: int = 1, rank: int = 1, at: float = 1.5
) -> Entry:
    """Have points be reported."""
    return entry(at, Heard(rank, Progress(AttemptId(trial, rung, number), [*points])))


def stopped(trial: int, *points: Point, rung: int = 0, rank: int = 1, at: float = 2.0) -> Entry:
    """Have the scheduler end a trial, whose last points it has seen."""
    attempt = AttemptId(trial, rung, 1)
    return entry(at, Heard(rank, Progress(attempt, [*points])), Stopped(attempt, (trial,)))


def deadline(ends_at: float, epoch_s: float, drains_at: float, at: float = 1.0) -> Entry:
    """Learn when the allocation ends."""
    return entry(at, Due(ends_at, epoch_s), Deadline(drains_at))


def draining(why: str, at: float = 3.0) -> Entry:
    """Begin to drain."""
    return entry(at, Tick(), Draining(why))


def ended(outcome: Outcome, at: float = 9.0, why: str = "") -> Entry:
    """End a start."""
    return entry(at, Tick(), Ended(outcome, why or outcome.value))


def exported(summary: Summary, form: str, what: str = "trials") -> str:
    """Export what is text."""
    text = export.export(summary, form, what)
    assert isinstance(text, str)
    return text


def history(*lines: Line, **start: Any) -> History:
    """Tell lines after a start."""
    told = History()
    for line in (started(**start), *lines):
        told.add(line)
    return told


# -- a large study ---------------------------------------------------------------------------------


def large(trials: int, ranks: int = 1000) -> Iterator[Line]:
    """Write the journal of an ASHA study, whose ranks are all busy all the time."""
    yield started(ranks=ranks, rungs=[ETA**rung for rung in range(5)])
    yield from (ready(rank, f"node{rank // 48}") for rank in range(1, ranks + 1))
    jobs = [(trial, rung) for trial in range(trials) for rung in climbed(trial)]
    for place, (trial, rung) in enumerate(jobs[:ranks]):
        yield assigned(trial, rung, rank=place + 1, config=config_of(trial) if rung == 0 else None)
    for place, (trial, rung) in enumerate(jobs):
        rank, at = place % ranks + 1, 2.0 + place / ranks
        attempt = AttemptId(trial, rung, 1)
        metrics = {"loss": (trial * 7919 % 10007) / 10007 + at * 1e-9, "size": float(place)}
        decisions: list[Decision] = [Result(attempt, (trial,) if rung == 4 else ())]
        suggested: list[Suggestion] = []
        if place + ranks < len(jobs):
            after, higher = jobs[place + ranks]
            decisions.append(Assigned(AttemptId(after, higher, 1), ETA**higher, rank))
            suggested += [Suggestion(after, config_of(after))] if higher == 0 else []
        event = Heard(rank, Finished(attempt, metrics, ETA**rung))
        yield Entry(at, event, tuple(decisions), tuple(suggested))
    yield ended(Outcome.COMPLETE, 2.0 + len(jobs) / ranks)


def climbed(trial: int) -> range:
    """Say which rungs a trial comes to: one in ETA to the next."""
    return range(1 + sum(trial % ETA**rung == 0 for rung in range(1, 5)))


def config_of(trial: int) -> Config:
    """Suggest a configuration of three hyperparameters."""
    return {"rate": 1e-4 + trial * 1e-7, "layers": trial % 5, "kind": "ab"[trial % 2]}


def main() -> None:
    """Measure."""
    trials = int(sys.argv[1])
    lines = list(large(trials))
    told, began_at = History(), time.process_time()
    for line in lines:
        told.add(line)
    took_s = time.process_time() - began_at
    print(f"{len(told.attempts)} attempts: {took_s / len(lines) * 1e6:.2f} us a line")  # noqa: T201
    del lines, told
    tracemalloc.start()
    told = History()
    for line in large(trials):
        told.add(line)
    print(f"{tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
