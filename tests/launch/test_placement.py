"""Laws of the team: where ranks may be, and which nodes answer."""

import os
from pathlib import Path

import pytest

from hpmpi.errors import SettingsError
from hpmpi.launch import placement
from hpmpi.launch.placement import Placement, gather, living, task_counts
from hpmpi.slurm import step
from hpmpi.slurm.squeue import Allocation
from hpmpi.transports.resources import here
from tests.slurm.test_allocation import OURS, Fake, allocated

TWO_BY_TWO = {"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_TASKS_PER_NODE": "2(x2)"}
WHOLE = Placement(6, {"n1": 2, "n2": 2, "n3": 2}, OURS)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Have a folder first on PATH, and no Slurm."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Fake(tmp_path / "bin")


@pytest.fixture
def slurm(programs: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Be in an allocation of two nodes with two tasks each."""
    for name, value in TWO_BY_TWO.items():
        monkeypatch.setenv(name, value)
    programs.program("scontrol", 'case "$3" in "n[1-2]") echo n1; echo n2;; n*) echo "$3";; esac')
    programs.program("squeue", "echo '17 n[1-2]'; echo '18 n3'")
    return programs


# -- where ranks may be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "counts"),
    [("4", [4]), ("1,2(x2)", [1, 2, 2]), ("2(x3),1,16(x2)", [2, 2, 2, 1, 16, 16]), ("", [])],
)
def test_slurm_writes_equal_counts_once(told: str, counts: list[int]) -> None:
    assert task_counts(told) == counts


@pytest.mark.usefixtures("programs")
def test_here_there_is_a_rank_for_each_core_and_one_that_leads() -> None:
    assert gather(None, None, ()) == Placement(here().cpus + 1, {})
    assert gather(None, 99, ()) == Placement(99, {})


@pytest.mark.usefixtures("slurm")
def test_an_allocation_has_a_seat_for_each_task() -> None:
    assert gather(OURS, None, ()) == gather(OURS, 4, ()) == Placement(4, {"n1": 2, "n2": 2}, OURS)


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize(
    ("ranks", "nodes"), [(3, {"n1": 2, "n2": 1}), (2, {"n1": 1, "n2": 1}), (1, {"n1": 1})]
)
def test_fewer_ranks_than_tasks_are_dealt_out(ranks: int, nodes: dict[str, int]) -> None:
    assert gather(OURS, ranks, ()) == Placement(ranks, nodes, OURS)


@pytest.mark.usefixtures("slurm")
def test_more_ranks_than_tasks_are_refused() -> None:
    with pytest.raises(SettingsError, match="-n 5: the allocation has 4 tasks"):
        gather(OURS, 5, ())


@pytest.mark.parametrize("script", ["exit 1", ":"])
@pytest.mark.parametrize("program", ["scontrol", "squeue"])
def test_nodes_that_slurm_does_not_name_are_an_error(
    slurm: Fake, program: str, script: str
) -> None:
    slurm.program(program, script)
    with pytest.raises(SettingsError, match="scontrol does not say which nodes"):
        gather(OURS, None, ())


def test_a_node_that_slurm_has_taken_away_has_no_seat(slurm: Fake) -> None:
    slurm.program("squeue", "echo 17 n2")
    assert gather(OURS, None, ()) == Placement(2, {"n2": 2}, OURS)


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_JOB_ID": "16"},
        {"SLURM_TASKS_PER_NODE": "9"},
        {"SLURM_TASKS_PER_NODE": "9", "SLURM_JOB_NODELIST": "n7"},
    ],
)
def test_seats_of_another_allocation_or_of_a_step_are_not_ours(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """As in a shell of `srun --pty`; then the tasks of the allocation are spread evenly."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    mine = allocated(NumTasks="3")
    assert gather(mine, None, ()) == Placement(4, {"n1": 2, "n2": 2}, mine)


@pytest.mark.usefixtures("slurm")
def test_a_count_of_tasks_that_was_left_by_another_allocation_is_not_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert gather(OURS, None, ()).ranks == 4


@pytest.mark.parametrize(
    ("nodes", "idle"),
    [({"n1": 1, "n2": 1}, "n1"), ({"n1": 1}, None), ({"n1": 2, "n2": 1}, None), ({}, None)],
)
def test_a_node_whose_only_rank_leads_does_nothing(nodes: dict[str, int], idle: str | None) -> None:
    assert Placement(sum(nodes.values()), nodes, OURS).idle == idle
    assert "n1 will do no trials" in placement.advice("n1")
    assert "--ntasks-per-node=2" in placement.advice("n1")


@pytest.mark.usefixtures("slurm")
def test_hosts_are_used_in_an_allocation_too() -> None:
    assert gather(OURS, 2, ("a", "b")) == Placement(2, {"a": 1, "b": 1})


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("ranks", "nodes"),
    [(6, {"a": 2, "b": 2, "c": 2}), (4, {"a": 2, "b": 1, "c": 1}), (2, {"a": 1, "b": 1})],
)
def test_hosts_share_the_ranks_evenly(ranks: int, nodes: dict[str, int]) -> None:
    assert gather(None, ranks, ("a", "b", "c")) == Placement(ranks, nodes)


