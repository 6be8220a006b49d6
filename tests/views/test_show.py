"""What `hpmpi show` tells of a run, finished or not, and what it keeps from the terminal."""

import json
import math
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from hpmpi.master.shield import RAISED
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Lost,
    Refused,
    Result,
    Started,
)
from hpmpi.storage import lock, run_folder
from hpmpi.storage.journal import line_of
from hpmpi.storage.lock import SILENCE_S, Lease, Sign
from hpmpi.study.settings import Settings
from hpmpi.views.layout import printable
from hpmpi.views.run_view import MENDED, Summary, look, sum_up
from hpmpi.views.show import text
from hpmpi.views.show_json import text as as_json
from tests.harness.runs import LIMIT_S, ROOT, Study, finish

TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: no {trial}\n'
)


def failure(trial: int, kind: FailureKind, error: str = TRACEBACK, *, final: bool) -> Failure:
    """Write a failure."""
    return Failure(1.0, trial, 0, 1, 2, kind, error.format(trial=trial), final=final)


def summed_up(
    *decisions: Decision, rungs: tuple[int, ...] = (1,), sign: Sign | None = None
) -> Summary:
    """Sum up a study on four ranks, at a time that is 1000 s after 1970."""
    study = Settings(name="mine", objective="train.py:train", space={})
    started = Started(0.0, "", "", "cafe", 4, rungs, run_folder.FORMAT)
    summary = sum_up(study, [started, *decisions])
    return msgspec.structs.replace(summary, sign=sign, looked_at=1000.0)


def summary(failures: list[Failure], config: str = "0.5") -> Summary:
    """Sum up a run in which one trial succeeded."""
    summed = summed_up(
        Assigned(0.0, 0, 0, 1, 1, 1, {"x": config}),
        Result(0.5, 0, 0, 1, 1, 1, {"loss": 0.5}),
        Ended(1.0, Outcome.DRAINED, "SIGTERM"),
    )
    return msgspec.structs.replace(summed, failures=failures)


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([0.5, 0.25], ["tried first: loss 0.5; the best is better by 0.25"]),
        ([0.5, 0.75], ["tried first: loss 0.5; nothing is better"]),
        ([math.nan, 0.75], []),
    ],
)
def test_without_a_baseline_the_best_is_compared_with_what_was_tried_first(
    losses: list[float], says: list[str]
) -> None:
    study = Settings("mine", "train.py:train", {}, searcher={"first": [{"x": 0.5}]})
    decisions: list[Decision] = [Started(0.0, "", "", "cafe", 4, (1,), run_folder.FORMAT)]
    for trial, loss in enumerate(losses):
        decisions += [
            Assigned(0.0, trial, 0, 1, 1, 1, {"x": 0.5}),
            Result(0.5, trial, 0, 1, 1, 1, {"loss": loss}),
        ]
    lines = text(sum_up(study, decisions), top=10).splitlines()
    assert [line for line in lines if line.startswith(("baseline", "tried"))] == says
    unasked = msgspec.structs.replace(study, searcher={})
    assert "tried first" not in text(sum_up(unasked, decisions), top=10)


def test_what_was_tried_first_is_compared_at_the_same_resource_only() -> None:
    study = Settings("mine", "train.py:train", {}, searcher={"first": [{"x": 0.5}]})
    decisions: list[Decision] = [Started(0.0, "", "", "cafe", 4, (1, 3), run_folder.FORMAT)]
    for trial in range(2):
        decisions += [
            Assigned(0.0, trial, 0, 1, 1, 1, {"x": 0.5}),
            Result(0.5, trial, 0, 1, 1, 1, {"loss": 0.5}),
        ]
    decisions += [
        Assigned(1.0, 1, 1, 1, 3, 1),
        Result(1.5, 1, 1, 1, 3, 1, {"loss": 0.25}),
    ]
    assert sum_up(study, decisions).gain is None


@pytest.mark.parametrize(("top", "said"), [(0, ["... and 1 more"]), (1, []), (2, [])])
def test_that_there_are_more_is_said_where_there_are(top: int, said: list[str]) -> None:
    lines = text(summary([]), top=top).splitlines()
    assert [line for line in lines if "more" in line] == said


