"""Broken ranks are put aside, in a cluster without time: who is idle longest is next."""

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import pytest

from hpmpi.master.master import Master
from hpmpi.master.quarantine import FIRST, GROWTH
from hpmpi.model.events import Heard, Silent
from hpmpi.model.messages import Assign, Failed, FailureKind, Finished, Outcome, Ready
from hpmpi.model.records import Assigned, Decision, Quarantined, Released
from hpmpi.model.trial import JobKey
from tests.harness.build import Study

MOST = 3
TRIALS = 1000

Works = Callable[[int, Assign, Random], bool]
"""Whether a rank can do a job."""


class Cluster:
    """Ranks that are as fast as their master; a bad one fails a hundred times as fast."""

    def __init__(self, works: Works, ranks: int = 4, *, bad: Iterable[int] = ()) -> None:
        """Start a study of so many trials on them."""
        study = Study(ranks=ranks, method="full", high=1, limit=TRIALS, quarantine=MOST)
        self.master: Master = study.master()
        self.decisions: list[Decision] = []
        self._works, self._bad, self._random = works, set(bad), Random(0)  # noqa: S311
        self._queue: list[tuple[float, int, Assign]] = []
        self._now = 0.0
        for rank in self.master.roster.workers:
            self.handle(Heard(rank, Ready("bad" if rank in self._bad else "good", rank)))

    def handle(self, event: Heard | Silent) -> None:
        """Let the master hear of something."""
        reaction = self.master.handle(event, self._now)
        self.decisions += reaction.entry.decisions if reaction.entry else ()
        for rank, order in reaction.orders:
            if isinstance(order, Assign):
                takes_s = 0.01 if rank in self._bad else self._random.uniform(0.5, 1.5)
                self._queue.append((self._now + takes_s, rank, order))

    def run(self) -> None:
        """Let all come to its end."""
        while self.master.outcome is None:
            assert self._queue, "a study is never left without work"
            answer = min(self._queue)
            self._queue.remove(answer)
            self._now, rank, order = answer
            if self._works(rank, order, self._random):
                self.handle(Heard(rank, Finished(order.attempt, {"loss": 0.0})))
            else:
                error = f"no trial {order.attempt.trial}"
                self.handle(Heard(rank, Failed(order.attempt, FailureKind.EXCEPTION, error)))

    def attempts(self) -> Counter[int]:
        """Count the attempts that each rank was given."""
        return Counter(it.rank for it in self.decisions if isinstance(it, Assigned))

    def moves(self) -> list[Quarantined | Released]:
        """List who was put aside, and back, when."""
        return [it for it in self.decisions if isinstance(it, Quarantined | Released)]


def all_but(*bad: int) -> Works:
    """Have some ranks fail whatever they are given."""
    return lambda rank, _order, _random: rank not in bad


def test_one_bad_rank_of_four_costs_five_attempts_of_a_thousand() -> None:
    cluster = Cluster(all_but(3), bad=[3])
    cluster.run()
    assert cluster.master.outcome is Outcome.COMPLETE
    assert cluster.attempts()[3] == MOST + 2, "in a row, after FIRST, and after GROWTH times that"
    assert cluster.master.jobs.trials == TRIALS
    assert FIRST * (1 + GROWTH) < TRIALS < FIRST * (1 + GROWTH + GROWTH**2)


def test_a_node_of_bad_ranks_takes_no_trial_with_it() -> None:
    cluster = Cluster(all_but(1, 2, 3), ranks=6, bad=[1, 2, 3])
    cluster.run()
    assert all(cluster.attempts()[rank] <= MOST + 2 for rank in (1, 2, 3))
    assert cluster.master.jobs.tally.trials == TRIALS, "each has a result"


def test_a_rank_that_is_mended_works_again() -> None:
    broken = [True]

    def works(rank: int, _order: Assign, _random: Random) -> bool:
        broken[0] &= len(cluster.moves()) < 1
        return rank != 2 or broken[0] is False

    cluster = Cluster(works, bad=[2])
    cluster.run()
    assert cluster.moves() == [Quarantined(2), Released(2, on_trial=True), Released(2)]
    assert cluster.attempts()[2] > TRIALS / 5


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_an_objective_that_fails_now_and_then_puts_hardly_anybody_aside(share: float) -> None:
    cluster = Cluster(lambda _rank, _order, random: random.random() >= share)
    cluster.run()
    idle = sum(isinstance(it, Quarantined) for it in cluster.moves())
    assert idle <= TRIALS / 50
    assert min(cluster.attempts().values()) > TRIALS / 6


def test_what_nobody_can_do_puts_nobody_aside_for_long() -> None:
    cluster = Cluster(lambda _rank, order, _random: order.attempt.trial % 2 == 0)
    cluster.run()
    assert len([it for it in cluster.moves() if isinstance(it, Quarantined)]) <= MOST
    assert min(cluster.attempts().values()) > TRIALS / 6


def test_who_is_aside_works_where_nobody_else_is_left() -> None:
    cluster = Cluster(all_but(3), ranks=2)
    master = cluster.master
    for trial in range(MOST):
        master._quarantine.fail(1, JobKey(trial, 0), FailureKind.CRASH)
    assert master.roster.workers[1].aside
    cluster.handle(Silent((2,)))
    assert Released(1, on_trial=True) in cluster.decisions
    assert master.outcome is None


def test_a_single_rank_is_never_put_aside() -> None:
    cluster = Cluster(lambda _rank, order, _random: order.attempt.trial > 2 * MOST, ranks=1)
    master = cluster.master
    master.jobs.hope.succeed()
    cluster.run()
    assert cluster.moves() == []
