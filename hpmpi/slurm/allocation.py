"""The allocation that this process is in: which it is, when it ends, what becomes of it.

Slurm calls an allocation a job; here a job is a trial's. Which one is ours the environment can't
say: `sbatch` hands its variables on to other allocations, `tmux` keeps them past the end of theirs.
What is ours is what this process is a step of, as its ancestors show, and all else of it is asked
of Slurm: `ours` decides. Nothing is requeued or cancelled but by that.

Slurm may be slow, fail, or not be there: then the time limit is not known, and no more is lost.
"""

import contextlib
import math
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from hpmpi.errors import SlurmError
from hpmpi.slurm.squeue import ANSWER_S, Allocation, answer, ask, known, parsed, plain, question

TRIES = 3
AGAIN_S = 5.0
"""How often a Slurm that must answer is asked, and how long it has to recover."""

ASK_EVERY_S = 60.0
"""How often the end of the allocation is asked for: limits may be changed while it is used."""

KILL_S = 3.0
LOOK_S = 0.3
"""How long what is killed may take to be gone, and how often to look."""

STEP = re.compile(r"slurmstepd: \[(\d+)\.(\w+)|/job_(\d+)/step_(\w+)")
"""How a step shows itself: as a process that others come from, or as a control group."""

VISITS = "extern"
"""The name of the step of who comes by ssh."""


def ours(
    environment: Mapping[str, str], lineage: Sequence[str], said: Sequence[Allocation], user: int
) -> Allocation | None:
    """Find, in what Slurm has said, the allocation that a process is in; None where in none.

    `lineage`: what its ancestors are, the next first, and then its control groups.

    | the next of Slurm's in the lineage | SLURM_JOB_ID | is, to Slurm            | ours           |
    |------------------------------------|--------------|-------------------------|----------------|
    | the script of allocation Y         | anything     |                         | Y              |
    | another step of Y                  | anything     |                         | Y, no requeue  |
    | salloc; or nothing, on a login node| X            | running, this user's,   | X, no requeue  |
    |                                    |              | and was given by salloc |                |
    | salloc; or nothing: tmux, by hand  | X            | over, another user's,   | none           |
    |                                    |              | or a script's           |                |
    """
    number, step = claim(environment, lineage)
    found = next((each for each in said if each.number == number), None)
    if found is None:
        return None
    if step:
        return found._replace(step=step)
    interactive = found.state == "RUNNING" and found.user == user and not found.is_batch
    return found if interactive else None


def claim(environment: Mapping[str, str], lineage: Sequence[str]) -> tuple[str, str]:
    """Tell which allocation a process may be in, and of which step it is; "" for neither."""
    for ancestor in lineage:
        if (step := STEP.search(ancestor)) is not None:
            number, name = filter(None, step.groups())
            if name != VISITS:
                return number, name
        elif Path(ancestor.partition(" ")[0]).name == "salloc":
            break
    named = environment.get("SLURM_JOB_ID", "")
    return named if named.isdecimal() else "", ""


def lineage() -> list[str]:
    """List what the ancestors of this process are, the next first, and its control groups."""
    found, pid = [], os.getppid()
    with contextlib.suppress(OSError, ValueError, IndexError):  # no Linux; one has just ended
        while pid > 0:
            process = Path("/proc", str(pid))
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            found.append(words.replace("\0", " "))
            pid = int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    with contextlib.suppress(OSError):
        found += Path("/proc/self/cgroup").read_text().splitlines()
    return found


def find() -> Allocation | None:
    """Ask Slurm for the allocation that this process is in; None where it is in none.

    Raises SlurmError where Slurm does not answer who is in one.
    """
    environment, above = dict(os.environ), lineage()
    number, step = claim(environment, above)
    for turn in range(TRIES if step else 1 if number else 0):
        time.sleep(AGAIN_S * (turn > 0))
        found = ours(environment, above, known(f"--jobs={number}") or [], os.getuid())
        if found is not None or not step:
            return found
    if step:
        raise SlurmError(f"this is in allocation {number}, of which Slurm's squeue says nothing")
    return None


