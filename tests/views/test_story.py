"""Laws of `hpmpi show --trial`: all that became of one trial is told, and of no other."""

import json
from pathlib import Path

import pytest

from hpmpi.cli.main import main
from hpmpi.errors import StoreError
from hpmpi.master.seeds import seed_of
from hpmpi.model.messages import FailureKind, Point
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.views.run_view import sum_up
from hpmpi.views.story import MOST_POINTS, as_json, text
from tests.harness.histories import (
    assigned,
    back,
    failure,
    history,
    lost,
    progress,
    ready,
    result,
    started,
    stopped,
    suspension,
)

LINES: list[Line] = [
    *(ready(rank) for rank in (1, 2, 3)),
    *(assigned(BASELINE, rank=3, at=0.5), result(BASELINE, 0.9, rank=3, at=0.6)),
    assigned(0, at=1.0, config={"rate": 0.1, "layers": [64, 32]}),
    assigned(1, rank=2, at=1.0),
    failure(0, FailureKind.CRASH, "killed by SIGSEGV; its last output: x", at=3.0),
    assigned(0, number=2, at=4.0),
    progress(0, *(Point(step, {"loss": 1 / step}) for step in range(1, 9)), number=2, at=5.0),
    result(0, 0.5, number=2, at=6.0, saved=1),
    assigned(0, 1, at=6.0),
    result(1, 0.75, rank=2, at=8.0),
    suspension(0, 2, 1, at=9.0),
    assigned(0, 1, number=2, rank=2, at=10.0),
    lost(2, (0, 1, 2), at=40.0),
    assigned(0, 1, number=3, rank=3, at=41.0),
    back(2, (0, 1, 2), at=42.0),
    result(0, 0.25, 1, number=2, rank=2, at=100.0, saved=3, over=[0]),
]


def told(trial: int, *more: Line) -> list[str]:
    """Tell the story of a trial."""
    return text(sum_up(history(*LINES, *more)), trial).splitlines()


def test_a_trial_is_told_from_its_beginning_to_where_it_stands() -> None:
    assert told(0) == [
        "mine: trial 0 is complete: place 1 of 2, the incumbent",
        f"seed {seed_of(0, 0)}, suggested at 1.0 s:",
        "  rate = 0.1",
        "  layers = [64,32]",
        "",
        "  1.0 s  rung 0 attempt 1 by rank 1 on node1, from 0 to 1",
        "  3.0 s  rung 0 attempt 1 failed (crash): killed by SIGSEGV",
        "  4.0 s  tried again: rung 0 attempt 2 by rank 1 on node1, from 0 to 1",
        "  6.0 s  rung 0 attempt 2 brought loss 0.5 after 2.0 s, the incumbent then; saved at 1",
        "  6.0 s  promoted to rung 1: rung 1 attempt 1 by rank 1 on node1, from 1 to 3",
        "  9.0 s  rung 1 attempt 1 was suspended after 3.0 s; saved at 2",
        " 10.0 s  goes on: rung 1 attempt 2 by rank 2 on node2, from 2 to 3",
        " 40.0 s  rung 1 attempt 2 failed (lost rank): rank 2 was silent for too long",
        " 41.0 s  tried again: rung 1 attempt 3 by rank 3 on node3, from 2 to 3",
        "100.0 s  rung 1 attempt 2 brought loss 0.25 after 1 min, the incumbent then; saved at 3",
        "100.0 s  rung 1 attempt 3 is in work by now, after 59.0 s",
        "",
        f"reported at the newest {MOST_POINTS} of 8:",
        "4  loss 0.25",
        "5  loss 0.2",
        "6  loss 0.166667",
        "7  loss 0.142857",
        "8  loss 0.125",
        "",
        "rung 0 attempt 1 said:",
        "     x",
    ]


def test_what_was_given_up_or_stopped_says_so() -> None:
    given_up = told(2, assigned(2, at=101.0), failure(2, at=102.0, final=True))
    assert given_up[0] == "mine: trial 2 is given up: no result yet"
    assert given_up[-1].endswith("failed (exception): ValueError: no; given up")
    ended = told(2, assigned(2, at=101.0, bracket=1), stopped(2, at=103.0))
    assert ended[:2] == [
        "mine: trial 2 is stopped: no result yet",
        f"seed {seed_of(0, 2)}, suggested at 101.0 s, in bracket 1:",
    ]
    assert ended[-1].endswith("rung 0 attempt 1 was stopped by its scheduler after 2.0 s")


def test_nothing_that_acts_on_a_terminal_is_in_a_story() -> None:
    hostile = [assigned(2, config={"x": "\x1b[31m\n"}), failure(2, error="\x1b[2J\u202e")]
    assert all(line.isprintable() for line in told(2, *hostile))


def test_programs_are_told_the_same() -> None:
    story = json.loads(as_json(sum_up(history(*LINES)), 0))
    assert (story["study"], story["place"], story["status"]) == ("mine", 1, "complete")
    assert story["config"] == {"rate": 0.1, "layers": [64, 32]}
    assert [attempt["fate"] for attempt in story["attempts"]] == [
        "failed",
        "result",
        "saved for a drain",
        "result",
        "in work",
    ]
    assert [failed["kind"] for failed in story["failures"]] == ["crash", "lost rank"]
    assert len(story["curve"]) == 8
    assert json.loads(as_json(sum_up(history(*LINES, assigned(2))), 2))["place"] is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [(LINES, "its trials are 0 to 1"), ([], "it has none yet")],
    ids=["two", "none"],
)
def test_there_is_no_story_of_a_trial_that_is_not_there(lines: list[Line], says: str) -> None:
    for tell in (text, as_json):
        with pytest.raises(StoreError, match=f"there is no trial 7 in mine: {says}"):
            tell(sum_up(history(*lines)), 7)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--trial", "0"], 0, "mine: trial 0 is complete"),
        (["--trial", "1", "--json"], 0, '"trial": 1,'),
        (["--trial", "7"], 2, "there is no trial 7"),
        (["--trial", "-1"], 2, "'-1' must be a whole number from 0 on"),
    ],
)
def test_the_command_tells_a_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    (tmp_path / run_folder.JOURNAL).write_bytes(text_of(rows_of([started(), *LINES])))
    assert main(["show", str(tmp_path), *words]) == code
    captured = capsys.readouterr()
    assert says in (captured.err if code else captured.out)
