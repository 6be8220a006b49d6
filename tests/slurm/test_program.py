"""Commands that start ranks of their own in an allocation: on the trial's node, and on no other."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hpmpi.model.messages import Finished, Ready
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, mpirun
from tests.slurm.allocations import Tuning
from tests.slurm.cluster import Cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

TRIALS = 6

SOLVER = """
import json, os, re, sys, time
from mpi4py import MPI

world = MPI.COMM_WORLD
nodes = {*world.allgather(int(re.sub(r"[^0-9]", "", os.uname().nodename)))}
time.sleep(0.3)  # so that all ranks have one
if world.rank == 0:
    said = {"loss": float(sys.argv[1]), "size": world.size, "nodes": len(nodes), "node": min(nodes)}
    print(json.dumps(said), flush=True)
"""

SRUN = """#!/bin/sh
exec srun --jobid="$HPMPI_ALLOCATION" --overlap --nodes=1 --ntasks=2 --nodelist="$(hostname)" \\
    --mpi={mpi} {python} solver.py "$@"
"""


def run(cluster: Cluster, folder: Path, command: Sequence[str]) -> None:
    """Run a study of solvers on two nodes, and look where each of them ran."""
    tuning = Tuning(cluster, folder)
    (folder / "solver.py").write_text(SOLVER)
    text = tuning.study.file.read_text().partition("[scheduler]")[0]
    words = f"command = {json.dumps([*command, '{x}'])}"
    tuning.study.file.write_text(text.replace('objective = "train.py:train"', words))
    tuning.submit(hpmpi=("--set", f"stop.max_trials={TRIALS}"))
    state = cluster.until(tuning.job, "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")
    assert state == "COMPLETED", tuning.log.read_text()
    hosts = {rank: ready.host for rank, ready in tuning.study.heard(Ready)}
    found = [(hosts[rank], answer.metrics) for rank, answer in tuning.study.heard(Finished)]
    assert len(found) == TRIALS
    for host, metrics in found:
        assert (metrics["size"], metrics["nodes"], f"node{metrics['node']:g}") == (2, 1, host)
    assert len({host for host, _ in found}) == 2


def test_an_mpirun_starts_on_the_node_of_its_trial(cluster: Cluster, tmp_path: Path) -> None:
    run(cluster, tmp_path, [*mpirun(2), sys.executable, "solver.py"])


def test_an_srun_that_is_told_which_starts_there_too(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "solve.sh"
    script.write_text(SRUN.format(mpi="pmix" if IS_OPEN_MPI else "pmi2", python=sys.executable))
    script.chmod(0o755)
    run(cluster, tmp_path, ["./solve.sh"])
