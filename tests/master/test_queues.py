"""What is queued on a rank that has a short job in work: when it is, and when it is given back."""

from collections.abc import Iterator

import msgspec
import pytest

from hpmpi.master.dispatcher import LONG
from hpmpi.master.master import Master
from hpmpi.master.reaction import Reaction
from hpmpi.master.restart import redo
from hpmpi.master.time_left import NEWEST
from hpmpi.model.events import Drain, Event, Heard, Silent, Tell, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Failed,
    FailureKind,
    Finished,
    Ready,
    Recall,
    Returned,
    Save,
    Unfit,
)
from hpmpi.model.records import Assigned, Back, Chosen, Decision, Failure, Late, Started, Unqueued
from hpmpi.model.trial import AttemptId, JobKey
from tests.harness.build import Study

SHORT_S = 0.01
QUICK_S, SLOW_S = 0.001, 1.0
TOO_LONG_S = 2 * LONG * SHORT_S

FULL = Study(ranks=2, method="full", limit=100, short_s=SHORT_S, quarantine=2)
ASHA = Study(ranks=1, eta=3, high=3, limit=100, short_s=SHORT_S)


class Rig:
    """A master whose ranks do what they have in work, one after the other, when they are told."""

    def __init__(self, study: Study) -> None:
        """Have all ranks be ready, and have the first job."""
        self.master: Master = study.master()
        self.now = 0.0
        self.lines: dict[int, list[Assign]] = {rank: [] for rank in self.master.roster.workers}
        for rank in self.lines:
            self.happen(Heard(rank, Ready(f"node{rank}", rank)))

    def happen(self, event: Event) -> Reaction:
        """Let something happen."""
        reaction = self.master.handle(event, self.now)
        for rank, order in reaction.orders:
            if isinstance(order, Assign):
                self.lines[rank].append(order)
        return reaction

    def finish(self, rank: int, after_s: float = QUICK_S, loss: float = 0.5) -> Reaction:
        """Have a rank finish what it has in work."""
        self.now += after_s
        return self.happen(Heard(rank, Finished(self.pop(rank), {"loss": loss})))

    def fail(self, rank: int, kind: FailureKind = FailureKind.CRASH) -> Reaction:
        """Have it fail that."""
        self.now += QUICK_S
        return self.happen(Heard(rank, Failed(self.pop(rank), kind, "SIGSEGV")))

    def tick(self, after_s: float) -> Reaction:
        """Let time pass."""
        self.now += after_s
        return self.happen(Tick())

    def warm(self, rank: int = 1, after_s: float = QUICK_S) -> None:
        """Let it be known how long jobs take."""
        for _ in range(4):
            self.finish(rank, after_s)

    def pop(self, rank: int) -> AttemptId:
        """Take the first of a rank's line."""
        return self.lines[rank].pop(0).attempt


def decided(reaction: Reaction, kind: type[Decision]) -> list[Decision]:
    """Find the decisions of a kind."""
    there = () if reaction.entry is None else reaction.entry.decisions
    return [it for it in there if isinstance(it, kind)]


@pytest.fixture
def rig() -> Rig:
    """Have a rank with a job in work and one in line, and another with a job."""
    rig = Rig(FULL)
    rig.warm()
    assert [len(line) for line in rig.lines.values()] == [2, 1]
    return rig


def recalled(reaction: Reaction) -> list[Tell]:
    """Find who is told to give something back."""
    return [it for it in reaction.orders if isinstance(it.order, Recall)]


def test_nothing_is_queued_before_a_duration_is_known() -> None:
    rig = Rig(FULL)
    assert [len(line) for line in rig.lines.values()] == [1, 1]
    assert [it.queued for it in queues(rig.finish(1))] == [False, True]


def queues(reaction: Reaction) -> Iterator[Assigned]:
    """Find what is handed out."""
    return (it for it in decided(reaction, Assigned) if isinstance(it, Assigned))


def test_a_rank_that_goes_on_has_the_next_queued(rig: Rig) -> None:
    reaction = rig.finish(1)
    assert [it.queued for it in queues(reaction)] == [True]
    assert len(rig.lines[1]) == 2
    assert rig.master.roster.workers[1].held == rig.lines[1][0].attempt


def test_what_was_queued_takes_as_long_as_it_does_and_not_as_what_was_before(rig: Rig) -> None:
    for _ in range(NEWEST):
        rig.finish(1, 0.9 * SHORT_S)
    assert rig.master.jobs.time_left.typical_s(0) == pytest.approx(0.9 * SHORT_S)


@pytest.mark.parametrize("study", [FULL, ASHA])
def test_nothing_is_queued_where_jobs_are_not_short(study: Study) -> None:
    rig = Rig(study)
    for _ in range(8):
        rig.finish(1, SLOW_S)
    assert len(rig.lines[1]) == 1


def test_nothing_is_queued_where_no_jobs_are_said_to_be_short() -> None:
    rig = Rig(Study(ranks=1, method="full", limit=100))
    rig.warm()
    assert len(rig.lines[1]) == 1


def test_a_long_job_waits_for_the_next_idle_rank_and_nothing_overtakes_it() -> None:
    rig = Rig(ASHA)
    chosen: list[Decision] = []
    while not chosen:  # whatever is promoted is of a rung of which nothing is known
        took_s = QUICK_S if rig.lines[1][0].attempt.rung == 0 else SLOW_S
        chosen = decided(rig.finish(1, took_s, loss=1 / rig.now if rig.now else 1.0), Chosen)
    first, *_ = chosen
    assert isinstance(first, Chosen)
    key = JobKey(first.trial, first.rung)
    assert key.rung == 1
    assert key in rig.master.jobs.waiting
    assert len(rig.lines[1]) == 1, "what was queued before is done before"
    handed_out = next(queues(rig.finish(1)))
    assert handed_out.attempt.job == key
    assert not handed_out.queued
    assert len(rig.lines[1]) == 1, "it is long, so nothing is queued behind it"


