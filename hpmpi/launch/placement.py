"""Where ranks are to be: on which nodes, how many on each; and which of the nodes answer.

In an allocation, what Slurm says; with `--hosts`, those, over ssh; else this machine.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection
from typing import NamedTuple

from hpmpi.errors import SettingsError
from hpmpi.slurm import allocation, step
from hpmpi.slurm.squeue import Allocation, answer
from hpmpi.transports.resources import here

ANSWER_S = 10.0
PATIENT_S = 60.0
"""How long a node may take to answer; and when none has, as the whole cluster may be slow."""

ASK_SLURM = ("--quiet", "--mpi=none", "-N1", "-n1", "-w")
ASK_SSH = ("ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={ANSWER_S:.0f}")


class Placement(NamedTuple):
    """How many ranks on each node of an allocation, or over ssh; no node: on this machine."""

    ranks: int
    nodes: dict[str, int]
    allocation: Allocation | None = None

    @property
    def places(self) -> str:
        """Write the nodes as both MPIs read them."""
        return ",".join(f"{node}:{ranks}" for node, ranks in self.nodes.items())

    @property
    def told(self) -> str:
        """Write the nodes for people."""
        return ", ".join(self.nodes) or "this machine"

    @property
    def idle(self) -> str | None:
        """Name the node that has no worker rank, though others have; None where there is none."""
        first = next(iter(self.nodes), None)
        return first if first and len(self.nodes) > 1 and self.nodes[first] == 1 else None


def gather(ours: Allocation | None, ranks: int | None, hosts: tuple[str, ...]) -> Placement:
    """Find out where ranks can be; raises SettingsError where so many can't.

    `ranks`: how many in all; without it, as many as Slurm has tasks, or one more than cores.
    """
    if ours is not None and not hosts:
        seats = slurm_seats(ours)
        most = sum(seats.values())
        if ranks is not None and ranks > most:
            said = f"-n {ranks}: the allocation has {most} tasks; ask sbatch for more"
            raise SettingsError([said])
        return dealt(seats, ranks or most, ours)
    if not hosts:
        return Placement(ranks or here().cpus + 1, {})
    each = ranks or here().cpus
    nodes = dict.fromkeys(hosts, each)
    return dealt(nodes, ranks or each * len(nodes))


def dealt(seats: dict[str, int], ranks: int, ours: Allocation | None = None) -> Placement:
    """Deal out ranks to nodes that have so many seats."""
    nodes = dict.fromkeys(seats, 0)
    left = ranks
    while left > 0:
        for node, there in seats.items():
            if left > 0 and nodes[node] < there:
                nodes[node] += 1
                left -= 1
    return Placement(ranks, {node: count for node, count in nodes.items() if count}, ours)


def living(whole: Placement) -> Placement:
    """Find who of a team answers now, which may be nobody; everybody, where nobody can be asked."""
    if not whole.nodes or shutil.which("srun" if whole.allocation else "ssh") is None:
        return whole
    answering = ask(whole, ANSWER_S) or ask(whole, PATIENT_S)
    nodes = {node: whole.nodes[node] for node in answering}
    return Placement(sum(nodes.values()), nodes, whole.allocation)


def advice(idle: str) -> str:
    """Say what is lost where the only rank of a node is the one that leads."""
    return (
        f"{idle} will do no trials: rank 0 leads, and is the only rank there; ask for more ranks "
        "on each node (--ntasks-per-node=2 or more), with fewer CPUs each (--cpus-per-task)"
    )


def named(whole: Placement, hosts: Collection[str]) -> list[str]:
    """List the nodes of a team that are some hosts: one may be called by its whole name there."""
    short = {host.partition(".")[0] for host in hosts}
    return [node for node in whole.nodes if node in hosts or node.partition(".")[0] in short]


def missing(now: Placement) -> list[str]:
    """List the nodes of a team that do not answer, where others do: else it may be Slurm."""
    answering = living(now).nodes
    return [node for node in now.nodes if node not in answering] if answering else []


def ask(team: Placement, limit_s: float) -> list[str]:
    """List the nodes on which a program can be run, within a time."""
    ours = team.allocation
    how = ASK_SSH if ours is None else ("srun", *step.options(), *ASK_SLURM)
    asked = {
        node: subprocess.Popen(
            [*how, node, "true"],
            env=step.environment(ours),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for node in team.nodes
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


def slurm_seats(ours: Allocation) -> dict[str, int]:
    """Count the tasks that each node of the allocation has; raises SettingsError.

    Slurm tells the script how many those are, node by node. A shell in a step was told of the step,
    and one of another allocation of that: then as many as there are tasks are spread evenly.
    """
    nodelist = allocation.nodes(ours)
    nodes = hostnames(nodelist)
    if not nodes:
        raise SettingsError([f"scontrol does not say which nodes {nodelist!r} are"])
    counts: list[int] = []
    if os.environ.get("SLURM_JOB_ID") == ours.number:
        counts = task_counts(os.environ.get("SLURM_TASKS_PER_NODE", ""))
    all_nodes = hostnames(os.environ.get("SLURM_JOB_NODELIST", ""))
    if len(counts) == len(all_nodes) and set(nodes) <= set(all_nodes):
        seats = dict(zip(all_nodes, counts, strict=True))
        return {node: seats[node] for node in nodes}  # those that are left
    return {node: -(-max(ours.tasks, 1) // len(nodes)) for node in nodes}


def hostnames(nodelist: str) -> list[str]:
    """Have Slurm expand `node[1-3]`."""
    return (answer(["scontrol", "show", "hostnames", nodelist]) or []) if nodelist else []


def task_counts(told: str) -> list[int]:
    """Read how many tasks each node has, as Slurm writes it.

    >>> task_counts("2(x3),1")
    [2, 2, 2, 1]
    """
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", told)
    return [int(tasks) for tasks, times in found for _ in range(int(times or 1))]
