"""A command that is an mpirun itself, under an mpirun: it starts here, and knows of no other."""

import json
import sys
from pathlib import Path

import pytest

from hpmpi.model.messages import Finished
from tests.harness.runs import MPIRUN, Study, mpirun

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

SOLVER = """
import json, os, sys
from mpi4py import MPI

world = MPI.COMM_WORLD
hosts = world.gather(os.uname().nodename)
if world.rank == 0:
    loss = float(sys.argv[1])
    print(json.dumps({"loss": loss, "size": world.size, "hosts": len({*hosts})}), flush=True)
"""


def study_of_solvers(folder: Path, *launcher: str) -> Study:
    """Write a study whose trials are solvers that a launcher starts."""
    study = Study(folder)
    (folder / "solver.py").write_text(SOLVER)
    words = [*launcher, sys.executable, "./solver.py", "{x}"]
    text = study.file.read_text().partition("[scheduler]")[0]
    command = f"command = {json.dumps(words)}"
    study.file.write_text(text.replace('objective = "train.py:train"', command))
    return study


def test_a_command_may_be_an_mpirun(tmp_path: Path) -> None:
    study = study_of_solvers(tmp_path, *mpirun(2))
    done = study.run(study.mpirun(3, "--set", "stop.max_trials=4"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    found = [answer.metrics for _, answer in study.heard(Finished)]
    assert len(found) == 4
    assert all((each["size"], each["hosts"]) == (2.0, 1.0) for each in found)


def test_a_solver_that_fails_under_its_mpirun_is_a_failed_attempt(tmp_path: Path) -> None:
    study = study_of_solvers(tmp_path, *mpirun(2))
    (tmp_path / "solver.py").write_text(f"{SOLVER}\nraise SystemExit(3)\n")
    done = study.run(study.mpirun(3, "--set", "stop.max_trials=1"))
    assert (done.returncode, study.left()) == (3, []), done.stderr
    assert "exit code" in done.stdout
