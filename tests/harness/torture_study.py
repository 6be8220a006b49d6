"""A study that is tortured, its starts, and what each suffers; for scripts/torture.py."""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from signal import SIGSTOP, Signals

import psutil

from hpmpi.storage import run_folder
from tests.harness.run_journal import RunJournal
from tests.harness.runs import ROOT, mpirun, processes_of
from tests.harness.torture_faults import (
    DRAINS,
    KILLS,
    PATIENCE_S,
    Fault,
    Member,
    Role,
    members,
    segments,
    send,
)
from tests.harness.torture_objective import ETA

TRIAL_TIME_S = 2.0
HANGS_AFTER_S = 120.0
"""A start without a new line in the journal for so long hangs."""

ENDS_WITHIN_S = 60.0
"""How long what a start leaves behind may take to end."""

KILLED = {-9, 9, 129, 137, 255}
"""How a launcher leaves that was killed, or that was told of a kill."""

RAISES = 2
"""How often a complete study is gone on with by more trials, every other study."""

STUDY = f"""
objective = "torture_objective.py:train"
metric = "loss"
seed = %(seed)d

[space]
x = {{ type = "float", low = 0.0, high = 1.0 }}

[scheduler]
method = "asha"
max_resource = {ETA**3}
eta = {ETA}

[limits]
patience_s = {PATIENCE_S}
trial_time_s = {TRIAL_TIME_S}

[run]
checkpoint_s = 0.5
keep = "%(keep)s"

[objective_args]
study = "%(study)s"
tries = "%(tries)s"
"""


class Study(RunJournal):
    """A study in a folder of its own, through all of its starts."""

    def __init__(self, folder: Path, seed: int, options: argparse.Namespace) -> None:
        """Write the files."""
        super().__init__(folder / "out")
        self.folder = folder
        self.journal = self.out / run_folder.JOURNAL
        self.max_trials = options.trials
        self.raises_left = RAISES if seed % 2 else 0
        self.begun = 0
        self.seen = b""
        self.segments: set[Path] = set()
        self.spoilt_segments: set[Path] = set()
        self.spoilt = 0
        self.tracebacks = 0
        self.pieces = 0
        self.wrong: list[str] = []
        self._workers = options.ranks - 1 if options.workers else None
        self._ranks = options.ranks
        self._sizes = options.sizes
        self._file = folder / "study.toml"
        tries = folder / "tries"
        tries.mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "harness" / "torture_objective.py", folder)
        # Whoever goes on with a complete study needs the checkpoints that are dropped at its end.
        keep = "newest" if self.raises_left else "incumbent"
        text = STUDY % {"seed": seed, "keep": keep, "study": self._file, "tries": tries}
        self._file.write_text(text)

    def start(self) -> "Start":
        """Start it, for the first time or again."""
        self.begun += 1
        words = [sys.executable, "-m", "hpmpi", "run", str(self._file), "--out", str(self.out)]
        words += ["--set", f"stop.max_trials={self.max_trials}"]
        words += ["--set", f"run.ranks_per_trial={self._sizes}"] if self._sizes else []
        if self._workers is not None:
            words += ["--workers", str(self._workers)]
        else:
            words = [*mpirun(self._ranks), *words]
        before = self.newest_start()
        with (self.folder / f"start-{self.begun}.log").open("wb") as log:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return Start(self, process, before, leads=self._workers is not None)

    def look(self) -> None:
        """Look whether the journal still has all that it had; remember what it has."""
        text = self.journal.read_bytes() if self.journal.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if not whole.startswith(self.seen):
            lost = set(self.seen.splitlines()) - set(whole.splitlines())
            self.wrong.append(f"start {self.begun}: {len(lost)} lines of the journal were lost")
        if b'"assigned"' in whole:  # a study that never began binds nobody
            self.seen = whole

    def newest_start(self) -> str | None:
        """Name the newest start in the journal."""
        starts = self.starts
        return starts[-1].start if starts else None

    def left(self) -> list[str]:
        """List the processes of the study that outlive a start by more than a while."""
        ends_at = time.monotonic() + ENDS_WITHIN_S
        while (living := list(processes_of(self.folder))) and time.monotonic() < ends_at:
            time.sleep(0.05)
        return living

    def end_all(self) -> None:
        """Kill whatever of the study is still there; unlink what MPI left in memory."""
        left = [each for each in self.segments | self.spoilt_segments if each.exists()]
        self.pieces = len(left)
        for each in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                psutil.Process(int(each.split()[0])).kill()
        for segment in left:
            segment.unlink(missing_ok=True)


