"""SearchCV in an allocation of a real Slurm, called from a script outside of it."""

import subprocess
import sys
from pathlib import Path

import pytest

import hpmpi
from tests.harness.runs import ROOT
from tests.slurm.cluster import LIMIT_S, Cluster

pytestmark = pytest.mark.slurm

SCRIPT = """
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

import hpmpi

X, y = load_iris(return_X_y=True)
space = {"C": [0.1, 1, 10]}
where = {"nodes": 2, "ntasks_per_node": 2, "time": 10}
ours = hpmpi.SearchCV(SVC(), space, cv=3, folder="search", slurm=where).fit(X, y)
theirs = GridSearchCV(SVC(), space, cv=3).fit(X, y)
print(ours.best_params_ == theirs.best_params_, ours.best_score_ == theirs.best_score_)
"""


def test_a_search_goes_to_an_allocation_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=cluster.env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr
    hosts = set(hpmpi.load(tmp_path / "search" / "run").ranks["host"])
    assert hosts
    assert all(host.startswith("node") for host in hosts)
