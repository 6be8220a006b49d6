"""How each launcher is told to start ranks, by what its MPI says of itself."""

import os
import sys
from pathlib import Path

import pytest

from hpmpi.errors import SettingsError
from hpmpi.launch import launchers
from hpmpi.launch.launchers import (
    CARRIED,
    EXTRA,
    FABRICS,
    Mpi,
    Start,
    by_hydra,
    by_prte,
    by_srun,
    choose,
)
from hpmpi.launch.placement import Placement
from hpmpi.slurm import step
from tests.slurm.test_allocation import OURS, Fake, allocated

MPICH = Mpi(
    "MPICH Version:      5.0.2\nMPICH Release date: Fri Sep 25 20:45:26 UTC 2026\n"
    "MPICH ABI:          18:2:6\nMPICH Device:       ch4:ucx ofi\nMPICH CC:           cc\n"
)
OLD_MPICH = Mpi(
    "MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr 7\nMPICH Device:\tch3:nemesis\n"
)
INTEL = Mpi("Intel(R) MPI Library 2021.14 for Linux* OS\n\n")
CRAY = Mpi(
    "MPI VERSION    : CRAY MPICH version 8.1.29.8 (ANL base 3.4a2)\n"
    "MPI BUILD INFO : Thu Mar 07 18:20 2024 (git hash 34ee6a0)\n"
)
OPEN_MPI_5 = Mpi("Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11")
OPEN_MPI_4 = Mpi("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4")
ALL = [MPICH, OLD_MPICH, INTEL, CRAY, OPEN_MPI_5, OPEN_MPI_4]

HERE = Placement(4, {})
ONE = Placement(4, {"n1": 4}, OURS)
EVEN = Placement(4, {"n1": 2, "n2": 2}, OURS)
UNEVEN = Placement(3, {"n1": 2, "n2": 1}, OURS)
HOSTS = Placement(4, {"a": 2, "b": 2})

PLACES = {
    "SLURM_JOB_NODELIST": "n1,n2",
    "SLURM_NODELIST": "n1,n2",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NNODES": "2",
    "SLURM_TASKS_PER_NODE": "2,1",
}