class Start:
    """One start of a study, and what was done to it."""

    def __init__(
        self, study: Study, process: "subprocess.Popen[bytes]", before: str | None, *, leads: bool
    ) -> None:
        """Look after what was started after the start `before`; if it `leads`, it is rank 0."""
        self.study = study
        self.process = process
        self.suffered: list[Fault] = []
        self._role = Role.LEADER if leads else Role.LAUNCHER
        self._due: list[tuple[float, Signals, psutil.Process]] = []
        self._before = before
        self._segments: set[Path] = set()
        self._spoilt = False
        self._size = -1
        self._grew_at = time.monotonic()

    def suffer(self, fault: Fault, dice: Random) -> str | None:
        """Do it to a process of that role; return to whom, or None where there is none."""
        found = members(self.process.pid, self._role)
        victims = [each for each in found if each.role is fault.role]
        if not victims:
            return None
        victim = dice.choice(victims)
        self.study.look()
        self._segments.update(*map(segments, found))
        self._spoilt |= fault.number != SIGSTOP and not self._outlives(victim)
        send(victim.process, fault.number)
        self.study.look()
        self.suffered.append(fault)
        if fault.then is not None:
            due_at = time.monotonic() + dice.uniform(0.5, 1) * fault.after_s
            self._due.append((due_at, fault.then, victim.process))
        return f"{victim.role.value} {victim.rank} (pid {victim.process.pid})"

    def wait(self, limit_s: float) -> bool:
        """Wait a little, doing what is due; true once the start is over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit_s)
        now = time.monotonic()
        for due in [due for due in self._due if due[0] <= now or self.process.poll() is not None]:
            self._due.remove(due)
            send(due[2], due[1])
        size = self.study.journal.stat().st_size if self.study.journal.exists() else 0
        if size != self._size:
            self._size, self._grew_at = size, now
        return self.process.poll() is not None

    def lives_on(self) -> bool:
        """Whether rank 0 may outlive the launcher for a moment."""
        launchers = (Role.LAUNCHER, Role.GUARD, Role.LEADERS_GUARD)
        return any(fault.role in launchers for fault in self.suffered)

    def joined(self) -> set[str]:
        """Name the ranks that have joined this start."""
        history = self.study.history
        if not history.starts or history.starts[-1].start == self._before:
            return set()
        return {str(number) for number, rank in history.ranks.known.items() if rank.ready}

    def _outlives(self, member: Member) -> bool:
        """Whether MPI has come so far that the start goes on without this, or ends as it should."""
        match member.role:
            case Role.OBJECTIVE | Role.FORK_SERVER | Role.KEEPER:
                return True
            case Role.RANK:
                return member.rank in self.joined()
            case _:
                return bool(self.joined())

    @property
    def hangs(self) -> bool:
        """Whether it has not got on for too long."""
        return time.monotonic() - self._grew_at > HANGS_AFTER_S

    def problems(self) -> Iterator[str]:
        """Say what is wrong with how it ended."""
        code = self.process.returncode
        self.study.spoilt += self._spoilt
        # What is killed while MPI starts, and a launcher that is killed, leave MPI's memory behind.
        spoilt = self._spoilt or (self.lives_on() and any(it in KILLS for it in self.suffered))
        kept = self.study.spoilt_segments if spoilt else self.study.segments
        kept |= self._segments
        expected = {0, 4} if self.suffered else {0}
        if any(fault in DRAINS for fault in self.suffered):
            expected.add(75)
        if any(fault in KILLS for fault in self.suffered):
            expected |= KILLED
        suffered = ", ".join(fault.name for fault in self.suffered) or "nothing"
        # Before the ranks have met, MPI gives up as it likes, and no signal is heeded yet.
        if code not in expected and not self._spoilt:
            yield f"start {self.study.begun} ended with {code} after: {suffered}"
        log = self.study.folder / f"start-{self.study.begun}.log"
        if re.search("^Traceback", log.read_text(errors="replace"), re.MULTILINE):
            if self._spoilt:  # Open MPI tells the ranks, while they meet, of one that died
                self.study.tracebacks += 1
            else:
                yield f"there is a traceback in {log.name}"


def hung(start: Start) -> Iterator[str]:
    """Show the processes of a start that hangs, and end it."""
    for role, rank, process in members(start.process.pid, Role.LAUNCHER):
        with contextlib.suppress(psutil.Error):
            state = process.status()
            yield f"  {role.value} {rank}: pid {process.pid} of {process.ppid()}, {state}"
    start.process.kill()
    start.process.wait()
