"""Laws of `hpmpi show --watch`."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from hpmpi.leader.run import TRY_AGAIN
from hpmpi.model.messages import Outcome
from hpmpi.model.records import Line
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.views import watch
from hpmpi.views.run_view import Summary, look
from hpmpi.views.show import state
from tests.harness.histories import assigned, ended, result, started
from tests.harness.runs import LIMIT_S, ROOT, Study, finish, start

STUDY = 'objective = "train.py:train"\nname = "mine"\n[space.x]\ntype = "choice"\nvalues = [1]\n'

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
SHOW = """
import signal, sys
from hpmpi.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["show", *sys.argv[1:], "--watch"]))
"""


def write(folder: Path, results: int, *ends: Line) -> None:
    """Write the journal of a study that has results."""
    lines: list[Line] = [started(rungs=(1, 3), settings=STUDY)]
    for trial in range(results):
        lines += [assigned(trial, config={"x": 1}), result(trial, 0.5)]
    (folder / run_folder.JOURNAL).write_bytes(text_of(rows_of([*lines, *ends])))


def watched(*words: str) -> list[str]:
    """Say how to watch a run."""
    return [sys.executable, "-c", SHOW, *words]


def test_a_run_is_watched_until_it_ends(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 1, process)
    process.send_signal(signal.SIGSTOP)  # it may be over before anybody has begun to watch
    watching = start(watched(str(study.out)), tmp_path)
    assert watching.stdout is not None
    first = watching.stdout.readline()
    process.send_signal(signal.SIGCONT)
    seen = finish(watching)
    assert (seen.returncode, seen.stderr) == (0, "")
    lines = [first, *seen.stdout.splitlines()]
    states = [line for line in lines if line.startswith("mine: ")]
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
            write(tmp_path, 1, ended(Outcome.COMPLETE))
        return told[-1]

    watch.watch(tmp_path, tell)
    assert told == ["interrupted"] * 3 + ["complete"]
    assert capsys.readouterr().out == "interrupted\ncomplete\n"


def test_for_programs_each_look_is_a_line(tmp_path: Path) -> None:
    write(tmp_path, 1, ended(Outcome.COMPLETE))
    done = finish(start(watched(str(tmp_path), "--json"), tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith('{"study": "mine", "state": "complete", ')
    assert done.stdout.count("\n") == 1


def interrupted(command: list[str], folder: Path, until: bytes) -> tuple[bytes, int]:
    """Run a program in a terminal of 80 x 24, and press Ctrl-C when it has written something.

    Returns all that it wrote, and its exit code.
    """
    terminal, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=program, stderr=program)
    os.close(program)
    seen, pressed = b"", False
    with contextlib.suppress(OSError):  # its last holder has closed it
        while some := os.read(terminal, 100_000):
            seen += some
            if until in seen and not pressed:
                process.send_signal(signal.SIGINT)
                pressed = True
    os.close(terminal)
    return seen, process.wait(LIMIT_S)


def test_a_run_is_seen_live_in_a_terminal_from_inside_and_outside(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    command = study.command("--workers", "1", "--set", "stop.max_trials=2000")
    inside, code = interrupted(command, tmp_path, b", found ")
    assert code == TRY_AGAIN
    assert b"mine: drained; " in inside.rpartition(b"mine: running, ")[2]
    process = study.start(command)
    study.until(lambda: look(study.out).goes_on, process)
    outside, code = interrupted(watched(str(study.out)), tmp_path, b", found ")
    assert code == 130
    process.send_signal(signal.SIGINT)
    assert finish(process).returncode == TRY_AGAIN
    for seen in (inside, outside):
        assert b"of 2000 trials tried" in seen
        assert b"\x1b[?25l" not in seen.rpartition(b"\x1b[?25h")[2], "the cursor is there"


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_what_is_no_terminal_has_plain_lines(tmp_path: Path, options: tuple[str, ...]) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    done = study.run(study.command("--workers", "1", *options))
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if "trial 0 rung 0: loss" in line]
    assert [line.split("; ")[-1].startswith("x=") for line in told] == [True] * (not options)
