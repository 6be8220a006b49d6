"""Laws of the log."""

import logging

import pytest

from hpmpi.history.leaderboard import Leaderboard
from hpmpi.leader.event_log import EventLog
from hpmpi.model.messages import FailureKind
from hpmpi.model.records import Assigned, Decision, Failure, Result
from hpmpi.model.trial import Goal


def told(caplog: pytest.LogCaptureFixture, *decisions: Decision) -> str:
    caplog.set_level(logging.INFO, "hpmpi")
    narrator = EventLog(Leaderboard(Goal("loss", "min"), 1))
    for decision in decisions:
        narrator.tell(decision)
    return caplog.text


@pytest.mark.parametrize(("attempt", "took"), [(1, "30.0 s"), (2, "10.0 s")])
def test_a_result_took_the_time_since_its_own_attempt_was_handed_out(
    caplog: pytest.LogCaptureFixture, attempt: int, took: str
) -> None:
    text = told(
        caplog,
        Assigned(1.0, 0, 0, 1, 1, 1, {"x": 1}),
        Failure(20.0, 0, 0, 1, 1, FailureKind.LOST, "silent"),
        Assigned(21.0, 0, 0, 2, 1, 2),
        Result(31.0, 0, 0, attempt, 1, attempt, {"loss": 1.0}),
    )
    assert f"loss 1 (rank {attempt}, {took})" in text


def test_the_log_has_nothing_that_acts_on_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    text = told(
        caplog,
        Assigned(1.0, 0, 0, 1, 1, 1, {"x": 1}),
        Failure(2.0, 0, 0, 1, 1, FailureKind.CRASH, "died\0 \x1b[31mred"),
    )
    assert "died\\x00 \\x1b[31mred" in text