@pytest.mark.usefixtures("programs")
def test_a_host_that_is_named_twice_is_one() -> None:
    cpus = here().cpus
    assert gather(None, None, ("a", "b", "a")) == Placement(2 * cpus, {"a": cpus, "b": cpus})


def test_both_mpis_read_where_ranks_are_to_be() -> None:
    assert WHOLE.places == "n1:2,n2:2,n3:2"
    assert (WHOLE.told, Placement(3, {}).told) == ("n1, n2, n3", "this machine")


# -- who answers -----------------------------------------------------------------------------------


def test_a_node_that_does_not_answer_is_left_out(
    programs: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it says so, or says nothing."""
    programs.program("srun", 'case "$*" in *"n1 true") exit 1;; *"n2 true") exec sleep 600;; esac')
    monkeypatch.setattr(placement, "ANSWER_S", 0.5)
    assert living(WHOLE) == Placement(2, {"n3": 2}, OURS)
    words = " ".join([*step.KEEP, *step.WHOLE, "--quiet --mpi=none -N1 -n1 -w"])
    asked = {f"{words} n{number} true" for number in (1, 2, 3)}
    assert set(programs.asked("srun")) <= {*asked, "--help"}


def test_where_nobody_answers_nobody_is_there(
    programs: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked twice, as the whole cluster may be slow."""
    nobody = Placement(0, {}, OURS)
    programs.program("srun", "exit 1")
    assert living(WHOLE) == nobody
    assert len([words for words in programs.asked("srun") if words != "--help"]) == 2 * 3
    programs.program("srun", "exec sleep 600")
    monkeypatch.setattr(placement, "ANSWER_S", 0.1)
    monkeypatch.setattr(placement, "PATIENT_S", 0.2)
    assert living(WHOLE) == nobody
    assert placement.missing(WHOLE) == []


@pytest.mark.parametrize("allocation", [OURS, None])
def test_all_are_kept_where_nobody_can_be_asked(
    programs: Fake, monkeypatch: pytest.MonkeyPatch, allocation: Allocation | None
) -> None:
    monkeypatch.setenv("PATH", str(programs.folder))
    whole = WHOLE._replace(allocation=allocation)
    assert living(whole) == whole


def test_hosts_are_asked_over_ssh_and_without_a_password(programs: Fake) -> None:
    programs.program("srun", "exit 1")
    programs.program("ssh", 'case "$*" in *"n2 true") exit 255;; esac')
    assert living(WHOLE._replace(allocation=None)) == Placement(4, {"n1": 2, "n3": 2})
    assert all("-o BatchMode=yes" in words for words in programs.asked("ssh"))
    assert programs.asked("srun") == []


def test_on_this_machine_nobody_is_asked(programs: Fake) -> None:
    programs.program("ssh", "exit 1")
    alone = Placement(3, {})
    assert living(alone) is alone
    assert programs.asked("ssh") == []
