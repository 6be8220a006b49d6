"""Which command lines are for the ranks that a launcher has started: those of a run."""

import os
import subprocess
import sys

import pytest

from hpmpi.cli.first_look import named, wants_ranks
from tests.harness.runs import LIMIT_S, ROOT, Study

IN_A_STEP = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "3", "PMI_RANK": "1", "PMI_SIZE": "3"}


@pytest.mark.parametrize(
    ("line", "is_named", "for_ranks"),
    [
        ("", False, True),
        ("study.toml --set a=1", False, True),
        ("--out x", False, True),
        ("run study.toml", True, True),
        ("run study.toml --workers 2", True, False),
        ("study.toml --work=2", False, False),
        ("run --help", True, False),
        ("-h", True, False),
        ("--version", True, False),
        *((f"{name} x", True, False) for name in ("show", "plot", "export", "replay", "launch")),
        ("submit x", True, False),
        ("sohw x", True, False),
    ],
)
def test_only_a_run_is_for_ranks(line: str, is_named: bool, for_ranks: bool) -> None:  # noqa: FBT001
    words = line.split()
    assert (named(words), wants_ranks(words)) == (is_named, for_ranks)


@pytest.mark.parametrize(
    ("line", "rank", "code"),
    [
        ("show no-such-folder", "0", 2),
        ("show no-such-folder", "1", 0),
        ("sohw", "0", 2),
        ("--help", "0", 0),
        ("run {study} --workers 1 --set scheduler.eat=3", "0", 2),
        ("run {study} --workers 1", "1", 0),
    ],
)
def test_what_is_no_run_of_ranks_waits_for_none(
    study: Study, line: str, rank: str, code: int
) -> None:
    """Rank 0 does it, and says what there is to say; nobody asks for MPI, where none may come."""
    program = "import sys; sys.modules['mpi4py'] = None; sys.argv[1:] = sys.argv[2:]; "
    program += "import runpy; runpy.run_module('hpmpi', run_name='__main__')"
    words = line.format(study=study.file).split()
    environment = {**os.environ, **IN_A_STEP, "PMI_RANK": rank, "SLURM_PROCID": rank}
    done = subprocess.run(
        [sys.executable, "-c", program, "", *words],
        cwd=study.folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        start_new_session=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert bool(done.stdout + done.stderr) is (rank == "0")


@pytest.fixture
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Write a study."""
    return Study(tmp_path_factory.mktemp("study"))
