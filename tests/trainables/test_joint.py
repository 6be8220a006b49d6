"""Federated averaging and data-parallel SGD: what they equal, however many ranks there are."""

import gzip
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Assign, Point
from hpmpi.model.trial import AttemptId, Config, Metrics
from hpmpi.trainables import data_parallel, fashion, federated
from hpmpi.trainables.dataset import table
from hpmpi.trainables.federated import FederatedOptions, dealt, mean, one_round
from hpmpi.trainables.joint import Joint, JointOptions, Setting, begun
from hpmpi.trainables.members import ALONE, Communicator
from hpmpi.trainables.networks import Network
from hpmpi.trainables.splits import Part
from hpmpi.worker.handle import open_trial
from tests.harness.build import never
from tests.harness.drive import welcome
from tests.harness.joint_ranks import TRAININGS
from tests.harness.runs import MPIRUN, ROOT, finish, mpirun, start
from tests.harness.trainables import saved

SMALL: Config = {"hidden": 8, "clients": 5, "share": 0.6}


def setting(options: JointOptions, rows: int = 60, members: Communicator = ALONE) -> Setting:
    """Have rows of 6 features and 3 classes, which the first feature tells apart."""
    x = np.random.default_rng(1).random((rows, 6))
    y = (3 * x[:, 0]).astype(int)
    return Setting(options, Network((6, 5, 4, 3)), Part(x, y, x, y, None), members)


def descended(of: Setting, w: Array, rows: Array) -> Array:
    """Take one step of SGD with some rows."""
    gradient = np.empty_like(w)
    of.network.differentiate(w, of.data.x_train[rows], of.data.y_train[rows], gradient)
    return np.asarray(w - of.options.learning_rate / len(rows) * gradient)


def train(
    model: Joint, folder: Path, config: Config, stop: int, attempt: int = 1
) -> tuple[Metrics, list[Point]]:
    """Train trial 7 up to some resource, from its checkpoint on."""
    points: list[Point] = []
    order = Assign(AttemptId(7, 0, attempt), stop, config, seed=7)
    trial, _ = open_trial(welcome(folder, args={"dataset": "iris"}), order, points.append, never)
    return model(config, trial), points


# -- the identities -------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [(4, 3), (4, 6, 5, 3)], ids=["softmax", "2nn"])
def test_the_gradient_is_the_slope_of_the_cross_entropy(units: tuple[int, ...]) -> None:
    draw, network = np.random.default_rng(0), Network(units)
    x, y, w = draw.random((7, 4)), draw.integers(3, size=7), network.initial(draw)
    w += 0.1  # no unit lies on the edge of its ReLU

    def loss(w: Array) -> float:
        *_, scores = network._forward(w, x)
        return float((np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(7), y]).sum())

    steps = 1e-6 * np.eye(network.size)
    slope = [(loss(w + step) - loss(w - step)) / 2e-6 for step in steps]
    gradient = np.empty_like(w)
    network.differentiate(w, x, y, gradient)
    assert np.allclose(gradient, slope, atol=1e-6)


@pytest.mark.parametrize("deal", ["iid", "shards"])
def test_all_clients_with_one_step_each_are_one_full_step(deal: Any) -> None:
    options = FederatedOptions(clients=7, share=1.0, epochs=1, batch_size="all", deal=deal)
    of = setting(options)
    state = begun(of, seed=3)
    before = state.w.copy()
    full = descended(of, before, np.arange(60))
    assert np.abs(one_round(of, state) - full).max() < 1e-12
    assert np.abs(full - before).max() > 1e-3


def test_one_client_is_plain_sgd() -> None:
    of = setting(FederatedOptions(clients=1, share=1.0, epochs=2, batch_size=8))
    state, plain = begun(of, seed=3), begun(of, seed=3)
    plain.draw.choice(1, 1, replace=False)
    draw, (rows,) = np.random.default_rng(plain.draw.integers(2**63, size=1)[0]), dealt_of(of)
    w = plain.w
    for _ in range(2):
        order = rows[draw.permutation(60)]
        for begin in range(0, 60, 8):
            w = descended(of, w, order[begin : begin + 8])
    assert np.array_equal(one_round(of, state), w)


