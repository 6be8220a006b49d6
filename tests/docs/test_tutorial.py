"""docs/tutorial.md, followed by the letter."""

from pathlib import Path

import pytest

from tests.harness.pages import ON_RANKS, follow
from tests.harness.runs import MPIRUN

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


def test_a_stranger_comes_from_a_laptop_to_a_cluster(tmp_path: Path) -> None:
    printed = follow("tutorial.md", tmp_path, TMPDIR=str(tmp_path), **ON_RANKS)
    assert "goes on from the checkpoint: yes" in printed
    was_killed = "\nkilled\n" in printed  # a fast machine may be done by then
    assert printed.count("study: complete; 20 trials") == (2 if was_killed else 3)
    assert printed.count("study: complete; 30 trials") == 2
    assert "#SBATCH --ntasks-per-node=4" in printed
    assert "'accuracy': 0." in printed
