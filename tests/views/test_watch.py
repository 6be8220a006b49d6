"""Laws of `hpmpi show --watch`."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.model.messages import Outcome
from hpmpi.model.records import Assigned, Decision, Ended, Result, Started
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.views import watch
from hpmpi.views.run_view import Summary, look
from hpmpi.views.show import state
from hpmpi.views.watch import CLEAR, page
from tests.harness.runs import LIMIT_S, ROOT, Study, finish, start

STUDY = 'objective = "train.py:train"\nname = "mine"\n[space.x]\ntype = "choice"\nvalues = [1]\n'

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
SHOW = """
import signal, sys
from hpmpi import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main(["show", *sys.argv[1:], "--watch"]))
"""


def write(folder: Path, results: int, *ends: Decision) -> None:
    """Write the journal of a study that has results."""
    decisions: list[Decision] = [Started(0.0, "", STUDY, "cafe", 4, (1, 3), run_folder.FORMAT)]
    for trial in range(results):
        decisions.append(Assigned(1.0, trial, 0, 1, 1, 1, {"x": 1}))
        decisions.append(Result(2.0, trial, 0, 1, 1, 1, {"loss": 0.5}))
    (folder / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, [*decisions, *ends])))


def watched(*words: str) -> list[str]:
    """Say how to watch a run."""
    return [sys.executable, "-c", SHOW, *words]


def test_a_run_is_watched_until_it_ends(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 1, process)
    seen = finish(start(watched(str(study.out)), tmp_path))
    assert (seen.returncode, seen.stderr) == (0, "")
    states = [line for line in seen.stdout.splitlines() if line.startswith("mine: ")]
    assert states[0].startswith("mine: running; ")
    assert states[-1].startswith("mine: complete; 12 trials")
    assert len(states) == len(set(states))
    assert "\x1b" not in seen.stdout
    assert finish(process).returncode == 0


def test_ctrl_c_ends_it_quietly_and_an_interruption_does_not(tmp_path: Path) -> None:
    write(tmp_path, 1)
    process = start(watched(str(tmp_path)), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("mine: interrupted; ")
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert (done.returncode, done.stderr) == (130, "")


def test_nothing_is_printed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, 1)
    monkeypatch.setattr(watch, "WATCH_S", 0.0)
    told: list[str] = []

    def tell(summary: Summary) -> str:
        told.append(state(summary))
        if len(told) == 3:
            write(tmp_path, 1, Ended(3.0, Outcome.COMPLETE, "complete"))
        return told[-1]

    watch.watch(tmp_path, tell)
    assert told == ["interrupted"] * 3 + ["complete"]
    assert capsys.readouterr().out == "interrupted\ncomplete\n"


def test_for_programs_each_look_is_a_line(tmp_path: Path) -> None:
    write(tmp_path, 1, Ended(3.0, Outcome.COMPLETE, "complete"))
    done = finish(start(watched(str(tmp_path), "--json"), tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith('{"study": "mine", "state": "complete", ')
    assert done.stdout.count("\n") == 1


def test_a_terminal_is_cleared_before_each_page(tmp_path: Path) -> None:
    write(tmp_path, 1, Ended(3.0, Outcome.COMPLETE, "complete"))
    terminal, program = pty.openpty()
    subprocess.run(
        watched(str(tmp_path)),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=program,
        timeout=LIMIT_S,
        check=True,
    )
    os.close(program)
    seen = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert seen.startswith(f"{CLEAR}mine: complete; ")
    assert seen.count("\x1b") == CLEAR.count("\x1b")


@pytest.mark.parametrize("top", [10, 20, 40])
def test_a_page_has_as_many_trials_as_the_terminal_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top: int
) -> None:
    write(tmp_path, 20)
    summary = look(tmp_path)
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    assert page(summary, top).count("x=1") == min(top, 20)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "16")
    lines = page(summary, top).split("\n")
    assert len(lines) + 1 == 16
    assert lines[-1].startswith("best: ")
    monkeypatch.setenv("LINES", "3")
    assert page(summary, top).count("x=1") == 1
