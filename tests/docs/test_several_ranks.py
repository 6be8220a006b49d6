"""docs/several-ranks.md, followed by the letter; its torch example is run where torch is."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.harness.pages import follow
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, finish, mpirun, start

PAGE = "several-ranks.md"

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(IS_OPEN_MPI or not MPIRUN.exists(), reason="needs MPICH's mpirun"),
]


def test_what_the_page_says_works(tmp_path: Path) -> None:
    printed = follow(PAGE, tmp_path)
    assert "study: complete; 8 trials" in printed
    assert "member 3 of 4 on" in printed
    assert "decisions agree" in printed
    assert "solve: complete; 4 trials" in printed
    if importlib.util.find_spec("torch") is not None:
        run = ["-m", "hpmpi", "run", "study.toml", "--out", "ddp"]
        changes = ["--set", 'objective="ddp.py:train"', "--set", 'run.world="torch"']
        done = finish(start([*mpirun(5), sys.executable, *run, *changes], tmp_path))
        assert done.returncode == 0, done.stderr