OFI = {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
KEEP = ["--overlap", "--no-kill", "--kill-on-bad-exit=0", "--wait=0", "--export=ALL", "--mem=0"]
STEPS = "--job-name=hpmpi-17"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have chosen nothing, and be nobody special."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name in (*FABRICS, "I_MPI_PMI_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", OURS.number)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(step, "spares", lambda: False)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Have no launchers but those in a folder, and none beside this Python."""
    fake = Fake(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}:/bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name in ("mpirun", "mpiexec", "mpiexec.hydra", "srun"):
        fake.program(name, "exit 127")
    return fake


def found(
    monkeypatch: pytest.MonkeyPatch, mpi: Mpi, team: Placement, only: str | None
) -> list[str]:
    """Name the launchers for a team, where Python has this MPI."""
    monkeypatch.setattr(launchers, "find_mpi", lambda: mpi)
    return [each.name.partition(" (")[0] for each in choose(team, only)]


# -- what an MPI says of itself --------------------------------------------------------------------


def test_an_mpi_is_known_by_its_words() -> None:
    assert [mpi.is_open_mpi for mpi in ALL] == [False] * 4 + [True] * 2
    assert [mpi.name for mpi in ALL] == [
        "MPICH 5.0.2",
        "MPICH 4.0.2",
        "Intel(R) MPI Library 2021.14 for Linux* OS",
        "MPI VERSION : CRAY MPICH version 8.1.29.8 (ANL base 3.4a2)",
        "Open MPI v5.0.11",
        "Open MPI v4.1.4",
    ]


@pytest.mark.parametrize("mpi", ALL)
def test_no_mpi_says_nothing(mpi: Mpi) -> None:
    assert mpi.name == mpi.name.strip() != ""


# -- by srun ---------------------------------------------------------------------------------------


def test_srun_is_told_how_many_where_and_to_outlive_them() -> None:
    start = by_srun("pmi2", MPICH, EVEN, "hpmpi-17")
    assert start.words == [
        *("srun", "--mpi=pmi2", *KEEP, STEPS, "--input=none"),
        *("--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--nodelist=n1,n2"),
    ]
    assert start.environment == OFI


def test_uneven_seats_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    team = UNEVEN._replace(allocation=allocated(cpus_per_task="3"))
    start = by_srun("pmi2", MPICH, team, "hpmpi-17")
    where = ["--distribution=arbitrary", "--nodelist=n1,n1,n2", "--cpus-per-task=3"]
    assert start.words[-5:] == ["--nodes=2", "--ntasks=3", *where]


@pytest.mark.parametrize(
    ("said", "slurm", "told"), [("1", "1", "1"), ("3", "1", None), (None, "1", None)]
)
def test_a_count_of_cpus_is_passed_on_if_slurm_knows_it_even_1(
    monkeypatch: pytest.MonkeyPatch, said: str | None, slurm: str, told: str | None
) -> None:
    """Without it a step takes all CPUs for each; it may be left from where sbatch was called."""
    if said is not None:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", said)
    words = by_srun(
        "pmi2", MPICH, EVEN._replace(allocation=allocated(cpus_per_task=slurm)), "x"
    ).words
    assert [word for word in words if "cpus-per-task" in word] == (
        [] if told is None else [f"--cpus-per-task={told}"]
    )


def test_threads_of_a_core_that_were_not_asked_for_stay_unused() -> None:
    """`sbatch --hint=nomultithread` says so, too."""
    team = EVEN._replace(allocation=allocated(threads="1"))
    assert by_srun("pmi2", MPICH, team, "x").words[-1] == "--threads-per-core=1"


def test_one_task_without_memory_does_not_take_the_others_along(
    programs: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where srun can do so, which it is asked."""
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{programs.folder}:/bin")
    for said, spared in (("--oom-kill-step[={0|1}]", True), ("--overlap", False)):
        programs.program("srun", f"echo '      {said}   set'")
        step.spares.cache_clear()
        assert ("--oom-kill-step=0" in step.options()) is spared
    step.spares.cache_clear()


# -- by MPICH's launcher ---------------------------------------------------------------------------


def test_hydra_needs_no_word_on_one_machine() -> None:
    assert by_hydra("mpirun", MPICH, HERE, "hpmpi-17") == Start(["mpirun", "-n", "4"], {})


def test_hydra_reaches_hosts_by_itself() -> None:
    start = by_hydra("mpirun", MPICH, HOSTS, "hpmpi-17")
    assert start == Start(["mpirun", "-n", "4", "-hosts", "a,b", "-ppn", "2"], OFI)


def test_hydra_has_slurm_keep_its_step() -> None:
    start = by_hydra("mpirun", OLD_MPICH, UNEVEN, "hpmpi-17")
    assert start.words == ["mpirun", "-n", "3", "-hosts", "n1:2,n2:1", "-bootstrap", "slurm"]
    extra = " ".join([*KEEP, "--mpi=none", STEPS])
    assert start.environment == dict.fromkeys(EXTRA, extra) | PLACES


# -- by Open MPI's launcher ------------------------------------------------------------------------


def test_open_mpi_may_start_more_ranks_than_cores_and_binds_none() -> None:
    start = by_prte("mpirun", OPEN_MPI_5, HERE, "hpmpi-17")
    assert start == Start(["mpirun", "-n", "4", "--bind-to", "none", "--oversubscribe"], {})


def test_open_mpi_is_told_that_root_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--allow-run-as-root" in by_prte("mpirun", OPEN_MPI_5, HERE, "hpmpi-17").words


@pytest.mark.parametrize(("mpi", "key"), [(OPEN_MPI_5, "--prtemca"), (OPEN_MPI_4, "--mca")])
def test_open_mpi_has_slurm_keep_its_step(mpi: Mpi, key: str) -> None:
    start = by_prte("mpirun", mpi, UNEVEN, "hpmpi-17")
    where = ["--host", "n1:2,n2:1", key, "plm_slurm_args", " ".join([*KEEP, STEPS])]
    assert start == Start(["mpirun", "-n", "3", "--bind-to", "none", *where], PLACES)


def test_open_mpi_carries_what_python_needs_to_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CARRIED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", "/there")
    words = by_prte("mpirun", OPEN_MPI_5, HOSTS, "hpmpi-17").words
    assert words[-4:] == ["--host", "a:2,b:2", "-x", "PYTHONPATH"]


# -- the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FABRICS)
@pytest.mark.parametrize("team", [EVEN, UNEVEN, HOSTS])
def test_a_network_that_the_user_has_chosen_is_respected(
    monkeypatch: pytest.MonkeyPatch, team: Placement, name: str
) -> None:
    monkeypatch.setenv(name, "theirs")
    starts = [by_hydra("mpirun", MPICH, team, "hpmpi-17")]
    starts += [by_srun("pmi2", MPICH, team, "hpmpi-17")] if team.allocation else []
    for start in starts:
        assert not start.environment.keys() & set(FABRICS)


@pytest.mark.parametrize("mpi", [OLD_MPICH, INTEL, CRAY, OPEN_MPI_4, OPEN_MPI_5])
def test_a_network_is_chosen_for_an_mpich_that_has_it_only(mpi: Mpi) -> None:
    assert launchers.network(mpi, EVEN) == {}


def test_a_network_is_chosen_where_there_is_one() -> None:
    assert [launchers.network(MPICH, team) for team in (HERE, ONE, EVEN)] == [{}, {}, OFI]


# -- which there are -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mpi", "offered", "names"),
    [
        (MPICH, "MPI plugin types are...\n\tnone\n\tpmi2", ["srun --mpi=pmi2", "mpirun"]),
        (MPICH, "none\n\tpmix\n\tcray_shasta", ["mpirun"]),
        (CRAY, "none,pmi2,cray_shasta", ["srun --mpi=cray_shasta", "mpirun"]),
        (CRAY, "none pmi2", ["srun --mpi=pmi2", "mpirun"]),
        (INTEL, "none pmi2 pmix", ["mpirun"]),
        (OPEN_MPI_5, "none pmi2 pmix pmix_v4", ["mpirun", "srun --mpi=pmix"]),
        (OPEN_MPI_4, "none pmi2", ["mpirun"]),
    ],
)
def test_the_launcher_that_loses_least_comes_first(
    programs: Fake, monkeypatch: pytest.MonkeyPatch, mpi: Mpi, offered: str, names: list[str]
) -> None:
    programs.program("srun", f"echo '{offered}' >&2")
    programs.program("mpirun", f"echo 'mpirun ({'Open MPI' if mpi.is_open_mpi else 'HYDRA'}) 5'")
    assert found(monkeypatch, mpi, EVEN, None) == names
    assert found(monkeypatch, mpi, EVEN, "mpirun") == ["mpirun"]


def test_intel_needs_to_know_slurms_pmi(programs: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.program("srun", "echo none pmi2")
    monkeypatch.setenv("I_MPI_PMI_LIBRARY", "/usr/lib/libpmi2.so")
    assert found(monkeypatch, INTEL, EVEN, None) == ["srun --mpi=pmi2"]


def test_srun_is_for_allocations_only(programs: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.program("srun", "echo none pmi2")
    for team in (HERE, HOSTS):
        with pytest.raises(SettingsError, match=r"^no srun here starts ranks of MPICH 5.0.2"):
            found(monkeypatch, MPICH, team, "srun")
    assert programs.asked("srun") == []


@pytest.mark.parametrize(
    ("mpi", "others"), [(MPICH, "mpirun (Open MPI) 4.1.4"), (OPEN_MPI_5, "HYDRA build details:")]
)
def test_a_launcher_of_another_mpi_is_passed_by(
    programs: Fake, monkeypatch: pytest.MonkeyPatch, mpi: Mpi, others: str
) -> None:
    """It would start as many runs of one rank each."""
    programs.program("mpirun", f"echo '{others}'")
    with pytest.raises(SettingsError, match=rf"^no launcher here starts ranks of {mpi.name}"):
        found(monkeypatch, mpi, HERE, None)
    ours = "OpenRTE" if mpi.is_open_mpi else "HYDRA build details:"
    programs.program("mpiexec", f"echo '{ours}'")
    assert found(monkeypatch, mpi, HERE, None) == ["mpirun"]


def test_the_launcher_beside_python_comes_first(
    programs: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (programs.folder, Path(sys.executable).parent):
        (folder / "mpirun").write_text("#!/bin/sh\necho HYDRA")
        (folder / "mpirun").chmod(0o700)
    monkeypatch.setattr(launchers, "find_mpi", lambda: MPICH)
    [launcher] = choose(HERE, None)
    assert launcher.name == f"mpirun ({Path(sys.executable).parent / 'mpirun'})"


# -- no MPI ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo Traceback >&2; echo \"ImportError: No module named 'mpi4py'\" >&2; exit 1",
            "mpi4py",
        ),
        ("kill -11 $$", "exit code -11"),
    ],
)
def test_a_python_without_an_mpi_says_what_to_do(programs: Fake, script: str, why: str) -> None:
    python = Fake(programs.folder.parent / "venv")
    python.program("python", script)
    sys.executable = str(python.folder / "python")  # monkeypatched by `programs`
    with pytest.raises(SettingsError, match=rf"can't load an MPI \(.*{why}.*\); install an MPI"):
        choose(HERE, None)


@pytest.mark.mpi
def test_this_python_has_the_mpi_whose_launcher_is_beside_it() -> None:
    if not (Path(sys.executable).parent / "mpirun").exists():
        pytest.skip("no mpirun beside this Python")
    [launcher] = choose(HERE, None)
    assert launcher.name == f"mpirun ({Path(sys.executable).parent / 'mpirun'})"
