"""`hpmpi launch` on this machine: real ranks, real mpirun, and what befalls them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil
import pytest

from hpmpi.launch import launch
from hpmpi.launch.judgement import MOST_BARREN
from hpmpi.launch.launch import STUCK, Order
from hpmpi.launch.watchdog import ASK_S, LEAVE_S, START_S, Watchdog
from hpmpi.leader.run import DESERTED, NO_SUCCESS, TRY_AGAIN
from hpmpi.model.messages import FailureKind
from hpmpi.model.records import Ended, Failure
from hpmpi.storage import lock, run_folder
from hpmpi.storage.lock import LEASE_S
from hpmpi.storage.run_folder import RunStatus
from hpmpi.worker.entry import BAD_INPUT
from tests.harness.drive import nobody_lives, pids_in
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, Study, finish, left, start

Test = TypeVar("Test", bound=Callable[..., None])


def real(test: Test) -> Test:
    """Mark a test that starts ranks with mpirun."""
    needs = pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
    marked: Test = pytest.mark.mpi(needs(test))
    return marked


FREE = 4
"""How many trials come to an end before the gate is open."""

GATED = f"""
import time
from pathlib import Path

GATE = Path(__file__).with_name("gate")

def train(config, trial):
    while trial.number >= {FREE} and not GATE.exists():
        time.sleep(0.02)
    return config["x"] + 1 / trial.stop
"""

KILLS_RANK_0 = """
import json, os, time
from pathlib import Path

LOCK = Path(__file__).with_name("out") / "lock"

def train(config):
    os.kill(json.loads(LOCK.read_text())["pid"], 9)
    time.sleep(600)
"""

ONE_KILLS_RANK_0 = """
import json, os, time
from pathlib import Path

LOCK = Path(__file__).with_name("out") / "lock"

def train(config, trial):
    if trial.number == 1:
        os.kill(json.loads(LOCK.read_text())["pid"], 9)
        time.sleep(600)
    return config["x"]
"""

KILLS_ITS_RANK = """
import os, time

def train(config):
    os.kill(os.getppid(), 9)
    time.sleep(600)
