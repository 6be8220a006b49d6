"""What the guard promises of every MPI: the launcher ends well, whatever happens to a rank."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "guarded.py"
BIN = Path(sys.executable).parent
MPIRUN = BIN / "mpirun"
OPEN_MPI = ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]
LIMIT_S = 60

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun beside {sys.executable}"),
]


def run(
    folder: Path, victims: int, harm: str, code: int = 0, ranks: int = 6
) -> subprocess.CompletedProcess[str]:
    """Run guarded.py; raises where the launcher does not end."""
    flags = OPEN_MPI if (BIN / "ompi_info").exists() else []
    words = [MPIRUN, *flags, "-n", ranks, sys.executable, PROGRAM, folder, victims, harm, code]
    return subprocess.run(
        [str(word) for word in words],
        env=os.environ | {"PYTHONPATH": str(PROGRAM.parents[2])},
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )


def left(folder: Path) -> list[str]:
    """List the processes of a run that outlive their launcher by more than a moment."""
    until = time.monotonic() + 5
    while (living := _of(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return living


def _of(folder: Path) -> list[str]:
    living = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in words:
                living.append(f"{process.name} {words!r}")
    return living


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