def test_where_a_long_job_is_chosen_who_is_done_first_gives_back_what_is_in_line() -> None:
    rig = Rig(msgspec.structs.replace(ASHA, ranks=3, eta=9, high=9))
    for rank in (1, 2, 3):
        rig.finish(rank)
    assert [len(line) for line in rig.lines.values()] == [2, 2, 2]
    first = rig.lines[1][1].attempt
    while not decided(reaction := rig.finish(3), Chosen):
        assert recalled(reaction) == []
    assert recalled(reaction) == [Tell(1, Recall(first))]


def test_what_waits_behind_a_job_that_hangs_is_given_back_and_done_by_others(rig: Rig) -> None:
    queued = rig.lines[1][1].attempt
    assert recalled(rig.tick(TOO_LONG_S)) == [Tell(1, Recall(queued))]
    assert recalled(rig.tick(TOO_LONG_S)) == [], "it is told once"
    rig.lines[1].pop()
    assert decided(rig.happen(Heard(1, Returned(queued))), Unqueued) == [Unqueued(queued)]
    again = next(queues(rig.finish(2)))
    assert again.attempt == queued._replace(number=2)
    assert rig.master.jobs.open[queued.job].failures == 0


def test_what_has_begun_when_it_is_recalled_is_done(rig: Rig) -> None:
    rig.tick(TOO_LONG_S)
    rig.finish(1)
    queued = rig.lines[1][0].attempt
    assert recalled(rig.tick(0.0)) == []
    rig.finish(1)
    assert queued.job not in rig.master.jobs.open


def test_a_lost_rank_costs_one_job_and_what_was_queued_waits(rig: Rig) -> None:
    held, queued = (order.attempt for order in rig.lines[1])
    reaction = rig.happen(Silent((1,)))
    assert decided(reaction, Unqueued) == [Unqueued(queued)]
    assert decided(reaction, Failure) == [Failure(held, FailureKind.LOST)]
    assert rig.master.jobs.open[queued.job].lost == []


def test_who_comes_back_gives_back_what_it_has_not_begun(rig: Rig) -> None:
    held, queued = (order.attempt for order in rig.lines[1])
    rig.happen(Silent((1,)))
    rig.finish(2)  # which is given what waits
    reaction = rig.happen(Heard(1, Beat()))
    assert decided(reaction, Back) == [Back(1, held)]
    assert recalled(reaction) == [Tell(1, Recall(queued))]
    assert decided(rig.happen(Heard(1, Returned(queued))), Late) == [Late(queued)]


def test_a_result_of_what_was_queued_on_who_comes_back_is_the_first(rig: Rig) -> None:
    queued = rig.lines[1][1].attempt
    rig.happen(Silent((1,)))
    rig.finish(1)
    rig.finish(2)
    assert rig.master.jobs.open[queued.job].holder == 2
    assert Tell(2, Cancel(queued._replace(number=2))) in rig.finish(1).orders


def test_what_is_queued_is_given_back_where_somebody_is_idle() -> None:
    rig = Rig(msgspec.structs.replace(FULL, limit=7))
    rig.warm()
    assert [len(line) for line in rig.lines.values()] == [2, 1]
    queued = rig.lines[1][1].attempt
    assert recalled(rig.finish(2)) == [Tell(1, Recall(queued))]
    reaction = rig.happen(Heard(1, Returned(queued)))
    assert [it.rank for it in queues(reaction)] == [2]


def test_no_more_is_given_back_than_there_are_ranks_idle() -> None:
    rig = Rig(msgspec.structs.replace(FULL, ranks=3, limit=7))
    for rank in (1, 2):
        rig.finish(rank)
    assert [len(line) for line in rig.lines.values()] == [2, 2, 1]
    last = rig.lines[2][1].attempt
    assert recalled(rig.finish(3)) == [Tell(2, Recall(last))], "who comes to it last"


def test_a_drain_takes_back_what_has_not_begun(rig: Rig) -> None:
    queued = rig.lines[1][1].attempt
    reaction = rig.happen(Drain("signal"))
    assert reaction.orders[0] == Tell(1, Recall(queued))
    saves = sorted(reaction.orders[1:], key=lambda it: it.rank)
    assert saves == [Tell(1, Save()), Tell(2, Save())], "each is told once"


def test_what_is_queued_on_an_unfit_rank_waits(rig: Rig) -> None:
    queued = rig.lines[1][1].attempt
    reaction = rig.happen(Heard(1, Unfit("node1", "no module")))
    assert decided(reaction, Unqueued) == [Unqueued(queued)]


def test_who_fails_is_given_one_after_the_other(rig: Rig) -> None:
    reaction = rig.fail(1)
    assert list(queues(reaction)) == [], "what was queued goes on"
    rig.fail(1)
    assert rig.lines[1] == [], "it is put aside"
    assert rig.master.roster.workers[1].aside


def test_what_was_queued_when_a_run_ended_is_not_charged(rig: Rig) -> None:
    held, queued = (order.attempt for order in rig.lines[1])
    redo(rig.master.jobs, Started(rig.now, "", "", "", 2))
    assert held.job in rig.master.jobs.interrupted
    assert queued.job in rig.master.jobs.waiting
