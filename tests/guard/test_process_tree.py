"""What a family promises: all that a process has started is found and ended, and nobody else is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpmpi.guard import process_tree
from hpmpi.guard.process_tree import Family
from tests.harness.drive import LIMIT_S, ends, lives, nobody_lives, pids_in, state
from tests.harness.runs import Study, finish, parent_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")

BREED = """
import sys, time
from pathlib import Path
from tests.harness.objectives import breed

def train(config, trial):
    pids = Path(trial.args["log"]).with_name(f"pids-{trial.number}-{time.monotonic_ns()}")
    breed({"file": str(pids)})
    time.sleep(trial.args["epoch_s"])
    return {"loss": config["x"]}
"""

HOP = """
import os, sys, time
leads = bool(int(sys.argv[2]))
for hop in range(10_000):
    time.sleep(0.001)
    if os.fork():
        os._exit(0)
    if leads:
        os.setsid()
    if hop == 20:
        open(sys.argv[1], "w").close()
"""

MULTIPLY = """
import os, sys, time
for generation in range(5):
    os.fork()
    os.setsid() if os.getpid() != os.getsid(0) else None
open(sys.argv[1], "w").close()
while True:
    time.sleep(0.01)
    if os.fork():
        os._exit(0)
"""

HIDE_LEADER = """
import ctypes, sys, threading, time
open(sys.argv[1], "w").close()
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""

