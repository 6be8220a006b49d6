"""How much memory a family has: what is shared counts once, and the study's data never."""

import contextlib
import mmap
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from hpmpi.model.messages import FailureKind, Finished
from hpmpi.worker import memory
from hpmpi.worker.memory import memory_of
from tests.harness.drive import child_of, order, welcome

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="as Linux tells it")

MB = 1_000_000
SIZE_MB = 100
SOME_MB = 10
"""What a process may need to do something."""


def memfd() -> mmap.mmap:
    """Map memory that has a descriptor."""
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, SIZE_MB * MB)
    mapped = mmap.mmap(descriptor, SIZE_MB * MB)
    os.close(descriptor)
    return mapped


def anonymous() -> mmap.mmap:
    """Map memory that is shared with what is forked."""
    return mmap.mmap(-1, SIZE_MB * MB)


def private() -> mmap.mmap:
    """Map memory that is copied for what is forked, when it is written to."""
    return mmap.mmap(-1, SIZE_MB * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@contextlib.contextmanager
def family(count: int, do: Callable[[], object]) -> Iterator[list[int]]:
    """Fork processes that do something and stay."""
    heard, said = os.pipe()
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                do()
                os.write(said, b"!")
                signal.pause()
            finally:
                os._exit(1)
        pids.append(pid)
    try:
        for _ in pids:
            assert os.read(heard, 1) == b"!"
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(heard)
        os.close(said)


EAT = """
import mmap
import os
import time

def eat(config, trial):
    mapped = mmap.mmap(-1, 160_000_000)
    mapped[::4096] = b"x" * len(range(0, len(mapped), 4096))
    time.sleep(1000)

def read(config, trial):
    total = trial.data["X"].sum()
    print("ready", flush=True)
    while not os.path.exists(config["file"]):
        time.sleep(0.01)
    return total
"""


def test_a_job_whose_shared_memory_is_over_the_limit_is_ended(tmp_path: Path) -> None:
    (tmp_path / "eat.py").write_text(EAT)
    with child_of(welcome(tmp_path, "eat.py:eat", memory_mb=120)) as rig:
        failed = rig.fail()
        assert failed.kind is FailureKind.MEMORY
        assert failed.error.endswith("MB, more than trial_memory_mb = 120")


def test_the_studys_data_are_not_over_the_limit(tmp_path: Path) -> None:
    (tmp_path / "eat.py").write_text(EAT)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as room:
        np.save(f"{room}/X.npy", np.ones(20_000_000))
        (tmp_path / "data").symlink_to(room)
        told = welcome(tmp_path, "eat.py:read", memory_mb=120, data=f"{tmp_path}/data")
        with child_of(told) as rig:
            rig.assign(order(file=str(tmp_path / "enough")))
            rig.await_output("ready")
            for _ in range(3):
                rig.skipped_s += 100
                assert rig.hear() == []
            (tmp_path / "enough").touch()
            assert rig.until(Finished).metrics == {"loss": 2e7}


def touch(memory: mmap.mmap | memoryview) -> None:
    """Have all pages."""
    memory[:: mmap.PAGESIZE] = b"x" * len(range(0, len(memory), mmap.PAGESIZE))


def takes_mb(count: int, do: Callable[[], object], data: str | None = None) -> float:
    """Tell how much more a family has that does something than one that does nothing."""
    used = []
    for each in (lambda: None, do):
        with family(count, each) as pids:
            used.append(memory_of(pids, 0.0, data) / MB)
    return used[1] - used[0]


@pytest.mark.parametrize("make", [memfd, anonymous])
def test_memory_that_is_shared_counts_once(make: Callable[[], mmap.mmap]) -> None:
    shared = make()
    assert abs(takes_mb(4, lambda: touch(shared)) - SIZE_MB) < SOME_MB


def test_named_memory_that_is_shared_counts_once() -> None:
    shared = SharedMemory(create=True, size=SIZE_MB * MB)
    view = shared.buf
    assert view is not None, "it was just made"
    try:
        used_mb = takes_mb(4, lambda: touch(view))
    finally:
        view.release()
        shared.close()
        shared.unlink()
    assert abs(used_mb - SIZE_MB) < SOME_MB


def test_what_was_forked_has_its_part_of_its_parents_memory() -> None:
    mine = private()
    touch(mine)
    with family(4, lambda: None) as pids:
        parts = memory_of(pids, 0.0) / MB
        assert memory_of(pids, 1e18) / MB - parts > 3 * SIZE_MB, "a fifth of it, each"
        assert memory_of(pids, 1e18) / MB > 4 * SIZE_MB, "what is at most is not asked for exactly"
    with family(4, lambda: touch(mine)) as pids:
        assert memory_of(pids, 0.0) / MB > 4 * SIZE_MB, "what each has written to is its own"


def test_the_studys_data_and_pages_of_files_are_nobodys(tmp_path: Path) -> None:
    def read(file: Path) -> None:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        sum(mapped[:: mmap.PAGESIZE])
        kept.append(mapped)

    kept: list[mmap.mmap] = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for file in (Path(folder) / "X.npy", tmp_path / "file"):
            file.write_bytes(b"x" * SIZE_MB * MB)
        in_memory, on_disk = Path(folder) / "X.npy", tmp_path / "file"
        assert takes_mb(2, lambda: read(in_memory), folder) < SOME_MB
        assert takes_mb(2, lambda: read(in_memory), f"{folder}/X") > SIZE_MB - SOME_MB
        assert takes_mb(2, lambda: read(on_disk)) < SOME_MB


def test_who_has_ended_has_nothing() -> None:
    with family(1, lambda: None) as pids:
        pass
    assert memory_of(pids, 0.0) == memory_of(pids, 1e18) == 0


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps")
def test_where_there_is_no_proc_ps_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = anonymous()
    with family(1, lambda: touch(shared)) as pids:
        monkeypatch.setattr(memory, "LINUX", False)
        monkeypatch.setattr(memory, "Path", lambda _: Path("/nowhere"))
        assert memory_of(pids, 0.0) >= SIZE_MB * MB
    assert memory_of(pids, 0.0) == 0
