"""What `hpmpi show` tells of failures, and what it keeps from the terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi import store
from hpmpi.decisions import Assigned, Decision, Failure, Joined, Result, Started
from hpmpi.journal import line_of
from hpmpi.leaderboard import Leaderboard
from hpmpi.messages import FailureKind
from hpmpi.settings import Settings
from hpmpi.show import as_json, printable, text
from hpmpi.summary import Summary
from hpmpi.trial import Goal
from tests.runs import LIMIT_S, ROOT

TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: no {trial}\n'
)


def failure(trial: int, kind: FailureKind, error: str = TRACEBACK, *, final: bool) -> Failure:
    """Write a failure."""
    return Failure(1.0, trial, 0, 1, 2, kind, error.format(trial=trial), final=final)


def summary(failures: list[Failure], config: str = "0.5") -> Summary:
    """Sum up a run in which one trial succeeded."""
    board = Leaderboard(Goal("loss", "min"), 0)
    board.add(Assigned(0.0, 0, 0, 1, 1, 1, {"x": config}))
    board.add(Result(0.5, 0, 0, 1, 1, 1, {"loss": 0.5}))
    study = Settings(name="mine", objective="train.py:train", space={})
    return Summary(study, board, None, None, 1.0, failures, "")


def test_without_failures_nothing_is_said_of_them() -> None:
    assert text(summary([]), top=10).splitlines() == [
        "mine: unfinished; 1 trials, 1 results, 1 s",
        "",
        "rank  trial  loss  resource  configuration",
        "   1      0   0.5         1  x=0.5",
        "",
        "best: trial 0, loss 0.5 at 1",
    ]


def test_failures_are_told_by_kind_with_what_the_newest_said() -> None:
    failures = [
        failure(1, FailureKind.EXCEPTION, final=False),
        failure(3, FailureKind.LOST, "rank 2 was silent", final=False),
        failure(2, FailureKind.EXCEPTION, final=True),
    ]
    lines = text(summary(failures), top=10).splitlines()
    assert lines[5:] == [
        "  failure  times                   newest  it said",
        "exception      2  trial 2 rung 0 (rank 2)  ValueError: no 2",
        "lost rank      1  trial 3 rung 0 (rank 2)  rank 2 was silent",
        "given up: 1, the newest: trial 2 (exception)",
        "",
        "best: trial 0, loss 0.5 at 1",
    ]


def test_thousands_of_failures_take_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    failures = [
        failure(trial, kind, "x" * 4000, final=True)
        for trial in range(1000)
        for kind in FailureKind
    ]
    lines = text(summary(failures), top=10).splitlines()
    assert len(lines) == 5 + 1 + len(FailureKind) + 1 + 2
    assert max(len(line) for line in lines[5:]) == 140
    assert lines[6].endswith("xxx...")
    assert lines[-3].startswith("given up: 7000, the newest: trial 999 (lost rank), ")


def test_json_counts_failures_and_lists_what_was_given_up() -> None:
    failures = [
        failure(1, FailureKind.EXCEPTION, final=False),
        failure(2, FailureKind.EXCEPTION, final=True),
    ]
    told = json.loads(as_json(summary(failures), top=10))
    assert told["failures"] == {"exception": 2}
    error = TRACEBACK.format(trial=2)
    assert told["given_up"] == [{"trial": 2, "rung": 0, "kind": "exception", "error": error}]


HOSTILE = "\x1b]0;title\x07\x9b2J\r\x08\u202e\nmine: complete"


def test_nothing_that_acts_on_a_terminal_reaches_it() -> None:
    failures = [failure(1, FailureKind.EXIT, HOSTILE, final=True)]
    told = summary(failures, HOSTILE)
    for line in [*text(told, top=10).splitlines(), *as_json(told, top=10).splitlines()]:
        assert line.isprintable()


def test_no_value_makes_a_line_of_its_own() -> None:
    lines = text(summary([], HOSTILE), top=10).splitlines()
    assert [line for line in lines if line.startswith("mine:")] == lines[:1]


def exported(folder: Path, stdout: int) -> subprocess.CompletedProcess[bytes]:
    """Export as CSV."""
    return subprocess.run(
        [sys.executable, "-m", "hpmpi", "export", str(folder), "--format", "csv"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=stdout,
        timeout=LIMIT_S,
        check=True,
    )


def test_an_export_is_exact_but_on_a_terminal(tmp_path: Path) -> None:
    told = (
        'objective = "train.py:train"\nname = "mine"\n[space.x]\ntype = "choice"\nvalues = [1, 2]\n'
    )
    decisions: list[Decision] = [
        Started(0.0, "", told, "start", 1, (1,), store.FORMAT),
        Joined(0.0, 1, "host", 1),
        Assigned(0.0, 0, 0, 1, 1, 1, {"x": HOSTILE}),
        Result(0.5, 0, 0, 1, 1, 1, {"loss": 0.5}),
    ]
    (tmp_path / store.JOURNAL).write_bytes(b"".join(map(line_of, decisions)))
    assert HOSTILE.encode() in exported(tmp_path, subprocess.PIPE).stdout
    terminal, program = pty.openpty()
    exported(tmp_path, program)
    os.close(program)
    seen = os.read(terminal, 100_000)
    os.close(terminal)
    assert b"loss" in seen
    assert b"\x1b" not in seen
    assert "\x9b".encode() not in seen


def test_what_is_printed_of_several_lines_keeps_them() -> None:
    assert printable("größer\n\x1b[1m\n") == "größer\n\\x1b[1m\n"
