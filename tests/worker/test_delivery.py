"""Data come to a node once, whatever befalls its ranks."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hpmpi.data import scratch
from hpmpi.data.mapped import CHUNK_BYTES, Data
from hpmpi.leader.supply import Supply
from hpmpi.model.messages import Beat, Chunk, Need, NoData, Order, Receive, Report, Unfit, Want
from hpmpi.study.data_table import Source
from hpmpi.transports import Traffic
from hpmpi.transports.resources import Share
from hpmpi.worker.delivery import WINDOW, Delivery
from tests.harness.drive import welcome

X = np.arange(3 * 2**17 + 5.0)
LIMIT_S = 60.0


class Wire:
    """A transport whose ranks are in this process, each on a node of its own or of others."""

    def __init__(self) -> None:
        """Have none yet."""
        self.rank = 0
        self.size = 7
        self.share = Share()
        self.name = "wire"
        self.traffic = Traffic()
        self.underway: set[int] = set()
        self.said: deque[tuple[int, bytes]] = deque()
        self.sent: list[tuple[int, Order]] = []
        self.forgotten: list[int] = []

    def send(self, rank: int, message: bytes) -> None:
        """Take note of an order."""
        self.sent.append((rank, msgspec.msgpack.decode(message, type=Order)))

    def poll(self, _timeout_s: float, _wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what was said."""
        said = list(self.said)
        self.said.clear()
        return said

    def forget(self, rank: int) -> None:
        """Take note of it."""
        self.forgotten.append(rank)

    def leave(self, _timeout_s: float) -> None:
        """Do nothing."""


