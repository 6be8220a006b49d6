"""docs/python.md, followed by the letter."""

from pathlib import Path

import pytest

from tests.harness.pages import ON_RANKS, follow
from tests.harness.runs import MPIRUN

PAGE = "python.md"

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


def test_a_stranger_comes_to_the_best_configuration(tmp_path: Path) -> None:
    printed = follow(PAGE, tmp_path, **ON_RANKS)
    assert printed.count("'accuracy': 0.") == 2
    assert "train: complete; 20 trials" in printed
    assert "penalty         str" in printed