def dealt_of(of: Setting) -> list[Array]:
    """Deal the rows as the options say."""
    return dealt(of.data.y_train, of.options.clients, of.options.deal, of.options.deal_seed)


class Threads:
    """Members that are threads of this process."""

    def __init__(self, rank: int, given: list[Any], barrier: threading.Barrier) -> None:
        """Share the list of what all have given."""
        self.rank, self.size = rank, len(given)
        self._given, self._barrier = given, barrier

    def _all(self, mine: Any) -> list[Any]:
        self._given[self.rank] = mine
        self._barrier.wait()
        given = [*self._given]
        self._barrier.wait()
        return given

    def bcast(self, obj: Any) -> Any:
        """Give all what member 0 has."""
        return self._all(obj)[0]

    def gather(self, sendobj: Any) -> list[Any] | None:
        """Give member 0 all of it."""
        given = self._all(sendobj)
        return None if self.rank else given

    def Allreduce(self, sendbuf: Array, recvbuf: Array) -> None:  # noqa: N802 - mpi4py's name
        """Sum for all."""
        recvbuf[...] = sum(self._all(sendbuf.copy()))


def together(size: int, run: Callable[[Communicator], Array]) -> list[Array]:
    """Run a function in all members; return what each comes to."""
    given, barrier, results = [None] * size, threading.Barrier(size, timeout=60), {}

    def member(rank: int) -> None:
        results[rank] = run(Threads(rank, given, barrier))

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(size)]


def after_three(model: Joint, options: JointOptions, members: Communicator) -> Array:
    """Train for three of the resource."""
    of = setting(options, members=members)
    state = begun(of, seed=3)
    for _ in range(3):
        state = model.step(of, state)
    return np.append(state.w, state.accuracy)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_no_bit_of_federated_averaging_depends_on_the_ranks(size: int) -> None:
    options = FederatedOptions(clients=9, share=0.6, deal="shards", decay=0.5)
    alone = after_three(federated.train, options, ALONE)
    for each in together(size, lambda it: after_three(federated.train, options, it)):
        assert np.array_equal(each, alone)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_data_parallel_sgd_is_sgd_however_many_ranks_there_are(size: int) -> None:
    options = JointOptions(batch_size=11, learning_rate=0.5)
    alone = after_three(data_parallel.train, options, ALONE)
    first, *others = together(size, lambda it: after_three(data_parallel.train, options, it))
    assert np.abs(first - alone).max() < 1e-12
    assert all(np.array_equal(each, first) for each in others)


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_ranks_that_are_killed_and_begin_again_come_to_the_same(tmp_path: Path) -> None:
    def run(ranks: int, *words: int) -> int:
        program = [sys.executable, str(ROOT / "tests/harness/joint_ranks.py"), str(tmp_path)]
        command = [*mpirun(ranks), *program, *map(str, words)]
        return finish(start(command, tmp_path)).returncode

    assert run(3, 2, 1) == 0
    assert run(3, 5, 2, 4) != 0, "rank 1 is killed at 4"
    assert run(2, 5, 3) == 0
    for name, (model, config) in TRAININGS.items():
        train(model, tmp_path / "alone" / name, {**config, "dataset": "digits"}, 5)
        alone, ranks = (
            np.load(saved(tmp_path / it, "w.npy")) for it in (f"alone/{name}", f"{name}/0")
        )
        most = 0.0 if model is federated.train else 1e-12
        assert np.abs(alone - ranks).max() <= most


# -- one trial ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [federated.train, data_parallel.train])
def test_a_checkpoint_changes_no_bit_of_what_comes_after(tmp_path: Path, model: Joint) -> None:
    config = SMALL if model is federated.train else {"hidden": 8, "decay": 0.9}
    at_once, whole = train(model, tmp_path / "at once", config, 7)
    _, first = train(model, tmp_path / "in parts", config, 3)
    in_parts, second = train(model, tmp_path / "in parts", config, 7, attempt=2)
    again, third = train(model, tmp_path / "in parts", config, 7, attempt=3)
    assert at_once == in_parts == again
    assert first + second == whole
    assert third == []
    one, other = (np.load(saved(tmp_path / it, "w.npy")) for it in ("at once", "in parts"))
    assert np.array_equal(one, other)