def test_without_failures_nothing_is_said_of_them() -> None:
    assert text(summary([]), top=10).splitlines() == [
        "mine: drained; 1 trials, 1 results, 1 s",
        "",
        "place  trial  loss  resource  configuration",
        "    1      0   0.5         1  x=0.5",
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


STUDY = 'objective = "train.py:train"\nname = "mine"\n[space.x]\ntype = "choice"\nvalues = [1]\n'


def write(folder: Path, decisions: list[Decision]) -> None:
    """Write the journal of a study on four ranks."""
    folder.mkdir(exist_ok=True)
    started = Started(0.0, "", STUDY, "cafe", 4, (1, 3), run_folder.FORMAT)
    (folder / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, [started, *decisions])))


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
    write(
        tmp_path,
        [
            Joined(0.0, 1, "host", 1),
            Assigned(0.0, 0, 0, 1, 1, 1, {"x": HOSTILE}),
            Result(0.5, 0, 0, 1, 1, 1, {"loss": 0.5}),
        ],
    )
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


# -- a run that goes on ----------------------------------------------------------------------------

LEASE = Lease("node3", "another kernel", 17, "cafe", "noon")
ALIVE = Sign(LEASE, 1.5, gone=False)
DONE: list[Decision] = [
    *(Joined(0.0, rank, f"node{rank}", 16 + rank) for rank in (1, 2)),
    Assigned(1.0, 0, 0, 1, 1, 1, {"x": 0.5}),
    Result(2.0, 0, 0, 1, 1, 1, {"loss": 0.5}),
    Assigned(2.0, 0, 1, 1, 3, 1),
    Assigned(2.0, 1, 0, 1, 1, 2, {"x": 0.25}),
]


def test_it_runs_as_long_as_somebody_gives_a_sign_of_life() -> None:
    lines = text(summed_up(*DONE, sign=ALIVE), top=10).splitlines()
    assert lines[:3] == [
        "mine: running; 2 trials, 1 results, 2 s",
        "ranks: 2 busy, 2 awaited",
        "",
    ]


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (None, "nobody has the run folder: the same command goes on from here"),
        (Sign(LEASE, 1.5, gone=True), "process 17 on node3 is gone: the same command goes on from"),
        (Sign(LEASE, 720.0, gone=False), "no sign of life for 12 min (process 17 on node3)"),
    ],
)
def test_a_run_that_nobody_leads_any_more_was_interrupted(sign: Sign | None, expected: str) -> None:
    told = summed_up(*DONE, Deadline(2.0, 9.0, 8.0, 9000.0), rungs=(1, 3), sign=sign)
    lines = text(told, top=10).splitlines()
    assert lines[0] == "mine: interrupted; 2 trials, 1 results, 2 s"
    assert lines[1].startswith(expected)
    assert lines[2] == ""
    assert json.loads(as_json(told, top=10))["ranks"] is None


def test_a_sign_of_life_may_be_as_old_as_clocks_differ() -> None:
    assert Sign(LEASE, SILENCE_S - 1, gone=False).alive
    assert not Sign(LEASE, SILENCE_S, gone=False).alive


def test_a_run_that_has_ended_is_what_it_says_whoever_has_the_folder() -> None:
    told = summed_up(*DONE, Ended(9.0, Outcome.DESERTED, "deserted"), sign=ALIVE)
    assert text(told, top=10).splitlines()[:2] == ["mine: deserted; 2 trials, 1 results, 9 s", ""]


def test_a_study_without_hope_says_what_its_trials_say() -> None:
    failed = Failure(8.0, 1, 1, 1, 1, FailureKind.EXCEPTION, "NameError: undefined", final=True)
    told = summed_up(*DONE, failed, Ended(9.0, Outcome.FAILED, "failed"))
    last = text(told, top=10).splitlines()[-2:]
    assert last == ["trials fail alike, and none has succeeded: NameError: undefined", MENDED]


def test_a_study_whose_searcher_raised_says_so() -> None:
    why = f"{RAISED} LookupError: no"
    told = summed_up(*DONE, Draining(8.0, why), Ended(9.0, Outcome.UNFIT, why))
    assert text(told, top=10).splitlines()[-1] == why


def test_ranks_that_can_not_work_are_named_with_their_hosts() -> None:
    refused = Refused(4.0, 4, "node4", "no such module")
    gone = (Lost(3.0, 3), Lost(3.0, 2), refused)
    lines = text(summed_up(*DONE, *gone, sign=ALIVE), top=10).splitlines()
    assert lines[1] == "ranks: 1 busy, 2 lost (rank 2 on node2, rank 3), 1 unfit (rank 4 on node4)"


