"""The launchers that can start ranks here, and how each has to be told.

What is known of them was measured. MPICH under `srun --mpi=pmi2` outlives dead ranks and nodes.
Under every mpirun a rank may die, which the guard sees to, and a dead node ends it all. Open MPI
under srun dies with any rank. A launcher of another MPI starts as many runs of one rank each; the
ranks notice that, as they are told how many they are.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import SettingsError
from hpmpi.launch.placement import Placement
from hpmpi.slurm import step

ANSWER_S = 60.0
"""How long a program may take to say what it is."""

EXTRA = ("HYDRA_LAUNCHER_EXTRA_ARGS", "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS")
"""Where MPICH's launcher, and Intel's, look for what srun is to be told besides."""

FABRICS = ("MPIR_CVAR_CH4_NETMOD", "FI_PROVIDER", "UCX_TLS", "UCX_NET_DEVICES")
"""Where a user of MPICH chooses a network."""

CARRIED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
"""What Open MPI must be told to carry to other hosts."""

OF_A_RANK = (
    *("PMI_", "PMI2_", "PMIX_", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "HYDI_", "HYDRA_PROXY"),
    "MPI_LOCAL",
)
"""What begins the names of what another launcher has said, if it has started this process."""

QUESTION = """
import sys
del sys.path[0]  # the current folder, which may have modules of any name
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())
"""

WAY_OUT = (
    "install an MPI beside this Python (pip install 'hpmpi[mpich]'), or use the one of the cluster "
    "(slurm/README.md)"
)


class Start(NamedTuple):
    """The words before `python`, and what the environment has beside ours."""

    words: list[str]
    environment: dict[str, str]


class Launcher(NamedTuple):
    """A way to start ranks of a team, in steps of a name where there is an allocation."""

    name: str
    start: Callable[[Placement, str], Start]

    @property
    def has_helpers(self) -> bool:
        """Whether it leaves the ranks to other processes: an mpirun does, on its own node, too."""
        return self.name.startswith("mpirun")


class Mpi(NamedTuple):
    """The MPI of this Python, as it tells itself."""

    told: str

    @property
    def is_open_mpi(self) -> bool:
        """Whether it is Open MPI; all others are MPICH or its kin."""
        return self.told.startswith("Open MPI")

    @property
    def name(self) -> str:
        """Its first line, as far as it says who it is."""
        words = self.told.partition("\n")[0].partition(",")[0].split()
        return " ".join(word for word in words if word != "Version:")


def choose(team: Placement, only: str | None) -> list[Launcher]:
    """List the launchers that may work here, the one first that loses least.

    `only`: "srun" or "mpirun", or None for either. Raises SettingsError where there is none.
    """
    mpi = find_mpi()
    found = [srun(mpi), mpirun(mpi)] if team.allocation else [mpirun(mpi)]
    launchers = [it for it in found if it is not None and it.name.startswith(only or "")]
    if not launchers:
        said = f"no {only or 'launcher'} here starts ranks of {mpi.name}; {WAY_OUT}"
        raise SettingsError([said])
    return launchers[::-1] if mpi.is_open_mpi else launchers


def find_mpi() -> Mpi:
    """Ask this Python for its MPI, in another process; raises SettingsError where it has none."""
    try:
        asked = subprocess.run(
            [sys.executable, "-c", QUESTION],
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            check=True,
            start_new_session=True,  # Ctrl-C is for launch
        )
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().rpartition("\n")[2] or f"exit code {error.returncode}"
        raise SettingsError([f"this Python can't load an MPI ({why}); {WAY_OUT}"]) from error
    except subprocess.TimeoutExpired as error:
        raise SettingsError([f"this Python's MPI did not load in {ANSWER_S:g} s"]) from error
    return Mpi(asked.stdout.replace("\0", ""))


def srun(mpi: Mpi) -> Launcher | None:
    """Find how Slurm's own launcher can start ranks of an MPI; None where it can't."""
    said = answer(["srun", "--mpi=list"]).replace(",", " ").split()
    kind = next((kind for kind in spoken(mpi) if kind in said), None)
    if kind is None:
        return None
    return Launcher(f"srun --mpi={kind}", partial(by_srun, kind, mpi))


def spoken(mpi: Mpi) -> Sequence[str]:
    """List what an MPI speaks of what Slurm speaks."""
    if mpi.is_open_mpi:
        return ("pmix",)
    if "CRAY" in mpi.told:
        return ("cray_shasta", "pmi2")
    if mpi.told.startswith("Intel") and "I_MPI_PMI_LIBRARY" not in os.environ:
        return ()
    return ("pmi2",)


def by_srun(kind: str, mpi: Mpi, team: Placement, name: str) -> Start:
    """Start ranks as a step of the allocation."""
    assert team.allocation is not None, "srun is for allocations only"
    words = ["srun", f"--mpi={kind}", *step.options(), f"--job-name={name}", "--input=none"]
    words += [f"--nodes={len(team.nodes)}", f"--ntasks={team.ranks}"]
    counts = set(team.nodes.values())
    if len(counts) == 1:
        words += [f"--ntasks-per-node={counts.pop()}", f"--nodelist={','.join(team.nodes)}"]
    else:
        seats = [node for node, ranks in team.nodes.items() for _ in range(ranks)]
        words += ["--distribution=arbitrary", f"--nodelist={','.join(seats)}"]
    if cpus := step.environment(team.allocation).get("SLURM_CPUS_PER_TASK"):
        words.append(f"--cpus-per-task={cpus}")
    if threads := team.allocation.threads_per_core:
        words.append(f"--threads-per-core={threads}")
    return Start(words, network(mpi, team))


def mpirun(mpi: Mpi) -> Launcher | None:
    """Find the MPI's own launcher; None where there is none that belongs to it."""
    by = by_prte if mpi.is_open_mpi else by_hydra
    for program in ("mpirun", "mpiexec", "mpiexec.hydra"):
        beside = Path(sys.executable).parent / program
        path = str(beside) if beside.exists() else shutil.which(program)
        if path is not None and belongs(path, mpi):
            return Launcher(f"mpirun ({path})", partial(by, path, mpi))
    return None


