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

from hpmpi.errors import StoreError
from hpmpi.master.shield import RAISED
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE
from hpmpi.storage import lock, run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.storage.lock import SILENCE_S, Lease, Sign
from hpmpi.study.settings import Settings, StopTable
from hpmpi.views.layout import printable
from hpmpi.views.run_view import MENDED, Summary, look, sum_up
from hpmpi.views.show import text
from hpmpi.views.show_json import text as as_json
from tests.harness.histories import (
    assigned,
    deadline,
    draining,
    ended,
    failure,
    history,
    lost,
    ready,
    result,
    started,
    unfit,
)
from tests.harness.runs import LIMIT_S, ROOT, Study, finish

TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: no {trial}\n'
)


def failing(trial: int, kind: FailureKind, error: str = TRACEBACK, *, final: bool) -> list[Line]:
    """Have a trial that begins fail on rank 2."""
    error = error.format(trial=trial)
    return [assigned(trial, rank=2), failure(trial, kind, error, rank=2, at=1.0, final=final)]


def summed_up(
    *lines: Line,
    rungs: tuple[int, ...] = (1,),
    sign: Sign | None = None,
    study: Settings | None = None,
) -> Summary:
    """Sum up a study on four ranks, at a time that is 1000 s after 1970."""
    study = study or Settings(name="mine", objective="train.py:train", space={})
    summary = sum_up(history(*lines, rungs=rungs, settings=study.toml()))
    return msgspec.structs.replace(summary, sign=sign, looked_at=1000.0)


def summary(*failures: list[Line], config: str = "0.5") -> Summary:
    """Sum up a run in which one trial succeeded, and the others may have failed."""
    lines = [assigned(0, at=0.0, config={"x": config}), result(0, 0.5, at=0.5)]
    more = [line for failed in failures for line in failed]
    return summed_up(*lines, *more, ended(Outcome.DRAINED, at=1.0, why="SIGTERM"))


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
    study = Settings("mine", {}, "train.py:train", searcher={"first": [{"x": 0.5}]})
    lines: list[Line] = []
    for trial, loss in enumerate(losses):
        lines += [assigned(trial), result(trial, loss)]
    told = text(summed_up(*lines, study=study), top=10).splitlines()
    assert [line for line in told if line.startswith(("baseline", "tried"))] == says
    unasked = msgspec.structs.replace(study, searcher={})
    assert "tried first" not in text(summed_up(*lines, study=unasked), top=10)


def test_what_was_tried_first_is_compared_at_the_same_resource_only() -> None:
    study = Settings("mine", {}, "train.py:train", searcher={"first": [{"x": 0.5}]})
    lines: list[Line] = []
    for trial in range(2):
        lines += [assigned(trial), result(trial, 0.5)]
    lines += [assigned(1, 1), result(1, 0.25, 1)]
    assert summed_up(*lines, rungs=(1, 3), study=study).gain is None


def test_the_best_is_compared_with_the_baseline_that_a_rank_has_called() -> None:
    study = Settings("mine", {}, "train.py:train", baseline="train.py:simple")
    lines = [assigned(BASELINE), result(BASELINE, 0.75), assigned(0), result(0, 0.5)]
    told = text(summed_up(*lines, study=study), top=10).splitlines()
    assert told[-1] == "baseline: loss 0.75; the best is better by 0.25"
    assert told[0] == "mine: interrupted; 1 trials, 1 results, 2 s"


def test_data_that_no_choice_used_judge_where_both_have_a_metric_of_them() -> None:
    study = Settings("mine", {}, "train.py:train", metric="loss", baseline="train.py:simple")
    lines = [assigned(BASELINE), result(BASELINE, {"loss": 0.75, "test_loss": 0.8})]
    mine = {"loss": 0.5, "test_loss": 0.875}
    told = text(summed_up(*lines, assigned(0), result(0, mine), study=study), top=10).splitlines()
    assert told[-4:] == [
        "best: trial 0, loss 0.5, test_loss 0.875 at resource 1",
        "    x=0",
        "baseline: loss 0.75, test_loss 0.8",
        "by test_loss, of data that no choice used, the best is worse by 0.075",
    ]
    lacking = summed_up(*lines, assigned(0), result(0, 0.5), study=study)
    assert lacking.gain == 0.25
    assert "choice" not in text(lacking, top=10)


@pytest.mark.parametrize(("top", "said"), [(0, ["... and 1 more"]), (1, []), (2, [])])
def test_that_there_are_more_is_said_where_there_are(top: int, said: list[str]) -> None:
    lines = text(summary(), top=top).splitlines()
    assert [line for line in lines if "more" in line] == said


