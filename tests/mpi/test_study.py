"""Whole studies under a real mpirun, and what befalls their ranks."""

import os
import signal
import time
from pathlib import Path

import pytest

from hpmpi.model.messages import FailureKind, Progress
from hpmpi.model.records import Assigned, Back, Failure, Suspension
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, Study, finish, mpirun, parent_of

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

PATIENCE_S = 1.5
"""Of the study in tests/harness/runs.py."""


def check_complete(study: Study) -> None:
    """Every trial has its result at the bottom, and no job has two."""
    assert {trial for trial, rung in study.results if rung == 0} == set(range(12))
    assert len(study.results) == len(set(study.results))


def test_the_built_in_study_runs_from_any_folder(tmp_path: Path) -> None:
    study = Study(tmp_path)
    small = ["--set", "stop.max_trials=6", "--set", "scheduler.max_resource=3"]
    words = [word for word in study.command() if word not in {"run", str(study.file)}]
    done = study.run([*mpirun(4), *words, *small])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("digits: complete; 6 trials")
    assert lines[2].split()[:4] == ["place", "trial", "accuracy", "epochs"]
    assert lines[-3].startswith("baseline: accuracy 0.9")
    assert lines[-2].startswith("by test_accuracy, of data that no choice used, the best is ")
    assert lines[-1].startswith("next: hpmpi report ")


def test_a_calm_run_trains_every_epoch_once(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = study.run(study.mpirun(5))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))
    assert max(int(line.split()[1]) for line in epochs) == 8


@pytest.mark.parametrize("victims", [1, 2, 3])
def test_ranks_killed_in_mid_trial_cost_their_jobs_only(tmp_path: Path, victims: int) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.mpirun(5))
    study.until(lambda: len(study.busy()) == 4, process)
    ranks = study.ranks()  # first: it takes a while, and who was busy may have done its last job
    killed = study.busy()[:victims]
    assert len(killed) == victims
    for rank in killed:
        os.kill(ranks[rank], signal.SIGKILL)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)
    assert set(study.lost) == set(killed)


def test_a_stopped_rank_is_replaced_and_ended_with_the_run(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.mpirun(4))
    study.until(lambda: len(study.busy()) == 3, process)
    os.kill(study.ranks()[study.busy()[0]], signal.SIGSTOP)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)


def test_a_rank_that_comes_back_is_used_again(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.3)
    process = study.start(study.mpirun(3))
    study.until(lambda: len(study.busy()) == 2, process)
    victim = study.busy()[0]
    pid = study.ranks()[victim]
    os.kill(pid, signal.SIGSTOP)
    study.until(lambda: bool(study.lost), process)
    os.kill(pid, signal.SIGCONT)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)
    assert [each.rank for each in study.decided(Back)] == [victim]
    assert {each.kind for each in study.decided(Failure)} == {FailureKind.LOST}


def test_a_rank_0_that_was_held_up_declares_nobody_lost(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.3)
    process = study.start(study.mpirun(4))
    study.until(lambda: len(study.results) >= 2, process)
    leader = leader_of(study)
    os.kill(leader, signal.SIGSTOP)
    time.sleep(2 * PATIENCE_S)
    os.kill(leader, signal.SIGCONT)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)
    assert study.lost == []
    assert study.decided(Failure) == []


TALK = """
import time

def train(config, trial):
    for step in range(1_000_000):
        trial.report(step, loss=1.0)
        time.sleep(0.05)
"""


def test_a_slow_rank_is_not_lost(tmp_path: Path) -> None:
    """All its silences together are longer than the patience, and none of them is."""
    patience_s = 6.0
    study = Study(tmp_path)
    (tmp_path / "train.py").write_text(TALK)
    set_s = ("--set", f"limits.patience_s={patience_s}", "--set", "limits.grace_s=0")
    process = study.start(study.mpirun(4, *set_s))
    study.until(lambda: len(study.busy()) == 3, process)
    slow = study.ranks()[1]
    for _ in range(3):
        before = points_of(study, 1)
        study.until(lambda known=before: points_of(study, 1) > known, process)  # type: ignore[misc]
        os.kill(slow, signal.SIGSTOP)
        time.sleep(0.4 * patience_s)
        os.kill(slow, signal.SIGCONT)
    process.send_signal(signal.SIGUSR1)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert study.lost == []


def points_of(study: Study, rank: int) -> int:
    """Count what was heard by now of a rank's learning curves."""
    return sum(len(told.points) for teller, told in study.heard(Progress) if teller == rank)


def test_rank_0_killed_ends_the_launcher_and_loses_no_result(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.mpirun(4))
    study.until(lambda: len(study.results) >= 5, process)
    os.kill(leader_of(study), signal.SIGKILL)
    assert finish(process).returncode != 0
    assert study.left() == []
    before = study.results
    done = study.run(study.mpirun(4))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.results[: len(before)] == before
    check_complete(study)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_rank_0_drains_and_the_next_start_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    process = study.start(study.mpirun(4))
    study.until(lambda: len(study.results) >= 3, process)
    os.kill(leader_of(study), number)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    done = study.run(study.mpirun(4))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_mpirun_drains_and_no_epoch_is_trained_twice(
    tmp_path: Path, number: signal.Signals
) -> None:
    if IS_OPEN_MPI and number is not signal.SIGUSR1:
        pytest.skip("this mpirun kills its ranks soon after it")
    study = Study(tmp_path, epoch_s=0.2)
    command = study.mpirun(4, "--set", "limits.grace_s=60")
    process = study.start(command)
    study.until(lambda: 2 in rungs_handed_out(study), process)
    process.send_signal(number)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert study.decided(Suspension) != []
    done = study.run(command)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))


def test_a_mistake_is_said_once_by_rank_0(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = study.run(study.mpirun(4, "--set", "limits.patience=3"))
    assert done.returncode == 2
    assert done.stderr.count("did you mean patience_s?") == 1
    assert "Traceback" not in done.stderr
    assert not study.out.exists()
    assert study.left() == []


def test_workers_and_mpirun_are_not_for_one_run(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = study.run(study.mpirun(3, "--workers", "2"))
    assert (done.returncode, study.left()) == (2, [])
    assert done.stderr.count("--workers is for a run without mpirun") == 1


def rungs_handed_out(study: Study) -> set[int]:
    """List the rungs of the jobs that were handed out by now."""
    return {each.attempt.rung for each in study.decided(Assigned)}


def leader_of(study: Study) -> int:
    """Find the process of rank 0: two guards of the same rank are above it."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes().split(b"\0")
            here = (process / "cwd").readlink() == study.folder
            if here and {b"PMI_RANK=0", b"OMPI_COMM_WORLD_RANK=0"} & set(environ):
                parents[int(process.name)] = parent_of(int(process.name))
        except OSError:
            continue
    for pid, parent in parents.items():
        if parents.get(parent) in parents:
            return pid
    raise AssertionError("rank 0 is not there")