COUNT = """
import os, signal, sys, time
queued = {signal.SIGRTMIN}
signal.pthread_sigmask(signal.SIG_BLOCK, queued)
open(sys.argv[1], "w").close()
while os.path.exists(sys.argv[1]):
    time.sleep(0.01)
count = 0
while signal.sigtimedwait(queued, 0):
    count += 1
sys.exit(count)
"""
"""Counts, once its file is gone, what it was sent: the kernel keeps each signal of this number."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Family]]]:
    """Start the head of a family, and wait until it says that it is ready."""
    process_tree.adopt()
    families = []

    def begin(code: str, *words: str) -> tuple[subprocess.Popen[bytes], Family]:
        ready = tmp_path / "ready"
        command = [sys.executable, "-c", code, str(ready), *words]
        head = subprocess.Popen(command, start_new_session=True)
        families.append(Family(head))
        gives_up_at = time.monotonic() + LIMIT_S
        while not ready.exists():
            assert time.monotonic() < gives_up_at
            process_tree.bury_orphans()
            time.sleep(0.01)
        return head, families[-1]

    yield begin
    assert all(each.kill(LIMIT_S) for each in families)


Start = Callable[..., tuple[subprocess.Popen[bytes], Family]]

NAP = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(1000)"


def test_those_who_hide_are_found_and_killed(start: Start, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}]\n"
        "from tests.harness.objectives import breed\n"
        f"breed({{'file': {str(pids)!r}}})\n"
    )
    head, kin = start(code + NAP)
    assert set(kin.members()) == {head.pid, *pids_in(pids)}
    assert kin.kill(LIMIT_S)
    assert head.returncode == -signal.SIGKILL
    assert kin.members() == []
    assert nobody_lives(pids)


@pytest.mark.parametrize("leads", ["0", "1"])
def test_those_who_hand_over_to_each_other_are_killed(start: Start, leads: str) -> None:
    _, kin = start(HOP, leads)
    assert kin.kill(LIMIT_S)
    assert kin.members() == []


def test_those_who_multiply_are_killed(start: Start) -> None:
    _, kin = start(MULTIPLY)
    assert kin.kill(LIMIT_S)
    assert kin.members() == []


def test_those_whose_first_thread_has_ended_live(start: Start) -> None:
    head, kin = start(HIDE_LEADER)
    while state(head.pid) != "Z":
        time.sleep(0.01)
    assert kin.members() == [head.pid]
    assert kin.kill(LIMIT_S)
    assert head.returncode == -signal.SIGKILL


def test_nobody_hears_a_signal_twice(start: Start, tmp_path: Path) -> None:
    head, kin = start(COUNT)
    assert kin.signal(signal.SIGRTMIN)
    (tmp_path / "ready").unlink()
    assert head.wait(LIMIT_S) == 1
    assert kin.kill(LIMIT_S)
    assert not kin.signal(signal.SIGTERM)


def test_other_children_are_let_be(start: Start) -> None:
    _, kin = start(NAP)
    other_head = subprocess.Popen([sys.executable, "-c", NAP, os.devnull], start_new_session=True)
    other = Family(other_head)
    helper = subprocess.Popen([sys.executable, "-c", NAP, os.devnull])
    try:
        assert kin.kill(LIMIT_S)
        assert Family(None).kill(LIMIT_S)
        assert lives(helper.pid)
        assert lives(other_head.pid)
    finally:
        helper.kill()
        helper.wait()
        assert other.kill(LIMIT_S)


def test_children_from_before_are_let_be() -> None:
    code = (
        "import subprocess, sys\n"
        "from hpmpi.guard import process_tree\n"
        f"before = subprocess.Popen([sys.executable, '-c', {NAP!r}, '/dev/null'], "
        "start_new_session=True)\n"
        "process_tree.adopt()\n"
        "assert process_tree.Family(None).kill(10)\n"
        "assert before.poll() is None\n"
        "before.kill(); before.wait()\n"
    )
    root = str(Path(process_tree.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": root}, timeout=60
    )


def test_an_exit_code_that_somebody_waits_for_is_left_to_him() -> None:
    process_tree.adopt()
    head = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"], start_new_session=True)
    kin = Family(head)
    helper = subprocess.Popen([sys.executable, "-c", "raise SystemExit(8)"])
    for pid in (head.pid, helper.pid):
        assert ends(pid)
    process_tree.bury_orphans()
    assert helper.wait(LIMIT_S) == 8
    assert kin.kill(LIMIT_S)
    assert head.returncode == 7


def test_where_there_is_no_proc_ps_knows_the_same(start: Start) -> None:
    head, _ = start(NAP)
    assert dict(process_tree._listed())[head.pid] == os.getpid()
    assert dict(process_tree._living())[head.pid] == os.getpid()


# -- whole runs without mpirun ---------------------------------------------------------------------


def run_of(folder: Path, epoch_s: float = 0.02) -> Study:
    """Make a study whose trials leave processes behind that hide."""
    study = Study(folder, epoch_s)
    root = str(Path(__file__).parents[2])
    code = f"import sys\nsys.path.append({root!r})\n{BREED}"
    (folder / "train.py").write_text(code)
    return study


def hidden(study: Study) -> list[int]:
    """List all that were left behind."""
    return [pid for file in study.folder.glob("pids-*") for pid in pids_in(file)]


def test_what_hides_ends_with_a_run_of_local_processes(tmp_path: Path) -> None:
    study = run_of(tmp_path)
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert len(hidden(study)) >= 12 * 4
    assert ends(*hidden(study))


@pytest.mark.parametrize("stopped", [False, True])
def test_what_hides_ends_with_local_ranks_when_rank_0_is_killed(
    tmp_path: Path, *, stopped: bool
) -> None:
    study = run_of(tmp_path, epoch_s=1000.0)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(hidden(study)) == 8, process)
    if stopped:
        os.kill(study.ranks()[1], signal.SIGSTOP)
    process.kill()
    finish(process)
    assert study.left() == []
    assert ends(*hidden(study))


def test_what_a_killed_local_rank_leaves_ends_during_the_run(tmp_path: Path) -> None:
    study = run_of(tmp_path, epoch_s=1000.0)
    sets = ("--set", "limits.grace_s=0", "--set", "run.start=spawn")
    process = study.start(study.command("--workers", "2", *sets))
    study.until(lambda: len(hidden(study)) == 8, process)
    victim = study.ranks()[1]
    its = [pid for pid in hidden(study) if stems_from(pid, victim)]
    assert len(its) == 4
    os.kill(victim, signal.SIGKILL)
    assert ends(*its)
    others = set(hidden(study)) - set(its)
    assert all(lives(pid) for pid in others)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert study.left() == []
    assert ends(*hidden(study))


def stems_from(pid: int, ancestor: int) -> bool:
    """Tell whether a process is below another."""
    while pid > 1 and pid != ancestor:
        pid = parent_of(pid)
    return pid == ancestor


def test_who_has_ended_tidies_up_no_more() -> None:
    tracker = [sys.executable, "-c", "", process_tree.TIDIERS[0].decode()]
    process = subprocess.Popen(tracker)
    process.wait()
    assert not process_tree.tidies(process.pid)