def test_it_tells_when_the_target_was_reached_and_what_was_sent(tmp_path: Path) -> None:
    config: Config = {**SMALL, "target_accuracy": 0.9, "learning_rate": 0.3}
    metrics, curve = train(federated.train, tmp_path, config, 40)
    reached = metrics["rounds_to_target"]
    assert 1 < reached < 40
    for point in curve:
        is_there = point.resource >= reached
        assert point.metrics["rounds_to_target"] == (reached if is_there else float("inf"))
    assert curve[int(reached) - 1].metrics["accuracy"] >= 0.9
    weights = 4 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    assert metrics["bytes_sent"] == 40 * 3 * 2 * 8 * weights, "3 of 5 clients, there and back"


def test_rows_are_dealt_to_clients_once_each() -> None:
    y = np.random.default_rng(0).integers(10, size=1003)
    for deal in ("iid", "shards"):
        clients = dealt(y, 20, deal, seed=1)
        assert sorted(np.concatenate(clients)) == [*range(1003)]
        assert {len(rows) for rows in clients} <= {50, 51, 52}
        assert not np.array_equal(clients[0], dealt(y, 20, deal, seed=2)[0])
    labels = [len(np.unique(y[rows])) for rows in clients]
    assert max(labels) <= 4, "of two shards"
    assert all(len(np.unique(y[rows])) > 6 for rows in dealt(y, 20, "iid", seed=1))


def test_clients_count_by_their_share_of_the_rows_of_those_drawn() -> None:
    one, three = np.array([0.0, 4.0]), np.array([8.0, 0.0])
    assert mean({2: (1, one), 5: (3, three)}).tolist() == [6.0, 1.0]


def test_at_least_one_client_is_drawn() -> None:
    drawn = [FederatedOptions(clients=10, share=share).drawn for share in (0.01, 0.3, 1.0)]
    assert drawn == [1, 3, 10]


# -- what can't be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "config", "metric", "said"),
    [
        ({"clients": 900}, {}, "accuracy", "clients = 900 with deal = 'iid' are too many for 112"),
        ({}, {"clients": 60, "deal": "shards"}, "accuracy", "they need 120"),
        ({}, {"lr": 1.0}, "accuracy", "space.lr is not a setting"),
        ({"share": 1.5}, {}, "accuracy", "objective_args.share = 1.5 is not valid: expected"),
        ({"dataset": "diabetes"}, {}, "accuracy", "diabetes does not have one class a row"),
        ({}, {}, None, "set `metric` to one of: accuracy, rounds_to_target, bytes_sent"),
    ],
)
def test_what_can_not_be_is_said_before_the_first_trial(
    args: dict[str, object], config: Config, metric: str | None, said: str
) -> None:
    with pytest.raises(ObjectiveError, match=said):
        federated.train.check_study({"dataset": "iris", **args}, Path(), metric, None, [config])


def test_fashion_mnist_is_read_where_it_is_and_missed_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion, "HOME", tmp_path)
    with pytest.raises(ObjectiveError, match="install Debian's dataset-fashion-mnist"):
        table("fashion_mnist", None, None)
    for part, images in (("train", 3), ("t10k", 2)):
        for name, lengths in (("images-idx3", (images, 28, 28)), ("labels-idx1", (images,))):
            head = bytes([0, 0, 8, len(lengths)]) + np.array(lengths, ">u4").tobytes()
            body = np.arange(np.prod(lengths)) % 251
            file = tmp_path / f"{part}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(head + body.astype(np.uint8).tobytes()))
    found = table("fashion_mnist", None, None)
    assert (found.x.shape, found.held_out) == ((5, 784), 2)
    assert found.y.tolist() == [0, 1, 2, 0, 1]
    assert found.x[0, :3].tolist() == [0, 1, 2]