"""


VENV = Path(sys.prefix, "pyvenv.cfg")

APART = f"""#!/bin/sh
case "$1" in --version) echo "{"Open MPI" if IS_OPEN_MPI else "HYDRA"}"; exit;; esac
while [ "${{1#-}}" != "$1" -o "${{1%python}}" = "$1" ]; do shift; done
for rank in 1 2 3; do "$@" & done
"$@"; code=$?; wait; exit $code
"""


def environment(folder: Path, mpirun: str) -> Path:
    """Make an environment like this Python's, but for its launcher; return its Python."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    (folder / "lib").symlink_to(Path(sys.prefix, "lib"))
    shutil.copy(VENV, folder)
    (python.parent / "mpirun").write_text(mpirun)
    (python.parent / "mpirun").chmod(0o700)
    return python


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study whose later trials wait at a gate."""
    return of(GATED, tmp_path)


def of(objective: str, folder: Path) -> Study:
    """Write a study with this objective."""
    study = Study(folder)
    (folder / "train.py").write_text(objective)
    return study


def launching(study: Study, *options: str) -> list[str]:
    """Say how to launch it, with three worker ranks unless `options` say otherwise."""
    words = [sys.executable, "-m", "hpmpi", "launch", str(study.file), "--out", str(study.out)]
    return [*words, "-n", "4", *options]


def go_on(study: Study, process: subprocess.Popen[str], starts: int) -> str:
    """Open the gate; see the study complete, after so many starts; return its log."""
    (study.folder / "gate").touch()
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert {trial for trial, rung in study.results if rung == 0} == set(range(12))
    assert len(study.results) == len(set(study.results))
    assert started(study) == starts, done.stderr
    assert "\nbest: trial " in done.stdout
    return done.stderr


def until_busy(study: Study, process: subprocess.Popen[str]) -> None:
    """Wait until all ranks wait at the gate."""
    study.until(lambda: len(study.results) >= FREE and len(study.busy()) == 3, process)


def started(study: Study) -> int:
    """Count the starts."""
    return len(study.starts)


def leader(study: Study) -> int:
    """Find the process that leads: it holds the folder."""
    return int(json.loads((study.out / "lock").read_text())["pid"])


# -- a study's end -----------------------------------------------------------------------------


@real
def test_a_study_runs_to_its_end_from_anywhere_and_then_only_tells(tmp_path: Path) -> None:
    folder = tmp_path / "a stüdy, with spaces"
    folder.mkdir()
    study = of(GATED, folder)
    (folder / "gate").touch()
    command = [sys.executable, "-m", "hpmpi", "launch", f"{folder.name}/mine.toml", "-n", "3"]
    command += ["--out", "das Ergebnis", "--set", "stop.max_trials=5", "--set", "name=thé name"]
    done = finish(start(command, tmp_path))
    assert (done.returncode, left(tmp_path)) == (0, []), done.stderr
    assert done.stdout.startswith("thé name: complete; 5 trials")
    assert "3 ranks on this machine" in done.stderr
    study.out = tmp_path / "das Ergebnis"
    assert sum(rung == 0 for _, rung in study.results) == 5
    again = finish(start(command, tmp_path))
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "nothing was run: it goes on with a higher stop.max_trials" in again.stderr


def test_one_rank_leads_local_processes(study: Study) -> None:
    (study.folder / "gate").touch()
    done = study.run(launching(study, "-n", "1"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert "(local processes)" in done.stderr


def test_bad_input_is_said_once_and_nothing_is_started(study: Study) -> None:
    done = study.run(launching(study, "--set", "scheduler.eat=3"))
    assert (done.returncode, done.stdout, study.out.exists()) == (BAD_INPUT, "", False)
    assert done.stderr.count("\n") == done.stderr.count("scheduler.eat") == 1
    done = study.run(launching(study, "--launcher", "srun"))
    assert (done.returncode, done.stdout, study.out.exists()) == (BAD_INPUT, "", False)
    assert done.stderr.startswith("hpmpi: no srun here starts ranks of ")


@real
@pytest.mark.skipif(not VENV.exists(), reason="this Python has no environment to copy")
def test_ranks_that_do_not_meet_are_no_run(study: Study) -> None:
    """A launcher that speaks another language starts as many runs of one rank each."""
    python = environment(study.folder / "venv", APART)
    done = study.run([str(python), *launching(study)[1:]])
    assert (done.returncode, done.stdout, study.left()) == (BAD_INPUT, "", []), done.stderr
    assert "4 ranks were started, and they do not know of each other" in done.stderr
    assert "no launcher here brings the ranks together" in done.stderr
    assert study.lines == []


HANGS = f"""#!/bin/sh
case "$1" in --version) echo "{"Open MPI" if IS_OPEN_MPI else "HYDRA"}"; exit;; esac
echo "srun: fatal: refused" >&2
exec sleep 600
"""


@real
@pytest.mark.skipif(not VENV.exists(), reason="this Python has no environment to copy")
def test_a_launcher_that_has_nothing_to_wait_for_is_not_waited_for(study: Study) -> None:
    """As MPICH's, where Slurm refuses what it asks for; nor are its starts made for ever."""
    python = environment(study.folder / "venv", HANGS)
    done = study.run([str(python), *launching(study)[1:]])
    assert (done.returncode, done.stdout, study.left()) == (STUCK, "", []), done.stderr
    assert done.stderr.count("what the launcher has started is gone") == MOST_BARREN
    assert study.lines == []


