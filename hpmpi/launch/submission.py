"""`hpmpi submit`: a study becomes an allocation of Slurm's, and may be followed to its end.

Nothing is written before the study, and all that is asked for, is checked. How an allocation is,
squeue says: sacct knows nothing where Slurm keeps no accounts.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.launch.batch import Request
from hpmpi.launch.launch import Order
from hpmpi.leader import run
from hpmpi.model.messages import Outcome
from hpmpi.slurm import sbatch, squeue
from hpmpi.storage import run_folder
from hpmpi.study import checks
from hpmpi.views.layout import printable, reached
from hpmpi.views.run_view import Summary, look

DIED = 1
"""The exit code of following an allocation that left none."""

STOPPED = 128 + signal.SIGINT

FIRST_LOOK_S, LAST_LOOK_S = 1.0, 15.0
"""How often an allocation is looked at: at first, and after some minutes."""

SUBMITTED = squeue.Allocation(state="SUBMITTED")
"""Of which squeue has said nothing yet."""

LOG_LINES = 10
"""How much of the log is shown of an allocation that died."""


def prepare(
    study: Path, changes: list[str], out: Path | None, asked: dict[str, Any], *, fresh: bool
) -> Request:
    """Check a study and what is asked for it, and write nothing; raises HpmpiError.

    What the run would refuse when its time has come is refused now.
    """
    checked = sbatch.check(asked)
    read = checks.read(study, changes)
    folder = (out or run.folder_of(read)).absolute()
    if "%" in str(folder):
        raise SettingsError([f"{folder} has a % in it, which Slurm would replace: use --out"])
    if checked.array is None and fresh:
        run.check_movable(folder)
    elif checked.array is None:  # else each task has a folder of its own
        run.prepare(study, changes, folder, fresh=False)
    order = Order(study.absolute(), changes, folder, fresh)
    return Request(order, folder, read.name, checked)


class SubmissionWatch:
    """Looks how the allocations of a submission are, and how far they have brought their runs."""

    def __init__(self, request: Request, number: str) -> None:
        """Begin; what is in the run folders already is not theirs."""
        self.allocations = dict.fromkeys(request.names(number), SUBMITTED)
        self._folders = {name: request.folder_of(name) for name in self.allocations}
        self._before = {name: run_folder.look(folder) for name, folder in self._folders.items()}
        self._summaries: dict[str, Summary] = {}

    def look(self) -> bool:
        """Look again; tell whether all are over."""
        if (rows := squeue.known("--array", f"--user={os.getuid()}")) is not None:
            found = {row.name: row for row in rows}
            for name, last in self.allocations.items():
                self.allocations[name] = last if last.is_over else found.get(name, squeue.FORGOTTEN)
        for name, folder in self._folders.items():
            if run_folder.look(folder) != self._before[name]:
                with contextlib.suppress(HpmpiError):  # it is being moved, or made
                    self._summaries[name] = look(folder, self._summaries.get(name))
        return all(each.is_over for each in self.allocations.values())

    def wait(self, tell: Callable[[str], None], between: Callable[[], object] = list) -> None:
        """Look until all are over, and tell a line where one has changed; do more `between`."""
        told: list[str] = []
        pause_s, is_over = FIRST_LOOK_S, False
        while not is_over:
            time.sleep(pause_s if told else 0)
            is_over = self.look()
            lines = [self.line(name) for name in self.allocations]
            for line in lines:
                if line not in told:
                    tell(line)
            between()
            told, pause_s = lines, min(pause_s * 1.2, LAST_LOOK_S)

    def line(self, name: str) -> str:
        """Say in a line how an allocation is; a reason is one to wait."""
        seen, summary = self.allocations[name], self._summaries.get(name)
        line = f"job {name}: {seen.state.lower()}"
        if seen.state == "PENDING":
            return line if seen.reason == "None" else f"{line} ({seen.reason})"
        return line if summary is None else f"{line}; {progress(summary)}"

    def exit_code(self, name: str) -> int | None:
        """Tell the exit code of what is over; None where it was killed.

        A run that is complete says so, too, where Slurm has forgotten it or calls its end by
        another name.
        """
        seen, summary = self.allocations[name], self._summaries.get(name)
        if seen.state in ("COMPLETED", "FAILED") and seen.exit_code is not None:
            return seen.exit_code
        if summary is None or summary.outcome is not Outcome.COMPLETE:
            return None
        return run.exit_code(summary)


def progress(summary: Summary) -> str:
    """Say in a line how far a run is."""
    history = summary.history
    parts = [f"{len(history.trials)} trials", f"{history.results} results"]
    if (best := history.incumbent) is not None:
        told = f"{reached(history.goal, best.metrics)} at {best.resource}"
        parts.append(f"incumbent: trial {best.trial}, {told}")
    return ", ".join(parts)


def follow(request: Request, number: str) -> int:
    """Wait for the end of a submission, saying what changes; return the largest exit code."""
    try:
        watch = SubmissionWatch(request, number)
        watch.wait(say)
    except KeyboardInterrupt:
        say(f"hpmpi: job {number} goes on without being waited for; `scancel {number}` ends it")
        return STOPPED
    return max(ending(request, watch, name) for name in watch.allocations)


def ending(request: Request, watch: SubmissionWatch, name: str) -> int:
    """Say how an allocation ended, and return its exit code."""
    code, log = watch.exit_code(name), request.log_of(name)
    if code is not None:
        say(f"job {name}: ended with {code}")
        return code
    say(f"hpmpi: job {name} left no exit code ({watch.allocations[name].state.lower()}); see {log}")
    if lines := last_lines(log):
        say("\n".join(lines))
    return DIED


def last_lines(log: Path) -> list[str]:
    """Read the end of an allocation's log; none where it can't be read."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return lines[-LOG_LINES:]


def say(text: str) -> None:
    """Say something to whoever waits."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()
