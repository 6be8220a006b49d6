"""hpmpi.run with `slurm=`, and a real Slurm."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.model.messages import Outcome
from tests.api.scripts import Script
from tests.harness.runs import ROOT
from tests.slurm.cluster import LIMIT_S, Cluster
from tests.slurm.test_submit import await_it, outcome

pytestmark = pytest.mark.slurm

CALL = (
    "found = tune('out', epoch_s=1.5, slurm={'nodes': 2, 'ntasks_per_node': 2, 'time': 10})",
    "print(found.state, len(found.results), sorted(set(found.ranks.host)))",
)


def started(script: Script, cluster: Cluster) -> subprocess.Popen[str]:
    """Start a script where there is a Slurm."""
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=script.folder,
        env=cluster.env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_call_waits_for_its_allocation_and_another_for_the_same(
    cluster: Cluster, tmp_path: Path
) -> None:
    script = Script(tmp_path, *CALL)
    with started(script, cluster) as first:
        await_it(lambda: script.out.exists() and len(script.results) > 0)
        os.kill(first.pid, signal.SIGINT)
        assert first.wait(LIMIT_S) != 0
    with started(script, cluster) as again:
        said, _ = again.communicate(timeout=LIMIT_S)
    assert (again.returncode, said.split()[:2]) == (0, ["complete", "8"])
    assert outcome(script.out) is Outcome.COMPLETE
    assert script.run([sys.executable, "script.py"]).stdout == said  # it needs no Slurm any more
    assert len(list(tmp_path.glob("out.slurm/*_submission.sh"))) == 1
    assert len(script.starts) == 1
