"""What the fork server promises: a forked child is as a started one, whoever of them all dies."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from hpmpi.guard import process_tree
from hpmpi.model.messages import Failed, FailureKind, Finished, Ready, Unfit
from hpmpi.transports.resources import CUDA, Share
from tests.harness.drive import ChildRig, child_of, ends, nobody_lives, order, welcome
from tests.harness.runs import Study, finish

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux")

SERVER, KEEPER = process_tree.FORK_SERVER.decode(), process_tree.KEEPER.decode()

OBJECTIVE = """
import os
from pathlib import Path
import numpy
IMPORTED = os.getpid()
(Path(__file__).parent / "imports").open("a").write("x")
def f(config):
    told = {"pid": os.getpid(), "imported": IMPORTED, "drawn": numpy.random.random()}
    told["gpu"] = int(os.environ.get("CUDA_VISIBLE_DEVICES", "-2"))
    return {"loss": float(len(os.sched_getaffinity(0))), **told}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Write an objective that tells of itself."""
    (tmp_path / "o.py").write_text(OBJECTIVE)
    return tmp_path


def forked(
    folder: Path, objective: str = "o.py:f", **changes: object
) -> AbstractContextManager[ChildRig]:
    """Start a child that may be forked."""
    return child_of(welcome(folder, objective, **{"forks": True, "metric": "loss", **changes}))


def those(name: str) -> list[psutil.Process]:
    """List the processes below this one that call themselves so."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if each.name() == name and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def await_end_of_all_but(number: int, *names: str) -> None:
    """Wait until no more than so many are left."""
    gives_up_at = time.monotonic() + 30
    while sum(len(those(name)) for name in names) > number:
        assert time.monotonic() < gives_up_at, "they end with what they work for"
        time.sleep(0.01)


def lose(rig: ChildRig) -> None:
    """Have a child die that has nothing to do, and another come."""
    pid = rig.pid
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    while rig.pid == pid:
        rig.hear()


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Let fork server and keepers end with the last of their ranks."""
    yield
    await_end_of_all_but(0, SERVER, KEEPER)


def test_ranks_of_a_node_share_one_import_and_nothing_else(study: Path) -> None:
    with ExitStack() as stack:
        shares = [Share(visible={CUDA: ("4", "5", "6")}, turn=turn, turns=3) for turn in range(3)]
        told = welcome(study, "o.py:f", forks=True, metric="loss")
        rigs = [stack.enter_context(child_of(told, share)) for share in shares]
        found = [rig.succeed().metrics for rig in rigs]
        assert len(those(SERVER)) == 1
        assert len(those(KEEPER)) == 3
    assert (study / "imports").read_text() == "x"
    assert {each["imported"] for each in found} != {each["pid"] for each in found}
    assert [each["gpu"] for each in found] == [4, 5, 6]
    assert len({each["drawn"] for each in found}) == len({each["pid"] for each in found}) == 3


def test_a_fork_server_that_dies_takes_no_job_along_and_another_follows(study: Path) -> None:
    (study / "await.py").write_text(
        OBJECTIVE + "\n    import time\ndef g(config):\n"
        "    (Path(__file__).parent / 'begun').touch()\n"
        "    while not (Path(__file__).parent / 'go').exists(): pass\n    return f(config)\n"
    )
    with forked(study, "await.py:g") as rig:
        rig.assign(order())
        first = rig.pid
        (server,) = those(SERVER)
        server.kill()
        assert ends(server.pid)
        (study / "go").touch()
        assert rig.until(Finished).metrics["pid"] == first
        lose(rig)
        assert rig.succeed().metrics["imported"] == those(SERVER)[0].pid != server.pid
    assert (study / "imports").read_text() == "xx"


def test_a_fork_server_that_dies_of_the_import_leaves_it_to_a_child_to_tell(tmp_path: Path) -> None:
    (tmp_path / "crash.py").write_text("import os\nprint('here')\nos.abort()")
    with forked(tmp_path, "crash.py:f") as rig:
        unfit = rig.until(Unfit)
    assert unfit.error.startswith("while the objective was loaded: killed by SIGABRT")


def test_a_keeper_that_is_killed_takes_its_family_along(tmp_path: Path) -> None:
    with forked(tmp_path, "misbehave") as rig:
        pid = rig.pid
        file = tmp_path / "pids"
        rig.do(how="breed", file=str(file), then="not")
        rig.assign(order(how="wait"))
        (keeper,) = those(KEEPER)
        keeper.kill()
        assert rig.until(Failed).kind is FailureKind.CRASH
        assert ends(pid)
        assert nobody_lives(file)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "from threading import *\nThread(target=Event().wait, daemon=True).start()",
            "starts threads",
        ),
        ("import subprocess\nP = subprocess.Popen(['sleep', '100'])", "starts a process"),
        ("F = open(__file__)", "opens "),
        ("import socket\nS = socket.socket()", "opens socket:"),
    ],
)
def test_what_can_not_be_forked_is_started_and_said_once(
    tmp_path: Path, code: str, said: str
) -> None:
    (tmp_path / "o.py").write_text(f"{code}\nimport os\ndef f(config): return os.getppid()\n")
    with forked(tmp_path) as rig:
        assert rig.succeed().metrics == {"loss": float(os.getpid())}
        (ready,) = (each for each in rig.left() if isinstance(each, Ready))
        assert said in ready.notes[0]
    with forked(tmp_path, forks=False) as rig:
        assert rig.succeed().metrics == {"loss": float(os.getpid())}
        (ready,) = (each for each in rig.left() if isinstance(each, Ready))
        assert ready.notes == ()


def test_an_import_that_fails_is_told_by_all_and_tried_once(tmp_path: Path) -> None:
    (tmp_path / "o.py").write_text(
        "from pathlib import Path\n(Path(__file__).parent / 'imports').open('a').write('x')\n1 / 0"
    )
    with forked(tmp_path) as one, forked(tmp_path) as other:
        for rig in (one, other):
            error = rig.until(Unfit).error
            assert error.startswith("ZeroDivisionError: division by zero")
            assert "o.py" in error
    assert (tmp_path / "imports").read_text() == "x"


def test_a_run_loses_no_job_but_the_one_of_who_started_the_fork_server(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.6)
    process = study.start(study.mpirun(5))
    study.until(lambda: len(study.busy()) == 4, process)
    (server,) = those(SERVER)
    starter = next(rank for rank, pid in study.ranks().items() if pid == server.ppid())
    server.kill()
    os.kill(study.ranks()[starter], signal.SIGKILL)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.lost == [starter]
    assert study.heard(Failed) == []
    assert "forks" not in done.stderr


def test_a_file_that_has_changed_is_imported_anew(study: Path) -> None:
    (study / "beside.py").write_text("X = 1.0")
    (study / "o.py").write_text(f"{OBJECTIVE}\nimport beside\ndef g(config): return beside.X\n")
    with forked(study, "o.py:g") as rig:
        assert rig.succeed().metrics == {"loss": 1.0}
        (study / "beside.py").write_text("X = 22.0")
        lose(rig)
        assert rig.succeed().metrics == {"loss": 22.0}
        await_end_of_all_but(1, KEEPER)
