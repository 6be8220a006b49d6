"""One run of the matrix: started as a user does it, its ranks killed, and what came of it.

Rule: a run is over when nothing of it is left, whatever ended it. One that comes to its bound is
drained first, so that what it has completed is known.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from signal import SIGKILL, SIGUSR1
from statistics import fmean, median, pstdev
from typing import Literal, NamedTuple

import msgspec
import psutil
import tomli_w

from hpmpi.guard import process_tree
from hpmpi.history import tables
from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.leader.run import DESERTED, TRY_AGAIN
from hpmpi.model.messages import FailureKind
from hpmpi.storage import run_folder
from scripts.experiment.matrix import GRACE_S, Cell, Matrix, Run
from scripts.experiment.padded import ROOT
from tests.harness.run_journal import RunJournal
from tests.harness.runs import mpirun, processes_of
from tests.harness.torture_faults import Role, members, send

LOOK_S = 0.02
END_S = 60.0
"""How long a run that was drained, and what is left of one, may take to end."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A worker is one core's worth, however many there are: else one worker would use all cores."""

READY = b'"type":"ready"'
TRAFFIC = re.compile(r"sent (\d+) messages \((\d+) bytes\), heard (\d+) \((\d+) bytes\)")


class RankRecord(msgspec.Struct, frozen=True):
    """What a worker rank has done: jobs with a result, and the seconds they took."""

    rank: int
    jobs: int
    busy_s: float
    lost: bool


class Record(msgspec.Struct, frozen=True):
    """A run that is over: a line of runs.jsonl.

    `work_s`: from the first job handed out to the last result; `process_s`: of mpirun, all of it.
    """

    key: str
    cell: Cell
    repetition: int
    exit_code: int
    bounded: bool
    process_s: float
    work_s: float | None
    assigned: int
    completed: int
    failed: int
    lost_jobs: int
    killed: int
    lost: int
    model_bytes: float | None
    sent_messages: int | None
    sent_bytes: int | None
    heard_messages: int | None
    heard_bytes: int | None
    ranks: list[RankRecord]

    @property
    def is_whole(self) -> bool:
        """Whether every trial has its result, so that its time is one to compare."""
        return self.completed == self.cell.trials

    @property
    def was_cut(self) -> bool:
        """Whether its bound came before its last result: else only its end was late."""
        return self.bounded and not self.is_whole

    @property
    def is_odd(self) -> bool:
        """Whether it ended as none should: neither complete, nor deserted, nor drained."""
        if self.exit_code == 0:
            return not self.is_whole and not self.bounded
        return self.exit_code not in (DESERTED, *([TRY_AGAIN] if self.bounded else []))

    @property
    def trouble(self) -> str:
        """What went wrong, in words; empty where nothing did."""
        told = [f"{self.failed} failed"] if self.failed else []
        told += ["cut at its bound"] if self.was_cut else []
        told += [f"exit code {self.exit_code}"] if self.is_odd or self.exit_code == DESERTED else []
        return ", ".join(told)

    @property
    def log(self) -> Path:
        """Where its log is in the folder of all runs, if it is odd: else it is gone."""
        return Path("runs", self.key, "log")

    @property
    def throughput(self) -> float | None:
        """Results a second."""
        return self.completed / self.work_s if self.work_s else None

    @property
    def completion(self) -> float | None:
        """Results for each job that was handed out."""
        return self.completed / self.assigned if self.assigned else None

    @property
    def bytes_per_result(self) -> float | None:
        """Bytes over MPI, both ways, for each result."""
        if self.sent_bytes is None or self.heard_bytes is None or not self.completed:
            return None
        return (self.sent_bytes + self.heard_bytes) / self.completed

    def balance(self, what: Literal["jobs", "busy_s"]) -> "Balance":
        """Tell how evenly the ranks have shared the work."""
        values = [float(getattr(each, what)) for each in self.ranks]
        mean = fmean(values) if values else 0.0
        return Balance(max(values) / mean, pstdev(values) / mean) if mean else Balance(None, None)


class Balance(NamedTuple):
    """The largest share over the mean (1: even), and the coefficient of variation (0: even)."""

    max_over_mean: float | None
    cv: float | None


