"""Laws of the log."""

import logging
from functools import partial

import msgspec
import pytest

from hpmpi.history.history import History
from hpmpi.leader.event_log import MOST_LINES, EventLog
from hpmpi.leader.notices import tell_complete_since
from hpmpi.model.events import Interrupted
from hpmpi.model.messages import END_LINES, FailureKind, Outcome, Point
from hpmpi.model.records import Entry, Failure, Line
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.study.settings import Settings, StopTable
from hpmpi.views.run_view import MENDED
from tests.harness.histories import (
    assigned,
    back,
    deadline,
    draining,
    ended,
    failure,
    late,
    lost,
    ready,
    result,
    started,
    stopped,
    suspension,
    unfit,
)


def told(caplog: pytest.LogCaptureFixture, *lines: Line) -> list[str]:
    """Log lines after a start on 200 ranks."""
    caplog.set_level(logging.INFO, "hpmpi")
    history, event_log = History(), EventLog()
    for line in (started(ranks=200), *lines):
        history.add(line)
        event_log.tell(line, history)
    return caplog.messages


@pytest.mark.parametrize(("attempt", "took"), [(1, "30.0 s"), (2, "10.0 s")])
def test_a_result_took_the_time_since_its_own_attempt_was_handed_out(
    caplog: pytest.LogCaptureFixture, attempt: int, took: str
) -> None:
    messages = told(
        caplog,
        assigned(0, at=1.0),
        lost(1, (0, 0, 1), at=20.0),
        assigned(0, number=2, rank=2, at=21.0),
        back(1, (0, 0, 1), at=30.0),
        result(0, 1.0, number=attempt, rank=attempt, at=31.0),
    )
    assert (
        messages[-1]
        == f"trial 0 rung 0: loss 1 at resource 1 (rank {attempt}, {took}), the incumbent; x=0"
    )


def test_of_several_metrics_all_are_told_and_who_is_on_the_front(
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = Settings("m", {}, "m.py:m", metric=["score", "size"], mode=["max", "min"]).toml()
    results = [(0.5, 3.0), (0.4, 4.0), (0.4, 2.0)]
    lines = [
        line
        for trial, (score, size) in enumerate(results)
        for line in (assigned(trial), result(trial, {"size": size, "score": score}))
    ]
    assert told(caplog, started(settings=study), *lines) == [
        "trial 0 rung 0: score 0.5, size 3 at resource 1 (rank 1, 1.0 s), on the front; x=0",
        "trial 1 rung 0: score 0.4, size 4 at resource 1 (rank 1, 1.0 s); x=0.125",
        "trial 2 rung 0: score 0.4, size 2 at resource 1 (rank 1, 1.0 s), on the front; x=0.25",
    ]


def test_why_a_study_has_had_enough_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, ended(Outcome.COMPLETE, why="all is spent")) == ["complete: all is spent"]
    caplog.clear()
    assert told(caplog, ended(Outcome.COMPLETE, why="complete")) == []


def test_the_end_of_a_traceback_is_told_once_for_each_sort_of_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = "\n".join(f"  frame {number}" for number in range(20))
    errors = [f"{name}: {at}\n\nTraceback\n{frames}" for at, name in enumerate("AAB")]
    messages = told(
        caplog,
        *(assigned(trial, rank=trial + 1) for trial in range(5)),
        *(failure(trial, error=it, rank=trial + 1) for trial, it in enumerate(errors)),
        failure(3, FailureKind.CRASH, "killed; its last output:\nepoch 3\x1b", rank=4),
        failure(4, FailureKind.TIME, "too long", rank=5),
    )
    assert [message.count("\n") for message in messages] == [END_LINES, 0, END_LINES, 1, 0]
    assert messages[0].endswith(
        "A: 0; x=0\n" + "\n".join(f"      frame {at}" for at in range(14, 20))
    )
    assert messages[1].endswith("A: 1; x=0.125")
    assert messages[3].endswith("killed; x=0.375\n    epoch 3\\x1b")


def test_several_failures_of_one_line_are_each_told(caplog: pytest.LogCaptureFixture) -> None:
    ids = [AttemptId(trial, 0, 1) for trial in range(3)]
    failures = tuple(Failure(attempt, FailureKind.LOST) for attempt in ids)
    cut = Entry(5.0, Interrupted(dict.fromkeys(range(3), 0)), failures)
    messages = told(caplog, *(assigned(trial, rank=trial + 1) for trial in range(3)), cut)
    assert [message.partition(" rung")[0] for message in messages] == [
        "trial 0",
        "trial 1",
        "trial 2",
    ]