def belongs(path: str, mpi: Mpi) -> bool:
    """Tell whether a launcher is of an MPI, or of its kin."""
    said = answer([path, "--version"])
    return ("Open MPI" in said or "OpenRTE" in said) == mpi.is_open_mpi if said else False


def answer(command: list[str]) -> str:
    """Ask a program what it is; nothing where it does not say."""
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout + asked.stderr


def by_hydra(path: str, mpi: Mpi, team: Placement, name: str) -> Start:
    """Start ranks with the launcher of MPICH and its kin."""
    words = [path, "-n", str(team.ranks)]
    environment = network(mpi, team)
    counts = set(team.nodes.values())
    if len(counts) == 1:
        words += ["-hosts", ",".join(team.nodes), "-ppn", str(counts.pop())]
    elif counts:  # Intel's does not read this
        words += ["-hosts", team.places]
    if team.allocation:
        words += ["-bootstrap", "slurm"]
        extra = " ".join([*step.options(), "--mpi=none", f"--job-name={name}"])
        environment.update(dict.fromkeys(EXTRA, extra), **step.of_nodes(team.nodes))
    return Start(words, environment)


def by_prte(path: str, mpi: Mpi, team: Placement, name: str) -> Start:
    """Start ranks with Open MPI's launcher."""
    words = [path, "-n", str(team.ranks), "--bind-to", "none"]
    if os.geteuid() == 0:
        words.append("--allow-run-as-root")
    words += ["--host", team.places] if team.nodes else ["--oversubscribe"]
    if team.allocation:
        key = "--mca" if mpi.told.startswith("Open MPI v4") else "--prtemca"
        words += [key, "plm_slurm_args", " ".join([*step.options(), f"--job-name={name}"])]
    elif team.nodes:
        words += [word for name in CARRIED if name in os.environ for word in ("-x", name)]
    places = step.of_nodes(team.nodes) if team.allocation else {}
    return Start(words, network(mpi, team) | places)


def network(mpi: Mpi, team: Placement) -> dict[str, str]:
    """Choose a network where a dead node harms nobody else, unless the user has chosen one."""
    if len(team.nodes) < 2:  # noqa: PLR2004 - shared memory is the same everywhere
        return {}
    chosen = any(name in os.environ for name in FABRICS)
    over_ofi = re.search(r"^\s*MPICH Device:.*\bofi", mpi.told, re.MULTILINE)  # `ch4:ucx ofi`, say
    if chosen or not mpi.told.startswith("MPICH") or not over_ofi:
        return {}
    # UCX kills whoever sends to a dead rank, and libfabric's default may hang at the start.
    return {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
