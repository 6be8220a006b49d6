"""What every transport promises, tried by tests/mpi/laws.py among local processes and MPI ranks."""

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from hpmpi.guard import variables
from hpmpi.transports import Launched, launched, local, unlaunched
from tests.mpi import laws

PROGRAM = Path(laws.__file__)
BIN = Path(sys.executable).parent
MPIRUN = BIN / "mpirun"
OPEN_MPI = (BIN / "ompi_info").exists()
FLAGS = ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"] if OPEN_MPI else []
LIMIT_S = 120
OTHER_LAUNCHER = (
    {"PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0"}
    if OPEN_MPI
    else {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}
)
DEAF_LAUNCHER = {"PMI_RANK": "0", "PMI_SIZE": "2"}

Report = dict[str, str]

needs_mpi = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun beside {sys.executable}"),
]


def run(
    launcher: list[str], folder: Path, names: list[str], env: dict[str, str] | None = None
) -> Report:
    """Try laws; return what is said of each, the exit code included."""
    words = [*launcher, sys.executable, PROGRAM, folder, *names]
    done = subprocess.run(
        [str(word) for word in words],
        env={**unlaunched(), "PYTHONPATH": str(PROGRAM.parents[2]), **(env or {})},
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    report = {"exit code": str(done.returncode), "stderr": done.stderr}
    for line in done.stdout.splitlines():
        report.update(json.loads(line))
    return report


@pytest.fixture(
    params=["local", *(pytest.param(each, marks=needs_mpi) for each in ("mpi", "mpi deaf"))],
    scope="module",
)
def attempt(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Report]:
    """Try laws among local processes, and among MPI ranks; the same ones once."""
    launcher = [str(MPIRUN), *FLAGS, "-n", "3"] if request.param != "local" else []
    env = {laws.DEAF: "1"} if request.param == "mpi deaf" else {}

    @cache
    def tried(*names: str) -> Report:
        return run(launcher, tmp_path_factory.mktemp(request.param), list(names), env)

    return tried


@pytest.mark.parametrize("law", [law.__name__ for law in laws.PEACEFUL])
def test_a_transport_keeps_the_law(attempt: Callable[..., Report], law: str) -> None:
    report = attempt(*(each.__name__ for each in laws.PEACEFUL))
    assert report.get(law, report["stderr"]) == ""


@pytest.mark.parametrize("law", [law.__name__ for law in laws.VIOLENT])
def test_a_transport_keeps_the_law_whatever_becomes_of_a_rank(
    attempt: Callable[..., Report], law: str
) -> None:
    report = attempt(law)
    assert report.get(law, report["stderr"]) == ""
    assert report["exit code"] == "0"


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun beside {sys.executable}")
@pytest.mark.parametrize("env", [OTHER_LAUNCHER, DEAF_LAUNCHER], ids=["other", "deaf"])
def test_the_launcher_of_another_mpi_is_noticed(tmp_path: Path, env: dict[str, str]) -> None:
    if OPEN_MPI and env is DEAF_LAUNCHER:
        pytest.skip("an Open MPI without a launcher leaves its shared memory behind")
    report = run([], tmp_path, [], env)
    assert report["exit code"] == "2", report["stderr"]
    assert "use the mpirun that belongs to this Python's MPI" in report["refused"]


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({}, None),
        ({"PMI_RANK": "3", "PMI_SIZE": "4"}, Launched(3, 4)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}, Launched(0, 1)),
        ({"PMIX_RANK": "3", "SLURM_STEP_NUM_TASKS": "4"}, Launched(3, 4)),
        ({"PMIX_RANK": "3"}, None),
        ({"PMI_RANK": "3"}, None),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, Launched(3, 4)),
    ],
)
def test_a_launcher_says_rank_and_size(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], place: Launched | None
) -> None:
    monkeypatch.setattr(os, "environ", env)
    assert launched() == place


IN_A_STEP = {"PMI_RANK": "0", "PMI_SIZE": "3", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "3"}
ASK = "from hpmpi.transports import launched; print(launched())"


@pytest.mark.parametrize(
    ("parent", "env", "said"),
    [
        pytest.param("-bash", IN_A_STEP, "None", id="a-shell-of-srun---pty"),
        pytest.param("slurmstepd: [17.0]", IN_A_STEP, "Launched(rank=0, size=3)", id="a-task"),
        pytest.param(
            "-bash",
            {"PMI_RANK": "0", "PMI_SIZE": "3", "MPI_LOCALRANKID": "0", "SLURM_PROCID": "0"},
            "Launched(rank=0, size=3)",
            id="mpirun-there",
        ),
    ],
)
def test_who_has_a_terminal_is_no_rank_of_sruns_unless_it_started_it(
    parent: str, env: dict[str, str], said: str
) -> None:
    """A shell in a step is told the same as a rank."""
    script = f"{shlex.quote(sys.executable)} -c {shlex.quote(ASK)}; :"
    pid, terminal = pty.fork()
    if pid == 0:
        clean = {**unlaunched(), "PYTHONPATH": str(PROGRAM.parents[2]), **env}
        os.execve("/bin/sh", [parent, "-c", script], clean)  # noqa: S606 - no shell is meant
    with open(terminal, errors="replace") as screen, contextlib.suppress(OSError):  # noqa: PTH123
        assert screen.readline().strip() == said
    os.waitpid(pid, 0)


def test_without_a_terminal_a_shell_may_have_started_a_rank() -> None:
    """As in `srun sh -c 'module load x; python -m hpmpi run'`."""
    told = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(ASK)}; :"],
        env={**unlaunched(), "PYTHONPATH": str(PROGRAM.parents[2]), **IN_A_STEP},
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "Launched(rank=0, size=3)\n"


def test_there_are_as_many_local_workers_as_the_allocation_has_cpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert local.cores() == 8
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert local.cores() == 3


def test_a_program_can_be_started_as_if_there_were_no_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranks = {"PMI_FD": "3", "HYDI_CONTROL_FD": "4", "HPMPI_GUARD": "5", "PMIX_RANK": "1"}
    ranks |= {"MPI_LOCALRANKID": "0", "OMPI_COMM_WORLD_RANK": "1", "OMPI_MCA_num_procs": "2"}
    users = {"PATH": "/bin", "SLURM_JOB_ID": "1", "MPI_HOME": "/opt/mpi", "OMPI_CC": "gcc"}
    users |= {"OMPI_MCA_btl": "self,tcp", "PRTE_MCA_rmaps": "x", "PMIX_MCA_gds": "hash"}
    users |= {"UCX_TLS": "tcp", "FI_PROVIDER": "tcp", "I_MPI_DEBUG": "5", "MPIR_CVAR_X": "1"}
    monkeypatch.setattr(os, "environ", ranks | users)
    assert unlaunched() == users


def test_what_we_have_set_for_mpi_is_not_for_what_a_rank_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = {"OMPI_MCA_osc": "rdma", "PATH": "/bin"}
    monkeypatch.setattr(os, "environ", users.copy())
    variables.set_defaults()
    assert os.environ["OMPI_MCA_osc"] == "rdma"  # noqa: SIM112 - its name is so
    assert os.environ.keys() >= variables.DEFAULTS.keys()
    monkeypatch.setattr(os, "environ", variables.with_ours({"FI_PROVIDER": "tcp"}))
    variables.set_defaults()
    assert unlaunched() == users
