"""`hpmpi submit`: a study becomes an allocation of Slurm's, and may be followed to its end.

Nothing is written before the study, and all that is asked for, is checked.
"""

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.launch import batch
from hpmpi.launch.batch import Allocation, Request
from hpmpi.launch.launch import Order
from hpmpi.leader import run
from hpmpi.slurm import sbatch_options
from hpmpi.storage import run_folder
from hpmpi.study import settings
from hpmpi.views.layout import printable
from hpmpi.views.run_view import Summary, look

DIED = 1
"""The exit code of following an allocation that left none."""

STOPPED = 128 + signal.SIGINT

FIRST_LOOK_S, LAST_LOOK_S = 1.0, 15.0
"""How often an allocation is looked at: at first, and after some minutes."""

LOG_LINES = 10
"""How much of the log is shown of an allocation that died."""


def submit(
    study: str | Path,
    *,
    changes: Sequence[str] = (),
    out: str | Path | None = None,
    fresh: bool = False,
    **asked: Any,
) -> Allocation:
    """Submit a study; `result()` of the Job of submitit's that is returned is the exit code.

    What is asked are the options of `hpmpi submit`: `nodes=2, ntasks_per_node=4, time="8:00:00"`;
    `changes` are those of `--set`. Raises HpmpiError.
    """
    if asked.get("array") is not None:
        raise SettingsError(["submit returns one Job: call it for each, instead of an array"])
    folder = None if out is None else Path(out)
    (job,) = batch.send(prepare(Path(study), list(changes), folder, asked, fresh=fresh))
    return job


def prepare(
    study: Path, changes: list[str], out: Path | None, asked: dict[str, Any], *, fresh: bool
) -> Request:
    """Check a study and what is asked for it, and write nothing; raises HpmpiError."""
    checked = sbatch_options.check(asked)
    read = settings.read(study, changes)
    folder = (out or run.folder_of(read)).absolute()
    if "%" in str(folder):
        raise SettingsError([f"{folder} has a % in it, which Slurm would replace: use --out"])
    if checked.array is None:  # else each task has a folder of its own
        check_folder(study, changes, folder, fresh=fresh)
    order = Order(study.absolute(), changes, folder, fresh)
    return Request(order, folder, read.name, checked)


def check_folder(study: Path, changes: list[str], folder: Path, *, fresh: bool) -> None:
    """Refuse now what the run would refuse when its time has come; raises HpmpiError."""
    if fresh:
        run.check_movable(folder)
    else:
        run.prepare(study, changes, folder, fresh=False)


def progress(summary: Summary) -> str:
    """Say in a line how far a run is."""
    board, metric = summary.board, summary.study.goal.metric
    parts = [f"{len(board.standings)} trials", f"{board.results} results"]
    if (best := board.incumbent) is not None:
        reached = f"{metric} {best.metrics[metric]:.6g} at {best.resource}"
        parts.append(f"incumbent: trial {best.trial}, {reached}")
    return ", ".join(parts)


def follow(request: Request, jobs: list[Allocation]) -> int:
    """Wait for the end of allocations, saying what changes; return the largest exit code."""
    logging.getLogger("submitit").setLevel(logging.ERROR)  # a look that fails is made again
    number = jobs[0].job_id.partition("_")[0]
    try:
        wait(jobs, teller(request, jobs))
        return max(map(ending, jobs))
    except KeyboardInterrupt:
        say(f"hpmpi: job {number} goes on without being waited for; `scancel {number}` ends it")
        return STOPPED


def teller(request: Request, jobs: list[Allocation]) -> Callable[[Allocation], str]:
    """Make what says in a line how an allocation is, and how far it has brought its run."""
    before = {job.job_id: run_folder.look(request.folder_of(job.job_id)) for job in jobs}
    summaries: dict[str, Summary] = {}

    def tell(job: Allocation) -> str:
        number, folder = job.job_id, request.folder_of(job.job_id)
        info = job.get_info(mode="cache")
        state, reason = info.get("State", "SUBMITTED"), info.get("Reason", "None")
        line = f"job {number}: {state.lower()}"
        if state == "PENDING":
            return line if reason == "None" else f"{line} ({reason})"
        if run_folder.look(folder) != before[number]:
            with contextlib.suppress(HpmpiError):  # it is being moved, or made
                summaries[number] = look(folder, summaries.get(number))
        return f"{line}; {progress(summaries[number])}" if number in summaries else line

    return tell


def wait(jobs: list[Allocation], tell: Callable[[Allocation], str]) -> None:
    """Wait until all allocations are over, and say a line where one has changed."""
    told: set[str] = set()
    pause_s = FIRST_LOOK_S
    while True:
        Allocation.watcher.update_if_long_enough("force")
        over = all(job.done() for job in jobs)
        lines = list(map(tell, jobs))
        for line in lines:
            if line not in told:
                say(line)
        if over:
            return
        told = set(lines)
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.2, LAST_LOOK_S)


def ending(job: Allocation) -> int:
    """Say how an allocation ended, and return its exit code."""
    if job.exception() is None:
        code = job.result()
        say(f"job {job.job_id}: ended with {code}")
        return code
    say(f"hpmpi: job {job.job_id} left no exit code ({job.state.lower()}); see {job.paths.stdout}")
    with contextlib.suppress(OSError):
        log = job.paths.stdout.read_text(encoding="utf-8", errors="replace")
        say("\n".join(log.splitlines()[-LOG_LINES:]))
    return DIED


def say(text: str) -> None:
    """Say something to whoever waits."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()
