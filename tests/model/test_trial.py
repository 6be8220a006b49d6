"""Goals and seeds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.master.seeds import seed_of
from hpmpi.model.trial import WORST, Goal, Job, JobKey

NO_NUMBERS = [math.nan, math.inf, -math.inf]
numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_no_number_is_the_worst_whatever_the_mode(mode: str, value: float) -> None:
    assert Goal("m", mode).loss({"m": value}) == WORST  # type: ignore[arg-type]


@given(numbers, numbers)
def test_less_is_better_whatever_the_mode(one: float, other: float) -> None:
    smallest, greatest = Goal("m", "min"), Goal("m", "max")
    assert (smallest.signed(one) < smallest.signed(other)) == (one < other)
    assert (greatest.signed(one) < greatest.signed(other)) == (one > other)


@given(numbers)
def test_any_number_is_better_than_none(value: float) -> None:
    assert Goal("m", "min").signed(value) < WORST
    assert Goal("m", "max").signed(value) < WORST


def test_only_the_studied_metric_counts() -> None:
    assert Goal("b", "min").loss({"a": 1.0, "b": 2.0, "c": math.nan}) == 2.0


def test_a_seed_is_32_bits_and_one_for_each_trial_and_study() -> None:
    seeds = [seed_of(study, trial) for study in range(12) for trial in range(200)]
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


def test_a_seed_is_the_same_on_every_machine_and_day() -> None:
    seeds = [seed_of(0, 0), seed_of(0, 1), seed_of(7, 0)]
    assert seeds == [1735201683, 3278692055, 1718373188]


def test_a_job_is_known_by_its_trial_and_rung() -> None:
    assert Job(3, 1, 9, {"x": 0.5}).key == JobKey(3, 1)
