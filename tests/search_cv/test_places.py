"""SearchCV where it is called: in a script with the ranks of an mpirun, and in a notebook."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from tests.harness.runs import MPIRUN, mpirun

LIMIT_S = 250.0

OWN = """
from sklearn.base import BaseEstimator, TransformerMixin

class Squared(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X**2

def hits(model, X, y):
    return float((model.predict(X) == y).sum())
"""

SCRIPT = """
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import hpmpi

{own}

def main():
    X, y = load_digits(n_class=3, return_X_y=True)
    model = make_pipeline(Squared(), LogisticRegression(max_iter=20, tol=1.0))
    space = {{"squared": ["passthrough", Squared()], "logisticregression__C": [0.1, 1]}}
    how = {{"cv": 3, "scoring": hits}}
    ours = hpmpi.SearchCV(model, space, folder="search", {more}**how).fit(X, y)
    theirs = GridSearchCV(model, space, **how).fit(X, y)
    print(ours.best_params_ == theirs.best_params_, ours.best_score_ == theirs.best_score_)

"""

MAIN = 'if __name__ == "__main__":\n    main()\n'

IMPORTED = "from own import Squared, hits"


def run(folder: Path, command: list[str], script: str) -> subprocess.CompletedProcess[str]:
    (folder / "own.py").write_text(OWN)
    (folder / "script.py").write_text(script)
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_the_ranks_of_an_mpirun_work_for_a_script(tmp_path: Path) -> None:
    command = [*mpirun(4), sys.executable, "-m", "hpmpi", "script.py"]
    done = run(tmp_path, command, SCRIPT.format(own=IMPORTED, more="") + MAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True True"]


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
@pytest.mark.parametrize(
    ("own", "folder", "why"),
    [
        (OWN, '"search"', "Write it to a module of its own"),
        (IMPORTED, "None", "folder must be given where ranks work"),
    ],
)
def test_ranks_are_told_of_nothing_that_they_can_not_find(
    tmp_path: Path, own: str, folder: str, why: str
) -> None:
    command = [*mpirun(2), sys.executable, "-m", "hpmpi", "script.py"]
    script = SCRIPT.format(own=own, more="").replace('folder="search"', f"folder={folder}")
    done = run(tmp_path, command, script + MAIN)
    assert done.returncode != 0
    assert why in done.stderr
    assert not (tmp_path / "search" / "run").exists()


def test_a_notebook_searches_with_what_its_cells_define(tmp_path: Path) -> None:
    cells = [SCRIPT.format(own=OWN, more="workers=2, verbose=0, "), "main()"]
    new: Any = nbformat.v4
    notebook = new.new_notebook(cells=[new.new_code_cell(text) for text in cells])
    client = nbclient.NotebookClient(
        notebook,
        timeout=LIMIT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    (said,) = notebook.cells[1].outputs
    assert said.text.splitlines() == ["True True"]
