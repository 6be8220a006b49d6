"""What jobs use is measured, whoever of their family has used it; processes are real."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from hpmpi.guard import process_tree
from hpmpi.model.messages import Finished
from hpmpi.model.usage import GpuUsage, Usage
from hpmpi.transports.resources import CUDA, Share
from hpmpi.worker.environment import provision
from hpmpi.worker.gpus import Gpus
from hpmpi.worker.meter import SHARE, Meter
from tests.harness.drive import ChildRig, child_of, welcome

pytestmark = pytest.mark.skipif(not process_tree.LINUX, reason="/proc is Linux's")

MEGA = 1_000_000

USES = """
import os, subprocess, sys, time

BURN = "import time\\nwhile time.process_time() < 0.3: pass"
READ = "open('/dev/zero', 'rb', buffering=0).read(3_000_000)"

def train(config):
    what = config["what"]
    if what in ("cpu", "a death"):
        exec(BURN.replace("0.3", f"{time.process_time() + 0.3}"))
    if what == "a death":
        os._exit(3)
    if what == "a child's cpu":
        subprocess.run([sys.executable, "-c", BURN], check=True)
    if what == "a child's bytes":
        subprocess.run([sys.executable, "-c", READ], check=True)
    if what == "memory":
        len(bytearray(80_000_000))
    if what == "bytes":
        open("/dev/null", "wb", buffering=0).write(bytes(2_000_000))
    return 0.0
"""


def used(rig: ChildRig, what: str) -> Usage:
    """Have a job done, and measured."""
    rig.child._meter._measuring.due_at = 0.0
    rig.succeed(what=what)
    assert rig.usage is not None
    return rig.usage


def test_what_a_job_uses_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    with child_of(welcome(tmp_path, "uses.py:train")) as rig:
        nothing = used(rig, "nothing")
        assert nothing.cpu_s <= 0.1
        assert used(rig, "cpu").cpu_s == pytest.approx(0.3, abs=0.1)
        assert used(rig, "a child's cpu").cpu_s >= 0.2
        assert used(rig, "a child's bytes").read_bytes >= 3 * MEGA
        assert used(rig, "bytes").written_bytes >= 2 * MEGA
        assert used(rig, "memory").memory_bytes >= nothing.memory_bytes + 70 * MEGA
        after = used(rig, "nothing")
        assert after.memory_bytes < nothing.memory_bytes + 40 * MEGA, "a peak is its job's"
        assert after.written_bytes < MEGA


def test_what_a_child_was_forked_with_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(f"{USES}\nTABLE = bytes(range(250)) * 240_000\n")
    told = welcome(tmp_path, "uses.py:train", forks=True)
    with child_of(told) as rig:
        forked = used(rig, "memory")
        assert forked.shared_bytes >= 60 * MEGA, "the table"
        assert 70 * MEGA <= forked.own_bytes <= 100 * MEGA
    with child_of(welcome(tmp_path, "uses.py:train")) as rig:
        started = used(rig, "memory")
        assert started.shared_bytes < MEGA
        assert started.own_bytes >= 130 * MEGA


def test_a_job_that_kills_its_process_has_used_what_that_has(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    with child_of(welcome(tmp_path, "uses.py:train")) as rig:
        used(rig, "nothing")
        rig.child._meter._measuring.due_at = 0.0
        rig.fail(what="a death")
        assert rig.usage is not None
        assert rig.usage.cpu_s == pytest.approx(0.3, abs=0.1)
        assert used(rig, "nothing").cpu_s <= 0.1, "the next process has loaded before its job"


def test_short_jobs_are_measured_together(tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    with child_of(welcome(tmp_path, "uses.py:train")) as rig:
        assert used(rig, "nothing").cpu_s <= 0.1
        rig.child._meter._measuring.due_at = rig.now + 1000.0
        for _ in range(2):
            rig.succeed(what="cpu")
            assert rig.usage is None
        assert used(rig, "nothing").cpu_s == pytest.approx(0.6, abs=0.2)


def test_measuring_takes_a_small_share_of_the_time() -> None:
    meter = Meter()
    meter.begin(0.0)
    assert meter.end(1.0)
    usage = meter.measure([], 0.0, 1.0)
    assert usage.span_s == 1.0
    assert not meter.end(1.0)
    assert meter.end(2.0), "it is nothing to measure nothing"
    assert SHARE < 0.01


def test_a_rank_tells_what_it_has(tmp_path: Path) -> None:
    has = provision(Share(threads=3, visible={CUDA: ("4", "5")}), 1)
    assert (has.cpus, has.gpus) == (3, 1)
    assert has.node_bytes > 0
    with child_of(welcome(tmp_path)) as rig:
        assert isinstance(rig.do(x=1), Finished)


class NVMLError(Exception):
    """What NVIDIA's library raises."""


def stand_in() -> ModuleType:
    """Stand in for NVIDIA's library, on a machine of two GPUs, of which process 7 has some."""
    library = ModuleType("pynvml")
    processes = {0: [SimpleNamespace(pid=7, usedGpuMemory=5)], 1: [SimpleNamespace(pid=9)]}
    vars(library).update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetComputeRunningProcesses=lambda device: processes[device],
        nvmlDeviceGetMemoryInfo=lambda device: SimpleNamespace(used=100 + device),
        nvmlDeviceGetUtilizationRates=lambda device: SimpleNamespace(gpu=50 * device),
    )
    return library


def test_gpus_are_looked_at_where_a_rank_sees_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", stand_in())
    both = Share(visible={CUDA: ("0", "1")})
    assert Gpus(both, None).look([7]) == GpuUsage(5 + 101, 0.25), "of the other, all that is used"
    assert Gpus(both, 0).look([7]) is None
    assert Gpus(Share(), None).look([7]) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus(both, None).look([7]) is None, "without the library, nothing is known"


def test_looks_at_gpus_add_up() -> None:
    looks = GpuUsage(5, 1.0).beside(GpuUsage(7, 0.0)).beside(GpuUsage(1, 0.5))
    assert (looks.memory_bytes, looks.busy_share, looks.looks) == (7, 0.5, 3)
