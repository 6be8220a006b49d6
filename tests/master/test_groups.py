"""Jobs that take several ranks: slots, reservations, and members that die, freeze or fail."""

from collections import Counter
from random import Random

import pytest

from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules, Sizes
from hpmpi.model.events import Heard, Silent
from hpmpi.model.messages import Assign, Cancel, Failed, FailureKind, Outcome, Ready
from hpmpi.model.records import Assigned, Chosen, Entry, Failure, Parted, Result
from hpmpi.model.trial import BASELINE, AttemptId, Job, Metrics
from tests.harness.build import Study
from tests.harness.group_world import QUARANTINE, GroupWorld, Harm, assignments, draw_world

HARMS = {
    "calm": Harm(),
    "deaths": Harm(dies=0.02),
    "freezes": Harm(freezes=0.05),
    "failures": Harm(fails=0.3),
    "restarts": Harm(kills=3),
    "a broken rank": Harm(broken=1),
    "everything": Harm(dies=0.01, freezes=0.02, fails=0.15, kills=2, broken=1),
}
SEEDS = range(15)


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_groups_come_through_whatever_happens_to_their_members(harm: Harm) -> None:
    for seed in SEEDS:
        world = draw_world(seed, harm)
        assert world.run() is Outcome.COMPLETE
        entries = [line for line in world.lines if isinstance(line, Entry)]
        decided = [it for entry in entries for it in entry.decisions]
        over = Counter(
            it.attempt.job
            for it in decided
            if isinstance(it, Result) or (isinstance(it, Failure) and it.final)
        )
        assert set(over.values()) == {1}, "each job is closed once"
        assert (
            world.master.jobs.trials == world.study.limit == len({it.trial for it in over} - {-1})
        )
        handed = {it.attempt.job for it in assignments(world.lines)}
        assert {(it.trial, it.rung) for it in decided if isinstance(it, Chosen)} <= handed


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_waits_longer_than_the_others_need_where_all_live(seed: int) -> None:
    world = draw_world(seed, HARMS["calm"])
    world.run()
    most = min(world.study.max_concurrent or 99, len(world.members))
    for it in assignments(world.lines):
        takes = 1 if it.attempt.trial == BASELINE else world.study.sizes.of(it.attempt.rung)
        assert len(it.others) + 1 == min(takes, most)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_rank_spoils_few_jobs(seed: int) -> None:
    world = draw_world(seed, HARMS["a broken rank"])
    world.run()
    jobs = {it.attempt.job for it in assignments(world.lines) if 1 in {it.rank, *it.others}}
    assert len(jobs) <= QUARANTINE + 2, "in a row, and when it is tried again"


class Mixed:
    """A scheduler of jobs of all sizes, in an order of its own, each of which is a trial."""

    rungs = (1, 2, 3, 4)
    promotable = awaits = False

    def __init__(self, seed: int, count: int) -> None:
        """Draw them: as much work in each size."""
        shares = {0: 8, 1: 4, 2: 2, 3: 1}
        random = Random(seed)  # noqa: S311 - not for secrets
        self._left = random.choices(list(shares), list(shares.values()), k=count)
        self._begun = 0

    def ask(self, *, may_start: bool, rungs: int) -> Job | None:
        """Give the first that may be begun."""
        place = next((at for at, rung in enumerate(self._left) if rung < rungs), None)
        if place is None or not may_start:
            return None
        rung = self._left.pop(place)
        self._begun += 1
        return Job(self._begun - 1, rung, self.rungs[rung], {"x": 0.5})

    def adopt(self, job: Job) -> None:
        """Know of it."""

    def tell(self, job: Job, _loss: float, _metrics: Metrics) -> list[int]:
        """Be done with it."""
        return [job.trial]


LONGEST_S = 15.0


def longest_wait_s(world: GroupWorld) -> float:
    """Tell how long a job has waited for ranks at most."""
    chosen: dict[tuple[int, int], float] = {}
    longest_s = 0.0
    for line in world.lines:
        for it in line.decisions if isinstance(line, Entry) else ():
            match it:
                case Chosen(trial, rung):
                    chosen[trial, rung] = line.at
                case Assigned(attempt=attempt):
                    longest_s = max(longest_s, line.at - chosen.get(attempt.job, line.at))
                case _:
                    pass
    return longest_s


