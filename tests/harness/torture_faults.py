"""What is done to the processes of a study, and how they are found; for scripts/torture.py."""

import contextlib
import re
from enum import Enum
from itertools import takewhile
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, Signals
from typing import NamedTuple

import psutil

from hpmpi.guard.process_tree import FORK_SERVER, KEEPER
from hpmpi.transports.local import VARIABLE

PATIENCE_S = 1.5
SEGMENT = r"/dev/shm/\S+$"  # noqa: S108 - MPICH chose the place


class Role(Enum):
    """What a process of a start is."""

    LAUNCHER = "mpirun"
    FRONT = "front"
    GUARD = "guard"
    LEADERS_GUARD = "guard of rank 0"
    LEADER = "rank 0"
    RANK = "rank"
    FORK_SERVER = "fork server"
    KEEPER = "keeper"
    OBJECTIVE = "objective"


SERVING = {FORK_SERVER.decode(): Role.FORK_SERVER, KEEPER.decode(): Role.KEEPER}
"""What those call themselves who stand between ranks and their children."""


class Fault(NamedTuple):
    """A signal to a process of some role; and another, after half to all of `after_s`."""

    name: str
    role: Role
    weight: int
    number: Signals
    then: Signals | None = None
    after_s: float = 0.0


WOUNDS = [
    Fault("rank killed", Role.RANK, 4, SIGKILL),
    Fault("objective killed", Role.OBJECTIVE, 5, SIGKILL),
    Fault("fork server killed", Role.FORK_SERVER, 3, SIGKILL),
    Fault("fork server stopped for long", Role.FORK_SERVER, 1, SIGSTOP, SIGCONT, PATIENCE_S * 3),
    Fault("keeper killed", Role.KEEPER, 2, SIGKILL),
    Fault("rank stopped briefly", Role.RANK, 4, SIGSTOP, SIGCONT, PATIENCE_S / 2),
    Fault("rank stopped for long", Role.RANK, 4, SIGSTOP, SIGCONT, PATIENCE_S * 3),
    Fault("rank 0 stopped briefly", Role.LEADER, 2, SIGSTOP, SIGCONT, PATIENCE_S / 2),
    Fault("rank 0 stopped for long", Role.LEADER, 2, SIGSTOP, SIGCONT, PATIENCE_S * 3),
]
"""What a start outlives."""

KILLS = [
    Fault("rank 0 killed", Role.LEADER, 20, SIGKILL),
    Fault("mpirun killed", Role.LAUNCHER, 2, SIGKILL),
    Fault("guard killed", Role.GUARD, 2, SIGKILL),
    Fault("guard of rank 0 killed", Role.LEADERS_GUARD, 1, SIGKILL),
]
"""What ends a start by force."""

DRAINS = [
    Fault("drained", Role.LEADER, 2, SIGUSR1),
    Fault("drained through mpirun", Role.LAUNCHER, 1, SIGUSR1),
    Fault("drained through the guard", Role.LEADERS_GUARD, 1, SIGTERM),
    Fault("drained twice", Role.LEADER, 2, SIGUSR1, SIGUSR1, 0.5),
]
"""What asks a start to end."""


class Member(NamedTuple):
    """A process of a start."""

    role: Role
    rank: str
    process: psutil.Process


def members(launcher: int, role: Role) -> list[Member]:
    """Find the processes of a start, and what each is; `role` is what was started itself."""
    found = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(launcher)
        found.append(Member(role, "", process))
        for each in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found += [member] if (member := member_of(each, launcher)) else []
    return found


def member_of(process: psutil.Process, launcher: int) -> Member | None:
    """Tell what a process of a start is, by those above it; None where it is none of ours."""
    if process.name() in SERVING:
        return Member(SERVING[process.name()], "", process)
    if {"hpmpi.worker.runner", "hpmpi.worker.fork_server"} & {*process.cmdline()}:
        return Member(Role.OBJECTIVE, "", process)
    rank = rank_of(process.environ())
    if not rank:
        return None
    ours = takewhile(lambda each: each.pid != launcher, process.parents())  # others may be secret
    above = sum(rank_of(parent.environ()) == rank for parent in ours)
    if VARIABLE in process.environ():  # no guards
        above += 2
    roles = {
        0: Role.FRONT,
        1: Role.LEADERS_GUARD if rank == "0" else Role.GUARD,
        2: Role.LEADER if rank == "0" else Role.RANK,
        3: Role.OBJECTIVE,
    }
    return Member(roles.get(above, Role.OBJECTIVE), rank, process)


def rank_of(environ: dict[str, str]) -> str:
    """Read a rank's number from its environment."""
    names = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", VARIABLE)
    return next((environ[name].split()[0] for name in names if name in environ), "")


def segments(member: Member) -> set[Path]:
    """List the shared memory that a process has a name for."""
    try:
        maps = Path(f"/proc/{member.process.pid}/maps").read_text()
    except OSError:
        return set()
    return {Path(name) for name in re.findall(SEGMENT, maps, re.MULTILINE)}


def send(process: psutil.Process, number: Signals) -> None:
    """Send a signal; a process that is gone needs none."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
