"""What an objective finds in its environment: the user's, and of ours what is meant for it.

Nothing makes it believe that it is a rank, or a step of an allocation: what it starts with mpirun
then starts here, whatever MPI that is of. For srun, which needs an allocation, there is its number.
"""

import os
from collections.abc import Mapping

from hpmpi.model.usage import Provision
from hpmpi.transports import resources, unlaunched
from hpmpi.transports.resources import Share

ALLOCATION = "HPMPI_ALLOCATION"
"""Names Slurm's allocation: `srun --jobid=$HPMPI_ALLOCATION --overlap ...`."""

NOT_OF_AN_ALLOCATION = {"SLURM_CONF", "SLURM_TMPDIR"}
"""What is named as Slurm's words are, and is of the site: its settings, and room on a disk."""


def environment(share: Share, gpus_per_trial: int | None) -> dict[str, str]:
    """Give a child our environment, its share of the node, and nothing of the launcher's."""
    allocation = os.environ.get("SLURM_JOB_ID")
    number = {ALLOCATION: allocation} if allocation else {}
    return {**number, **divided(unallocated(unlaunched()), share, gpus_per_trial)}


def provision(share: Share, gpus_per_trial: int | None) -> Provision:
    """Say what a rank has for a trial, and its node for all."""
    chosen = resources.variables(share, gpus_per_trial)
    seen = {name: resources.devices(said) for name, said in chosen.items()} or share.visible
    return Provision(share.threads, resources.number_of(seen), resources.node_bytes())


def divided(env: Mapping[str, str], share: Share, gpus_per_trial: int | None) -> dict[str, str]:
    """Add a rank's share of the node to an environment.

    What the user says of threads counts; what is said of GPUs is of the node, and is divided.
    """
    threads = dict.fromkeys(resources.THREADS, str(share.threads))
    return {**threads, **env, **resources.variables(share, gpus_per_trial)}


def unallocated(env: dict[str, str]) -> dict[str, str]:
    """Leave out what Slurm says of an allocation: an mpirun takes all of it, or fails.

    It would start on the allocation's first nodes, not on this one, beside another trial.
    """
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(("SLURM_", "SLURMD_")) or name in NOT_OF_AN_ALLOCATION
    }
