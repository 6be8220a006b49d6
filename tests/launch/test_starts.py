"""Starts that bring nothing are counted, whatever they died of, and over requeues."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hpmpi.launch.starts import Starts
from hpmpi.model.events import Heard
from hpmpi.model.messages import FailureKind, Ready
from hpmpi.model.records import Assigned, Decision, Entry, Failure, Line, Stopped, Suspension
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.storage.heartbeat_file import NAME, Heartbeat
from tests.harness import journals

ATTEMPT = AttemptId(0, 0, 1)
STARTED = journals.started()
RESULT = journals.finished(1.0, ATTEMPT, {"loss": 1.0})
BASELINE_RESULT = journals.finished(1.0, AttemptId(BASELINE, 0, 1), {"loss": 1.0})


def decided(decision: Decision) -> Entry:
    """Make a line with a decision; on what does not matter here."""
    return Entry(1.0, Heard(1, Ready("node1", 17)), (decision,))


def failure(*, final: bool) -> Entry:
    """Make a failure of a job."""
    return decided(Failure(ATTEMPT, FailureKind.CRASH, final))


def after(folder: Path, restarts: int, *lines: Line) -> int:
    """Tell how many starts in a row have brought nothing, to a launch that begins now."""
    with closing(Heartbeat(folder, "17")) as heartbeat:
        return Starts(heartbeat, lines, restarts).barren


@pytest.fixture
def heartbeat(tmp_path: Path) -> Iterator[Heartbeat]:
    """Be a launch, which is still there when the next begins: its first node has died."""
    with closing(Heartbeat(tmp_path, "17")) as heartbeat:
        yield heartbeat


def test_a_start_that_nothing_is_heard_of_counts_over_requeues(tmp_path: Path) -> None:
    """Slurm may end it any time: what is not counted before is counted nowhere."""
    for restart in range(3):
        killed = Heartbeat(tmp_path, "17")
        starts = Starts(killed, [], restart)
        assert starts.barren == restart
        starts.begin()
        assert after(tmp_path, restart + 1) == restart + 1
        killed.close()
    assert after(tmp_path, 3) == 3


def test_a_start_counts_once_however_it_ends(tmp_path: Path, heartbeat: Heartbeat) -> None:
    starts = Starts(heartbeat, [], 1)
    for count in (1, 2, 3):
        starts.begin()
        starts.end([STARTED] * (count - 1))
        assert starts.barren == count
    assert after(tmp_path, 1, STARTED, STARTED) == 3


def test_what_the_ranks_of_a_launch_that_was_killed_have_brought_counts(
    tmp_path: Path, heartbeat: Heartbeat
) -> None:
    Starts(heartbeat, [STARTED, RESULT], 1).begin()
    assert after(tmp_path, 1, STARTED, RESULT, STARTED) == 1
    assert after(tmp_path, 1, STARTED, RESULT, STARTED, RESULT) == 0


def test_whoever_submits_anew_begins_to_count_anew(tmp_path: Path, heartbeat: Heartbeat) -> None:
    Starts(heartbeat, [], 1).begin()
    assert [after(tmp_path, restarts, STARTED) for restarts in (0, 1)] == [0, 1]


@pytest.mark.parametrize(
    ("before", "line", "barren"),
    [
        ([], RESULT, 0),
        ([], BASELINE_RESULT, 0),
        ([], decided(Suspension(ATTEMPT, 3)), 0),
        ([], decided(Stopped(ATTEMPT)), 0),
        ([], decided(Assigned(ATTEMPT, 3, 1)), 1),
        ([RESULT], failure(final=True), 0),
        ([RESULT], failure(final=False), 1),
        ([], failure(final=True), 1),
        ([BASELINE_RESULT], failure(final=True), 1),
    ],
    ids=[
        "a-result",
        "the-baseline",
        "a-checkpoint",
        "stopped",
        "begun",
        "given-up",
        "to-be-tried-again",
        "given-up-as-all",
        "given-up-as-all-but-the-baseline",
    ],
)
def test_what_is_new_ends_the_row(
    tmp_path: Path, heartbeat: Heartbeat, before: list[Line], line: Line, barren: int
) -> None:
    """A job that is given up, too: it may have taken the run along, and others have their turn."""
    starts = Starts(heartbeat, before, 1)
    starts.begin()
    starts.end([*before, STARTED, line])
    assert starts.barren == barren
    assert after(tmp_path, 1, *before, STARTED, line) == barren


@pytest.mark.parametrize("text", ["", "3\n", '{"barren":"many"}', '{"barren":-1}', "\x00"])
def test_a_count_that_is_none_is_0(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert after(tmp_path, 2) == 0


def test_where_nothing_can_be_written_the_count_goes_on_in_memory(
    heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", full)
    starts = Starts(heartbeat, [], 0)
    for count in (1, 2):
        starts.begin()
        starts.end([])
        assert starts.barren == count


def full(*_: object) -> int:
    """Take no byte."""
    raise OSError(28, "No space left on device")
