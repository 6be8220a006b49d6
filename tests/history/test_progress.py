"""Laws of how far a study is, and of what it takes to go on from a rung."""

import math
from itertools import islice
from random import Random

import pytest

from hpmpi.history.contest import contest_of
from hpmpi.history.history import History
from hpmpi.history.overview import overview
from hpmpi.history.progress import left_s, share_done
from hpmpi.master.schedulers.asha import Rung
from hpmpi.model.messages import FailureKind, Outcome, Point
from hpmpi.model.records import Line
from hpmpi.model.trial import WORST
from hpmpi.study.settings import Settings, StopTable
from tests.harness.histories import (
    assigned,
    deadline,
    ended,
    failure,
    history,
    large,
    lost,
    progress,
    result,
    started,
)


def study(**stop: float) -> str:
    """Write a study by ASHA that ends by these limits."""
    scheduler = {"method": "asha", "eta": 3, "max_resource": 9}
    return Settings("mine", {}, "t:t", scheduler=scheduler, stop=StopTable(**stop)).toml()  # type: ignore[arg-type]


def test_the_share_that_is_done_never_falls_and_ends_with_all() -> None:
    start = started(ranks=8, rungs=[1, 3, 9, 27, 81], settings=study(max_trials=81))
    told, shares = History(), []
    for line in (start, *islice(large(81, ranks=8), 1, None)):
        told.add(line)
        shares.append(share_done(told, told.at) or 0.0)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert 0.9 < shares[-2] <= 1.0


def test_more_promotions_than_were_expected_are_not_more_than_all() -> None:
    jobs = [
        line
        for trial in range(3)
        for rung in range(2)
        for line in (assigned(trial, rung), result(trial, 0.5, rung))
    ]
    assert share_done(history(*jobs, settings=study(max_trials=3)), 4.0) == 1.0


def test_the_time_counts_where_it_ends_first_and_nothing_where_nothing_ends_it() -> None:
    jobs = [assigned(0), result(0, 0.5, at=2.0)]
    assert share_done(history(*jobs, settings=study(max_trials=1000, time_s=10)), 4.0) == 0.4
    assert share_done(history(*jobs), 4.0) is None
    assert left_s(history(*jobs), 4.0) is None
    assert left_s(history(*jobs, settings=study(time_s=10)), 4.0) == pytest.approx(6.0)
    drains = deadline(20.0, 1e9, 5.0, at=3.0)
    assert left_s(history(*jobs, drains, settings=study(time_s=10)), 4.0) == 1.0


def test_what_runs_is_told_with_what_it_has_come_to_last() -> None:
    lines: list[Line] = [
        *(assigned(trial, rank=trial + 1) for trial in range(3)),
        progress(0, Point(1, {"loss": 0.9}), Point(2, {"loss": 0.8})),
        progress(1, Point(1, {"loss": 0.7}), rank=2),
        result(1, 0.5, rank=2, at=3.0),
        assigned(1, 1, rank=2, at=3.0),
        lost(3, (2, 0, 1), at=4.0),
    ]
    view = overview(history(*lines), 10.0, top=5)
    told = [(it.standing.trial, it.newest) for it in view.running]
    assert told == [(1, Point(1, {"loss": 0.5})), (0, Point(2, {"loss": 0.8}))]
    assert (view.tried, view.rate, view.improved_at) == (1, 360.0, 3.0)
    assert [(it.times, it.newest.kind) for it in view.failures] == [(1, FailureKind.LOST)]
    assert overview(history(*lines), 10.0, top=5, going_on=False).running == []


@pytest.mark.parametrize("seed", range(5))
def test_who_may_go_on_is_who_asha_promotes(seed: int) -> None:
    draws, rung = Random(seed), Rung(3)  # noqa: S311 - not for secrets
    lines: list[Line] = []
    for trial in range(20):
        loss = draws.choice([draws.random(), 0.5, float("nan")])
        lines += [assigned(trial), result(trial, loss)]
        rung.add(trial, WORST if math.isnan(loss) else loss, {})
    lines += [assigned(20), failure(20, final=True)]
    rung.add(20, WORST, {})
    told = history(*lines, settings=study(max_trials=30))
    promoted = {*iter(rung.promote, None)}
    contest = contest_of(told, told.trials[0])
    assert contest is not None
    assert (contest.count, contest.winners) == (21, 7)
    places = {trial: contest.place(trial) for trial in range(21)}
    assert {it for it, place in places.items() if place and place <= 7} == promoted


def test_of_schedulers_that_promote_otherwise_nothing_is_known() -> None:
    told = history(assigned(0), result(0, 0.5), ended(Outcome.COMPLETE))
    assert contest_of(told, told.trials[0]) is None