def test_without_failures_nothing_is_said_of_them() -> None:
    assert text(summary(), top=10).splitlines() == [
        "mine: drained; 1 trials, 1 results, 1 s",
        "",
        "place  trial  loss  resource  x",
        "    1      0   0.5         1  0.5",
        "",
        "best: trial 0, loss 0.5 at resource 1",
        "    x=0.5",
    ]


def test_failures_are_told_by_kind_with_what_the_newest_said() -> None:
    failures = [
        failing(1, FailureKind.EXCEPTION, final=False),
        failing(2, FailureKind.CRASH, "killed by SIGSEGV", final=False),
        failing(3, FailureKind.EXCEPTION, final=True),
    ]
    lines = text(summary(*failures), top=10).splitlines()
    assert lines[5:] == [
        "  failure  times                   newest  it said",
        "    crash      1  trial 2 rung 0 (rank 2)  killed by SIGSEGV",
        "exception      2  trial 3 rung 0 (rank 2)  ValueError: no 3",
        "given up: 1, the newest: trial 3 (exception)",
        "",
        "best: trial 0, loss 0.5 at resource 1",
        "    x=0.5",
    ]


def test_the_end_of_what_the_newest_of_a_kind_said_is_told() -> None:
    failures = [
        failing(1, FailureKind.EXCEPTION, "ValueError: no\n\nTraceback\n  old", final=False),
        failing(2, FailureKind.EXCEPTION, "ValueError: no\n\nTraceback\n  fit()", final=False),
        failing(BASELINE, FailureKind.CRASH, "killed; its last output:\nwords", final=False),
    ]
    lines = text(summary(*failures), top=10).splitlines()
    assert lines[9:] == [
        "the end of what trial 2 said; all of it: logs/rank-2.log, or show --trial 2 --log",
        "    Traceback",
        "      fit()",
        "",
        "the end of what the baseline said; all of it: baseline/rank-2.log",
        "    words",
        "",
        "best: trial 0, loss 0.5 at resource 1",
        "    x=0.5",
    ]
    assert text(summary(*failures), top=10, ends=False).splitlines()[9:] == lines[-2:]


def test_thousands_of_failures_take_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    kinds = list(FailureKind)
    failures = [
        failing(trial, kinds[trial % len(kinds)], "x" * 4000, final=True)
        for trial in range(1, 7001)
    ]
    lines = text(summary(*failures), top=10).splitlines()
    assert len(lines) == 5 + 1 + len(FailureKind) + 1 + 3
    assert max(len(line) for line in lines[5:]) == 140
    assert lines[6].endswith("xxx...")
    assert lines[-4].startswith("given up: 7000, the newest: trial 7000 (exception), ")


def test_json_counts_failures_and_lists_what_was_given_up() -> None:
    failures = [
        failing(1, FailureKind.EXCEPTION, final=False),
        failing(2, FailureKind.EXCEPTION, final=True),
    ]
    told = json.loads(as_json(summary(*failures), top=10))
    assert told["failures"] == {"exception": 2}
    error = TRACEBACK.format(trial=2)
    assert told["given_up"] == [{"trial": 2, "rung": 0, "kind": "exception", "error": error}]


HOSTILE = "\x1b]0;title\x07\x9b2J\r\x08\u202e\nmine: complete"


def test_nothing_that_acts_on_a_terminal_reaches_it() -> None:
    told = summary(failing(1, FailureKind.EXIT, HOSTILE, final=True), config=HOSTILE)
    for line in [*text(told, top=10).splitlines(), *as_json(told, top=10).splitlines()]:
        assert line.isprintable()


def test_no_value_makes_a_line_of_its_own() -> None:
    lines = text(summary(config=HOSTILE), top=10).splitlines()
    assert [line for line in lines if line.startswith("mine:")] == lines[:1]


STUDY = 'objective = "train.py:train"\nname = "mine"\n[space.x]\ntype = "choice"\nvalues = [1]\n'


