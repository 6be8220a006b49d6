"""What can't be is refused by the number of its line, whoever wrote it, and takes no memory."""

import math
import tracemalloc

import msgspec
import pytest

from hpmpi.errors import ReplayError
from hpmpi.history.history import History
from hpmpi.model.events import Heard, Tick
from hpmpi.model.messages import Beat, FailureKind, Finished, Point
from hpmpi.model.records import Deadline, Entry, Failure, Line, Result, Suggestion
from hpmpi.model.trial import BASELINE, AttemptId
from tests.harness.histories import (
    assigned,
    back,
    deadline,
    entry,
    failure,
    late,
    lost,
    progress,
    ready,
    result,
    started,
    stopped,
    suspension,
    unfit,
)

JOB = AttemptId(0, 0, 1)
BEGUN: list[Line] = [started(), ready(1), assigned(0)]
HUGE = 10**18


def at(time: float) -> Line:
    return ready(1, at=time)


def unasked(event_of: int) -> Line:
    """Have a result come in that another attempt's report is said to be."""
    report = Finished(AttemptId(event_of, 0, 1), {"loss": 0.5})
    return entry(2.0, Heard(1, report), Result(JOB))


NESTED: list[object] = []
for _ in range(70):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (at(-1.0), "-1.0 is no time"),
        (at(math.nan), "nan is no time"),
        (at(1e300), "1e\\+300 is no time"),
        (started(ranks=0), "can't be 0 ranks"),
        (started(ranks=HUGE), "can't be 1000000000000000000 ranks"),
        (started(rungs=[9, 3]), "are no rungs"),
        (started(rungs=[-1, 3]), "are no rungs"),
        (started(rungs=[3, 3]), "are no rungs"),
        (started(rungs=[1, HUGE]), "are no rungs"),
        (started(rungs=range(1, 20_000)), "can't be 19999 rungs"),
        (ready(5), "there is no rank 5"),
        (ready(0), "there is no rank 0"),
        (unfit(-1, "no"), "there is no rank -1"),
        (lost(HUGE), "there is no rank 1000000000000000000"),
        (back(7), "there is no rank 7"),
        (back(1, (0, 0, 2)), "trial 0 rung 0 attempt 2 was not handed out"),
        (assigned(1, rank=HUGE), "there is no rank"),
        (assigned(7), "it lacks the beginning of trial 7"),
        (assigned(-2), "it lacks the beginning of trial -2"),
        (assigned(HUGE), "it lacks the beginning of trial"),
        (assigned(1, 1), "it lacks the beginning of trial 1"),
        (assigned(0, HUGE), "there is no rung"),
        (assigned(0, -1), "there is no rung"),
        (assigned(BASELINE, 1), "there is no rung"),
        (assigned(1, resource=0), "0 is no resource"),
        (assigned(1, resource=HUGE), "is no resource"),
        (assigned(1, bracket=-1), "there is no bracket -1"),
        (assigned(1, bracket=HUGE), "there is no bracket"),
        (assigned(0), "trial 0 rung 0 attempt 1 is not the next"),
        (assigned(0, number=3), "trial 0 rung 0 attempt 3 is not the next"),
        (assigned(0, 1, number=2), "trial 0 rung 1 attempt 2 is not the next"),
        (assigned(1, config={"x": [None]}), "neither number, text"),
        (assigned(1, config={"x": math.inf}), "must be finite"),
        (assigned(1, config={"x": HUGE}), "too large"),
        (assigned(1, config={"x": NESTED}), "deep in each other"),
        (result(0, {"accuracy": 0.5}), "a result lacks the metric 'loss'"),
        (result(1, 0.5), "trial 1 rung 0 attempt 1 was not handed out"),
        (result(0, 0.5, number=2), "was not handed out"),
        (result(0, 0.5, saved=-1), "-1 is no resource of a checkpoint"),
        (result(0, 0.5, over=[3]), "it lacks the beginning of trial 3"),
        (result(0, 0.5, over=[-1]), "it lacks the beginning of trial -1"),
        (entry(2.0, Tick(), Result(JOB)), "nothing says what trial 0 rung 0 attempt 1 came to"),
        (unasked(1), "nothing says what trial 0 rung 0 attempt 1 came to"),
        (failure(3), "was not handed out"),
        (entry(2.0, Tick(), Failure(JOB, FailureKind.CRASH)), "nothing says why"),
        (entry(2.0, Heard(1, Beat()), Failure(JOB, FailureKind.CRASH)), "nothing says why"),
        (suspension(0, HUGE), "is no resource of a checkpoint"),
        (suspension(2, 1), "was not handed out"),
        (late(2), "was not handed out"),
        (stopped(2), "was not handed out"),
        (progress(2, Point(1, {"loss": 0.5})), "was not handed out"),
        (progress(0, Point(10**30, {"loss": 0.5})), "is no resource of a point"),
        (progress(0, Point(2**63, {"loss": 0.5})), "is no resource of a point"),
        (deadline(1e300, 1e9, 1.0), "is no deadline"),
        (deadline(9.0, -1.0, 1.0), "is no deadline"),
        (deadline(9.0, 1e9, 10.0), "is no deadline"),
        (deadline(9.0, 1e9, -math.inf), "is no deadline"),
        (entry(1.0, Tick(), Deadline(1.0)), "nothing says when the allocation ends"),
    ],
)
def test_a_line_that_can_not_be_is_refused(line: Line, says: str) -> None:
    history = History()
    for before in BEGUN:
        history.add(before)
    with pytest.raises(ReplayError, match=rf"^the journal is damaged: .*{says}.* \(line 4\)$"):
        history.add(line)