@real
@pytest.mark.parametrize(
    ("objective", "code", "told"),
    [
        pytest.param("import nonsense", BAD_INPUT, "No module named 'nonsense'", id="unfit"),
        pytest.param("def train(config): return config['no']", NO_SUCCESS, "KeyError", id="fails"),
    ],
)
def test_an_end_that_another_start_would_not_change_is_the_end(
    tmp_path: Path, objective: str, code: int, told: str
) -> None:
    study = of(objective, tmp_path)
    done = study.run(launching(study, "-n", "2", "--set", "stop.max_trials=1"))
    assert (done.returncode, study.left()) == (code, []), done.stderr
    assert told in done.stderr
    assert started(study) == 1


# -- starts again --------------------------------------------------------------------------------


def kill_the_launcher(_: Study, process: subprocess.Popen[str]) -> None:
    """End mpirun."""
    [mpirun] = psutil.Process(process.pid).children()
    mpirun.kill()


def stop_the_leader(study: Study, _: subprocess.Popen[str]) -> None:
    """Stop rank 0 for good."""
    os.kill(leader(study), signal.SIGSTOP)


def kill_the_workers(study: Study, _: subprocess.Popen[str]) -> None:
    """End all ranks but rank 0."""
    for pid in study.ranks().values():
        os.kill(pid, signal.SIGKILL)


@real
@pytest.mark.parametrize("strike", [kill_the_launcher, stop_the_leader, kill_the_workers])
def test_ranks_that_were_lost_are_started_again(
    study: Study, strike: Callable[[Study, subprocess.Popen[str]], None]
) -> None:
    process = study.start(launching(study))
    until_busy(study, process)
    before = study.results
    strike(study, process)
    study.until(lambda: started(study) == 2, process)
    log = go_on(study, process, starts=2)
    assert study.results[: len(before)] == before
    assert log.count("the ranks were lost") == 1


@real
def test_fresh_is_for_the_first_start_only(study: Study) -> None:
    done = study.run(study.command("--workers", "1", "--set", "stop.max_trials=1"))
    assert done.returncode == 0, done.stderr
    process = study.start(launching(study, "--fresh"))
    study.until(lambda: started(study) == 1 and len(study.busy()) == 3, process)
    before = study.results
    os.kill(leader(study), signal.SIGKILL)
    go_on(study, process, starts=2)
    assert study.results[: len(before)] == before
    assert sorted(path.name for path in study.folder.glob("out*")) == ["out", "out.1"]


@real
@pytest.mark.parametrize(
    ("objective", "code"),
    [
        pytest.param(KILLS_RANK_0, STUCK, id="stuck"),
        pytest.param(KILLS_ITS_RANK, DESERTED, id="deserted"),
    ],
)
def test_starts_that_bring_nothing_come_to_an_end(
    tmp_path: Path, objective: str, code: int
) -> None:
    study = of(objective, tmp_path)
    sets = ("--set", "limits.patience_s=0.5", "--set", "run.start=spawn")  # by its rank
    done = study.run(launching(study, "-n", "2", *sets))
    assert (done.returncode, study.left()) == (code, []), done.stderr
    assert "4 starts in a row brought neither a result nor a checkpoint" in done.stderr
    assert done.stderr.count("starts 2 ranks") == started(study) == 4


def test_a_job_that_takes_the_run_along_is_given_up_and_the_study_goes_on(tmp_path: Path) -> None:
    study = of(ONE_KILLS_RANK_0, tmp_path)
    options = ("--set", "stop.max_trials=4", "--set", "limits.patience_s=0.5")
    done = study.run(launching(study, "-n", "3", *options))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    given_up = [(it.attempt.trial, it.kind) for it in study.decided(Failure) if it.final]
    assert given_up == [(1, FailureKind.LOST)]
    assert {trial for trial, _ in study.results} == {0, 2, 3}
    assert started(study) == 4


# -- signals -------------------------------------------------------------------------------------


@real
def test_a_signal_drains_and_the_same_command_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.2)
    process = study.start(launching(study, "--set", "limits.grace_s=60"))
    study.until(lambda: len(study.busy()) == 3, process)
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert (done.returncode, study.left()) == (TRY_AGAIN, []), done.stderr
    assert "SIGTERM: the ranks are told to drain" in done.stderr
    process = study.start(launching(study))
    go_on(study, process, starts=2)
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs)), "no epoch is trained twice"


