"""What a forked head promises: nobody can tell it from one that was started."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.runs import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="heads are forked on Linux")

OBJECTIVE = """
import json, os, signal, sys
from pathlib import Path

def describe_itself(config):
    links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.exists()]
    told = {
        "environ": dict(os.environ),
        "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
        "input": sys.stdin.read(),
        "sockets": sum(each.startswith("socket:") for each in links),
        "others": [each for each in links if each.startswith(("pipe:", "/memfd"))],
        "nothing": links.count("/dev/null"),
        "words": sys.argv[1:],
        "folder": os.getcwd(),
        "encodings": [(each.encoding, each.errors) for each in (sys.stdout, sys.stderr)],
        "ignored": [each for each in signal.Signals if signal.getsignal(each) == signal.SIG_IGN],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "modules": sorted({"mpi4py", "numpy"} & set(sys.modules)),
    }
    (Path(__file__).parent / "itself.json").write_text(json.dumps(told))
    print("said, ", end="")
    print("and not flushed", end="", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL) if config["x"] else None
    return 0.0
"""

RANK = """
import os, signal, sys, time
from pathlib import Path
from hpmpi.worker import spawn
from hpmpi.worker.supervisor import Child
from hpmpi.model.messages import Assign, Failed
from hpmpi.model.trial import AttemptId
from hpmpi.transports.resources import Share
from tests.harness.drive import LIMIT_S, welcome

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
secret = os.open("/dev/null", os.O_RDONLY)
os.environ["HPMPI_GUARD"] = str(secret)
os.environ["PMI_RANK"] = "1"
forked = spawn.fork() if "fork" in sys.argv else None
if "kill" in sys.argv:
    os.kill(forked.pid, signal.SIGKILL)
    os.waitid(os.P_PID, forked.pid, os.WEXITED | os.WNOWAIT)
folder = Path(sys.argv[1])
child = Child(welcome(folder, "it.py:describe_itself"), folder / "out", Share(threads=3), forked)
child.start(time.monotonic())
if "fork" in sys.argv:
    is_forked = child._process.hold._head is forked
    assert is_forked is ("kill" not in sys.argv), "another one was started"
child.assign(Assign(AttemptId(0, 0, 1), 1, {"x": 1.0}, 0), time.monotonic())
ends_at = time.monotonic() + LIMIT_S
while time.monotonic() < ends_at:
    if any(isinstance(report, Failed) for report in child.poll(time.monotonic())):
        break
    time.sleep(0.01)
child.close()
"""


def described(folder: Path, *words: str) -> dict[str, Any]:
    """Have a child describe itself, and die before it has flushed what it printed."""
    folder.mkdir()
    (folder / "it.py").write_text(OBJECTIVE)
    command = [sys.executable, "-c", RANK, str(folder), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((folder / "itself.json").read_text())
    assert (folder / "out").read_text().partition("\n")[2] == "said, and not flushed"
    assert isinstance(told, dict)
    return told


def test_a_forked_head_is_as_a_started_one(tmp_path: Path) -> None:
    forked, started = described(tmp_path / "a", "fork"), described(tmp_path / "b")
    assert forked == started
    assert forked["environ"]["OMP_NUM_THREADS"] == "3"
    assert not {"PMI_RANK", "HPMPI_GUARD"} & forked["environ"].keys()
    assert (forked["leads"], forked["sockets"], forked["modules"]) == (True, 1, [])


def test_a_forked_head_that_was_killed_is_replaced(tmp_path: Path) -> None:
    assert described(tmp_path / "a", "fork", "kill")["leads"]


HEAVY = {
    *("numpy", "scipy", "sklearn", "skops", "h5py", "pandas", "matplotlib", "submitit"),
    *("mpi4py", "tomli_w", "argparse", "logging", "importlib.metadata", "email", "asyncio", "csv"),
    *("multiprocessing", "concurrent", "json", "pickle", "unittest", "xml", "urllib.request"),
    *("hashlib", "random", "shutil", "tempfile"),
}


def test_a_worker_and_its_child_load_little_before_they_meet_the_others() -> None:
    code = "import sys, hpmpi.__main__, hpmpi.worker.entry; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not HEAVY & loaded
    of_rank_0 = {"cli.main", "launch", "leader", "views", "slurm", "history", "master"}
    of_rank_0.add("study.settings")
    assert not {f"hpmpi.{name}" for name in of_rank_0} & loaded
