"""A short torture of a real study; the long one is scripts/torture.py by itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.runs import MPIRUN, ROOT


def torture(folder: Path, *options: str) -> str:
    """Run the script; return what is wrong, and what was done before that."""
    script = ROOT / "scripts" / "torture.py"
    words = [sys.executable, script, "--folder", folder, "--verbose", *options]
    done = subprocess.run(list(map(str, words)), text=True, capture_output=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_a_tortured_study_comes_to_its_end_under_mpirun(tmp_path: Path) -> None:
    small = ["--seed", "1", "--seconds", "15", "--trials", "60", "--ranks", "5"]
    assert torture(tmp_path, *small) == ""


def test_a_tortured_study_comes_to_its_end_without_mpi(tmp_path: Path) -> None:
    small = ["--seed", "2", "--seconds", "8", "--trials", "60", "--ranks", "4", "--workers"]
    assert torture(tmp_path, *small) == ""