def look(allocation: Allocation) -> Allocation | None:
    """Ask what has become of an allocation; None where Slurm does not say."""
    said = known(f"--jobs={allocation.name}") or []
    return next((each for each in said if each.number == allocation.number), None)


def requeue(name: str) -> str | None:
    """Have an allocation start anew as soon as it can; return what Slurm has against it.

    What runs in it is then ended by Slurm.
    """
    return refusal(["scontrol", "requeue", name])


def excluded(name: str) -> list[str]:
    """Tell which nodes an allocation is not to have, as whoever submitted it has said."""
    lines = answer(["squeue", "--noheader", "--jobs", name, "--format=%x"]) or []
    return [line.strip() for line in lines[:1] if line.strip()]


def exclude(name: str, nodes: Sequence[str]) -> str | None:
    """Have an allocation that is requeued start on others than some nodes.

    Return what Slurm has against it: it takes that only while the allocation waits.
    """
    return refusal(["scontrol", "update", f"JobId={name}", f"ExcNodeList={','.join(nodes)}"])


def refusal(command: list[str]) -> str | None:
    """Have Slurm do something; return what it has against it."""
    try:
        asked = ask(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if asked.returncode == 0 else asked.stderr.strip() or "no reason given"


def cancel_steps(allocation: Allocation, name: str) -> None:
    """Kill the steps of an allocation that have a name; a dead node's stay for a while."""
    gives_up_at = time.monotonic() + KILL_S
    while time.monotonic() < gives_up_at:
        question = ["squeue", "--noheader", "--steps", "--jobs", allocation.name]
        steps = [line.partition(" ") for line in answer([*question, "--format=%i %j"]) or []]
        named = [step for step, _, its_name in steps if its_name.strip() == name]
        if not named:
            break
        answer(["scancel", "--signal=KILL", *named])
        time.sleep(LOOK_S)


def nodes(allocation: Allocation) -> str:
    """Ask for the nodes that an allocation has now, as Slurm writes them."""
    rows = answer(["squeue", "--noheader", "--jobs", allocation.name, "--format=%A %N"])
    each = dict(
        row.split(" ", 1) for row in rows or [] if " " in row
    )  # more where it is heterogeneous
    return each.get(allocation.number, "").strip()


def components(allocation: Allocation) -> int:
    """Count the allocations that were asked for together, as one heterogeneous: each is a part."""
    return len(known(f"--jobs={allocation.group}") or []) if allocation.group else 1


class EndTime:
    """Asks again and again when the allocation ends, waiting for no answer."""

    def __init__(self) -> None:
        """Begin, knowing nothing but which allocation it may be."""
        self._environment, self._lineage = dict(os.environ), lineage()
        self._number, _ = claim(self._environment, self._lineage)
        self._known: float | None = None
        self._told: float | None = None
        self._question: subprocess.Popen[bytes] | None = None
        self._asked_at = -math.inf

    def poll(self, now: float) -> float | None:
        """Return the end in seconds since 1970 when it is new; `now` is any clock's."""
        if not self._number:
            return None
        if self._question is not None:
            self._listen(self._question, now)
        elif now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._ask()
        if self._known == self._told:
            return None
        self._told = self._known
        return self._told

    def _ask(self) -> None:
        try:
            self._question = subprocess.Popen(
                question(f"--jobs={self._number}"),
                env=plain(),
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
        rows = parsed(said.splitlines()) if asked.returncode == 0 else []
        found = ours(self._environment, self._lineage, rows, os.getuid())
        if found is not None and found.ends_at is not None:
            self._known = found.ends_at


def heard(pipe: IO[bytes]) -> str:
    """Read what is in a pipe by now; what a script has started may hold its other end for long."""
    with pipe:
        os.set_blocking(pipe.fileno(), False)
        return (pipe.read() or b"").decode(errors="replace")
