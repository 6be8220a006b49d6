"""Trials over several ranks, as real processes: worlds that work, and members that are killed."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.model.events import Silent
from hpmpi.model.messages import Finished, Progress
from hpmpi.model.records import Assigned, Failure, Parted, Result
from hpmpi.worker.mpi_world import SHM
from hpmpi.worker.pmi import segment_of
from tests.harness.groups_of_ranks import WORLDS, study_of_groups
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, Study

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


def segments(study: Study) -> list[Path]:
    """List the shared memory that the worlds of a study have left."""
    [start] = [line.start for line in study.starts]
    names = (f"hpmpi_{start}_{'_'.join(map(str, it.attempt))}" for it in study.decided(Assigned))
    return [path for name in names for path in SHM.glob(f"{segment_of(name)}*")]


@pytest.mark.parametrize("world", WORLDS)
def test_a_killed_member_costs_its_group_one_attempt_and_nobody_a_rank(
    world: str, tmp_path: Path
) -> None:
    study = study_of_groups(tmp_path, world, kills=True)
    done = study.run(study.mpirun(5, "--set", "stop.max_trials=8"))
    assert (done.returncode, study.left(), segments(study)) == (0, [], []), done.stderr
    handed = {it.attempt: it for it in study.decided(Assigned)}
    failed = study.decided(Failure)
    assert failed, "somebody was killed"
    assert {it.attempt.rung for it in failed} == {2}, "in groups of three"
    for failure in failed:
        parted = {it.rank for it in study.decided(Parted) if it.attempt == failure.attempt}
        assert len(parted) == 2, "the two others are free again"
        again = handed[failure.attempt._replace(number=2)]
        assert len(again.others) == 2
    assert not [event for event in study.events if isinstance(event, Silent)]
    results = [it.attempt.job for it in study.decided(Result)]
    assert sorted(results) == sorted(set(results))
    assert {trial for trial, _ in results} == set(range(8))


def test_a_group_that_drains_goes_on_from_one_checkpoint(tmp_path: Path) -> None:
    study = study_of_groups(tmp_path, "none", kills=False, epoch_s=0.3)
    command = study.mpirun(4, "--set", "run.ranks_per_trial=3", "--set", "stop.max_trials=3")
    process = study.start([*command, "--set", "scheduler.min_resource=4"])
    study.until(lambda: bool(study.heard(Progress)), process)  # a launcher does not wait for long
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    done = study.run([*command, "--set", "scheduler.min_resource=4"])
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert len(study.decided(Result)) == 3
    assert not study.decided(Failure)


SOLVER = """
import json, os, sys
from mpi4py import MPI

world = MPI.COMM_WORLD
told = [os.environ[f"HPMPI_TRIAL_{it}"] for it in ("INDEX", "SIZE")]
assert told == [str(world.rank), str(world.size)]
total = world.allreduce(float(sys.argv[1]))
if world.rank == 0:
    print(json.dumps({"loss": total / world.size, "size": world.size}), flush=True)
"""

SOLVER_IN_C = """
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    int rank, size;
    double mine = atof(argv[1]), total;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&mine, &total, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) printf("{\\"loss\\": %f, \\"size\\": %d}\\n", total / size, size);
    MPI_Finalize();
    return 0;
}
"""


def words_of(folder: Path, language: str) -> list[str]:
    """Make a program that takes part in a world."""
    if language == "python":
        (folder / "solver.py").write_text(SOLVER)
        return [sys.executable, "./solver.py", "{x}"]
    mpicc = MPIRUN.with_name("mpicc")
    if not mpicc.exists() or shutil.which("cc") is None:
        pytest.skip("no mpicc beside this Python, or no compiler")
    (folder / "solver.c").write_text(SOLVER_IN_C)

    subprocess.run([mpicc, "solver.c", "-o", "solver"], cwd=folder, check=True)
    return ["./solver", "{x}"]


@pytest.mark.skipif(IS_OPEN_MPI, reason="MPICH's wire")
@pytest.mark.parametrize("language", ["python", "c"])
def test_a_program_has_its_trials_world(language: str, tmp_path: Path) -> None:
    study = Study(tmp_path)
    text = study.file.read_text().partition("[scheduler]")[0]
    command = f"command = {json.dumps(words_of(tmp_path, language))}"
    run = '[run]\nranks_per_trial = 3\nworld = "mpi"\n'
    study.file.write_text(text.replace('objective = "train.py:train"', command) + run)
    done = study.run(study.mpirun(4, "--set", "stop.max_trials=2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert [answer.metrics["size"] for _, answer in study.heard(Finished)] == [3.0, 3.0]


def test_more_ranks_than_there_are_and_open_mpis_worlds_are_refused(tmp_path: Path) -> None:
    study = study_of_groups(tmp_path, "none", kills=False)
    done = study.run(study.mpirun(3))
    assert (done.returncode, study.left()) == (2, [])
    assert "run.ranks_per_trial = [1, 2, 3], and there are 2 worker ranks" in done.stderr
    if IS_OPEN_MPI:
        done = study.run(study.mpirun(4, "--set", 'run.world="mpi"'))
        assert (done.returncode, study.left()) == (2, [])
        assert "this is Open MPI" in done.stderr
