"""What the objective sees of the GPUs that a real Slurm gives; they are devices only in name."""

import shlex
from collections import defaultdict
from pathlib import Path

import pytest

from tests.harness.runs import BIN, IS_OPEN_MPI, MPIRUN, ROOT, Study
from tests.slurm.cluster import Cluster

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

LOOK = """
import os, time
from pathlib import Path

def train(config, trial):
    log = Path(trial.args["log"])
    with log.open("a") as file:
        file.write(os.uname().nodename + " " + os.environ["CUDA_VISIBLE_DEVICES"] + "\\n")
    while len(log.read_text().splitlines()) < 3:
        time.sleep(0.02)  # each worker rank is to have a trial
    return {"loss": 0.0}
"""

OPTIONS = (
    *("scheduler.max_resource=1", "stop.max_trials=3", "limits.patience_s=30"),
    "run.gpus_per_trial=1",
)

BATCH = """#!/bin/sh
export PYTHONPATH={path} MPIR_CVAR_CH4_NETMOD=ofi FI_PROVIDER=tcp
exec {command}
"""

SRUN = ["srun", "--mpi=pmi2"]
IN_JOB = [str(BIN / "mpirun"), *(["--allow-run-as-root", "--bind-to", "none"] * IS_OPEN_MPI)]

srun = pytest.mark.skipif(IS_OPEN_MPI, reason="Slurm ends an Open MPI whose ranks just leave")


@pytest.mark.parametrize(
    ("launcher", "asked"),
    [
        pytest.param(SRUN, "--gpus-per-task=1", marks=srun, id="srun, bound"),
        pytest.param(SRUN, "--gpus-per-node=2", marks=srun, id="srun"),
        pytest.param(IN_JOB, "--gpus-per-node=2", id="mpirun"),
    ],
)
def test_each_trial_sees_a_gpu_of_its_own(
    cluster: Cluster, tmp_path: Path, launcher: list[str], asked: str
) -> None:
    study = Study(tmp_path)
    study.folder.joinpath("train.py").write_text(LOOK)
    options = [word for option in OPTIONS for word in ("--set", option)]
    script, output = tmp_path / "batch.sh", tmp_path / "output.log"
    command = shlex.join([*launcher, *study.command(*options)])
    script.write_text(BATCH.format(path=ROOT, command=command))
    job = cluster.sbatch(
        *("--nodes=2", "--ntasks-per-node=2", asked, f"--chdir={tmp_path}", f"--output={output}"),
        str(script),
    )
    assert cluster.until(job, "COMPLETED", "FAILED") == "COMPLETED", output.read_text()
    seen = defaultdict(list)
    for line in study.log.read_text().splitlines():
        node, gpus = line.split(" ")
        seen[node].append(gpus)
    leads, serves = sorted(seen, key=lambda node: len(seen[node]))
    assert (len(seen[leads]), sorted(seen[serves])) == (1, ["0", "1"])
    assert seen[leads][0] in {"0", "1"}