def test_the_end_of_the_allocation_is_told_while_it_is_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ahead = summed_up(*DONE, Deadline(2.0, 11_520.0, 1.0, 1000.0 + 11_520.0), sign=ALIVE)
    lines = text(ahead, top=10).splitlines()
    assert lines[2] == "the allocation ends at 1970-01-01 03:28 (in 3 h 12 min)"
    past = summed_up(*DONE, Deadline(2.0, 11_520.0, 1.0, 940.0), sign=ALIVE)
    assert text(past, top=10).splitlines()[2] == "the allocation was to end at 1970-01-01 00:15"
    monkeypatch.undo()
    time.tzset()


def test_a_drain_is_told_with_its_reason() -> None:
    lines = text(summed_up(*DONE, Draining(3.0, "SIGUSR1"), sign=ALIVE), top=10).splitlines()
    assert lines[2] == "draining: SIGUSR1"


def test_jobs_are_counted_by_rung_but_for_what_is_zero_in_all() -> None:
    lines = text(summed_up(*DONE, rungs=(1, 3), sign=ALIVE), top=10).splitlines()
    assert lines[6:] == [
        "rung  resource  running  results  promoted",
        "   0         1        1        1         1",
        "   1         3        1        0         0",
        "",
        "best: trial 0, loss 0.5 at 1",
    ]


def test_of_one_rung_there_is_no_table() -> None:
    assert "rung" not in text(summed_up(*DONE, sign=ALIVE), top=10)


def test_json_has_numbers_where_people_have_phrases() -> None:
    decided = [*DONE, Lost(3.0, 2), Deadline(3.0, 9.0, 8.0, 1060.0), Draining(3.0, "SIGUSR1")]
    told = json.loads(as_json(summed_up(*decided, rungs=(1, 3), sign=ALIVE), top=10))
    assert (told["state"], told["incumbent"]) == ("running", 0)
    assert told["holder"] == {"host": "node3", "pid": 17, "age_s": 1.5}
    assert told["ranks"] == {"busy": 1, "idle": 0, "awaited": 2, "lost": 1, "unfit": 0}
    assert (told["lost"], told["unfit"]) == ([2], [])
    assert told["deadline"] == {"epoch_s": 1060.0, "left_s": 60.0}
    assert told["draining"] == "SIGUSR1"
    assert told["rungs"][0] == {
        "rung": 0,
        "resource": 1,
        "running": 1,
        "waiting": 0,
        "results": 1,
        "given_up": 0,
        "promoted": 1,
    }


def test_the_lines_of_tables_are_as_wide_as_the_terminal_and_whole_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = summary([], "w" * 400)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert len(text(told, top=10).splitlines()[3]) > 400
    monkeypatch.setenv("COLUMNS", "60")
    line = text(told, top=10).splitlines()[3]
    assert len(line) == 60
    assert line.endswith("w...")


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Tell of each file which it is, and when it was written last."""
    stats = {path.name: path.stat() for path in folder.iterdir() if path.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def test_a_real_run_is_seen_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 1, process)
    running = look(study.out)
    assert running.goes_on
    assert sum(running.progress.ranks().values()) == 2
    process.kill()
    finish(process)
    assert study.left() == []
    before = files_of(study.out)
    interrupted = look(study.out)
    assert interrupted.sign is not None
    assert interrupted.sign.gone
    assert "mine: interrupted; " in text(interrupted, top=10)
    assert files_of(study.out) == before
    done = study.run(study.command("--workers", "2"))
    assert done.returncode == 0
    assert look(study.out).outcome is Outcome.COMPLETE


def test_a_look_holds_nobody_up(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.02)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 1, process)
    while process.poll() is None:
        look(study.out)
    done = finish(process)
    assert done.returncode == 0
    assert sorted(study.results) == sorted(set(study.results))


def test_a_copy_of_a_run_is_seen_as_it_was_left(tmp_path: Path) -> None:
    write(tmp_path / "run", DONE)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert text(look(tmp_path / "copy"), 10) == text(look(tmp_path / "run"), 10)


def test_a_run_that_ends_while_it_is_looked_at_was_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, DONE)

    def end(folder: Path) -> None:
        write(folder, [*DONE, Ended(9.0, Outcome.COMPLETE, "complete")])

    monkeypatch.setattr(lock, "sign_of_life", end)  # the journal was read a moment before
    assert look(tmp_path).outcome is Outcome.COMPLETE


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, DONE)
    first = look(tmp_path)
    again = look(tmp_path, first)
    assert again.board is first.board
    assert again.looked_at >= first.looked_at
    write(tmp_path, [*DONE, Ended(9.0, Outcome.DRAINED, "SIGTERM")])
    assert look(tmp_path, again).outcome is Outcome.DRAINED
