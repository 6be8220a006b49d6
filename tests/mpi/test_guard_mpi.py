"""What the guard promises of every MPI: the launcher ends well, whatever happens to a rank."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.runs import MPIRUN, finish, left, mpirun, start

PROGRAM = Path(__file__).parent / "guarded.py"

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


def run(folder: Path, victims: int, harm: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run guarded.py; raises where the launcher does not end."""
    words = [sys.executable, PROGRAM, folder, victims, harm, code]
    return finish(start([*mpirun(6), *map(str, words)], folder))


@pytest.mark.parametrize(
    ("victims", "harm"),
    [
        (0, "nothing"),
        (1, "kill"),
        (4, "kill"),
        (1, "stop"),
        (3, "stop"),
        (1, "exit"),
        (1, "segv"),
        (1, "raise"),
        (1, "leave"),
        (2, "orphan"),
    ],
)
def test_a_run_outlasts_its_ranks_and_leaves_nothing(
    tmp_path: Path, victims: int, harm: str
) -> None:
    done = run(tmp_path, victims, harm)
    assert (done.returncode, left(tmp_path)) == (0, []), done.stderr


@pytest.mark.parametrize("victims", [0, 1])
def test_the_launcher_leaves_with_the_code_of_rank_0(tmp_path: Path, victims: int) -> None:
    done = run(tmp_path, victims, "kill", code=75)
    assert (done.returncode, left(tmp_path)) == (75, []), done.stderr


@pytest.mark.parametrize("harm", ["behead", "refuse"])
def test_a_run_that_can_not_go_on_ends_at_once(tmp_path: Path, harm: str) -> None:
    done = run(tmp_path, 0, harm)
    assert done.returncode != 0
    assert left(tmp_path) == []
