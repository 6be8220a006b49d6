"""The limits of a child, time and memory: why it ends, in words, and how long it may take."""

import re
import signal
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from hpmpi.model.messages import Failed, FailureKind, gist

ORDER_S = 2.0
"""How long a child may take to end in order; one that takes too much memory has no time for it."""

KILL_AFTER_S = 2.0
"""How long a child and its family may take to end after TERM."""

END_S = ORDER_S + KILL_AFTER_S
"""How long it may take, all in all, until it is killed."""

GROUP_S = 0.3
"""How long it may take where its group has come to nothing: the others' ranks wait for it."""

START_S = 60.0
"""The least that a child has for loading the objective: a file system may be slow."""

TAKEN = "killed by the kernel: the machine, or its control group, is out of memory"

LOST_WORKER = re.compile(
    "BrokenProcessPool|BrokenExecutor|TerminatedWorkerError|killed by signal|SIGKILL|"
    "exit code:? (-9|9|137)\\b|signal:? 9\\b",
    re.IGNORECASE,
)
"""What is said by who has lost a process of its own: pools, data loaders, shells, launchers."""

MAY_LOSE = (FailureKind.EXCEPTION, FailureKind.CRASH, FailureKind.EXIT)
"""What an objective may report of itself, having lost one."""


class ChildEnding(NamedTuple):
    """Why a child is being ended, and when TERM and KILL are due."""

    kind: FailureKind
    error: str
    term_at: float
    kill_at: float

    def said(self, error: str) -> "ChildEnding":
        """Add what the objective says of it, whose cause this is."""
        return self._replace(error=f"{self.error}; it said: {gist(error)}")


def ending(kind: FailureKind, error: str, now: float, *, of_group: bool = False) -> ChildEnding:
    """Begin to end a child: fast where it is `of_group`, which has come to nothing as a whole."""
    order_s, kill_after_s = (GROUP_S / 2, GROUP_S / 2) if of_group else (ORDER_S, KILL_AFTER_S)
    term_at = now if kind is FailureKind.MEMORY else now + order_s
    return ChildEnding(kind, error, term_at, term_at + kill_after_s)


def cause(code: int, *, taken: bool) -> tuple[FailureKind, str]:
    """Say why a process died by itself, by its code; `taken`: the kernel killed somebody here."""
    if code == -signal.SIGKILL and taken:
        return FailureKind.MEMORY, TAKEN
    if code < 0:
        return FailureKind.CRASH, f"killed by {name_of(-code)}"
    return FailureKind.EXIT, f"the process ended with exit code {code}"


def explain(report: Failed, is_taken: Callable[[], bool]) -> Failed:
    """Say why an objective has failed that has lost a process of its own to the kernel."""
    may_have_lost = report.kind in MAY_LOSE
    if may_have_lost and LOST_WORKER.search(report.error) is not None and is_taken():
        error = f"what it had started was {TAKEN}; it said: {gist(report.error)}"
        return msgspec.structs.replace(report, kind=FailureKind.MEMORY, error=error)
    return report


def over_time(spent_s: float, time_s: float | None, *, loaded: bool) -> str | None:
    """Say that a child takes too long for a job, or before it has loaded the objective."""
    if time_s is None:
        return None
    loading_s = max(time_s, START_S)
    if not loaded and spent_s > loading_s:
        return f"was loading for more than {loading_s:g} s; trial_time_s = {time_s:g}"
    if loaded and spent_s > time_s:
        return f"ran for more than trial_time_s = {time_s:g}"
    return None


def over_memory(used_mb: float, memory_mb: float | None) -> str | None:
    """Say that a child and its family have too much memory."""
    if memory_mb is None or used_mb <= memory_mb:
        return None
    return f"used {used_mb:.0f} MB, more than trial_memory_mb = {memory_mb:g}"


def name_of(number: int) -> str:
    """Name a signal; most real-time signals have numbers only."""
    return next((each.name for each in signal.Signals if each == number), f"signal {number}")
