"""`hpmpi check` and `hpmpi try`, as a user starts them in a terminal."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.runs import ROOT, finish, start

OBJECTIVE = """
import json, os, signal, sys
from pathlib import Path

def train(rate, layers, trial):
    done = json.loads((trial.previous / "model").read_text()) if trial.previous else 0
    for epoch in range(done, trial.stop):
        trial.report(epoch + 1, loss=rate)
    with trial.checkpoint(trial.stop) as folder:
        (folder / "model").write_text(json.dumps(trial.stop))
    print("trained", trial.number, "with", trial.seed, "from", done, "to", trial.stop)
    return {"loss": rate, "layers": layers}

def begins_again(config, trial):
    if trial.previous:
        (trial.previous / "model").read_text()
    for epoch in range(trial.stop):
        trial.report(epoch + 1, loss=1.0)
    with trial.checkpoint(trial.stop) as folder:
        (folder / "model").write_text("all of it")
    return 1.0

def forgets(config, trial):
    with trial.checkpoint(trial.stop) as folder:
        (folder / "model").write_text("all of it")
    return 1.0

def saves_nothing(config):
    return 1.0

def stops(config):
    breakpoint()
    raise ValueError("no" + "!" * 5000)

def waits(config):
    os.kill(os.getpid(), signal.SIGINT)

def sums(config, trial):
    return trial.data["X"].sum()

def two():
    import numpy
    return {"X": numpy.ones(2)}

def tells(config, trial):
    print(sys.argv[1:], os.environ["OMP_NUM_THREADS"], "SLURM_JOB_ID" in os.environ, Path.cwd())
    return 1.0

def both(config, rate): ...

class Broken:
    def __init__(self):
        raise LookupError("no model")
"""

STUDY = """
objective = "train.py:train"
metric = "loss"

[space]
rate = { type = "float", low = 0.0, high = 1.0 }
layers = { type = "int", low = 1, high = 4 }

[scheduler]
method = "asha"
max_resource = 9

[stop]
max_trials = 9
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a study."""
    (tmp_path / "train.py").write_text(OBJECTIVE)
    (tmp_path / "mine.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def hpmpi(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return finish(start([sys.executable, "-m", "hpmpi", *words], folder))


def tried(folder: Path, objective: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Try a trial."""
    return hpmpi(folder, "try", "mine.toml", f"--set=objective=train.py:{objective}", *words)


def test_a_trial_is_tried_at_two_rungs_and_no_run_folder_is_touched(folder: Path) -> None:
    done = tried(folder, "train")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"trained 0 with \d+ from (\d) to (\d)", done.stdout) == [
        ("0", "1"),
        ("1", "3"),
    ]
    assert "came back: loss 0." in done.stdout
    assert "saved 1 checkpoint: at 3 (1 B); reported 2 points" in done.stdout
    assert "goes on from the checkpoint: yes: the checkpoint at 1 was read" in done.stdout
    assert re.search(r"^ +2 +9 +[\d.]+ ", done.stdout, re.MULTILINE), "the highest rung is foreseen"
    assert "node-hours on 1 node" in done.stdout
    assert {path.name for path in folder.iterdir()} <= {
        "mine.toml",
        "train.py",
        "tmp",
        "__pycache__",
    }
    [left] = (folder / "tmp").iterdir()
    assert f"its files go to {left}" in done.stdout
    assert (left / "checkpoints" / "0" / "3-1.1" / "model").read_text() == "3"


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("begins_again", "no: 1 was reported again, and the checkpoint is at 1"),
        ("forgets", "no: no file of the checkpoint was read"),
        ("saves_nothing", "no: the first rung saved no checkpoint"),
    ],
)
def test_that_a_rung_does_not_go_on_is_said(folder: Path, objective: str, said: str) -> None:
    done = tried(folder, objective)
    assert done.returncode == 0
    assert f"goes on from the checkpoint: {said}" in done.stdout


def test_what_leaves_nothing_leaves_no_folder(folder: Path) -> None:
    assert tried(folder, "saves_nothing").returncode == 0
    assert list((folder / "tmp").iterdir()) == []


