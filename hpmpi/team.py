"""Where ranks are to be: on which nodes, how many on each; and which of the nodes answer.

In an allocation, what Slurm says; with `--hosts`, those, over ssh; else this machine.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from typing import NamedTuple

from hpmpi import allocation
from hpmpi.errors import SettingsError
from hpmpi.place import here

ANSWER_S = 10.0
PATIENT_S = 60.0
"""How long a node may take to answer; and when none has, as the whole cluster may be slow."""

ASK_SLURM = ("srun", "--overlap", "--no-kill", "--quiet", "--mpi=none", "-N1", "-n1", "-w")
ASK_SSH = ("ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={ANSWER_S:.0f}")


class Team(NamedTuple):
    """How many ranks on each node; no node where all are on this machine."""

    ranks: int
    nodes: dict[str, int]
    in_slurm: bool

    @property
    def places(self) -> str:
        """Write the nodes as both MPIs read them."""
        return ",".join(f"{node}:{ranks}" for node, ranks in self.nodes.items())

    @property
    def told(self) -> str:
        """Write the nodes for people."""
        return ", ".join(self.nodes) or "this machine"


def gather(ranks: int | None, hosts: tuple[str, ...]) -> Team:
    """Find out where ranks can be; raises SettingsError where so many can't.

    `ranks`: how many in all; without it, as many as Slurm has tasks, or one more than cores.
    """
    if allocation.here() is not None and not hosts:
        seats = slurm_seats()
        most = min(sum(seats.values()), allocation.tasks() or sum(seats.values()))
        if ranks is not None and ranks > most:
            said = f"-n {ranks}: the allocation has {most} tasks; ask sbatch for more"
            raise SettingsError([said])
        return dealt(seats, ranks or most, in_slurm=True)
    if not hosts:
        return Team(ranks or here().cpus + 1, {}, in_slurm=False)
    each = ranks or here().cpus
    nodes = dict.fromkeys(hosts, each)
    return dealt(nodes, ranks or each * len(nodes), in_slurm=False)


def dealt(seats: dict[str, int], ranks: int, *, in_slurm: bool) -> Team:
    """Deal out ranks to nodes that have so many seats."""
    nodes = dict.fromkeys(seats, 0)
    left = ranks
    while left > 0:
        for node, there in seats.items():
            if left > 0 and nodes[node] < there:
                nodes[node] += 1
                left -= 1
    return Team(ranks, {node: count for node, count in nodes.items() if count}, in_slurm)


def living(whole: Team) -> Team:
    """Find who of a team answers now; everybody, where nobody does or nobody can be asked."""
    how = ASK_SLURM if whole.in_slurm else ASK_SSH
    if not whole.nodes or shutil.which(how[0]) is None:
        return whole
    for limit_s in (ANSWER_S, PATIENT_S):
        answering = ask(whole.nodes, how, limit_s)
        if answering:
            nodes = {node: whole.nodes[node] for node in answering}
            return Team(sum(nodes.values()), nodes, whole.in_slurm)
    return whole


def missing(now: Team) -> list[str]:
    """List the nodes of a team that do not answer, where others do."""
    answering = living(now).nodes
    return [node for node in now.nodes if node not in answering]


def ask(nodes: Iterable[str], how: tuple[str, ...], limit_s: float) -> list[str]:
    """List the nodes on which a program can be run, within a time."""
    asked = {
        node: subprocess.Popen(
            [*how, node, "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for node in nodes
    }
    gives_up_at = time.monotonic() + limit_s
    answering = []
    for node, question in asked.items():
        try:
            answered = question.wait(max(0.0, gives_up_at - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            answered = False
            question.kill()
            question.wait()
        if answered:
            answering.append(node)
    return answering


def slurm_seats() -> dict[str, int]:
    """Count the tasks that each node of the allocation has; raises SettingsError."""
    nodelist = os.environ.get("SLURM_JOB_NODELIST", "")
    nodes = hostnames(nodelist)
    if not nodes:
        raise SettingsError([f"scontrol does not say which nodes {nodelist!r} are"])
    told = os.environ.get("SLURM_TASKS_PER_NODE", "")
    counts = task_counts(told)
    if len(counts) != len(nodes):
        raise SettingsError([f"SLURM_TASKS_PER_NODE={told!r} does not fit {len(nodes)} nodes"])
    return dict(zip(nodes, counts, strict=True))


def hostnames(nodelist: str) -> list[str]:
    """Have Slurm expand `node[1-3]`."""
    return allocation.answer(["scontrol", "show", "hostnames", nodelist])


def task_counts(told: str) -> list[int]:
    """Read how many tasks each node has, as Slurm writes it.

    >>> task_counts("2(x3),1")
    [2, 2, 2, 1]
    """
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", told)
    return [int(tasks) for tasks, times in found for _ in range(int(times or 1))]
