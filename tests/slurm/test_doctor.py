"""`hpmpi doctor` where there is a Slurm: on the login node, and in an allocation of two nodes."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.harness.runs import MPIRUN, ROOT
from tests.slurm.cluster import Cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


def test_it_starts_ranks_on_both_nodes_of_an_allocation_and_is_well_without_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    asked = [sys.executable, "-m", "hpmpi", "doctor", str(tmp_path / "results")]
    cluster.env["PYTHONPATH"] = str(ROOT)
    outside = cluster.run(*asked)
    assert outside.returncode == 0, outside.stdout
    assert "-       allocation    this is in none" in outside.stdout
    assert "ok      Slurm         slurm" in outside.stdout

    said = tmp_path / "said"
    words = ["--nodes=2", "--ntasks-per-node=1", f"--output={said}", f"--chdir={tmp_path}"]
    job = cluster.sbatch(*words, f"--wrap={shlex.join(asked)}; echo exit $?")
    cluster.until(job, "COMPLETED")
    told = said.read_text()
    assert f"ok      allocation    {job}: 2 tasks on node1, node2" in told
    assert "ok      two ranks     met on node1 and node2" in told
    assert told.splitlines()[-1] == "exit 0"
