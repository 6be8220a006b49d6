"""A notebook, as Jupyter runs it: `%%writefile`, hpmpi.run, the tables; and what it is refused."""

from pathlib import Path

import nbclient
import nbformat
import pytest

LIMIT_S = 270

CELLS = """
%%writefile train.py
def train(config):
    return config["x"]
---
import hpmpi
from train import train
X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
few = {"space": X, "stop": {"max_trials": 3}, "workers": 2, "progress": False}
found = hpmpi.run(train, **few)
found
---
found.trials.columns.tolist(), len(found.trials)
---
def here(config):
    return config["x"]
try:
    hpmpi.run(here, **few)
except hpmpi.ObjectiveError as error:
    print(error)
"""


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_a_notebook_runs_a_study_and_has_what_it_came_to(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": text.strip("\n")} for text in CELLS.split("---")]
    blank: dict[str, object] = {"metadata": {}, "outputs": [], "execution_count": None}
    whole = {"cells": [cell | blank for cell in cells], "metadata": {}, "nbformat": 4}
    notebook = nbformat.from_dict(whole | {"nbformat_minor": 4})  # type: ignore[no-untyped-call]
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=LIMIT_S, resources=where).execute()
    _, ran, table, refused = (cell.outputs for cell in notebook.cells)
    assert ran[-1].data["text/plain"].startswith("train: complete; 3 trials")
    assert "'place', 'trial', 'status'" in table[0].data["text/plain"]
    assert table[0].data["text/plain"].endswith(", 3)")
    assert refused[0].text.startswith("objective = here: it is defined in a notebook")
    assert "%%writefile train.py" in refused[0].text
    assert (tmp_path / "results" / "train" / "run.h5").exists()