def test_the_log_has_nothing_that_acts_on_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    died = failure(0, FailureKind.CRASH, "died\0 \x1b[31mred")
    [message] = told(caplog, assigned(0), died)
    assert "died\\x00 \\x1b[31mred" in message


def test_each_thing_that_happens_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    messages = told(
        caplog,
        ready(1, "node1", "3 of 5 columns are blank"),
        ready(2, "node1", "3 of 5 columns are blank"),
        unfit(3, "no such module\nTraceback"),
        *(assigned(trial, rank=trial + 1) for trial in range(4)),
        failure(0, final=True),
        suspension(1, 2, rank=2),
        stopped(2, Point(1, {"loss": 1.0}), rank=3),
        late(2, rank=3),
        lost(4, (3, 0, 1)),
        back(4, (3, 0, 1)),
        *(assigned(BASELINE), result(BASELINE, 0.5, at=3.0)),
        ended(Outcome.DRAINED, why="SIGTERM"),
    )
    assert messages == [
        "3 of 5 columns are blank",
        "rank 3 can't work: no such module",
        "trial 0 rung 0 attempt 1: exception (rank 1): ValueError: no; given up; x=0",
        "trial 1 rung 0: saved at 2, to go on from there",
        "trial 2 rung 0: stopped by the scheduler",
        "rank 4 is lost: it was silent for too long",
        "trial 3 rung 0 attempt 1: lost rank (rank 4): rank 4 was silent for too long; x=0.375",
        "rank 4 is back",
        "the baseline: loss 0.5 at resource 1 (rank 1, 2.0 s)",
        "drained (SIGTERM): the same command goes on from here",
    ]


