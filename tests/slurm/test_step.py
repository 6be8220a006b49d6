"""What srun is let see: nothing by which it would do otherwise than it is told."""

import os

import pytest

from hpmpi.slurm.step import CONTRADICTING, environment
from tests.slurm.test_allocation import allocated

MINE = allocated(cpus_per_task="2")
OURS = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_CPUS_ON_NODE": "4",
    "SLURM_CPUS_PER_TASK": "2",
    "SLURM_SUBMIT_DIR": "/home/me",
    "SLURM_ARRAY_TASK_ID": "3",
}
USERS = {"SLURM_CONF": "/etc/slurm.conf", "PATH": "/bin", "MY_LICENSE": "27000@lic"}


def seen(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, str]:
    """Return what srun sees, where these variables are all that there is."""
    monkeypatch.setattr(os, "environ", variables)
    return environment(MINE)


def test_what_slurm_says_of_our_allocation_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, OURS | USERS) == OURS | USERS | {"SLURM_JOBID": "17"}


@pytest.mark.parametrize("number", ["16", None])
def test_of_another_allocation_nothing_is_seen(
    monkeypatch: pytest.MonkeyPatch, number: str | None
) -> None:
    theirs = {name: value for name, value in OURS.items() if name != "SLURM_JOB_ID"}
    theirs |= {} if number is None else {"SLURM_JOB_ID": number}
    ours = {"SLURM_JOB_ID": "17", "SLURM_JOBID": "17"}
    assert seen(monkeypatch, theirs | USERS) == USERS | ours


def test_without_an_allocation_nothing_of_slurms_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An mpirun would start ranks in the one that is named, which may be over."""
    monkeypatch.setattr(os, "environ", OURS | USERS)
    assert environment(None) == USERS


@pytest.mark.parametrize("name", sorted(CONTRADICTING - {"SLURM_CPUS_PER_TASK"}))
def test_what_contradicts_is_not_seen(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert name not in seen(monkeypatch, {**OURS, name: "1"})


@pytest.mark.parametrize(
    "name", ["SLURM_CPUS_PER_TASK", "SLURM_GPUS_PER_TASK", "SLURM_GPUS_PER_NODE"]
)
def test_what_was_not_asked_for_here_was_asked_for_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What sbatch finds it hands on, and it sets these only where they were asked for."""
    assert name not in seen(monkeypatch, {**OURS, name: "7"})
    mine = allocated(cpus_per_task="7", tres_per_task="gres:gpu:7", tres_per_node="gres:gpu:7")
    assert environment(mine)[name] == "7"


@pytest.mark.parametrize("name", ["SLURM_STEP_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"])
def test_a_step_that_this_process_is_in_is_not_seen(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert name not in seen(monkeypatch, {**OURS, name: "0"})
