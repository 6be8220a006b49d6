"""What Slurm is asked, and how its answers are read.

squeue is asked, in columns of a width: what a user has written - names, comments, folders, in which
anything may stand - is in none of them.
"""

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

ANSWER_S = 30.0
"""How long Slurm may take to answer."""

EPOCH = {"SLURM_TIME_FORMAT": "%s"}
"""Has Slurm write times as seconds since 1970."""

HABITS = ("SQUEUE_", "SCONTROL_", "SCANCEL_", "SLURM_TIME_FORMAT")
"""Where users keep options for themselves: a filter, a format, a question to be answered."""

COLUMNS = {
    **dict.fromkeys(("JobID", "ArrayJobID", "ArrayTaskID", "UserID", "State"), 20),
    **dict.fromkeys(("RestartCnt", "BatchFlag", "EndTime", "NumTasks", "exit_code"), 20),
    **dict.fromkeys(("Reason", "HetJobID", "cpus-per-task", "threads"), 80),
    **dict.fromkeys(("tres-per-task", "tres-per-node"), 80),
}
"""What squeue is asked for, and how wide it writes that. The last are those that it has not always
had: what is after one that it does not know is lost."""

SCRIPT = "batch"
"""The name of the step that the script is."""


OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT", "UNHEARD OF"),
}
"""The states that nothing comes after."""


class Allocation(NamedTuple):
    """What Slurm says of an allocation; `ends_at` is in seconds since 1970.

    `step`: of which of its steps this process is; "" where of none. `task`: in array `array`.
    `group`: what it is a part of, if heterogeneous. `threads_per_core`: 0 where not asked for.
    `exit_code`: of its script, which is 0 before it has ended; None where that was killed.
    """

    number: str = ""
    array: str = ""
    task: int | None = None
    group: str = ""
    user: int = 0
    state: str = ""
    reason: str = ""
    restarts: int = 0
    is_batch: bool = False
    ends_at: float | None = None
    tasks: int = 0
    exit_code: int | None = None
    cpus_per_task: int = 0
    threads_per_core: int = 0
    tres_per_task: str = ""
    tres_per_node: str = ""
    step: str = ""

    @property
    def name(self) -> str:
        """How Slurm takes it: the number of an array's last task means all of them."""
        return self.number if self.task is None else f"{self.array}_{self.task}"

    @property
    def is_ending(self) -> bool:
        """Whether Slurm has decided to end it, for another reason than its time limit."""
        return self.state != "RUNNING" and self.reason != "TimeLimit"

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in OVER

    @property
    def is_ours_to_requeue(self) -> bool:
        """Whether a requeue would start nothing anew but what has started this process."""
        return self.is_batch and self.step == SCRIPT


FORGOTTEN = Allocation(state="UNHEARD OF")
"""Of which Slurm says nothing any more: it has been over for minutes."""


def known(*which: str) -> list[Allocation] | None:
    """Ask for allocations, by options of squeue's; None where Slurm does not answer."""
    lines = answer(question(*which))
    return None if lines is None else parsed(lines)


def question(*which: str) -> list[str]:
    """Say how to ask Slurm for what it knows of allocations, those that are over as well."""
    columns = ",".join(f"{column}:{width}" for column, width in COLUMNS.items())
    return ["squeue", "--noheader", "--states=all", *which, f"--Format={columns}"]


def answer(command: list[str]) -> list[str] | None:
    """Ask Slurm; return the lines of its answer, None where it has none."""
    try:
        asked = ask(command)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.splitlines() if asked.returncode == 0 else None


def ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm's; raises OSError, and TimeoutExpired."""
    return subprocess.run(
        command,
        env=plain(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )


def plain() -> dict[str, str]:
    """Return an environment in which Slurm answers what it is asked, whatever its user likes."""
    likes = {name for name in os.environ if name.startswith(HABITS)}
    return {name: value for name, value in os.environ.items() if name not in likes} | EPOCH


def parsed(lines: Sequence[str]) -> list[Allocation]:
    """Read an answer; a line that is none is passed over."""
    return [found for line in lines if (found := row(line)) is not None]


def row(line: str) -> Allocation | None:
    """Read a line of an answer; None where it is none."""
    words: dict[str, str] = {}
    begin = 0
    for column, width in COLUMNS.items():
        text = line[begin : begin + width].strip()
        words[column] = "" if text == "N/A" else text
        begin += width
    if not words["JobID"].isdecimal() or not words["State"].isupper():
        return None
    ends, task = number(words["EndTime"]), words["ArrayTaskID"]
    return Allocation(
        number=words["JobID"],
        array=words["ArrayJobID"],
        task=int(task) if task.isdecimal() else None,
        group=words["HetJobID"] if number(words["HetJobID"]) else "",
        user=number(words["UserID"]),
        state=words["State"],
        reason=words["Reason"],
        restarts=number(words["RestartCnt"]),
        is_batch=words["BatchFlag"] == "1",
        ends_at=float(ends) if ends else None,
        tasks=number(words["NumTasks"]),
        exit_code=exit_code(words["exit_code"]),
        cpus_per_task=number(words["cpus-per-task"]),
        threads_per_core=number(words["threads"]),
        tres_per_task=words["tres-per-task"],
        tres_per_node=words["tres-per-node"],
    )


def exit_code(text: str) -> int | None:
    """Read what wait() says of a process's end; None where that was no exit.

    >>> exit_code("768"), exit_code("9")
    (3, None)
    """
    status = number(text)
    return os.WEXITSTATUS(status) if text.isdecimal() and os.WIFEXITED(status) else None


def number(text: str) -> int:
    """Read a whole number; 0 where it is none.

    >>> number("17"), number("Unknown")
    (17, 0)
    """
    return int(text) if text.isdecimal() else 0