def perform(matrix: Matrix, run: Run, folder: Path) -> Record:
    """Do a run in a folder of its own, which goes again unless something is odd; tell of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(tomli_w.dumps(matrix.study(run)))
    (folder / "objective.py").write_text(matrix.program(run))
    out, log = folder / "out", folder / "log"
    words = [*mpirun(run.cell.workers + 1), sys.executable, "-m", "hpmpi", "run"]
    words += [str(folder / "study.toml"), "--out", str(out)]
    began_at = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=process_tree.die_with_parent,  # noqa: PLW1509 - no threads here
        )
    try:
        killer = Killer(run, out / run_folder.JOURNAL)
        bounded = watch(process, killer, began_at + matrix.bound_s)
        process_s = time.monotonic() - began_at
    finally:
        end(process, folder)
    history = RunJournal(out).history
    told = (process.returncode, bounded, process_s, killer.killed)
    record = sum_up(run, history, log.read_text(errors="replace"), told)
    if not record.is_odd:
        shutil.rmtree(folder)
    return record


def watch(process: "subprocess.Popen[bytes]", killer: "Killer", bound_at: float) -> bool:
    """Wait for a run's end, killing ranks meanwhile; true if it had to be drained at its bound."""
    while time.monotonic() < bound_at:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
            return False
        killer.look(process.pid)
    process.send_signal(SIGUSR1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S + END_S)
    return True


class Killer:
    """Kills worker ranks at random, so many a minute on average; the last one it spares."""

    def __init__(self, run: Run, journal: Path) -> None:
        """Begin when the journal says that a rank is ready: until then MPI outlives nothing."""
        self.killed = 0
        self._rate = run.cell.kills_per_min / 60
        self._journal = journal
        self._dice = Random(run.key)  # noqa: S311 - no secret
        self._due_at = 0.0
        self._read = 0

    def look(self, launcher: int) -> None:
        """Kill a rank if it is time."""
        if not self._rate or (not self._due_at and not self._begins()):
            return
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._dice.expovariate(self._rate)
        victims = [each for each in members(launcher, Role.LAUNCHER) if each.role is Role.RANK]
        if len(victims) > 1:
            send(self._dice.choice(victims).process, SIGKILL)
            self.killed += 1

    def _begins(self) -> bool:
        if self._journal.exists():
            with self._journal.open("rb") as file:
                file.seek(max(0, self._read - len(READY)))
                text = file.read()
                self._read = file.tell()
            if READY in text:
                self._due_at = time.monotonic() + self._dice.expovariate(self._rate)
        return bool(self._due_at)


def end(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """See to it that nothing of a run is left."""
    if process.poll() is None:
        process.kill()
        process.wait()
    ends_at = time.monotonic() + END_S
    while (left := list(processes_of(folder))) and time.monotonic() < ends_at:
        for each in left:
            with contextlib.suppress(psutil.Error):
                psutil.Process(int(each.split()[0])).kill()
        time.sleep(LOOK_S)


def sum_up(run: Run, history: History, log: str, told: tuple[int, bool, float, int]) -> Record:
    """Make the record of a run of its journal and its log."""
    exit_code, bounded, process_s, killed = told
    begun = [attempt.begun for attempt in history.attempts.values() if attempt.has_begun]
    results = [attempt for attempt in history.answers if attempt.fate is Fate.RESULT]
    metrics = [attempt.metrics or {} for attempt in results]
    sizes = [told["size_bytes"] for told in metrics if "size_bytes" in told]
    lost_jobs = sum(failed.kind is FailureKind.LOST for failed in history.failures)
    traffic = TRAFFIC.search(log)
    counts = [int(each) for each in traffic.groups()] if traffic else [None] * 4
    ranks = tables.ranks(history)
    rows = zip(ranks["rank"], ranks["jobs"], ranks["busy_s"], ranks["times_lost"], strict=True)
    return Record(
        key=run.key,
        cell=run.cell,
        repetition=run.repetition,
        exit_code=exit_code,
        bounded=bounded,
        process_s=process_s,
        work_s=results[-1].end(history.at) - begun[0] if results else None,
        assigned=len(begun),
        completed=len(results),
        failed=len(history.failures) - lost_jobs,
        lost_jobs=lost_jobs,
        killed=killed,
        lost=history.ranks.times_lost.total(),
        model_bytes=median(sizes) if sizes else None,
        sent_messages=counts[0],
        sent_bytes=counts[1],
        heard_messages=counts[2],
        heard_bytes=counts[3],
        ranks=[
            RankRecord(int(rank), int(jobs), float(busy_s), bool(times))
            for rank, jobs, busy_s, times in rows
        ],
    )
