"""What there is time for before the allocation ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.errors import ReplayError
from hpmpi.history.bounds import check_deadline
from hpmpi.master.time_left import NEWEST, AllocationEnd, TimeLeft
from hpmpi.model.events import Due

DEADLINE = AllocationEnd(ends_at=130.0, epoch_s=1.7e9, drains_at=100.0)

durations = st.lists(st.floats(0.0, 200.0), max_size=2 * NEWEST)


def pace_of(*took_s: list[float]) -> TimeLeft:
    """Know what the jobs of each rung took, and when the allocation ends."""
    pace = TimeLeft()
    pace.deadline = DEADLINE
    for rung, each in enumerate(took_s):
        for one in each:
            pace.learn(rung, one)
    return pace


def test_a_rung_fits_as_long_as_half_of_its_jobs_would_be_done() -> None:
    pace = pace_of([1.0, 10.0, 50.0])
    assert [pace.rungs_at(at, 1) for at in (0.0, 90.0, 90.1, 200.0)] == [1, 1, 0, 0]


def test_of_two_jobs_the_longer_one_tells() -> None:
    pace = pace_of([1.0, 10.0])
    assert (pace.rungs_at(90.0, 1), pace.rungs_at(95.0, 1)) == (1, 0)


def test_all_above_a_rung_that_does_not_fit_are_out() -> None:
    pace = pace_of([1.0], [20.0], [1.0], [])
    assert [pace.rungs_at(at, 4) for at in (80.0, 85.0, 99.5)] == [4, 1, 0]


def test_what_is_not_known_fits() -> None:
    assert pace_of([], [], []).rungs_at(99.0, 3) == 3
    assert pace_of([1.0], [], [50.0]).rungs_at(90.0, 3) == 2


@pytest.mark.parametrize("left_s", [1.0, 0.0, -1e9])
def test_without_a_deadline_all_fit(left_s: float) -> None:
    pace = pace_of([1e9], [1e9])
    pace.deadline = None
    assert pace.rungs_at(DEADLINE.drains_at - left_s, 2) == 2


def test_where_jobs_save_all_fit() -> None:
    pace = pace_of([1e9], [1e9])
    assert pace.rungs_at(0.0, 2) == 0
    pace.saves = True
    assert pace.rungs_at(0.0, 2) == 2


def test_jobs_that_have_become_short_fit_again() -> None:
    pace = pace_of([90.0] * NEWEST)
    assert pace.rungs_at(50.0, 1) == 0
    for _ in range(NEWEST):
        pace.learn(0, 10.0)
    assert pace.rungs_at(50.0, 1) == 1


def test_there_may_come_to_be_more_rungs() -> None:
    pace = pace_of([1.0], [20.0])
    assert [pace.rungs_at(85.0, rungs) for rungs in (1, 2, 3)] == [1, 1, 1]
    assert [pace.rungs_at(75.0, rungs) for rungs in (1, 2, 3)] == [1, 2, 3]


@given(st.lists(durations, min_size=1, max_size=4), st.floats(-10.0, 150.0))
def test_only_the_newest_count(took_s: list[list[float]], at: float) -> None:
    newest = pace_of(*(it[-NEWEST:] for it in took_s))
    assert pace_of(*took_s).rungs_at(at, len(took_s)) == newest.rungs_at(at, len(took_s))


@given(st.lists(durations, min_size=1, max_size=4), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_the_less_time_is_left_the_less_fits(
    took_s: list[list[float]], one: float, other: float
) -> None:
    pace = pace_of(*took_s)
    assert pace.rungs_at(max(one, other), len(took_s)) <= pace.rungs_at(
        min(one, other), len(took_s)
    )


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ends_at": NAN},
        {"ends_at": INF},
        {"ends_at": 1e11},
        {"drains_at": NAN},
        {"drains_at": -INF},
        {"drains_at": 131.0},
        {"epoch_s": NAN},
        {"epoch_s": -1.0},
        {"epoch_s": 1e11},
    ],
)
def test_a_deadline_that_can_not_be_is_nonsense(wrong: dict[str, float]) -> None:
    ends_at, epoch_s, drains_at = DEADLINE._replace(**wrong)
    with pytest.raises(ReplayError, match="is no deadline"):
        check_deadline(Due(ends_at, epoch_s), drains_at)


@pytest.mark.parametrize("ends_at", [-1e6, 0.0, 3e9])
def test_an_allocation_may_have_ended_or_end_in_a_hundred_years(ends_at: float) -> None:
    check_deadline(Due(ends_at, 1.7e9 + ends_at), ends_at - 30.0)