@real
def test_the_second_signal_leaves_at_once(study: Study) -> None:
    process = study.start(launching(study, "--set", "limits.grace_s=3600"))
    until_busy(study, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGUSR1)
    done = finish(process)
    assert (done.returncode, study.left()) == (TRY_AGAIN, []), done.stderr


@real
def test_an_interrupt_is_heeded_though_nobody_reads_the_log(study: Study) -> None:
    """As in `hpmpi launch ... 2>&1 | tee log`, where Ctrl-C ends tee as well."""
    process = study.start(launching(study, "--set", "limits.grace_s=0"))
    until_busy(study, process)
    assert process.stderr is not None
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert (done.returncode, study.left()) == (TRY_AGAIN, [])


@real
def test_a_signal_that_comes_before_the_ranks_drains_them_at_once(study: Study) -> None:
    process = study.start(launching(study))
    assert process.stderr is not None
    assert "starts 4 ranks" in process.stderr.readline()
    process.terminate()
    done = finish(process)
    assert (done.returncode, study.left()) == (TRY_AGAIN, []), done.stderr


WRAPPER = f"""#!/bin/sh
case "$1" in --version) echo "{"Open MPI" if IS_OPEN_MPI else "HYDRA"}"; exit;; esac
sleep 1000 & echo $! >> pids
sh -c 'sleep 1000 & echo $! >> pids; wait' & echo $! >> pids
wait
"""


@pytest.mark.skipif(not VENV.exists(), reason="this Python has no environment to copy")
def test_a_launcher_that_is_a_wrapper_script_is_ended_with_its_children(study: Study) -> None:
    python = environment(study.folder / "other", WRAPPER)
    process = study.start([str(python), *launching(study)[1:]])
    pids = study.folder / "pids"
    study.until(lambda: pids.exists() and len(pids_in(pids)) == 3, process)
    process.terminate()
    assert finish(process).returncode == TRY_AGAIN
    assert nobody_lives(pids)


def test_who_is_not_to_hear_of_a_hangup_does_not(study: Study) -> None:
    process = study.start(["nohup", *launching(study, "-n", "1")])
    study.until(lambda: len(study.results) >= FREE, process)
    process.send_signal(signal.SIGHUP)
    assert "SIGHUP" not in go_on(study, process, starts=1)


# -- a folder that is held -----------------------------------------------------------------------


@real
def test_a_launch_that_finds_the_folder_held_does_no_harm(study: Study) -> None:
    process = study.start(launching(study, "--set", "limits.grace_s=0"))
    until_busy(study, process)
    done = study.run(launching(study, "-n", "2"))
    assert (done.returncode, done.stdout) == (BAD_INPUT, "")
    assert f"a run is going on in {study.out}, of process {leader(study)} on" in done.stderr
    assert process.poll() is None
    process.terminate()
    done = finish(process)
    assert (done.returncode, study.left()) == (TRY_AGAIN, []), done.stderr
    assert [each.why for each in study.decided(Ended)] == ["SIGTERM"]


@real
def test_ranks_go_on_without_their_launch_and_keep_the_folder(study: Study) -> None:
    process = study.start(launching(study))
    until_busy(study, process)
    process.kill()
    process.wait()
    done = study.run(launching(study, "-n", "2"))
    assert done.returncode == BAD_INPUT, done.stderr
    assert f"a run is going on in {study.out}, of process {leader(study)} on" in done.stderr
    (study.folder / "gate").touch()
    assert study.left() == []
    assert run_folder.read_status(study.out).state == "complete"
    process.communicate()


# -- what is known without starting anything -------------------------------------------------------

BEFORE = RunStatus("s1", "complete")


