"""Whole runs of a small study, as a user starts them: local processes or mpirun."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import psutil

from hpmpi.model.messages import Ready
from hpmpi.transports.local import VARIABLE
from tests.harness.run_journal import RunJournal
from tests.harness.torture_faults import SERVING, rank_of

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MPIRUN = BIN / "mpirun"
IS_OPEN_MPI = (BIN / "ompi_info").exists()
LIMIT_S = 120.0

OBJECTIVE = """
import os, time
from pathlib import Path

def train(config, trial):
    log = Path(trial.args["log"])
    if trial.previous:
        assert int((trial.previous / "epochs").read_text()) == trial.start
    for epoch in range(trial.start, trial.stop):
        time.sleep(trial.args["epoch_s"])
        with log.open("a") as file:
            file.write(f"{trial.number} {epoch}\\n")
        if trial.should_save(epoch + 1):
            with trial.checkpoint(epoch + 1) as folder:
                (folder / "epochs").write_text(str(epoch + 1))
    return {"loss": config["x"] + 1 / trial.stop}

def fail(config):
    raise ValueError("as told")
"""

STUDY = """
objective = "train.py:train"
metric = "loss"

[space]
x = { type = "float", low = 0.0, high = 1.0 }

[scheduler]
method = "asha"
max_resource = 9

[stop]
max_trials = 12

[limits]
patience_s = 1.5

[run]
checkpoint_s = 0.3
"""

_started: list[subprocess.Popen[str]] = []
"""By the test that runs."""


class Study(RunJournal):
    """A study in a folder of its own, and the run that it becomes."""

    def __init__(self, folder: Path, epoch_s: float = 0.02) -> None:
        """Write the files."""
        super().__init__(folder / "out")
        self.folder = folder
        self.log = folder / "epochs.log"
        self.file = folder / "mine.toml"
        (folder / "train.py").write_text(OBJECTIVE)
        args = f'\n[objective_args]\nlog = "{self.log}"\nepoch_s = {epoch_s}\n'
        self.file.write_text(STUDY + args)

    def command(self, *options: str) -> list[str]:
        """Say how to run it without a launcher."""
        words = [sys.executable, "-m", "hpmpi", "run", str(self.file), "--out", str(self.out)]
        return [*words, *options]

    def mpirun(self, ranks: int, *options: str) -> list[str]:
        """Say how to run it under this Python's mpirun."""
        return [*mpirun(ranks), *self.command(*options)]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start it."""
        return start(command, self.folder)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Start it and wait for its end."""
        return finish(self.start(command))

    def until(self, reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait until the run has come to something; it must not end before."""
        deadline = time.monotonic() + LIMIT_S
        while not reached():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the run does not come to it"
            time.sleep(0.02)

    def ranks(self) -> dict[int, int]:
        """Find the process of each worker rank that has been heard of."""
        heard = dict(self.heard(Ready))
        pids = [int(each.split()[0]) for each in processes_of(self.folder)]
        return {rank: pid for pid in pids if (rank := rank_in(pid)) in heard}

    def left(self) -> list[str]:
        """List the processes of the run that outlive it by more than a moment."""
        return left(self.folder)


def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a program of ours in a folder."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _started.append(process)
    return process


def end_what_was_started() -> None:
    """End what a test has started and not waited for, as one that is skipped half-way does.

    Python complains of a process that is forgotten while it runs, and does so in whatever test it
    happens to come to that.
    """
    while _started:
        process = _started.pop()
        process.kill()
        with process:  # closes its pipes and waits
            pass


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a run."""
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def mpirun(ranks: int) -> list[str]:
    """Say how to start ranks here: Open MPI will not start more than cores, or as root, unasked."""
    flags = ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"] if IS_OPEN_MPI else []
    return [str(MPIRUN), *flags, "-n", str(ranks)]


def rank_in(pid: int) -> int | None:
    """Tell which worker rank a process is; None where it is none."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        environ = process.environ()
        rank = rank_of(environ)
        above = takewhile(lambda each: rank_of(each.environ()) == rank, process.parents())
        guards = 0 if VARIABLE in environ else 2
        if rank and process.name() not in SERVING and len(list(above)) == guards:
            return int(rank)
    return None


def parent_of(pid: int) -> int:
    """Look up the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def left(folder: Path) -> list[str]:
    """List the processes that work in a folder or name it, and don't end in a moment."""
    deadline = time.monotonic() + 10
    while (living := list(processes_of(folder))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return living


def processes_of(folder: Path) -> Iterator[str]:
    """Find the processes that work in a folder or name it."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in words or (process / "cwd").readlink() == folder:
                yield f"{process.name} {words!r}"
