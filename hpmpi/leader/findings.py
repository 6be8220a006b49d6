"""What `hpmpi try` has found out about a trial's rungs, in words.

That a rung has gone on from its checkpoint shows by what it leaves: it has read one of its files,
and reported nothing at a resource that was reached before.
"""

from typing import NamedTuple

from hpmpi.leader.rehearsal import TriedRung
from hpmpi.model.messages import Answer, Failed, Finished, gist
from hpmpi.model.trial import WORST, Goal, Metrics
from hpmpi.views.layout import count_of, time_of
from hpmpi.views.story import numbers

UNITS = ("B", "kB", "MB", "GB")

MOST_NAMED = 5
"""Of the checkpoints of a rung, the newest."""


def of_rung(tried: TriedRung, goal: Goal, limit_s: float | None) -> list[str]:
    """Say what a rung came to; `limit_s`: how long its job might take in a run."""
    took = f"took {time_of(tried.took_s)}"
    if isinstance(tried.answer, Finished):
        metrics = tried.answer.metrics
        came_back = f"came back: {numbers(metrics)}; {studied(metrics, goal)}"
        each = f"{time_of(tried.unit_s)} for each of {tried.resource - tried.start}"
        told = [came_back, left_behind(tried), f"{took}: {each}"]
    else:
        told = [f"came to nothing: {why(tried.answer)}", took]
    if limit_s is not None and tried.took_s > limit_s:
        told.append(f"that is more than trial_time_s = {limit_s:g}: in a run, it would be ended")
    return told


def why(answer: Answer) -> str:
    """Say why a rung came to nothing."""
    if isinstance(answer, Failed):
        return f"{answer.kind.value}: {gist(answer.error)}"
    return type(answer).__name__.lower()


def studied(metrics: Metrics, goal: Goal) -> str:
    """Say what counts."""
    if goal.loss(metrics) == WORST:
        return f"{goal.metric} is no number that counts: it is the worst there is"
    best = "more" if goal.mode == "max" else "less"
    return f"{goal.metric} is studied, and {best} is better"


def left_behind(tried: TriedRung) -> str:
    """Say which checkpoints were saved, and how much was reported."""
    newest = list(tried.saved.items())[-MOST_NAMED:]
    named = ", ".join(f"at {resource} ({size_of(size)})" for resource, size in newest)
    checkpoints = count_of(len(tried.saved), "checkpoint")
    reported = count_of(len(tried.points), "point")
    return f"saved {checkpoints}{': ' * bool(named)}{named}; reported {reported}"


def size_of(size_bytes: float) -> str:
    """Write a size.

    >>> size_of(0), size_of(2048), size_of(999_950), size_of(12_340_000_000)
    ('0 B', '2 kB', '1000 kB', '12.3 GB')
    """
    power = min(3, (len(str(int(size_bytes))) - 1) // 3)
    return f"{round(size_bytes / 1000**power, 1):g} {UNITS[power]}"


class Terms(NamedTuple):
    """What a function, or a program, finds things by."""

    saves: str
    previous: str
    start: str


OF_FUNCTIONS = Terms("trial.checkpoint", "trial.previous", "trial.start")
OF_PROGRAMS = Terms("{folder}", "{previous}", "{start}")


def goes_on(
    first: TriedRung, second: TriedRung, *, terms: Terms = OF_FUNCTIONS
) -> tuple[bool, str]:
    """Tell whether the second rung has gone on from where the first was, and what shows it."""
    if not first.saved:
        return False, (
            f"no: the first rung saved no checkpoint ({terms.saves}), so that a promoted trial "
            "is trained from 0 again"
        )
    if second.read is False:
        return False, f"no: no file of the checkpoint was read, which is in {terms.previous}"
    again = [point.resource for point in second.points if point.resource <= second.start]
    if again:
        behind = f"{again[0]} was reported again, and the checkpoint is at {second.start}"
        return False, f"no: {behind}: begin at {terms.start}"
    if second.read is None:
        return True, f"that can't be seen here; the checkpoint at {second.start} was there"
    shown = f"yes: the checkpoint at {second.start} was read"
    return True, f"{shown}, and what was reported is beyond it" if second.points else shown


def pace(first: TriedRung, second: TriedRung) -> str:
    """Say how long the second rung would take by the first, on from there and from 0."""
    on, whole = second.resource - second.start, second.resource
    return (
        f"by the pace of the first rung, {on} more take {time_of(on * first.unit_s)}, and all "
        f"{whole} from 0 {time_of(whole * first.unit_s)}: it took {time_of(second.took_s)}"
    )