@pytest.mark.parametrize(
    "closed", [result(0, 0.5), failure(0, final=True), stopped(0)], ids=["result", "failed", "stop"]
)
def test_a_job_is_answered_once(closed: Line) -> None:
    for again in (result(0, 0.5), failure(0), suspension(0, 1), stopped(0)):
        history = History()
        for line in [*BEGUN, closed]:
            history.add(line)
        with pytest.raises(ReplayError, match="was answered before"):
            history.add(again)


def test_a_job_that_is_closed_is_not_handed_out_again() -> None:
    for number in (1, 2):
        history = History()
        for line in [*BEGUN, result(0, 0.5)]:
            history.add(line)
        with pytest.raises(ReplayError, match=f"attempt {number} is not the next"):
            history.add(assigned(0, number=number))


def test_a_journal_begins_with_a_start() -> None:
    with pytest.raises(ReplayError, match="it lacks the start of the study"):
        History().add(ready(1))


@pytest.mark.parametrize("settings", ["", "name = 1", "a = " + "[" * 5000])
def test_a_study_that_can_not_be_read_is_refused_when_it_is_asked_for(settings: str) -> None:
    history = History()
    history.add(started(settings=settings))
    with pytest.raises(ReplayError, match="the settings in the journal are damaged"):
        history.study  # noqa: B018 - it is read here
    with pytest.raises(ReplayError, match="does not say which study"):
        History().study  # noqa: B018


def test_great_numbers_take_no_memory() -> None:
    history = History()
    tracemalloc.start()
    for line in (started(ranks=2**20), ready(2**20), assigned(0, 9999, config={}, rank=2**20)):
        history.add(line)
    history.add(Entry(2.0, Tick(), (), (Suggestion(HUGE, {}),)))
    assert len(history.rungs()) == 4
    assert sum(history.ranks.counts().values()) == 2**20
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 100_000


def test_lines_may_be_added_one_by_one_or_read_on_from_anywhere() -> None:
    lines: list[Line] = [*BEGUN, result(0, 0.5), assigned(0, 1)]
    at_once, read_on = History(), History()
    for line in lines:
        at_once.add(line)
    for line in lines[:3]:
        read_on.add(line)
    assert (read_on.lines, read_on.results) == (3, 0)
    for line in lines[3:]:
        read_on.add(line)
    assert read_on.rungs() == at_once.rungs()
    assert read_on.incumbent == at_once.incumbent
    assert msgspec.to_builtins(list(read_on.attempts.values())) == msgspec.to_builtins(
        list(at_once.attempts.values())
    )
