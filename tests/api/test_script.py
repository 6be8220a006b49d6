"""Scripts that call hpmpi.run: as plain programs, and with the ranks of an mpirun."""

import os
import signal
import sys
from pathlib import Path

import pytest

from hpmpi.leader.run import TRY_AGAIN
from hpmpi.model.messages import Outcome
from hpmpi.model.records import Ended
from tests.api.scripts import Script
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, finish, mpirun

PLAIN = [sys.executable]
HERE = [sys.executable, "-m", "hpmpi"]
RANKS = [*mpirun(4), *HERE]

with_ranks = pytest.param(RANKS, id="ranks", marks=pytest.mark.mpi)
every_way = pytest.mark.parametrize("way", [pytest.param(PLAIN, id="plain"), with_ranks])
under_mpirun = pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")


@pytest.mark.parametrize(
    "way", [pytest.param(PLAIN, id="plain"), pytest.param(HERE, id="here"), with_ranks]
)
def test_a_script_runs_one_study_after_the_other(tmp_path: Path, way: list[str]) -> None:
    script = Script(
        tmp_path,
        "for out in ('out', 'other'):",
        "    found = tune(out)",
        "    print(found.state, len(found.results), found.best.config)",
        "print(sys.argv[1:], [name for name in sys.modules if 'mpi4py' in name])",
        "sys.exit(7)",
    )
    done = script.run([*way, "script.py", "--watch", "a b"])
    first, second, words = done.stdout.splitlines()
    assert (done.returncode, first) == (7, second), done.stderr
    assert words == "['--watch', 'a b'] []"
    assert first.startswith("complete 8 ")
    assert way != RANKS or [start.ranks for start in script.starts] == [3]
    assert script.left() == []


@every_way
def test_what_a_script_raises_ends_it_with_its_traceback(tmp_path: Path, way: list[str]) -> None:
    script = Script(tmp_path, "tune('out')", "raise RuntimeError('as told')")
    done = script.run([*way, "script.py"])
    assert done.returncode == 1
    assert 'script.py", line' in done.stderr
    assert "RuntimeError: as told" in done.stderr
    assert script.left() == []


@every_way
def test_an_interrupt_drains_and_the_same_call_goes_on(tmp_path: Path, way: list[str]) -> None:
    lines = [
        "try:",
        "    tune('out', epoch_s=0.2)",
        "except KeyboardInterrupt:",
        "    print('drained')",
    ]
    script = Script(tmp_path, *lines)
    if way == RANKS and IS_OPEN_MPI:
        pytest.skip("its mpirun kills its ranks half a second after Ctrl-C")
    process = script.start([*way, "script.py"])
    script.until(lambda: len(script.results) > 0, process)
    os.kill(process.pid, signal.SIGINT)
    done = finish(process)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["drained"]), done.stderr
    assert script.decided(Ended)[-1].outcome is Outcome.DRAINED
    before = set(script.results)
    again = script.run([*way, "script.py"])
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    assert len(script.starts) == 2
    assert sorted(script.results) == [(trial, 0) for trial in range(8)]
    assert before < set(script.results)
    assert script.left() == []


@pytest.mark.mpi
@under_mpirun
def test_a_script_that_was_drained_by_its_batch_system_asks_for_another_start(
    tmp_path: Path,
) -> None:
    script = Script(tmp_path, "tune('out', epoch_s=0.2)", "print('complete')")
    process = script.start([*RANKS, "script.py"])
    script.until(lambda: len(script.results) > 0, process)
    os.kill(process.pid, signal.SIGUSR1)
    done = finish(process)
    assert (done.returncode, done.stdout) == (TRY_AGAIN, ""), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.mpi
@under_mpirun
def test_a_rank_that_dies_in_a_run_costs_its_job_and_is_missed_in_the_next(tmp_path: Path) -> None:
    script = Script(tmp_path, "tune('out', epoch_s=0.3)", "print(len(tune('other').results))")
    process = script.start([*RANKS, "script.py"])
    script.until(lambda: len(script.busy()) == 3, process)
    os.kill(script.ranks()[script.busy()[0]], signal.SIGKILL)
    done = finish(process)
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr
    assert len(script.lost) == 1
    assert script.left() == []


@pytest.mark.mpi
@under_mpirun
def test_a_script_that_is_killed_takes_its_ranks_along(tmp_path: Path) -> None:
    script = Script(tmp_path, "import os", "print(os.getpid(), flush=True)", "time.sleep(600)")
    process = script.start([*RANKS, "script.py"])
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert finish(process).returncode == 128 + signal.SIGKILL
    assert script.left() == []


@pytest.mark.mpi
@under_mpirun
def test_ranks_that_each_run_a_program_are_told_how_to_work_at_one_run(tmp_path: Path) -> None:
    script = Script(tmp_path, "tune('out')")
    done = script.run([*mpirun(2), *PLAIN, "script.py"])
    assert done.returncode == 1
    assert "start it with `python -m hpmpi SCRIPT.py`" in done.stderr
    assert not script.out.exists()


@every_way
def test_a_script_that_is_not_guarded_is_told_to_be(tmp_path: Path, way: list[str]) -> None:
    script = Script(tmp_path, "pass")
    script.script.write_text(f"{script.script.read_text()}\ntune('out')\n")
    done = script.run([*way, "script.py"])
    assert done.returncode == 1
    # Open MPI's mpirun has words of its own after the program's.
    said = 'have that call under `if __name__ == "__main__":`, or in another file'
    assert any(line.endswith(said) for line in done.stderr.splitlines())
    assert script.left() == []


@pytest.mark.mpi
@under_mpirun
def test_a_script_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    script = Script(tmp_path)
    done = script.run([*RANKS, "scirpt.py"])
    assert done.returncode == 2
    assert done.stderr.startswith("hpmpi: there is no script scirpt.py")
    assert script.left() == []
