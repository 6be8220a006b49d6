"""docs/parallel-or-apart.md shows what is there, and its script measures what it says."""

import json
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from tests.harness.pages import ROOT
from tests.harness.runs import MPIRUN

PAGE = ROOT / "docs" / "parallel-or-apart.md"
LEVELS = 27


def measured(folder: Path, *words: object) -> dict[str, dict[str, dict[str, float]]]:
    """Run the script; return what it wrote."""
    file = folder / "it.json"
    script = ROOT / "scripts" / "parallel_or_apart.py"
    command = [sys.executable, script, "--json", file, *words]
    done = run([*map(str, command)], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, dict[str, float]]] = json.loads(file.read_text())
    return found


def test_whatever_the_page_shows_is_there() -> None:
    links = [link.partition(")")[0] for link in PAGE.read_text().split("](")[1:]]
    assert links
    own = [link for link in links if "://" not in link]
    assert [it for it in own if not (PAGE.parent / it.partition("#")[0]).exists()] == []


def test_where_every_trial_is_as_good_time_is_that_of_one_training(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((50, 6))
    curves = np.ones((50, LEVELS)) / np.arange(1, LEVELS + 1)
    np.savez(tmp_path / "digits_mlp.npz", X=cube, err=curves, sec=np.ones_like(curves))
    words = ("--tables", tmp_path, "--ranks", 4, "--seeds", 1, "--costs", 0, "--serial", 0, 1)
    shared, serial = measured(tmp_path, *words, "--figure", tmp_path)["0"].values()
    assert shared["2 x 2"] == pytest.approx(shared["4 x 1"] / 2, rel=0.5)
    assert shared["1 x 4"] < shared["2 x 2"] < shared["4 x 1"]
    assert serial["4 x 1"] < serial["2 x 2"] < serial["1 x 4"]
    assert shared["grown"] < shared["4 x 1"]
    assert (tmp_path / "parallel-or-apart.svg").stat().st_size > 1000


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_real_groups_find_the_same_best(tmp_path: Path) -> None:
    found = measured(tmp_path, "--real", "--ranks", 2, "--repetitions", 1)
    assert [*found] == ["softmax", "2NN"]
    for layouts in found.values():
        assert [*layouts] == ["2 x 1", "1 x 2", "grown"]