def write(folder: Path, lines: list[Line]) -> None:
    """Write the journal of a study on four ranks."""
    folder.mkdir(exist_ok=True)
    begun = started(rungs=(1, 3), settings=STUDY)
    (folder / run_folder.JOURNAL).write_bytes(text_of(rows_of([begun, *lines])))


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
    write(tmp_path, [ready(1), assigned(0, config={"x": HOSTILE}), result(0, 0.5)])
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
DONE: list[Line] = [
    ready(1),
    ready(2),
    assigned(0, at=1.0, config={"x": 0.5}),
    result(0, 0.5, at=2.0),
    assigned(0, 1, at=2.0),
    assigned(1, rank=2, at=2.0, config={"x": 0.25}),
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
    told = summed_up(*DONE, deadline(9.0, 9000.0, 8.0, at=2.0), rungs=(1, 3), sign=sign)
    lines = text(told, top=10).splitlines()
    assert lines[0] == "mine: interrupted; 2 trials, 1 results, 2 s"
    assert lines[1].startswith(expected)
    assert lines[2] == ""
    assert json.loads(as_json(told, top=10))["ranks"] is None


def test_a_sign_of_life_may_be_as_old_as_clocks_differ() -> None:
    assert Sign(LEASE, SILENCE_S - 1, gone=False).alive
    assert not Sign(LEASE, SILENCE_S, gone=False).alive


def test_a_run_that_has_ended_is_what_it_says_whoever_has_the_folder() -> None:
    told = summed_up(*DONE, ended(Outcome.DESERTED), sign=ALIVE)
    assert text(told, top=10).splitlines()[:2] == ["mine: deserted; 2 trials, 1 results, 9 s", ""]


def test_a_study_without_hope_says_what_its_trials_say() -> None:
    failed = failure(1, error="NameError: undefined", rank=2, final=True)
    told = summed_up(*DONE, failed, ended(Outcome.FAILED))
    last = text(told, top=10).splitlines()[-2:]
    assert last == ["trials fail alike, and none has succeeded: NameError: undefined", MENDED]


def test_a_study_whose_searcher_raised_says_so() -> None:
    why = f"{RAISED} LookupError: no"
    told = summed_up(*DONE, draining(why), ended(Outcome.UNFIT, why=why))
    assert text(told, top=10).splitlines()[-1] == why


def test_ranks_that_can_not_work_are_named_with_their_hosts() -> None:
    gone = (lost(3), lost(2, (1, 0, 1)), unfit(4, "no such module"))
    lines = text(summed_up(*DONE, *gone, sign=ALIVE), top=10).splitlines()
    assert lines[1] == "ranks: 1 busy, 2 lost (rank 2 on node2, rank 3), 1 unfit (rank 4 on node4)"


def test_the_end_of_the_allocation_is_told_while_it_is_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ahead = summed_up(*DONE, deadline(11_520.0, 1000.0 + 11_520.0, 1.0), sign=ALIVE)
    lines = text(ahead, top=10).splitlines()
    assert lines[2] == "the allocation ends at 1970-01-01 03:28 (in 3 h 12 min)"
    past = summed_up(*DONE, deadline(11_520.0, 940.0, 1.0), sign=ALIVE)
    assert text(past, top=10).splitlines()[2] == "the allocation was to end at 1970-01-01 00:15"
    monkeypatch.undo()
    time.tzset()


def test_a_drain_is_told_with_its_reason() -> None:
    lines = text(summed_up(*DONE, draining("SIGUSR1"), sign=ALIVE), top=10).splitlines()
    assert lines[2] == "draining: SIGUSR1"


def test_jobs_are_counted_by_rung_but_for_what_is_zero_in_all() -> None:
    lines = text(summed_up(*DONE, rungs=(1, 3), sign=ALIVE), top=10).splitlines()
    assert lines[6:] == [
        "running  rank  for  resource  loss  x",
        "trial 0     1  0 s    1 of 3   0.5  0.5",
        "trial 1     2  0 s    0 of 1        0.25",
        "",
        "rung  resource  running  results  promoted",
        "   0         1        1        1         1",
        "   1         3        1        0         0",
        "",
        "promoted, and begun from 0 for lack of a checkpoint: 1",
        "",
        "best: trial 0, loss 0.5 at resource 1",
        "    x=0.5",
    ]


def test_what_goes_on_from_a_checkpoint_is_not_begun_from_0() -> None:
    decided = [ready(1), assigned(0), result(0, 0.5, saved=1), assigned(0, 1)]
    assert "from 0" not in text(summed_up(*decided, rungs=(1, 3)), top=10)
    again = [*decided, failure(0, rung=1), assigned(0, 1, 2)]
    assert "from 0" not in text(summed_up(*again, rungs=(1, 3)), top=10)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (9, "no trial came to max_resource = 9"),
        (2, "no trial came to max_resource = 9: that takes 9 trials, or min_resource = 9"),
        (3, "no trial came to max_resource = 9: that takes 9 trials, or min_resource = 3"),
    ],
)
def test_that_nobody_came_to_the_top_is_said_at_the_end(trials: int, said: str) -> None:
    scheduler = {"method": "asha", "max_resource": 9, "eta": 3}
    study = Settings("mine", {}, "t.py:t", scheduler=scheduler, stop=StopTable(max_trials=trials))
    lines = [ready(1), assigned(0), result(0, 0.5)]
    going_on = summed_up(*lines, study=study, rungs=(1, 3, 9))
    assert "no trial came" not in text(going_on, top=10)
    complete = summed_up(*lines, ended(Outcome.COMPLETE), study=study, rungs=(1, 3, 9))
    assert text(complete, top=10).splitlines()[-1] == said
    reached = [*lines, assigned(0, 2), result(0, 0.5, 2), ended(Outcome.COMPLETE)]
    assert "no trial came" not in text(summed_up(*reached, study=study, rungs=(1, 3, 9)), top=10)