def test_results_that_come_too_fast_are_counted_but_for_incumbents(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trials = range(MOST_LINES + 7)
    messages = told(
        caplog,
        *(assigned(trial, rank=trial + 1) for trial in trials),
        *(result(trial, 1.0, rank=trial + 1, at=2.0) for trial in trials[:-2]),
        result(trials[-2], 0.5, rank=trials[-2] + 1, at=2.1),
        result(trials[-1], 0.7, rank=trials[-1] + 1, at=9.0),
    )
    assert len(messages) == MOST_LINES + 2
    assert messages[-2].startswith(f"after 5 more results: trial {trials[-2]} rung 0: loss 0.5")
    assert ", the incumbent; x=" in messages[-2]
    assert messages[-1].startswith(f"trial {trials[-1]} rung 0: loss 0.7")


def test_a_study_without_hope_ends_with_what_its_trials_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given_up = failure(0, error="NameError: x\nTraceback", final=True)
    messages = told(caplog, assigned(0), given_up, ended(Outcome.FAILED))
    reason = "trials fail alike, and none has succeeded"
    assert messages[-1] == f"{reason}:\nNameError: x\nTraceback\n{MENDED}"


def test_a_drain_is_said_and_how_long_it_may_take(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, draining("SIGTERM")) == ["SIGTERM: draining, for at most 20 s"]


@pytest.mark.parametrize(
    ("ends_at", "messages"),
    [
        (12.0, ["the allocation ends in 7 s, and a drain takes 11 s (grace_s + 10)"]),
        (16.1, []),
    ],
)
def test_an_allocation_that_ends_too_soon_for_a_drain_is_said(
    caplog: pytest.LogCaptureFixture, ends_at: float, messages: list[str]
) -> None:
    assert told(caplog, deadline(ends_at, 1e9, ends_at - 11.0, at=5.0)) == messages


def introduced(caplog: pytest.LogCaptureFixture, study: Settings) -> list[str]:
    """Introduce a study with five rungs."""
    caplog.set_level(logging.WARNING, "hpmpi")
    history = History([started(settings=study.toml(), rungs=(1, 3, 9, 27, 81))])
    EventLog().introduce(history, "here", 0)
    return caplog.messages


def halving(trials: int) -> Settings:
    """Have few trials for many rungs."""
    return Settings(
        name="mine",
        objective="train.py:train",
        space={},
        searcher={"method": "random"},
        scheduler={"method": "asha", "eta": 3},
        stop=StopTable(max_trials=trials),
    )


def test_that_nobody_comes_to_the_top_is_said_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert introduced(caplog, halving(81)) == []
    assert introduced(caplog, halving(20)) == [
        (
            "of 20 trials hardly any will come to max_resource = 81, as one in 3 goes on from each "
            "rung: that takes 81 trials, or min_resource = 9"
        )
    ]


def test_that_promoted_trials_begin_from_0_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    lines = [assigned(0), result(0, 1.0), assigned(0, 1), assigned(1), result(1, 1.0, at=3.0)]
    messages = told(caplog, *lines, assigned(1, 1, at=4.0))
    (said,) = (message for message in messages if "from 0" in message)
    begins, _, todo = said.partition(", and so do all that are promoted without a checkpoint: ")
    assert begins == "trial 0 rung 1 begins from 0"
    assert todo == "trial.should_save says when to save one"
    caplog.clear()
    ours = Settings("mine", {}, "hpmpi.trainables.knn:train").toml()
    messages = told(caplog, started(settings=ours), *lines, assigned(1, 1, at=4.0))
    assert not any("from 0" in message for message in messages)


def test_what_began_from_0_before_a_start_is_no_news_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin = partial(started, settings=halving(10).toml())
    before: list[Line] = [begin(), ready(1), assigned(0), result(0, 1.0), assigned(0, 1, at=3.0)]
    history, event_log = History([*before, begin(at=5.0)]), EventLog()
    assert history.restarted == 1
    event_log.introduce(history, "here", 1)
    caplog.clear()
    for line in (ready(1), assigned(1, at=6.0)):
        history.add(line)
        event_log.tell(line, history)
    assert not any("from 0" in message for message in caplog.messages)


def test_that_nothing_is_run_is_said_with_what_there_can_be_more_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hpmpi")
    tried = History([started(), ready(1), assigned(0), result(0, 1.0)])
    few = Settings(
        "mine", {}, "t.py:t", searcher={"method": "random"}, stop=StopTable(max_trials=1)
    )
    tell_complete_since(0.0, few, tried)
    tell_complete_since(0.0, msgspec.structs.replace(few, searcher={"method": "grid"}), tried)
    more, all_tried = (
        message.partition(", and nothing was run: ")[2] for message in caplog.messages
    )
    assert more == "it goes on with a higher stop.max_trials; --fresh begins anew"
    assert all_tried == "all of the grid was tried; --fresh begins anew"


def test_that_the_grid_is_too_large_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "hpmpi")
    grid = Settings(
        name="mine",
        objective="train.py:train",
        space={},
        searcher={"method": "grid"},
        stop=StopTable(max_trials=1000, time_s=3600.0),
    )
    history, event_log = History(), EventLog()
    jobs: list[Line] = [
        line
        for trial in range(40)
        for line in (assigned(trial, at=10.0 * trial), result(trial, 0.5, at=10.0 * trial + 10))
    ]
    for line in (started(ranks=1, rungs=(1,), settings=grid.toml()), *jobs):
        history.add(line)
        event_log.tell(line, history)
    assert caplog.messages == [
        (
            "the grid is larger than the time left: 992 of 1000 trials are to begin yet, and take "
            "about 2 h 45 min, but time_s is over in 58 min: the others are not tried"
        )
    ]


def test_each_minute_it_is_summed_up_and_each_result_says_how_much_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hpmpi")
    study = Settings("m", {}, "t:t", scheduler={"unit": "epochs"}, stop=StopTable(max_trials=4))
    history, event_log = History(), EventLog()
    lines: list[Line] = [started(rungs=(1,), settings=study.toml()), assigned(0), result(0, 0.5)]
    for line in lines:
        history.add(line)
        event_log.tell(line, history)
    assert caplog.messages == [
        "[25 %] trial 0 rung 0: loss 0.5 at 1 epoch (rank 1, 1.0 s), the incumbent; x=0"
    ]
    for at in (10.0, 69.0, 70.0, 71.0):
        event_log.sum_up(history, at)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("1 of 4 trials tried (25 % done); ends about ")
    assert caplog.messages[1].endswith(
        "best: trial 0, loss 0.5; ranks: 4 awaited; 51 results an hour"
    )


def test_beside_a_live_view_only_incumbents_have_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hpmpi")
    history, event_log = History(), EventLog(is_beside=True)
    jobs: list[Line] = [line for it in range(3) for line in (assigned(it), result(it, 0.5))]
    for line in [started(), *jobs]:
        history.add(line)
        event_log.tell(line, history)
    assert [message.partition(":")[0] for message in caplog.messages] == ["trial 0 rung 0"]
