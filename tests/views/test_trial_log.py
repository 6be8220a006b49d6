"""Laws of `hpmpi show --trial N --log`: what one trial printed, and nothing else."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.errors import StoreError
from hpmpi.model.messages import Assign, FailureKind
from hpmpi.model.records import Line
from hpmpi.model.trial import AttemptId
from hpmpi.storage import logs
from hpmpi.views import trial_log
from hpmpi.views.run_view import sum_up
from tests.harness.histories import assigned, failure, history, ready, result
from tests.harness.runs import ROOT, Study, finish, start

LINES: list[Line] = [
    *(ready(rank) for rank in (1, 2)),
    assigned(0, at=1.0),
    assigned(1, rank=2, at=1.0),
    failure(0, FailureKind.CRASH, "killed by SIGSEGV", at=3.0),
    assigned(0, number=2, rank=2, at=4.0),
    result(0, 0.5, number=2, rank=2, at=6.0),
    assigned(0, 1, at=6.0),
]


def write(folder: Path, rank: int, *parts: tuple[AttemptId, bytes]) -> None:
    """Write the log of a rank."""
    path = logs.path_of(folder, rank)
    path.parent.mkdir(exist_ok=True)
    heads = [logs.heading_of(Assign(attempt, 1, {}, seed=0)) for attempt, _ in parts]
    path.write_bytes(b"".join(head + it for head, (_, it) in zip(heads, parts, strict=True)))


def test_attempts_are_in_order_from_all_ranks_with_what_became_of_them(tmp_path: Path) -> None:
    write(tmp_path, 1, (AttemptId(0, 0, 1), b"one"), (AttemptId(0, 1, 1), b"three\n"))
    write(tmp_path, 2, (AttemptId(1, 0, 1), b"another's\n"), (AttemptId(0, 0, 2), b"two \xff\n"))
    assert trial_log.text(sum_up(history(*LINES)), 0, tmp_path).splitlines() == [
        "[hpmpi: rung 0 attempt 1 by rank 1 on node1, from 0 to 1]",
        "one",
        "[hpmpi: rung 0 attempt 1 failed (crash): killed by SIGSEGV]",
        "[hpmpi: tried again: rung 0 attempt 2 by rank 2 on node2, from 0 to 1]",
        "two \\xff",
        "[hpmpi: rung 0 attempt 2 brought loss 0.5 after 2.0 s, the incumbent then]",
        "[hpmpi: promoted to rung 1: rung 1 attempt 1 by rank 1 on node1, from 0 to 3]",
        "three",
        "[hpmpi: rung 1 attempt 1 is in work by now, after 0.0 s]",
    ]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path, 1, (AttemptId(5, 0, 1), b"another's\n"))
    told = trial_log.text(sum_up(history(*LINES)), 0, tmp_path)
    assert told.count("rank-1.log has no word of it") == 2
    assert "rank-2.log can't be read: No such file" in told
    assert "another's" not in told
    with pytest.raises(StoreError, match="there is no trial 2 in mine"):
        trial_log.text(sum_up(history(*LINES)), 2, tmp_path)


OBJECTIVE = """
import os, subprocess, sys

def train(config, trial):
    print("rung", trial.rung, "of trial", trial.number, end="")
    subprocess.run(["sh", "-c", "printf ' \\\\033[31mchild'"], check=True)
    os.write(2, b"\\xff\\n")
    if trial.args["fails"] and trial.number == 3:
        raise ValueError("no" + "!" * 3900)
    return config["x"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Run a study whose trial 3 fails."""
    study = Study(tmp_path_factory.mktemp("logs"))
    (study.folder / "train.py").write_text(OBJECTIVE)
    done = study.run(study.command("--workers", "2", "--set", "objective_args.fails=true"))
    assert done.returncode == 0, done.stderr
    return study


def show(study: Study, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask for a log."""
    return finish(start([sys.executable, "-m", "hpmpi", "show", str(study.out), *words], ROOT))


def test_of_a_run_each_trial_has_its_own(run: Study) -> None:
    for trial in range(12):
        lines = show(run, "--trial", str(trial), "--log").stdout.splitlines()
        printed = [line for line in lines if line.startswith("rung ")]
        assert printed
        assert {line.partition("trial ")[2] for line in printed} == {f"{trial} \x1b[31mchild\\xff"}


def test_a_traceback_is_whole_in_the_log_and_its_end_where_one_looks(run: Study) -> None:
    log = show(run, "--trial", "3", "--log").stdout
    assert log.count("ValueError: no" + "!" * 3900) == 2
    assert log.count("Traceback (most recent call last):") == 2
    assert "hpmpi/worker" not in log
    for words in ([], ["--trial", "3"]):
        assert 'raise ValueError("no" + "!" * 3900)' in show(run, *words).stdout
    assert "all of it: logs/rank-" in show(run).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--log"], "--log is of one trial, which --trial N names"),
        (["--log", "--trial", "3", "--json"], "goes with neither --watch nor --json"),
        (["--log", "--trial", "99"], "there is no trial 99"),
    ],
)
def test_what_can_not_be_shown_is_said_in_a_line(run: Study, words: list[str], said: str) -> None:
    done = show(run, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_in_a_log_acts_on_a_terminal(run: Study) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "hpmpi", "show", str(run.out), "--trial", "3", "--log"]
    process = subprocess.Popen(words, stdout=theirs, cwd=ROOT)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(ours, 1 << 16):
            shown += chunk
    os.close(ours)
    assert process.wait() == 0
    assert b"\\x1b[31mchild" in shown
    assert b"\x1b" not in shown