class Run:
    """Rank 0, and ranks on nodes that are folders."""

    def __init__(self, folder: Path, source: str = "X.npy") -> None:
        """Begin to read."""
        self.folder = folder
        self.wire = Wire()
        self.ranks: dict[int, Delivery] = {}
        self.started: list[int] = []
        self.heard: list[tuple[int, Report]] = []
        np.save(folder / "X.npy", X)
        told = welcome(folder, "load.py:load")
        self.supply = Supply(self.wire, Source(source, folder=self.node(0)), told)

    def node(self, number: int) -> str:
        """Make a folder that is a node's memory."""
        node = self.folder / f"node-{number}"
        node.mkdir(exist_ok=True)
        return str(node)

    def add(self, rank: int, node: int) -> Delivery:
        """Have a rank come in."""

        def say(report: Report | Need | Want) -> None:
            self.wire.said.append((rank, msgspec.msgpack.encode(report)))

        told = welcome(self.folder, rooms=[self.node(node)])
        self.ranks[rank] = Delivery(told, rank, say)
        self.look(rank)
        return self.ranks[rank]

    def look(self, rank: int) -> None:
        """Have a rank come by."""
        delivery = self.ranks[rank]
        if not delivery.done:
            for report in delivery.poll(lambda: self.started.append(rank)):
                self.wire.said.append((rank, msgspec.msgpack.encode(report)))

    def turn(self) -> list[tuple[int, Order]]:
        """Have rank 0 come by, and return what it sends."""
        self.heard += [
            (rank, msgspec.msgpack.decode(message, type=Report))
            for rank, message in self.supply.poll(0.0)
        ]
        sent, self.wire.sent = self.wire.sent, []
        return sent

    def give(self, orders: list[tuple[int, Order]]) -> None:
        """Have orders come to the ranks that are alive."""
        for rank, order in orders:
            if rank in self.ranks and isinstance(order, Receive | Chunk | NoData):
                self.ranks[rank].take(order)

    def read(self) -> list[tuple[int, Order]]:
        """Wait until the data are read, or can't be; return what rank 0 sends then."""
        gives_up_at, sent = time.monotonic() + LIMIT_S, self.turn()
        while self.supply._child is not None:
            assert time.monotonic() < gives_up_at
            sent += self.turn()
        return sent + self.turn()

    def settle(self) -> set[int]:
        """Go on until nobody says anything; return who received."""
        receivers = set()
        while orders := self.turn():
            receivers |= {rank for rank, order in orders if isinstance(order, Chunk)}
            self.give(orders)
        for rank in self.ranks:
            self.look(rank)
        return receivers

    def kill(self, rank: int) -> None:
        """Have a rank die: the kernel releases what it holds, and nobody cleans up."""
        for room in self.ranks.pop(rank)._rooms._rooms:
            os.close(room._lock)

    def copies(self, node: int) -> list[Path]:
        """Return all that lies on a node, whole or not."""
        return [
            path for path in Path(self.node(node)).glob("hpmpi-*/*/*") if path.parent.name != "data"
        ]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Have a run; nothing is left on its nodes when all have left."""
    run = Run(tmp_path)
    yield run
    for rank in run.ranks.values():
        rank.close()
    run.supply.leave(0.0)
    assert list(tmp_path.glob("node-*/*")) == []


def test_who_supplies_data_is_in_all_else_the_transport_that_it_was(run: Run) -> None:
    for name in ("rank", "size", "share", "name", "traffic"):
        assert getattr(run.supply, name) is getattr(run.wire, name)


def check_all_started(run: Run) -> None:
    """See that all ranks have the data, their nodes one copy each."""
    assert sorted(run.started) == sorted(run.ranks)
    for delivery in run.ranks.values():
        assert delivery.welcome.data is not None
        np.testing.assert_array_equal(Data(Path(delivery.welcome.data))["data"], X)


def test_one_rank_of_a_node_receives_and_all_start(run: Run) -> None:
    for rank, node in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 1)):
        run.add(rank, node)
    assert run.turn() == []
    orders = run.read()
    assert [(rank, type(order)) for rank, order in orders] == [(2, Receive), (4, Receive)]
    run.give(orders)
    assert run.settle() == {2, 4}
    check_all_started(run)
    assert [len(run.copies(node)) for node in (0, 1, 2)] == [1, 1, 1]


def test_no_more_is_asked_for_than_may_be_under_way(run: Run) -> None:
    run.add(2, 1)
    run.turn()
    run.give(run.read())
    assert len(run.wire.said) == min(WINDOW, 1 + X.nbytes // CHUNK_BYTES)


def test_a_rank_that_comes_late_finds_the_data(run: Run) -> None:
    run.add(2, 1)
    run.turn()
    run.give(run.read())
    run.settle()
    run.add(3, 1)
    assert run.started == [2, 3]
    assert run.settle() == set()


def test_a_receiver_that_is_lost_is_followed_by_another(run: Run) -> None:
    for rank in (2, 3, 4):
        run.add(rank, 1)
    run.turn()
    run.give(run.read())
    run.give(run.turn()[:2])
    run.kill(2)
    run.kill(4)
    run.supply.forget(4)
    run.supply.forget(2)
    assert run.wire.forgotten == [4, 2]
    assert run.settle() >= {3}
    check_all_started(run)
    assert len(run.copies(1)) == 1


def test_a_receiver_that_was_lost_and_comes_back_does_no_harm(run: Run) -> None:
    run.add(2, 1)
    run.add(3, 1)
    run.turn()
    run.give(run.read())
    late = run.turn()
    run.supply.forget(2)
    run.give(run.turn())
    run.give(late)
    run.settle()
    check_all_started(run)
    assert len(run.copies(1)) == 1


def test_what_rank_0_hears_of_other_things_goes_on(run: Run) -> None:
    run.wire.said.append((2, msgspec.msgpack.encode(Beat())))
    run.turn()
    assert run.heard == [(2, Beat())]
    run.read()


def test_ranks_are_unfit_where_the_data_can_not_be_read(tmp_path: Path) -> None:
    run = Run(tmp_path, "missing.npy")
    run.add(2, 1)
    run.turn()
    run.give(run.read())
    run.add(3, 1)
    run.give(run.turn())
    run.turn()
    assert [rank for rank, _ in run.heard] == [2, 3]
    assert all("missing.npy" in unfit(report) for _, report in run.heard)
    assert run.started == []
    for rank in run.ranks.values():
        rank.close()
    run.supply.leave(0.0)


def test_each_rank_of_a_node_without_room_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank, node in ((2, 1), (3, 1), (4, 2)):
        run.add(rank, node)
    run.turn()
    orders = run.read()
    monkeypatch.setattr(
        scratch, "free_bytes", lambda room: 10 ** (9 if "node-2" in str(room) else 3)
    )
    run.give(orders)
    assert run.settle() == {4}
    assert run.started == [4]
    assert [rank for rank, _ in run.heard] == [2, 3]
    assert "the data are 3.15 MB, and " in unfit(run.heard[0][1])


def test_a_run_without_data_starts_at_once(tmp_path: Path) -> None:
    delivery = Delivery(welcome(tmp_path), 3, lambda _: None)
    started: list[int] = []
    assert delivery.poll(lambda: started.append(3)) == []
    assert (started, delivery.done, delivery.welcome.data) == ([3], True, None)


def unfit(report: Report) -> str:
    """Return why a rank is unfit."""
    assert isinstance(report, Unfit)
    return report.error
