"""Data come to a node once, whatever befalls its ranks. Rank 0's side is played here."""

import errno
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpmpi import data, files, rooms
from hpmpi.data import Entry
from hpmpi.delivery import WINDOW, Delivery
from hpmpi.messages import Beat, Chunk, NoData, Ready, Report, Unfit, Want
from hpmpi.rooms import Rooms
from tests.drive import welcome

CONTENT = {"0.npy": os.urandom(3 * data.CHUNK_BYTES + 5), "1.npy": b"", "2.npy": b"small"}
INDEX = data.write_index([Entry(name, name, len(each)) for name, each in CONTENT.items()])
READY = Ready("host", 7)
PATIENCE_S = 30.0


class Node:
    """A node, and the ranks on it; what they ask for waits to be sent."""

    def __init__(self, parent: Path) -> None:
        """Have no ranks yet."""
        self.parent = parent
        self.ranks: dict[int, Delivery] = {}
        self.wants: deque[tuple[int, Want]] = deque()
        self.now = 0.0

    def add(self, rank: int) -> Delivery:
        """Have a rank come in, whose child is loaded."""

        def say(report: Report | Want) -> None:
            assert isinstance(report, Want)
            self.wants.append((rank, report))

        told = welcome(self.parent, rooms=[str(self.parent)], patience_s=PATIENCE_S)
        self.ranks[rank] = Delivery(told, rank, say)
        assert self.look(rank, READY) in ([], [READY])
        return self.ranks[rank]

    def look(self, rank: int, *reports: Report) -> list[Report]:
        """Have a rank come by."""
        return self.ranks[rank].admit(list(reports), self.now)

    def send(self, count: int = 1000) -> list[int]:
        """Send so many chunks that were asked for; return to whom."""
        sent: list[int] = []
        while self.wants and len(sent) < count:
            rank, want = self.wants.popleft()
            content = INDEX if want.file == data.INDEX else CONTENT[want.file]
            size = len(INDEX) if want.file == data.INDEX else data.CHUNK_BYTES
            part = content[want.offset : want.offset + size]
            self.ranks[rank].take(Chunk(want.file, want.offset, part), self.now)
            sent.append(rank)
        return sent

    def kill(self, rank: int) -> None:
        """Have a rank die: the kernel releases what it holds, and nobody cleans up."""
        gone = self.ranks.pop(rank)
        if gone._claim is not None:
            os.close(gone._claim)
        for room in gone._rooms._rooms:
            os.close(room._lock)
        self.wants = deque((each, want) for each, want in self.wants if each != rank)

    def copies(self) -> list[dict[str, bytes]]:
        """Return all that lies there, whole or not."""
        return [
            {path.name: path.read_bytes() for path in folder.iterdir() if path.name != data.INDEX}
            for folder in self.parent.glob("hpmpi-*/*")
            if folder.is_dir() and not folder.is_symlink()
        ]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Have a node; nothing is left when the ranks leave."""
    node = Node(tmp_path)
    yield node
    for rank in node.ranks.values():
        rank.close()
    assert list(tmp_path.glob("hpmpi-*")) == []


def test_one_rank_of_a_node_receives_and_all_are_ready(node: Node) -> None:
    for rank in (4, 5, 6):
        node.add(rank)
    assert [rank for rank, _ in node.wants] == [4]
    assert set(node.send()) == {4}
    for rank in (4, 5, 6):
        assert node.look(rank) == [READY]
        assert node.look(rank, Beat()) == [Beat()]
    assert node.copies() == [CONTENT]
    assert node.wants == deque()


def test_no_more_is_asked_for_than_may_be_under_way(node: Node) -> None:
    node.add(4)
    node.send(1)
    assert 1 < len(node.wants) <= WINDOW


def test_a_rank_that_comes_late_finds_the_data(node: Node) -> None:
    node.add(4)
    node.send()
    node.add(5)
    assert node.look(5) == []  # it was ready at once
    assert node.ranks[5]._done
    assert node.wants == deque()


def test_a_receiver_that_dies_is_followed_by_another(node: Node) -> None:
    node.add(4)
    node.add(5)
    node.send(3)
    node.kill(4)
    assert node.look(5) == []
    assert set(node.send()) == {5}
    assert node.look(5) == [READY]
    assert node.copies() == [CONTENT]


def test_a_receiver_that_hangs_is_followed_and_does_no_harm_when_it_comes_back(node: Node) -> None:
    node.add(4)
    node.add(5)
    node.send(3)
    hung, node.wants = node.wants, deque()
    node.now += PATIENCE_S * 0.9
    node.look(5)
    assert node.wants == deque()
    node.now += PATIENCE_S
    node.look(5)
    node.look(5)
    assert [rank for rank, _ in node.wants] == [5]
    node.send(2)
    node.wants, rest = hung, node.wants
    assert set(node.send()) == {4}
    assert node.look(4) == []
    node.wants = rest
    node.send()
    assert [node.look(rank) for rank in (4, 5)] == [[READY], [READY]]
    assert node.copies() == [CONTENT]


def test_a_receiver_that_waits_for_long_is_not_taken_for_one_that_hangs(node: Node) -> None:
    node.add(4)
    node.add(5)
    for _ in range(10):
        node.now += PATIENCE_S / 2
        node.look(4)
        node.look(5)
    assert {rank for rank, _ in node.wants} == {4}


def test_what_was_not_heard_of_for_long_is_asked_for_again(node: Node) -> None:
    node.add(4)
    node.wants.clear()
    node.now += 2 * PATIENCE_S
    node.look(4)
    assert node.wants == deque([(4, Want(data.INDEX, 0))])
    node.wants *= 2
    node.send()
    assert node.look(4) == [READY]


def test_nobody_receives_on_the_node_of_rank_0(node: Node) -> None:
    leader = Rooms([str(node.parent)], "this-start")
    home = leader.folders[0]
    (home / data.reader_mark(0)).mkdir()
    node.add(5)
    node.now += 10 * PATIENCE_S
    assert node.look(5) == []
    assert node.wants == deque()
    part = data.begin(home, 0)
    (part / data.INDEX).write_bytes(INDEX)
    data.commit(part, home)
    assert node.look(5) == [READY]
    leader.leave()


def test_ranks_are_unfit_where_the_data_can_not_be_had(node: Node) -> None:
    for rank in (4, 5):
        node.add(rank)
        node.ranks[rank].take(NoData("there is no such file"), node.now)
        assert unfit(node.look(rank)) == "there is no such file"
        assert node.look(rank, Beat()) == [Beat()]


def test_ranks_are_unfit_where_there_is_no_room(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "free_bytes", lambda _: 1000)
    for rank in (4, 5):
        node.add(rank)
        node.send()
        assert "the data are 3.15 MB, and " in unfit(node.look(rank))


def test_a_disk_that_fills_up_meanwhile_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_in(tmp_path / "full", monkeypatch)
    node = Node(tmp_path)
    for name in ("full", "large"):
        (tmp_path / name).mkdir()
    told = welcome(tmp_path, rooms=[str(tmp_path / "full"), str(tmp_path / "large")])
    rank = node.ranks[4] = Delivery(told, 4, lambda want: node.wants.append((4, want)))  # type: ignore[arg-type]
    node.look(4, READY)
    node.send()
    assert node.look(4) == [READY]
    assert rank.welcome.data is not None
    assert Path(rank.welcome.data).resolve().parent.parent == tmp_path / "large"
    rank.close()
    assert list(tmp_path.glob("*/*")) == []


def fail_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk of a folder be full."""

    def fail(descriptor: int, content: bytes) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        files.write(descriptor, content)

    monkeypatch.setattr("hpmpi.delivery.write", fail)


def unfit(reports: list[Report]) -> str:
    """Return why a rank is unfit."""
    (report,) = reports
    assert isinstance(report, Unfit)
    return report.error