def in_terminal(folder: Path, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command in a terminal of its own; return its process and the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hpmpi", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, wanted: bytes) -> Iterator[bytes]:
    """Read what a terminal shows, up to some words, or the end."""
    shown = b""
    with contextlib.suppress(OSError):  # nobody is at the other end any more
        while wanted not in shown:
            shown += (chunk := os.read(terminal, 1 << 12))
            yield chunk


def test_a_debugger_works_and_the_traceback_is_whole(folder: Path) -> None:
    process, terminal = in_terminal(folder, "try", "mine.toml", "--set=objective=train.py:stops")
    shown = b"".join(read_until(terminal, b"(Pdb) "))
    os.write(terminal, b"p config['layers'] + 1000\n")
    shown += b"".join(read_until(terminal, b"(Pdb) "))
    os.write(terminal, b"c\n")
    shown += b"".join(read_until(terminal, b"never"))
    assert process.wait() == 3
    os.close(terminal)
    assert re.search(rb"\n100[1-4]\r\n", shown)
    assert b"ValueError: no" + b"!" * 5000 in shown
    assert b'train.py", line' in shown
    assert b"hpmpi/" not in shown.partition(b"Traceback")[2]


def test_ctrl_c_ends_it(folder: Path) -> None:
    done = tried(folder, "waits")
    assert done.returncode == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def test_a_configuration_is_given_by_name_and_the_rest_is_drawn(folder: Path) -> None:
    done = tried(folder, "train", "--config", "rate=0.25")
    assert "  rate = 0.25\n  layers = " in done.stdout
    assert "came back: loss 0.25, layers" in done.stdout


def test_a_trial_of_the_run_is_tried_as_it_was(folder: Path) -> None:
    (folder / "train.py").write_text(OBJECTIVE)
    run = hpmpi(folder, "run", "mine.toml", "--workers", "2", "--set", "searcher.method=evolution")
    assert run.returncode == 0, run.stderr
    log = hpmpi(folder, "show", "results/mine", "--trial", "8", "--log").stdout
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")}
    done = tried(folder, "train", "--trial", "8", "--set", "searcher.method=evolution")
    assert "trial 8, as in results/mine" in done.stdout
    assert re.findall(r"trained 8 with \d+", done.stdout)[0] in log
    shown = hpmpi(folder, "show", "results/mine", "--trial", "8").stdout
    assert re.findall(r"^  \w+ = .*", done.stdout, re.MULTILINE) == re.findall(
        r"^  \w+ = .*", shown, re.MULTILINE
    )
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*")}


def test_data_are_read_as_a_node_does(folder: Path) -> None:
    done = tried(folder, "sums", "--set", "data.source=train.py:two")
    assert "came back: loss 2;" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_the_surroundings_are_those_of_a_rank(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = tried(folder, "tells", "--set", "run.folder=own")
    assert re.search(
        r"^\[\] 1 False \S+/tmp/hpmpi-try-\w+/trials/0/0\.1$", done.stdout, re.MULTILINE
    )


BAD = [
    (["--config", "rate=7"], "rate = 7 is not in the space"),
    (["--config", "nothing=1"], "'nothing' is not in [space], which has: rate, layers"),
    (["--config", "rate"], "--config 'rate' must be name=value"),
    (["--config", "rate=True"], "--config 'rate=True': a truth value is true"),
    (["--set", "objective=train.py:both"], "the objective takes (config, rate): rate is a"),
    (["--set", "objective=train.py:none"], "train.py has no 'none'"),
    (["--set", "searcher.method=list", "--set", "searcher.candidates=[]"], "candidates"),
    (["--set", "space.layers.low=1", "--trial", "99", "--set", "space.rate.step=1.0"], "no such"),
    (["--trial", "1", "--config", "rate=0.5"], "not allowed with argument"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_can_not_be_tried_is_said_in_a_line(folder: Path, words: list[str], said: str) -> None:
    done = hpmpi(folder, "try", "mine.toml", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("command", ["try", "check"])
def test_an_objective_that_can_not_be_loaded_is_told_with_its_traceback(
    folder: Path, command: str
) -> None:
    done = hpmpi(folder, command, "mine.toml", "--set", "objective=train.py:Broken")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "hpmpi: the objective can't be loaded: LookupError: no model"
    )
    assert "hpmpi/" not in done.stderr


# -- check -----------------------------------------------------------------------------------------


def test_a_check_says_what_a_study_is_and_will_take(folder: Path) -> None:
    done = hpmpi(folder, "check", "mine.toml", "--ranks=5", "--job-s=60", "--nodes=2", "--time=5")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "mine: train.py:train takes (rate, layers, trial)",
        "space: rate, layers",
        "up to 9 trials by random; asha: rungs at 1, 3, 9",
    ]
    assert lines[5].split()[:5] == ["0", "1", "9", "1", "min"]
    assert lines[8].startswith("4 worker ranks: ")
    assert lines[8].endswith(" 0.17 node-hours on 2 nodes")
    assert lines[9].startswith("after 5 min the time is over, which cuts off ")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_foreseen_is_what_a_run_does_where_that_follows_from_the_study(
    folder: Path,
) -> None:
    words = ["--set", "scheduler.method=sha", "--set", "stop.max_trials=18"]
    foreseen = hpmpi(folder, "check", "mine.toml", *words).stdout
    assert hpmpi(folder, "run", "mine.toml", "--workers", "2", *words).returncode == 0
    shown = hpmpi(folder, "show", "results/mine").stdout
    table = r"^ +(\d) +(\d+) +(\d+) "
    assert re.findall(table, foreseen, re.MULTILINE) == re.findall(
        table, shown.partition("promoted")[2], re.MULTILINE
    )


def test_a_check_refuses_what_a_run_would(folder: Path) -> None:
    done = hpmpi(folder, "check", "mine.toml", "--set", "objective=train.py:both")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    run = hpmpi(folder, "run", "mine.toml", "--workers=1", "--set", "objective=train.py:both")
    assert run.returncode == 2
    assert done.stderr.removeprefix("hpmpi: ") in run.stderr


def test_a_study_without_an_end_has_none_foreseen(folder: Path) -> None:
    done = hpmpi(folder, "check", "mine.toml", "--set", "stop={ target = 0.5 }", "--job-s=1")
    assert done.stdout.splitlines()[-1].startswith("nothing that is known beforehand ends")
    assert done.returncode == 0
