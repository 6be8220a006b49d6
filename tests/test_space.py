"""Spaces: what may be tuned, and the unit cube."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.errors import SpaceError
from hpmpi.space import Choice, Dimension, Float, Int, Space
from hpmpi.trial import Value
from tests.build import SPACE

BELOW_ONE = math.nextafter(1.0, 0.0)
units = st.floats(0.0, BELOW_ONE)
bounds = st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)).filter(
    lambda pair: pair[0] < pair[1]
)
positive_bounds = st.tuples(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300)).filter(
    lambda pair: pair[0] < pair[1]
)
whole_bounds = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).filter(
    lambda pair: pair[0] < pair[1]
)


@given(bounds, units)
def test_a_float_is_never_out_of_its_bounds(pair: tuple[float, float], unit: float) -> None:
    dimension = Float(*pair)
    assert dimension.holds(dimension.at(unit))


@given(positive_bounds, units)
def test_a_log_float_is_never_out_of_its_bounds(pair: tuple[float, float], unit: float) -> None:
    dimension = Float(*pair, log=True)
    assert dimension.holds(dimension.at(unit))


@given(whole_bounds, units)
def test_a_whole_number_is_never_out_of_its_bounds(pair: tuple[int, int], unit: float) -> None:
    for dimension in (Int(*pair), Int(*pair, log=True)):
        assert dimension.holds(dimension.at(unit))


@pytest.mark.parametrize(
    "dimension", [Float(1.0, 100.0), Float(1.0, 100.0, log=True), Int(1, 9), Int(1, 9, log=True)]
)
def test_the_ends_of_the_unit_interval_are_the_bounds(dimension: Float | Int) -> None:
    assert dimension.at(0.0) == dimension.low
    assert dimension.at(BELOW_ONE) == pytest.approx(dimension.high)


def test_each_whole_number_and_each_choice_has_the_same_share() -> None:
    grid = [(step + 0.5) / 1000 for step in range(1000)]
    assert set(Counter(map(Int(3, 12).at, grid)).values()) == {100}
    assert set(Counter(map(Choice(["a", "b", "c", "d"]).at, grid)).values()) == {250}


def test_a_log_dimension_gives_each_factor_the_same_share() -> None:
    grid = [(step + 0.5) / 1000 for step in range(1000)]
    assert sum(Float(0.01, 100.0, log=True).at(unit) < 1 for unit in grid) == 500
    # From 1 to 16: as much for [1, 4) as for [4, 16).
    assert sum(Int(1, 15, log=True).at(unit) < 4 for unit in grid) == 500


def test_a_point_becomes_a_configuration_in_the_order_of_the_study_file() -> None:
    config = SPACE.at([0.0] * len(SPACE.dimensions))
    assert list(config) == list(SPACE.dimensions)
    assert list(config.values()) == [0.0, pytest.approx(1e-4), 1, 8, "sgd"]


def test_a_point_has_one_coordinate_for_each_dimension() -> None:
    with pytest.raises(ValueError, match="shorter"):
        SPACE.at([0.5])


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        (Float(1.0, 1.0), "must be less than"),
        (Float(2.0, 1.0), "must be less than"),
        (Int(5, 4), "must be less than"),
        (Float(math.nan, 1.0), "must be finite"),
        (Float(0.0, math.inf), "must be finite"),
        (Float(0.0, 1.0, log=True), "greater than 0"),
        (Int(0, 9, log=True), "greater than 0"),
        (Choice(["a", "b", "a"]), "'a' stands twice"),
        (Choice([1.0, math.inf]), "inf must be finite"),
        (Choice([math.nan]), "nan must be finite"),
    ],
)
def test_a_dimension_that_makes_no_sense_says_so(dimension: Dimension, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        dimension.check()


@pytest.mark.parametrize("dimension", [*SPACE.dimensions.values(), Choice([1, 1.0, True])])
def test_a_dimension_that_makes_sense_is_taken(dimension: Dimension) -> None:
    dimension.check()


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (Float(0.0, 1.0), 1.5),
        (Float(0.0, 1.0), math.nan),
        (Float(0.0, 1.0), "0.5"),
        (Float(0.0, 1.0), True),
        (Int(0, 9), 3.0),
        (Int(0, 9), 10),
        (Int(0, 9), True),
        (Choice([1, 2]), 1.0),
        (Choice([1, 2]), True),
        (Choice(["1"]), 1),
    ],
)
def test_what_looks_like_a_value_but_is_none_is_refused(
    dimension: Dimension, value: float | str
) -> None:
    assert not dimension.holds(value)
    with pytest.raises(SpaceError, match="it takes"):
        Space({"name": dimension}).check({"name": value})


def test_a_whole_number_may_stand_for_a_float() -> None:
    Space({"x": Float(0.0, 5.0)}).check({"x": 3})


def test_a_name_that_is_not_in_the_space_is_told_which_are() -> None:
    with pytest.raises(SpaceError, match=r"'y' is not in \[space\], which has: x, rate, layers"):
        SPACE.check({"y": 1})


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        (Float(0.0, 1.0), " 5e-1", 0.5),
        (Float(0.0, 1.0), "half", "half"),
        (Int(0, 9), "7 ", 7),
        (Int(0, 9), "7.0", "7.0"),
        (Choice([16, 0.5]), "16.0", 16),
        (Choice([16, 0.5]), "big", "big"),
        (Choice([True, False]), "TRUE", True),
        (Choice(["sgd ", "1"]), " sgd", "sgd "),
        (Choice(["sgd", "1"]), "1", "1"),
    ],
)
def test_a_text_is_read_as_what_the_dimension_holds(
    dimension: Dimension, text: str, value: Value
) -> None:
    found = dimension.read(text)
    assert (found, type(found)) == (value, type(value))


def test_a_text_that_may_be_two_values_is_none() -> None:
    with pytest.raises(SpaceError, match=r"'1' may be 1 or '1'; JSON can tell them apart"):
        Choice([1, "1"]).read("1")


def test_a_whole_configuration_is_ordered_as_the_space_is() -> None:
    space = Space({"x": Float(0.0, 5.0), "layers": Int(1, 4)})
    config = space.whole({"layers": 2, "x": 3})
    assert list(config.items()) == [("x", 3.0), ("layers", 2)]
    assert type(config["x"]) is float
    with pytest.raises(SpaceError, match="there is no x; each of"):
        space.whole({"layers": 2})


def test_examples_lie_in_the_space_and_apart() -> None:
    examples = SPACE.examples()
    assert examples == SPACE.examples()
    for config in examples:
        SPACE.check(config)
    assert len({tuple(config.values()) for config in examples}) > len(examples) / 2
