"""A step of an allocation: what srun is told, and what it is let see.

srun takes options from its environment, too, and that of this process has some that nobody here has
asked for: of the allocation (`sbatch --export=NONE`, `--hint`), of the one from which it was
submitted, of the user's profile. So all that is decided here is said, and what says otherwise is
taken away: where the environment is of another allocation than ours, all of Slurm's.
"""

import os
from collections.abc import Mapping
from functools import cache

from hpmpi.slurm.squeue import Allocation, answer

KEEP = ("--overlap", "--no-kill", "--kill-on-bad-exit=0", "--wait=0")
"""Has a step begin beside a dead one, and outlive ranks and nodes."""

WHOLE = ("--export=ALL", "--mem=0")
"""Gives it our environment, and the memory of the allocation."""

SPARING = "--oom-kill-step"
"""Whether one task that is out of memory takes the others along; not every srun has it."""

CLIENT = ("SLURM_CONF", "SLURM_DEBUG", "SLURM_JWT", "SLURM_CLUSTERS")
"""What begins the names of what a user of Slurm has to have set, in an allocation or not."""

CONTRADICTING = {
    # how many tasks, and where
    *("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE", "SLURM_NTASKS_PER_CORE"),
    *("SLURM_NTASKS_PER_SOCKET", "SLURM_NTASKS_PER_GPU", "SLURM_NTASKS_PER_TRES", "SLURM_HINT"),
    *("SLURM_DISTRIBUTION", "SLURM_DIST_PLANESIZE", "SLURM_HOSTFILE", "SLURM_OVERCOMMIT"),
    *("SLURM_EXCLUSIVE", "SLURM_EXACT", "SLURM_WHOLE", "SLURM_OVERLAP", "SLURM_SPREAD_JOB"),
    *("SLURM_USE_MIN_NODES", "SLURM_THREADS", "SLURM_THREADS_PER_CORE", "SLURM_RELATIVE"),
    *("SLURM_CPUS_PER_TASK", "SRUN_CPUS_PER_TASK", "SLURM_TRES_PER_TASK", "SLURM_CONSTRAINT"),
    # its memory, and what it is bound to
    *("SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU", "SLURM_MEM_PER_NODE", "SLURM_CPU_BIND"),
    *("SLURM_CPU_BIND_TYPE", "SLURM_CPU_BIND_LIST", "SLURM_CPU_BIND_VERBOSE", "SLURM_MEM_BIND"),
    *("SLURM_MEM_BIND_TYPE", "SLURM_MEM_BIND_LIST", "SLURM_MEM_BIND_SORT"),
    *("SLURM_MEM_BIND_PREFER", "SLURM_MEM_BIND_VERBOSE"),
    # its beginning and its end
    *("SLURM_KILL_BAD_EXIT", "SLURM_NO_KILL", "SLURM_WAIT", "SLURM_TIMELIMIT", "SLURM_IMMEDIATE"),
    *("SLURM_EXIT_IMMEDIATE", "SLURM_OOM_KILL_STEP", "SLURM_SIGNAL", "SLURM_MPI_TYPE"),
    *("SLURM_TEST_EXEC", "SLURM_PTY_PORT", "SLURM_PTY_WIN_COL", "SLURM_PTY_WIN_ROW"),
    # its environment, its folder, and what it says
    *("SLURM_EXPORT_ENV", "SRUN_EXPORT_ENV", "SLURM_REMOTE_CWD", "SLURM_WORKING_DIR"),
    *("SLURM_STDINMODE", "SLURM_STDOUTMODE", "SLURM_STDERRMODE", "SLURM_LABELIO"),
    *("SLURM_OPEN_MODE", "SLURM_UNBUFFEREDIO", "SLURM_CONTAINER", "SRUN_CONTAINER"),
}
"""Variables that srun takes for options, and that say otherwise, or nothing that is asked here."""

OF_A_TASK = ("SLURM_STEP", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_GTIDS", "SLURM_TASK_PID")
"""What begins the names of what is said of a single task."""


def options() -> list[str]:
    """Say what every step of ours is to be like."""
    return [*KEEP, *WHOLE, *([f"{SPARING}=0"] if spares() else [])]


@cache
def spares() -> bool:
    """Ask srun whether it can do so."""
    return any(SPARING in line for line in answer(["srun", "--help"]) or [])


def environment(allocation: Allocation | None) -> dict[str, str]:
    """Return the environment of what starts steps of an allocation, or nothing by Slurm."""
    if allocation is None:
        return {name: value for name, value in os.environ.items() if not is_slurms(name)}
    named = os.environ.get("SLURM_JOB_ID") == allocation.number
    kept = {
        name: value
        for name, value in os.environ.items()
        if not is_slurms(name) or (named and is_meant(name, value, allocation))
    }
    return kept | {"SLURM_JOB_ID": allocation.number, "SLURM_JOBID": allocation.number}


def is_slurms(name: str) -> bool:
    """Tell what is said of an allocation, or of steps, from how Slurm is to be reached."""
    return name.startswith(("SLURM_", "SRUN_")) and not name.startswith(CLIENT)


def is_meant(name: str, value: str, allocation: Allocation) -> bool:
    """Tell whether a variable is of this allocation, and no option that says otherwise.

    What sbatch sets only where it was asked for may be left from where it was called.
    """
    if name == "SLURM_CPUS_PER_TASK":
        return value == str(allocation.cpus_per_task)
    if name.startswith("SLURM_GPUS_PER_TASK"):
        return "gpu" in allocation.tres_per_task
    if name.startswith("SLURM_GPUS_PER_NODE"):
        return "gpu" in allocation.tres_per_node
    return name not in CONTRADICTING and not name.startswith(OF_A_TASK)


def of_nodes(nodes: Mapping[str, int]) -> dict[str, str]:
    """Say, as Slurm does, on which nodes how many tasks are to be: mpiruns read that."""
    names, counts = ",".join(nodes), ",".join(map(str, nodes.values()))
    return {
        **dict.fromkeys(("SLURM_JOB_NODELIST", "SLURM_NODELIST"), names),
        **dict.fromkeys(("SLURM_JOB_NUM_NODES", "SLURM_NNODES"), str(len(nodes))),
        "SLURM_TASKS_PER_NODE": counts,
    }