def test_of_one_rung_there_is_no_table() -> None:
    assert "rung" not in text(summed_up(*DONE[:4], sign=ALIVE), top=10)


def test_json_has_numbers_where_people_have_phrases() -> None:
    decided = [*DONE, lost(2, (1, 0, 1)), deadline(9.0, 1060.0, 8.0), draining("SIGUSR1")]
    told = json.loads(as_json(summed_up(*decided, rungs=(1, 3), sign=ALIVE), top=10))
    assert (told["state"], told["incumbent"]) == ("running", 0)
    assert told["holder"] == {"host": "node3", "pid": 17, "age_s": 1.5}
    assert told["ranks"] == {"busy": 1, "idle": 0, "awaited": 2, "lost": 1, "unfit": 0} | {
        "quarantined": 0
    }
    assert (told["lost"], told["unfit"], told["quarantined"]) == ([2], [], [])
    assert (told["broken_nodes"], told["paid"]) == ([], None)
    assert told["deadline"] == {"epoch_s": 1060.0, "left_s": 60.0}
    assert told["draining"] == "SIGUSR1"
    assert told["rungs"][0] == {
        "rung": 0,
        "resource": 1,
        "running": 0,
        "waiting": 1,
        "results": 1,
        "given_up": 0,
        "stopped": 0,
        "promoted": 1,
    }


def test_the_lines_of_tables_are_as_wide_as_the_terminal_and_whole_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = summary(config="w" * 400)
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
    assert sum(running.history.ranks.counts().values()) == 2
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
        write(folder, [*DONE, ended(Outcome.COMPLETE)])

    monkeypatch.setattr(lock, "sign_of_life", end)  # the journal was read a moment before
    assert look(tmp_path).outcome is Outcome.COMPLETE


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, DONE)
    first = look(tmp_path)
    again = look(tmp_path, first)
    assert again.history is first.history
    assert again.looked_at >= first.looked_at
    write(tmp_path, [*DONE, ended(Outcome.DRAINED)])
    more = look(tmp_path, again)
    assert more.outcome is Outcome.DRAINED
    assert more.history is first.history, "it was read on"


def test_what_is_another_by_now_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path, DONE)
    first = look(tmp_path)
    write(tmp_path, [ready(1), *DONE, ended(Outcome.DRAINED)])
    again = look(tmp_path, first)
    assert again.history is not first.history
    assert (again.history.lines, again.outcome) == (len(DONE) + 3, Outcome.DRAINED)
    write(tmp_path, DONE[:3])
    assert look(tmp_path, again).history.lines == 4


def test_a_folder_without_a_run_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no run in"):
        look(tmp_path)


def climbing(*losses: tuple[float, float]) -> Summary:
    """Sum up trials that have gone from one rung to the next."""
    lines = [
        line
        for trial, (low, high) in enumerate(losses)
        for line in (
            assigned(trial),
            result(trial, low),
            assigned(trial, 1),
            result(trial, high, 1),
        )
    ]
    return summed_up(*lines, rungs=(1, 3, 9))


def test_how_far_rungs_agree_is_told_for_people_and_programs() -> None:
    summary = climbing(*[(float(it), float(it)) for it in range(9)])
    assert "rank correlation of the rungs: 1.00 of 1 with 3 (9 trials)\n\n" in text(summary, 1)
    assert "says nothing" not in text(summary, 1)
    assert json.loads(as_json(summary, 1))["rank_correlations"] == [
        {"rung": 0, "resource": 1, "above": 3, "trials": 9, "correlation": 1.0}
    ]


def test_a_first_rung_that_says_nothing_is_warned_of_with_what_to_do() -> None:
    summary = climbing(*[(float(it), float(-it)) for it in range(9)])
    warning = (
        "the first rung says nothing of who is better at 3: min_resource = 3 begins above it, "
        'method = "hyperband" has trials that do\n'
    )
    assert warning in text(summary, 1)


def test_few_trials_do_not_say_how_far_rungs_agree() -> None:
    summary = climbing(*[(float(it), float(-it)) for it in range(7)])
    assert "rank correlation" not in text(summary, 1)
    assert json.loads(as_json(summary, 1))["rank_correlations"] == []