@pytest.mark.parametrize(("seed", "most"), [(0, 64), (1, 64), (2, 64), (0, 32), (1, 32)])
def test_slots_of_mixed_size_keep_nearly_all_ranks_busy_that_may_be(
    seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, ranks = 1500, 64
    monkeypatch.setattr(Study, "scheduler", lambda *_: Mixed(seed, count))
    study = Study(
        ranks=ranks,
        limit=None,
        sizes=Sizes((1, 2, 4, 8)),
        patience_s=99.0,
        seed=seed,
        max_concurrent=most,
    )
    draws = Random(f"{seed}/takes")  # noqa: S311 - not for secrets
    world = GroupWorld(study, ranks, Harm(), takes_s=lambda _: draws.uniform(5.0, LONGEST_S))
    monkeypatch.setattr("tests.harness.group_world.rederive", lambda *_: None)  # of what is drawn
    world.run()
    begun = [it.at for it in world.lines if isinstance(it, Entry) and it.decisions]
    assert len(assignments(world.lines)) == count
    assert longest_wait_s(world) < 3 * LONGEST_S, "nobody starves"
    assert world.busy_s / (most * (world.now - begun[0])) > (0.95 if most == ranks else 0.93)


# -- what becomes of a group -----------------------------------------------------------------------

FIRST = AttemptId(0, 0, 1)


def group(size: int = 3, ranks: int = 4) -> tuple[Master, list[tuple[int, Assign]]]:
    """Have a group at work."""
    roster = Roster(list(range(1, ranks + 1)), 10.0, 30.0, 0.0)
    study = Study(limit=1)
    master = Master(study.jobs(), roster, Rules(max_trials=1, sizes=Sizes((size,))), 0)
    orders = []
    for rank in range(1, ranks + 1):
        orders += master.handle(Heard(rank, Ready(f"node{rank % 2}", rank)), 1.0).orders
    return master, [(rank, order) for rank, order in orders if isinstance(order, Assign)]


def test_a_group_is_told_who_it_is_and_begins_when_enough_are_idle() -> None:
    _, orders = group()
    assert [rank for rank, _ in orders] == [1, 3, 2], "first what is on one node"
    members = [order.member for _, order in orders]
    assert [it and it.index for it in members] == [0, 1, 2]
    assert {it and it.hosts for it in members} == {("node1", "node1", "node0")}
    assert len({order.seed for _, order in orders}) == 1


def test_the_first_to_fail_decides_and_the_others_are_cancelled() -> None:
    master, _ = group()
    reaction = master.handle(Heard(2, Failed(FIRST, FailureKind.CRASH, "gone")), 2.0)
    assert reaction.orders[:2] == [(1, Cancel(FIRST)), (3, Cancel(FIRST))]
    assert reaction.entry is not None
    assert reaction.entry.decisions == (Failure(FIRST, FailureKind.CRASH),)
    late = master.handle(Heard(3, Failed(FIRST, FailureKind.EXCEPTION, "peer")), 2.1)
    assert late.entry is not None
    assert Parted(FIRST, 3) in late.entry.decisions
    assert master.jobs.open[FIRST.job].failures == 1


def test_what_has_failed_on_a_rank_is_tried_again_without_it() -> None:
    master, begun = group(size=2)
    assert [rank for rank, _ in begun] == [1, 2]
    reaction = master.handle(Heard(2, Failed(FIRST, FailureKind.CRASH, "gone")), 2.0)
    again = [rank for rank, order in reaction.orders if isinstance(order, Assign)]
    assert sorted(again) == [3, 4], "though 2 and 4 are on one node"


def test_what_a_member_says_twice_gives_no_job_up() -> None:
    master, _ = group()
    said = FailureKind.EXCEPTION, "connection closed by peer"
    for number in (1, 2):
        attempt = FIRST._replace(number=number)
        held = [rank for rank, it in master.roster.workers.items() if it.held == attempt]
        for rank in held:
            master.handle(Heard(rank, Failed(attempt, *said)), 2.0 * number)
    assert master.jobs.open[FIRST.job].failures == 2


def test_a_lost_member_that_comes_back_is_cancelled_and_its_loss_forgiven() -> None:
    master, _ = group()
    reaction = master.handle(Silent((2,)), 2.0)
    assert [rank for rank, order in reaction.orders if isinstance(order, Cancel)] == [1, 3]
    assert master.jobs.open[FIRST.job].lost == [1]
    back = master.handle(Heard(2, Ready("node0", 2)), 3.0)
    assert (2, Cancel(FIRST)) in back.orders
    assert master.jobs.open[FIRST.job].lost == []


def test_where_fewer_ranks_are_left_than_a_job_takes_it_takes_those() -> None:
    master, _ = group(size=4)
    master.handle(Silent((2,)), 2.0)
    orders = []
    for rank in (1, 3, 4):
        failed = Failed(FIRST, FailureKind.EXCEPTION, "peer")
        orders += master.handle(Heard(rank, failed), 3.0).orders
    assigned = [order for _, order in orders if isinstance(order, Assign)]
    assert [len(it.member.ranks) for it in assigned if it.member] == [3, 3, 3]


LONGEST_START_S = 5.0


def first_at_the_top_s(sizes: Sizes, seed: int) -> tuple[float, float]:
    """Tell when a study of 64 ranks has its first result at R, and what rank-time is spent by then.

    A job that takes n ranks is n times as fast.
    """
    study = Study(high=27, limit=None, target_loss=1e9, patience_s=99.0, sizes=sizes, seed=seed)
    paces = Random(f"{seed}/paces")  # noqa: S311 - not for secrets
    pace_s = [paces.lognormvariate(0.0, 0.5) for _ in range(10_000)]

    def takes_s(order: Assign) -> float:
        assert order.member is not None
        work_s = (order.resource - order.saved) * pace_s[order.attempt.trial]
        return work_s / len(order.member.ranks)

    world = GroupWorld(study, 64, Harm(), takes_s)
    world.run()
    return world.now - LONGEST_START_S, world.busy_s


def test_groups_that_grow_bring_the_first_result_at_the_top_much_sooner() -> None:
    for seed in range(3):
        alone_s, alone_spent_s = first_at_the_top_s(Sizes((1, 1, 1, 1, 2)), seed)
        grown_s, grown_spent_s = first_at_the_top_s(Sizes((1,), 3), seed)
        assert alone_s / grown_s > 3
        assert grown_spent_s < 1.5 * alone_spent_s
