"""What Slurm says of the allocation that this process is in: when it ends, what becomes of it.

All of it is asked with `scontrol`, which may be slow, fail, or not be there: then nothing is known,
and nothing depends on it but convenience. Slurm calls an allocation a job; here a job is a trial's.
"""

import math
import os
import subprocess
import time
from collections.abc import Collection, Mapping
from typing import IO, NamedTuple

ANSWER_S = 30.0
"""How long Slurm may take to answer."""

ASK_EVERY_S = 60.0
"""How often the end of the allocation is asked for: limits may be changed while it is used."""

KILL_S = 3.0
LOOK_S = 0.3
"""How long what is killed may take to be gone, and how often to look."""

EPOCH = {"SLURM_TIME_FORMAT": "%s"}
"""Has Slurm write times as seconds since 1970."""


class Allocation(NamedTuple):
    """What Slurm says of an allocation; `ends_at` is in seconds since 1970."""

    state: str
    reason: str
    restarts: int
    is_batch: bool
    nodes: str
    ends_at: float | None

    @property
    def is_ending(self) -> bool:
        """Whether Slurm has decided to end it, for another reason than its time limit."""
        return self.state != "RUNNING" and self.reason != "TimeLimit"


def here() -> str | None:
    """Return the id of the allocation that this process is in.

    Of one in an array, ARRAY_TASK: the SLURM_JOB_ID of the last task means all of them to Slurm.
    """
    array, task = (os.environ.get(f"SLURM_ARRAY_{word}_ID") for word in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def restarts() -> int:
    """Tell how often this allocation was requeued before it was started this time."""
    return number(os.environ.get("SLURM_RESTART_COUNT", ""))


def tasks() -> int:
    """Tell how many tasks were asked for in all; 0 where that was not said."""
    return number(os.environ.get("SLURM_NTASKS", ""))


def look(allocation: str) -> Allocation | None:
    """Ask what has become of an allocation; None where Slurm does not say."""
    return parsed(" ".join(answer(question(allocation))))


def requeue(allocation: str) -> str | None:
    """Have an allocation start anew as soon as it can; return what Slurm has against it.

    What runs in it is then ended by Slurm.
    """
    try:
        asked = ask(["scontrol", "requeue", allocation])
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if asked.returncode == 0 else asked.stderr.strip() or "no reason given"


def cancel_steps(names: Collection[str]) -> None:
    """Kill the steps of this allocation that have these names; a dead node's stay for a while."""
    allocation = here()
    gives_up_at = time.monotonic() + KILL_S
    while allocation is not None and time.monotonic() < gives_up_at:
        steps = answer(["squeue", "--noheader", "--steps", "--job", allocation, "--format=%i %j"])
        ours = [step for step, _, name in (line.partition(" ") for line in steps) if name in names]
        if not ours:
            break
        answer(["scancel", "--signal=KILL", *ours])
        time.sleep(LOOK_S)


class Deadline:
    """Asks again and again when the allocation ends, waiting for no answer."""

    def __init__(self, allocation: str | None) -> None:
        """Begin with what Slurm has told all processes of the allocation, if it did."""
        self._allocation = allocation
        told = number(os.environ.get("SLURM_JOB_END_TIME", ""))
        self._known = float(told) if told else None
        self._told: float | None = None
        self._question: subprocess.Popen[bytes] | None = None
        self._asked_at = -math.inf

    def poll(self, now: float) -> float | None:
        """Return the end in seconds since 1970 when it is new; `now` is any clock's."""
        if self._allocation is None:
            return None
        if self._question is not None:
            self._listen(self._question, now)
        elif now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._ask(self._allocation)
        if self._known == self._told:
            return None
        self._told = self._known
        return self._told

    def _ask(self, allocation: str) -> None:
        try:
            self._question = subprocess.Popen(
                question(allocation),
                env=os.environ | EPOCH,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._asked_at = math.inf  # there is nobody to ask

    def _listen(self, asked: subprocess.Popen[bytes], now: float) -> None:
        if asked.poll() is None and now - self._asked_at < ANSWER_S:
            return
        asked.kill()
        asked.wait()
        assert asked.stdout is not None
        said = heard(asked.stdout)
        self._question = None
        found = parsed(said) if asked.returncode == 0 else None
        if found is not None and found.ends_at is not None:
            self._known = found.ends_at


def heard(pipe: IO[bytes]) -> str:
    """Read what is in a pipe by now; what a script has started may hold its other end for long."""
    with pipe:
        os.set_blocking(pipe.fileno(), False)
        return (pipe.read() or b"").decode(errors="replace")


def answer(command: list[str]) -> list[str]:
    """Ask Slurm; return the lines of its answer, none where it has none."""
    try:
        asked = ask(command)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.splitlines() if asked.returncode == 0 else []


def ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm's; raises OSError, and TimeoutExpired."""
    return subprocess.run(
        command,
        env=os.environ | EPOCH,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )


def question(allocation: str) -> list[str]:
    """Say how to ask Slurm for what it knows of an allocation."""
    return ["scontrol", "show", "job", "--oneliner", allocation]


def parsed(said: str) -> Allocation | None:
    """Read an answer; None where it is none.

    >>> said = "JobState=RUNNING Reason=None Restarts=2 BatchFlag=1 EndTime=1795329511 NodeList=n1"
    >>> parsed(said)
    Allocation(state='RUNNING', reason='None', restarts=2, is_batch=True, nodes='n1', \
ends_at=1795329511.0)
    """
    words: Mapping[str, str] = dict(
        word.split("=", 1) for word in said.split() if "=" in word and not word.startswith("=")
    )
    if "JobState" not in words:
        return None
    return Allocation(
        state=words["JobState"],
        reason=words.get("Reason", ""),
        restarts=number(words.get("Restarts", "")),
        is_batch=words.get("BatchFlag") not in (None, "0"),
        nodes=words.get("NodeList", ""),
        ends_at=float(ends) if (ends := number(words.get("EndTime", ""))) else None,
    )


def number(text: str) -> int:
    """Read a whole number; 0 where it is none.

    >>> number("17"), number("Unknown")
    (17, 0)
    """
    return int(text) if text.isdecimal() else 0
