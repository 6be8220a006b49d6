"""How far rungs agree, by figures that scipy has, too."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpmpi.history.agreement import FEWEST, Agreement, agreements, spearman
from hpmpi.model.records import Line
from tests.harness.histories import assigned, history, result, stopped

LOSSES = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.floats(allow_nan=False)), min_size=2, max_size=30
)


@given(LOSSES)
def test_a_correlation_is_scipys(pairs: list[tuple[float, float]]) -> None:
    one, other = map(list, zip(*pairs, strict=True))
    found = spearman(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
        return
    ranks = [stats.rankdata(it, method="average") for it in (one, other)]
    assert found == pytest.approx(stats.pearsonr(*ranks)[0], abs=1e-12)


def promoted(trial: int, *losses: float) -> list[Line]:
    """Have a trial come to a loss at each rung, from the lowest on."""
    return [
        line
        for rung, loss in enumerate(losses)
        for line in (assigned(trial, rung), result(trial, loss, rung))
    ]


def climbed(*losses: tuple[float, ...]) -> list[Line]:
    """Have trials climb."""
    return [line for trial, its in enumerate(losses) for line in promoted(trial, *its)]


def test_rungs_are_compared_by_who_has_results_of_both() -> None:
    went_on = [(float(trial), float(-trial)) for trial in range(FEWEST)]
    told = history(*climbed(*went_on, (0.5,), (math.nan,)))
    assert agreements(told) == [Agreement(0, 1, 3, FEWEST, -1.0)]


def test_few_trials_say_nothing() -> None:
    assert agreements(history(*climbed(*[(float(it), float(it)) for it in range(7)]))) == []


def test_equal_losses_say_nothing() -> None:
    assert agreements(history(*climbed(*[(0.5, float(it)) for it in range(20)]))) == []


def test_each_rung_is_compared_with_the_next() -> None:
    told = history(*climbed(*[(float(it), float(it), float(-it)) for it in range(9)]))
    assert [(it.rung, it.above, it.correlation) for it in agreements(told)] == [
        (0, 3, 1.0),
        (1, 9, -1.0),
    ]
    assert [it.is_low for it in agreements(told)] == [False, True]


def test_what_is_no_number_is_the_worst_of_both() -> None:
    told = history(*climbed(*[(float(it), float(it)) for it in range(7)], (math.inf, math.nan)))
    assert [it.correlation for it in agreements(told)] == [1.0]


def test_what_was_stopped_has_no_result() -> None:
    lines = climbed(*[(float(it), float(it)) for it in range(FEWEST)])
    more = [assigned(8), result(8, 0.5), assigned(8, 1), stopped(8, rung=1)]
    assert [it.trials for it in agreements(history(*lines, *more))] == [FEWEST]
