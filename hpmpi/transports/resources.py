"""What of a node is a rank's: its share of the CPUs, and its GPUs.

A rank sees a Place; the worker ranks of a node divide what they see alike; each one's Share becomes
the environment of its child. Rank 0 leads and needs nothing. Rules:

- The machine's count of CPUs means nothing, and an affinity little where Slurm binds no tasks: the
  least counts of the affinity, SLURM_CPUS_ON_NODE, and SLURM_CPUS_PER_TASK. Slurm's other words of
  tasks and steps speak, under mpirun, of mpirun's daemon.
- Ranks that Slurm has bound to GPUs see different lists, or the same numbers in different control
  groups, and then different SLURM_STEP_GPUS: each keeps its own. What ranks see alike is divided.
- A trial must not depend on the rank it fell to: all have the same number of GPUs, and what is left
  over stays unused. Where there are fewer GPUs than ranks, ranks share them, unless the study says
  how many a trial is to have.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.transports import control_groups

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
"""What says how many threads a library may have, and joblib how many processes."""

CUDA = "CUDA_VISIBLE_DEVICES"
HIP = "HIP_VISIBLE_DEVICES"
ROCR = "ROCR_VISIBLE_DEVICES"
LEVEL_ZERO = "ZE_AFFINITY_MASK"
ORDINAL = "GPU_DEVICE_ORDINAL"

VARIABLES = (CUDA, HIP, ROCR, LEVEL_ZERO, ORDINAL)
"""What says which GPUs a process sees; the first that is set says how many."""

NOTHING = ("", "-1", "NoDevFiles")
"""What hides all GPUs, and those that follow it in a list; the last is Slurm's."""

HIDDEN = "-1"
"""Hides all: unlike "", which some take for a variable that is not set."""


class Place(NamedTuple):
    """What a rank sees of its node: affinity, Slurm's words, and lists of GPUs by variable.

    `nvidia` counts the devices of a machine where no Slurm gives them out.
    """

    cores: frozenset[int]
    cpus_on_node: int | None = None
    cpus_per_task: int | None = None
    visible: Mapping[str, tuple[str, ...]] = {}
    step_gpus: str | None = None
    nvidia: int = 0

    @property
    def cpus(self) -> int:
        """Count the CPUs that all ranks which see them have together."""
        return min(len(self.cores), self.cpus_on_node or len(self.cores))

    @property
    def gpus(self) -> tuple[Mapping[str, tuple[str, ...]], str | None]:
        """Return what differs where Slurm has bound ranks to GPUs."""
        return self.visible, self.step_gpus


class Share(NamedTuple):
    """What of its node is a rank's: threads, and the `turn` it has at the GPUs that `turns` see."""

    threads: int = 1
    visible: Mapping[str, tuple[str, ...]] = {}
    nvidia: int = 0
    turn: int = 0
    turns: int = 1


def host() -> str:
    """Name this machine."""
    return os.uname().nodename


def here() -> Place:
    """See what this process does of its node."""
    env = os.environ
    return Place(
        cores=affinity(),
        cpus_on_node=count_of(env.get("SLURM_CPUS_ON_NODE")),
        cpus_per_task=count_of(env.get("SLURM_CPUS_PER_TASK")),
        visible={name: devices(said) for name, said in chosen_in(env).items()},
        step_gpus=env.get("SLURM_STEP_GPUS"),
        nvidia=0 if "SLURM_JOB_ID" in env else len(list(Path("/dev").glob("nvidia[0-9]*"))),
    )


def divide(places: Sequence[Place]) -> list[Share]:
    """Divide a node among its worker ranks, in their order."""
    shares = []
    for index, place in enumerate(places):
        alike = [number for number, other in enumerate(places) if other.gpus == place.gpus]
        turn, turns = alike.index(index), len(alike)
        shares.append(Share(threads(place, places), place.visible, place.nvidia, turn, turns))
    return shares


def refusal(share: Share, gpus_per_trial: int | None) -> str | None:
    """Say why a rank can't work: no GPUs are left for it; None where it can."""
    if not gpus_per_trial:
        return None
    seen = number_of(lists(share))
    fit = seen // gpus_per_trial
    if share.turn < fit:
        return None
    gpus = f"{seen or 'no'} GPU{'s' * (seen > 1)}"
    if fit == 0:
        return (
            f"gpus_per_trial = {gpus_per_trial}, and this rank sees {gpus}: have Slurm give more "
            f"(--gpus-per-node), or name those that are there in {CUDA} or {ROCR}"
        )
    return (
        f"this node has {gpus}: enough for {fit} rank{'s' * (fit > 1)} "
        f"with gpus_per_trial = {gpus_per_trial}, and this is number {share.turn + 1}"
    )


