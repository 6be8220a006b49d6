"""Data are read once per node, whatever befalls its ranks."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hpmpi.data import mapped, scratch
from hpmpi.data.mapped import Data
from hpmpi.model.messages import Report, Unfit
from hpmpi.study.data_table import Source
from hpmpi.worker.shared_data import ERROR, READING, SharedData
from tests.harness.drive import ends, pid_of, welcome

X = np.arange(1000.0)
LIMIT_S = 60.0

LOAD = """
import os, time
import numpy as np
from pathlib import Path

HERE = Path(__file__).parent

def note():
    with (HERE / "reads").open("a") as file:
        file.write(f"{os.getpid()}\\n")

def load():
    note()
    return np.load(HERE / "X.npy")

def load_behind_gate():
    note()
    while not (HERE / "gate").exists():
        time.sleep(0.01)
    return np.load(HERE / "X.npy")

def fail():
    note()
    raise ValueError("no such table")

def take_too_much():
    note()
    raise MemoryError

def die():
    note()
    os.abort()
"""


class Run:
    """Ranks in this process, on nodes that are folders."""

    def __init__(self, folder: Path, source: str = "load.py:load") -> None:
        """Have a source and no rank yet."""
        self.folder = folder
        self.source = source
        self.ranks: dict[int, SharedData] = {}
        self.started: list[int] = []
        self.reports: dict[int, Report] = {}
        np.save(folder / "X.npy", X)
        (folder / "load.py").write_text(LOAD)

    def node(self, number: int) -> Path:
        """Make a folder that is a node's memory."""
        node = self.folder / f"node-{number}"
        node.mkdir(exist_ok=True)
        return node

    def add(self, *ranks: int, node: int = 1) -> None:
        """Have ranks come to a node."""
        source = msgspec.to_builtins(Source(self.source, folder=str(self.node(node))))
        told = welcome(self.folder, "load.py:train", source=source)
        for rank in ranks:
            self.ranks[rank] = SharedData(told, self.folder / "logs" / f"rank-{rank}.log")

    def look(self, *ranks: int) -> None:
        """Have some ranks come by, or all."""
        for rank in ranks or self.ranks:
            for report in self.ranks[rank].poll(self._begin(rank), time.monotonic()):
                assert rank not in self.reports, "a rank says once that it is unfit"
                self.reports[rank] = report

    def _begin(self, rank: int) -> Callable[[float], None]:
        return lambda _now: self.started.append(rank)

    def until(self, reached: Callable[[], bool], *ranks: int) -> None:
        """Have ranks, or all, come by until something is reached."""
        gives_up_at = time.monotonic() + LIMIT_S
        while not reached():
            assert time.monotonic() < gives_up_at
            self.look(*ranks)
            time.sleep(0.01)

    def settle(self) -> None:
        """Have all come by until each has the data, or knows that it never will."""
        self.until(lambda: len(self.started) + len(self.reports) == len(self.ranks))
        self.look()

    @property
    def reads(self) -> list[int]:
        """The processes in which the source was read."""
        with contextlib.suppress(FileNotFoundError):
            return [int(line) for line in (self.folder / "reads").read_text().split()]
        return []

    def kill(self, rank: int) -> None:
        """Have a rank die: the kernel releases what it holds, and nobody cleans up."""
        data = self.ranks.pop(rank)
        if data._reader is not None:
            os.kill(pid_of(data._reader), signal.SIGKILL)
            data._reader.close()
        for lock in [data._lock, *(room.lock for room in data._rooms._rooms)]:
            if lock is not None:
                os.close(lock)

    def copies(self, node: int) -> list[Path]:
        """Return all arrays that lie on a node, whole or not."""
        return list(self.node(node).glob(f"hpmpi-*/{mapped.READ}*/*"))

    def error(self, rank: int) -> str:
        """Return why a rank is unfit."""
        report = self.reports[rank]
        assert isinstance(report, Unfit)
        return report.error

    def check_all_started(self) -> None:
        """See that all ranks have the data."""
        assert sorted(self.started) == sorted(self.ranks)
        for shared in self.ranks.values():
            assert shared.welcome.data is not None
            np.testing.assert_array_equal(Data(Path(shared.welcome.data))["data"], X)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Have a run; nothing is left on its nodes when all have left."""
    run = Run(tmp_path)
    yield run
    for rank in run.ranks.values():
        rank.close()
    assert list(tmp_path.glob("node-*/*")) == []


def test_one_rank_of_a_node_reads_and_all_start(run: Run) -> None:
    run.add(1, 2, 3)
    run.settle()
    run.check_all_started()
    assert (len(run.reads), len(run.copies(1))) == (1, 1)


def test_each_node_reads_for_itself(run: Run) -> None:
    for rank, node in ((1, 1), (2, 2), (3, 1), (4, 2)):
        run.add(rank, node=node)
    run.settle()
    run.check_all_started()
    assert (len(run.reads), len(run.copies(1)), len(run.copies(2))) == (2, 1, 1)


def test_a_rank_that_comes_late_finds_the_data(run: Run) -> None:
    run.add(1)
    run.settle()
    run.add(2)
    run.look(2)
    assert run.started == [1, 2]
    assert len(run.reads) == 1


def test_a_reader_that_is_killed_is_followed_by_another(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1, 2, 3)
    run.until(lambda: len(run.reads) == 1)
    run.kill(1)
    run.until(lambda: len(run.reads) == 2)
    (run.folder / "gate").touch()
    run.settle()
    run.check_all_started()
    assert (len(run.reads), len(run.copies(1))) == (2, 1)


def test_what_a_killed_reader_has_left_is_removed(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1, 2)
    run.until(lambda: len(run.reads) == 1)
    left = mapped.begin(run.ranks[1]._rooms.folders[0])
    (left / "data.npy").write_bytes(b"half")
    run.kill(1)
    (run.folder / "gate").touch()
    run.settle()
    run.check_all_started()
    assert len(run.copies(1)) == 1


def test_a_stopped_rank_keeps_nobody_from_the_data_that_its_process_reads(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1, 2)
    run.until(lambda: len(run.reads) == 1)
    (run.folder / "gate").touch()
    run.until(lambda: run.started == [2], 2)  # and rank 1 does nothing meanwhile
    assert len(run.reads) == 1
    run.settle()
    run.check_all_started()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("load.py:fail", "ValueError: no such table"),
        ("load.py:take_too_much", "MemoryError"),
        ("load.py:die", "killed by SIGABRT"),
    ],
)
def test_a_source_that_can_not_be_read_is_read_once_and_all_say_why(
    run: Run, source: str, said: str
) -> None:
    run.source = source
    run.add(1, 2)
    run.settle()
    run.add(3)
    run.look(3)
    assert run.started == []
    assert len(run.reads) == 1
    for rank in (1, 2, 3):
        assert run.error(rank).startswith(f"data.source = {source!r}: {said}")


def test_a_node_that_can_not_read_has_no_part_and_the_others_work(run: Run) -> None:
    run.add(1)
    run.settle()
    (run.folder / "X.npy").unlink()
    run.add(2, node=2)
    run.settle()
    assert run.started == [1]
    assert "No such file" in run.error(2)


def test_ranks_find_out_for_themselves_where_there_is_no_room_to_say_why(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("hpmpi.storage.files.replace", full)
    run.source = "load.py:fail"
    run.add(1, 2)
    run.settle()
    assert len(run.reads) == 2
    assert "no such table" in run.error(1)
    assert "no such table" in run.error(2)


def test_a_rank_without_a_place_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "node-1").touch()
    source = msgspec.to_builtins(Source("X.npy", folder=str(tmp_path / "node-1" / "x")))
    run.ranks[1] = SharedData(welcome(tmp_path, source=source), tmp_path / "log")
    run.settle()
    assert "node-1/x is here, or can be made" in run.error(1)


def test_a_folder_that_somebody_has_removed_is_told(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1, 2)
    run.until(lambda: len(run.reads) == 1)
    (home,) = run.node(1).iterdir()
    scratch.vanish(home)
    run.look(2)
    assert str(home) in run.error(2)


def test_who_leaves_while_it_reads_leaves_nothing(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1)
    run.until(lambda: len(run.reads) == 1)
    run.ranks[1].close()
    assert ends(*run.reads)
    assert list(run.node(1).iterdir()) == []


def test_news_of_the_reading_process_wake_its_rank_alone(run: Run) -> None:
    run.source = "load.py:load_behind_gate"
    run.add(1, 2)
    run.look()
    assert run.ranks[1].descriptors() != []
    assert run.ranks[2].descriptors() == []
    (run.folder / "gate").touch()
    run.settle()
    assert run.ranks[1].descriptors() == []


def test_a_run_without_data_starts_at_once(tmp_path: Path) -> None:
    shared = SharedData(welcome(tmp_path), tmp_path / "log")
    started: list[int] = []
    for _ in range(2):
        assert shared.poll(lambda _now: started.append(3), 0.0) == []
    assert (started, shared.welcome.data) == ([3], None)


def test_nothing_that_waits_is_anybody_elses_to_read(run: Run) -> None:
    before = os.umask(0)
    try:
        run.source = "load.py:fail"
        run.add(1)
        run.settle()
    finally:
        os.umask(before)
    (home,) = run.node(1).iterdir()
    assert {path.name for path in home.iterdir()} >= {READING, ERROR}
    assert home.stat().st_mode & 0o077 == 0