class Sight:
    """A run folder as launch sees it, from 100 s on, with a patience of 1 s."""

    def __init__(self, folder: Path) -> None:
        """Begin with what an earlier start has left."""
        self._folder = folder
        self._beats = 0
        self.status(*BEFORE)
        self.missing: list[str] = []
        self.alone = False
        self._watchdog = Watchdog(
            folder, BEFORE, 1.0, missing=lambda: self.missing, is_alone=lambda: self.alone
        )

    def status(self, start: str, state: str) -> None:
        """Say what has become of the newest start."""
        (self._folder / "status").write_text(f"{start} {state}\n")

    def beat(self) -> None:
        """Have rank 0 live."""
        self._beats += 1
        lease = lock.Lease("host", "kernel", 17, "s2", "noon", beats=self._beats)
        (self._folder / "lock").write_bytes(msgspec.json.encode(lease))

    def look(self, since: float, until: float) -> str | None:
        """Look once a second; return what is found at last, nothing being found before."""
        for now in range(int(since), int(until)):
            assert self._watchdog.judge(now) is None
        return self._watchdog.judge(until)


@pytest.fixture
def sight(tmp_path: Path) -> Sight:
    """Begin to look."""
    return Sight(tmp_path)


def test_a_start_may_take_its_time_and_not_for_ever(sight: Sight) -> None:
    assert sight.look(100, 100 + START_S) is None
    assert sight.look(101 + START_S, 101 + START_S) == "no rank 0 has begun"


def test_a_start_that_waits_for_a_node_that_is_gone_is_given_up(sight: Sight) -> None:
    sight.missing = ["node3"]
    assert sight.look(100, 99 + ASK_S) is None
    assert sight.look(100 + ASK_S, 100 + ASK_S) == (
        "no rank 0 has begun, and there is no answer from node3"
    )


def test_a_launcher_that_nothing_is_left_of_is_not_waited_for(sight: Sight) -> None:
    """MPICH's waits for ever for an srun that was refused."""
    sight.alone = True
    assert sight.look(100, 100 + LEAVE_S) is None
    assert sight.look(101 + LEAVE_S, 101 + LEAVE_S) == (
        "no rank 0 has begun, and what the launcher has started is gone"
    )


def test_rank_0_that_is_silent_is_given_up_and_one_that_beats_is_not(sight: Sight) -> None:
    sight.status("s2", "running")
    for now in range(100, 200, 5):
        sight.beat()
        assert sight.look(now, now + 4) is None
    sight.beat()
    assert sight.look(200, 200 + LEASE_S) is None
    assert sight.look(201 + LEASE_S, 201 + LEASE_S) == "rank 0 is silent"


@pytest.mark.parametrize("state", ["complete", "drained", "unfit", "deserted"])
def test_a_launcher_that_outstays_its_ranks_is_ended(sight: Sight, state: str) -> None:
    sight.status("s2", "running")
    sight.beat()
    assert sight.look(100, 105) is None
    sight.status("s2", state)
    assert sight.look(106, 106 + LEAVE_S) is None
    assert sight.look(107 + LEAVE_S, 107 + LEAVE_S) == "the ranks have ended"


def test_who_was_held_up_itself_gives_nobody_up(sight: Sight) -> None:
    """As by Ctrl-Z, or a file server that was away: nobody could have beaten meanwhile."""
    sight.status("s2", "running")
    sight.beat()
    assert sight.look(100, 105) is None
    assert sight.look(1000, 1000 + LEASE_S) is None
    assert sight.look(1001 + LEASE_S, 1001 + LEASE_S) == "rank 0 is silent"


def test_each_task_of_an_array_has_its_own_seed_and_folder(study: Study) -> None:
    order = Order(study.file, ["seed=40"], study.out, fresh=False)
    assert launch.for_array_task(order, None) == order
    assert launch.for_array_task(order, 2) == order._replace(
        changes=["seed=40", "seed=42"], out=study.out.with_name("out-2")
    )
    unnamed = launch.for_array_task(order._replace(out=None), 2)
    assert unnamed.out == Path("results/mine-2").absolute()