def variables(share: Share, gpus_per_trial: int | None) -> dict[str, str]:
    """Return the environment in which a rank's child sees its GPUs only; {} changes nothing.

    >>> share = Share(visible={"CUDA_VISIBLE_DEVICES": ("4", "5", "6", "7")}, turn=1, turns=2)
    >>> variables(share, None), variables(share, 1)
    ({'CUDA_VISIBLE_DEVICES': '6,7'}, {'CUDA_VISIBLE_DEVICES': '5'})
    """
    assert refusal(share, gpus_per_trial) is None, "a rank that is refused has no child"
    if gpus_per_trial == 0:
        return dict.fromkeys(VARIABLES, HIDDEN)
    visible = lists(share) if gpus_per_trial else share.visible
    seen = number_of(visible)
    if seen == 0:
        return {}
    each = gpus_per_trial or max(1, seen // share.turns)
    first = share.turn * each % seen
    return {
        name: ",".join(visible[name][first : first + each])
        for name in last_filters(visible)
        if len(visible[name]) == seen  # or it does not speak of the same devices
    }


def chosen_in(env: Mapping[str, str]) -> dict[str, str]:
    """Return what says in an environment which GPUs are seen."""
    return {name: env[name] for name in VARIABLES if name in env}


def node_bytes() -> int:
    """Tell how much memory, in bytes, a node has for us: by Slurm's word, its groups, or in all.

    0 where nobody tells.
    """
    env = os.environ
    told = [count_of(env.get("SLURM_MEM_PER_NODE"))]
    each, cpus = count_of(env.get("SLURM_MEM_PER_CPU")), count_of(env.get("SLURM_CPUS_ON_NODE"))
    told.append(each * cpus if each and cpus else None)
    limits = [megabytes << 20 for megabytes in told if megabytes]
    with contextlib.suppress(OSError, ValueError):  # no Linux
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for folder, is_first in control_groups.above("memory"):
        file = folder / ("memory.limit_in_bytes" if is_first else "memory.max")
        with contextlib.suppress(ValueError):  # "max", or it is not shown here
            limits.append(int(control_groups.text_of(file)))
    return min(limits, default=0)


def threads(place: Place, places: Sequence[Place]) -> int:
    """Count the CPUs of one of a node's worker ranks."""
    limits = [len(place.cores) // sum(other.cores == place.cores for other in places)]
    if place.cpus_on_node is not None:
        limits.append(place.cpus_on_node // len(places))
    if place.cpus_per_task is not None:
        limits.append(place.cpus_per_task)
    return max(1, min(limits))


def lists(share: Share) -> Mapping[str, tuple[str, ...]]:
    """Return the lists of GPUs; where there are none, the one that would name all of NVIDIA's."""
    return share.visible or {CUDA: tuple(map(str, range(share.nvidia)))}


def number_of(visible: Mapping[str, tuple[str, ...]]) -> int:
    """Count the GPUs that lists name."""
    return next((len(visible[name]) for name in VARIABLES if name in visible), 0)


def last_filters(visible: Mapping[str, object]) -> list[str]:
    """Choose the variables to divide: of AMD's, the ones that work on what another has left.

    ROCR's comes first, and the numbers in HIP's, CUDA's (which HIP obeys) and the ordinal's count
    within what it leaves: with ROCR=1 and HIP=1, no GPU is left. Slurm sets them all alike.
    """
    skipped = ROCR if visible.keys() & {CUDA, HIP} else ORDINAL if ROCR in visible else None
    return [name for name in VARIABLES if name in visible and name != skipped]


def devices(said: str) -> tuple[str, ...]:
    """Read a list of GPUs, as CUDA does: what hides one hides those that follow.

    >>> devices("0, MIG-41b3"), devices("1,-1,0"), devices("NoDevFiles"), devices("")
    (('0', 'MIG-41b3'), ('1',), (), ())
    """
    names = [name.strip() for name in said.split(",")]
    ends = [index for index, name in enumerate(names) if name in NOTHING]
    return tuple(names[: ends[0]] if ends else names)


def affinity() -> frozenset[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def count_of(said: str | None) -> int | None:
    """Read a count of Slurm's; None where it says none."""
    return int(said) if said is not None and said.isdecimal() and int(said) > 0 else None
