"""Variables that we set in a rank's environment, and mark: an objective is to do without them."""

import os
from collections.abc import Mapping

SET = "HPMPI_SET"
"""Names those that are not the user's but ours."""

DEFAULTS = {
    "OMPI_MCA_mpi_ft_enable": "1",  # Open MPI 5: a dead peer's socket is no reason to abort
    "OMPI_MCA_osc": "^ucx",  # Open MPI 5: a module that is not used here, and complains
    "MPIR_CVAR_NO_COLLECTIVE_FINALIZE": "1",  # MPICH 5: MPI_Finalize waits for nobody
}
"""What an MPI library is told, unless the user has said something else."""


def with_ours(
    environment: Mapping[str, str], among: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return an environment, this process's if no other, with some more variables, marked ours."""
    before = os.environ if among is None else among
    return {**before, **environment, SET: " ".join(sorted(set_here() | environment.keys()))}


def set_here() -> set[str]:
    """Name the variables of this process's environment that are ours."""
    return set(os.environ.get(SET, "").split())


def set_defaults() -> None:
    """Set what an MPI library reads when it starts, where the user has not."""
    missing = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    os.environ.update(with_ours(missing))
