"""Fronts and crowding, beside what the papers say, peeled and counted anew."""

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hpmpi.model.fronts import Fronts, Ranked, crowding, dominates
from hpmpi.model.trial import Losses
from tests.harness.choices import best_of_several

points = st.integers(2, 4).flatmap(
    lambda metrics: st.lists(
        st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 1.0, 3.0]) for _ in range(metrics)]),
        min_size=1,
        max_size=40,
    )
)


def added(points: Sequence[Losses]) -> Fronts:
    """Add one after the other, as they come."""
    fronts = Fronts()
    for number, losses in enumerate(points):
        fronts.add(losses, number)
    return fronts


def sets(fronts: Fronts) -> list[set[int]]:
    """Name who is on which front."""
    return [{it.number for it in front} for front in fronts.fronts]


def peeled(points: list[Losses]) -> list[set[int]]:
    """Take away, again and again, what nothing dominates."""
    left, fronts = dict(enumerate(points)), []
    while left:
        front = {
            number
            for number, losses in left.items()
            if not any(dominates(other, losses) for other in left.values())
        }
        fronts.append(front)
        left = {number: losses for number, losses in left.items() if number not in front}
    return fronts


@given(points)
def test_fronts_are_what_is_peeled_off(points: list[Losses]) -> None:
    assert sets(added(points)) == peeled(points)


@given(points)
def test_fronts_do_not_depend_on_the_order(points: list[Losses]) -> None:
    ranked = [Ranked(losses, number) for number, losses in enumerate(points)]
    assert sets(Fronts(ranked)) == sets(Fronts(reversed(ranked))) == sets(added(points))


@given(points)
def test_the_best_are_those_of_brute_force(points: list[Losses]) -> None:
    expected = best_of_several([(losses, number, number) for number, losses in enumerate(points)])
    for count in (1, 3, len(points)):
        assert added(points).best(count) == [number for _, _, number in expected[:count]]


@given(points)
def test_the_first_of_all_is_an_end_of_the_first_front(points: list[Losses]) -> None:
    [first, *_] = added(points).fronts
    columns = zip(*(it.losses for it in first), strict=True)
    best = points[added(points).best(1)[0]]
    ends = zip(best, columns, strict=True)
    assert any(value in (min(column), max(column)) for value, column in ends)


def test_who_is_least_crowded_comes_before_who_is_more() -> None:
    line = [(0.0, 10.0), (1.0, 6.0), (2.0, 5.0), (3.0, 4.0), (10.0, 0.0)]
    assert crowding(line) == {
        line[0]: math.inf,
        line[1]: 2 / 10 + 5 / 10,
        line[2]: 2 / 10 + 2 / 10,
        line[3]: 8 / 10 + 5 / 10,
        line[4]: math.inf,
    }
    assert added(line).best(5) == [0, 4, 3, 1, 2]


def test_of_equal_ones_the_first_has_the_distance() -> None:
    assert added([(0.0, 2.0), (0.0, 2.0), (1.0, 1.0), (2.0, 0.0)]).best(4) == [0, 3, 2, 1]


def test_where_all_are_the_same_the_first_comes_first() -> None:
    assert added([(1.0, 1.0)] * 4).best(4) == [0, 1, 2, 3]


def test_what_lies_too_far_apart_for_a_float_is_ranked_too() -> None:
    far = [(-1.7e308, 3.0), (1.7e308, 0.0), (0.0, 1.0), (1.0, 0.5)]
    assert added(far).best(4) == [0, 1, 2, 3]


@given(points)
def test_a_front_that_is_behind_is_dominated(points: list[Losses]) -> None:
    for front, behind in pairwise(added(points).fronts):
        for member in behind:
            assert any(dominates(other.losses, member.losses) for other in front)
