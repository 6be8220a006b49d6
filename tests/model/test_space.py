"""Spaces: what may be tuned, and the unit cube."""

import math
from collections import Counter
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.errors import SpaceError
from hpmpi.model.dimensions import Choice, Dimension, Float, Int
from hpmpi.model.space import Space
from hpmpi.model.trial import Value
from tests.harness.build import SPACE

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
    assert dimension.fit(value := dimension.at(unit)) == value


@given(positive_bounds, units)
def test_a_log_float_is_never_out_of_its_bounds(pair: tuple[float, float], unit: float) -> None:
    dimension = Float(*pair, log=True)
    assert dimension.fit(value := dimension.at(unit)) == value


@given(whole_bounds, units)
def test_a_whole_number_is_never_out_of_its_bounds(pair: tuple[int, int], unit: float) -> None:
    for dimension in (Int(*pair), Int(*pair, log=True)):
        assert dimension.fit(value := dimension.at(unit)) == value


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
        (Float(2.0, 1.0), "must not be greater than"),
        (Int(5, 4), "must not be greater than"),
        (Float(math.nan, 1.0), "must be finite"),
        (Float(0.0, math.inf), "must be finite"),
        (Float(0.0, 1.0, log=True), "greater than 0"),
        (Int(0, 9, log=True), "greater than 0"),
        (Choice(["a", "b", "a"]), "'a' stands twice"),
        (Float(0.0, 1.0, step=0.0), "step = 0.0 must be greater than 0"),
        (Float(0.0, 1.0, step=-0.1), "step = -0.1 must be greater than 0"),
        (Float(0.0, 1.0, step=math.nan), "step = nan must be greater than 0"),
        (Float(0.0, 1.0, step=1.5), "step = 1.5 is more than there is from low = 0.0"),
        (Float(0.0, 1.0, step=1e-11), "step = 1e-11 is too small"),
        (Float(0.1, 1.0, log=True, step=0.1), "step = 0.1 does not go with log = true"),
        (Int(1, 9, log=True, step=2), "step = 2 does not go with log = true"),
        (Int(1, 9, step=9), "step = 9 is more than there is from low = 1 to high = 9"),
        (Choice([[1, 2], [1, 2]]), r"\[1, 2\] stands twice"),
        (Choice([{"a": [1]}, {"a": [1]}]), "stands twice"),
        (Choice([[64, {"p": math.inf}]]), "inf must be finite"),
        (Choice([[2**60]]), "is too large"),
        (Choice([[date(2026, 1, 1)]]), "is neither number, text, truth value, list nor table"),
        (Choice([1.0, math.inf]), "inf must be finite"),
        (Choice([math.nan]), "nan must be finite"),
    ],
)
def test_a_dimension_that_makes_no_sense_says_so(dimension: Dimension, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        dimension.check()


@pytest.mark.parametrize(
    "dimension",
    [
        *SPACE.dimensions.values(),
        Choice([1, 1.0, True]),
        Choice([[1], [1.0], [True], ["1"], {"a": 1}, {"a": 1.0}, {"b": 1}, []]),
        Float(0.4, 0.7, step=0.3),
        Float(1.0, 1.0),
        Int(3, 3),
    ],
)
def test_a_dimension_that_makes_sense_is_taken(dimension: Dimension) -> None:
    dimension.check()


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (Float(0.0, 1.0), 1.5),
        (Float(0.0, 1.0), math.nan),
        (Float(0.0, 1.0), "0.5"),
        (Float(0.0, 1.0), True),
        (Int(0, 9), 3.5),
        (Int(0, 9), 10),
        (Int(0, 9), True),
        (Choice([1, 2]), 1.0),
        (Choice([1, 2]), True),
        (Choice(["1"]), 1),
        (Choice([[1, 2]]), [1, 2.0]),
        (Choice([{"a": 1}]), {"a": True}),
        (Choice([[1, 2]]), [1]),
        (Float(0.0, 0.5, step=0.05), 0.07),
        (Float(0.0, 0.48, step=0.05), 0.48),
        (Int(32, 512, step=32), 33),
        (Int(0, 9), math.inf),
        (Float(0.0, 1.0), 10**400),
        (Float(0.0, 1.0), np.array([0.5, 0.5])),
    ],
)
def test_what_looks_like_a_value_but_is_none_is_refused(
    dimension: Dimension, value: object
) -> None:
    with pytest.raises(SpaceError, match="it takes"):
        dimension.fit(value)
    with pytest.raises(SpaceError, match="it takes"):
        Space({"name": dimension}).part({"name": value})


@pytest.mark.parametrize(
    ("dimension", "given", "value"),
    [
        (Float(0.0, 5.0), 3, 3.0),
        (Float(0.0, 5.0), np.float32(0.5), 0.5),
        (Float(0.0, 5.0), np.int64(3), 3.0),
        (Float(0.1, 0.7, step=0.1), 0.1 + 0.2, 0.3),
        (Float(0.1, 0.7, step=0.1), 0.7000000000000001, 0.7),
        (Int(0, 9), 3.0, 3),
        (Int(0, 9), np.int64(3), 3),
        (Int(0, 9), np.float64(3.0), 3),
        (Choice([16, 32]), np.int64(32), 32),
        (Choice(["a", "b"]), np.str_("b"), "b"),
        (Choice([[64, 32]]), (64, 32), [64, 32]),
        (Choice([[64, 32]]), np.array([64, 32]), [64, 32]),
        (Choice([{"layers": [1, 2]}]), {"layers": (1, 2)}, {"layers": [1, 2]}),
    ],
)
def test_what_stands_for_a_value_becomes_it(
    dimension: Dimension, given: object, value: Value
) -> None:
    config = Space({"name": dimension}).whole({"name": given})
    assert msgspec.json.encode(config) == msgspec.json.encode({"name": value})


@pytest.mark.parametrize(
    ("dimension", "levels"),
    [
        (Int(32, 100, step=32), [32, 64, 96]),
        (Int(-1, 1), [-1, 0, 1]),
        (Int(3, 3), [3]),
        (Float(0.0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (Float(0.1, 0.55, step=0.2), [0.1, 0.3, 0.5]),
        (Float(0.4, 0.7, step=0.3), [0.4, 0.7]),
        (Float(2.0, 2.0), [2.0]),
        (Float(2.0, 2.0, log=True), [2.0]),
        (Choice([[1], "a"]), [[1], "a"]),
    ],
)
def test_a_finite_dimension_has_its_levels_each_with_the_same_share(
    dimension: Dimension, levels: list[Value]
) -> None:
    assert dimension.size == len(levels)
    assert [dimension.level(number) for number in range(len(levels))] == levels
    parts = 12 * len(levels)
    drawn = [dimension.at((part + 0.5) / parts) for part in range(parts)]
    assert [drawn.count(level) for level in levels] == [12] * len(levels)
    assert all(dimension.fit(level) == level for level in levels)


@given(st.floats(-1e6, 1e6), st.integers(1, 10**5), st.floats(1e-3, 1e3))
def test_a_float_with_a_step_has_its_last_level_where_its_high_is(
    low: float, steps: int, step: float
) -> None:
    dimension = Float(low, low + steps * step, step=step)
    dimension.check()
    assert dimension.size == steps + 1
    last = dimension.level(steps)
    assert dimension.fit(last) == last == pytest.approx(dimension.high, rel=1e-11, abs=1e-9)


@given(bounds, units)
def test_what_is_drawn_has_12_digits_or_is_a_bound(pair: tuple[float, float], unit: float) -> None:
    value = Float(*pair).at(unit)
    assert value in pair or float(f"{value:.12g}") == value


def test_a_whole_number_by_its_logarithm_is_the_same_however_exp_is_rounded() -> None:
    dimension = Int(1, 2**53, log=True)
    for unit in (0.1, 0.5, 0.9, 0.999):
        assert len(str(dimension.at(unit)).rstrip("0")) <= 12


@pytest.mark.parametrize("size", [1, 2, 3, 24])
def test_a_finite_space_numbers_its_configurations(size: int) -> None:
    axes: dict[str, Dimension] = {
        "a": Int(1, 2),
        "b": Choice([[1], {"c": 2}, "x"]),
        "d": Float(0.0, 0.75, step=0.25),
    }
    names = {1: [], 2: ["a"], 3: ["b"], 24: list(axes)}[size]
    space = Space({name: axes[name] for name in names})
    assert space.size == size
    configs = {msgspec.json.encode(space.numbered(number)) for number in range(size)}
    assert len(configs) == size


WIDE = Space(
    {
        "sides": Float(-1e300, 1e300),
        "huge": Float(-1.7e308, 1.7e308),
        "below": Float(-1e300, 1.0),
        "above": Float(-1.0, 1e300),
        "log": Float(1e-300, 1e300, log=True),
        "narrow": Float(1e300, 1.000001e300, log=True),
        "least": Float(0.0, 5e-324),
        "one": Float(2.0, 2.0, log=True),
        "step": Float(-0.7, 0.7, step=0.1),
        "uneven": Float(0.1, 0.56, step=0.2),
        "int": Int(-7, 500, step=13),
        "vast": Int(-(2**53), 2**53),
        "power": Int(1, 10**6, log=True),
        "far": Int(10**11, 2**53, log=True),
        "values": Choice([1, 1.0, True, "1", [1], [1.0], {"a": 1}]),
    }
)


def points(space: Space) -> st.SearchStrategy[list[float]]:
    """Draw points of a space's unit cube."""
    size = len(space.dimensions)
    return st.lists(units, min_size=size, max_size=size)


@given(points(WIDE))
def test_a_point_that_a_configuration_has_leads_back_to_it(point: list[float]) -> None:
    config = WIDE.at(point)
    unit = WIDE.unit(config)
    assert all(0 <= coordinate <= 1 for coordinate in unit)
    assert msgspec.json.encode(WIDE.at(unit)) == msgspec.json.encode(config)


@given(bounds, units)
def test_every_float_leads_back(pair: tuple[float, float], unit: float) -> None:
    dimension = Float(*pair)
    value = dimension.at(unit)
    assert dimension.at(dimension.unit(value)) == value


@given(positive_bounds, units)
def test_every_log_float_leads_back(pair: tuple[float, float], unit: float) -> None:
    dimension = Float(*pair, log=True)
    value = dimension.at(unit)
    assert dimension.at(dimension.unit(value)) == value


@given(whole_bounds, units)
def test_a_log_whole_number_leads_to_the_middle_of_its_cell(
    pair: tuple[int, int], unit: float
) -> None:
    dimension = Int(*pair, log=True)
    value = dimension.at(unit)
    cell = math.log((value + 1) / value) / math.log((dimension.high + 1) / dimension.low)
    assert dimension.at(dimension.unit(value)) == value
    assert abs(dimension.unit(value) - unit) <= cell / 2 + 1e-12


@pytest.mark.parametrize(
    "dimension",
    [
        Int(3, 12),
        Int(5, 5),
        Int(32, 100, step=32),
        Float(0.1, 0.55, step=0.2),
        Float(3.0, 3.0),
        Choice([[1], "a", 1]),
    ],
)
@given(unit=units)
def test_what_is_finite_leads_to_the_middle_of_its_cell(dimension: Dimension, unit: float) -> None:
    assert dimension.size is not None
    value: Any = dimension.at(unit)
    middle = dimension.unit(value)
    assert middle * 2 * dimension.size % 2 == pytest.approx(1)
    assert abs(middle - unit) <= (0.5 + 1e-9) / dimension.size


@given(unit=units)
def test_what_is_drawn_lies_where_it_was_drawn(unit: float) -> None:
    for dimension in (Float(-1.0, 3.0), Float(1e-4, 1.0, log=True)):
        assert dimension.unit(dimension.at(unit)) == pytest.approx(unit, abs=1e-11)


@given(st.floats(-1.0, 3.0))
def test_a_float_of_more_digits_has_a_place_as_near_as_12_digits_are(value: float) -> None:
    dimension = Float(-1.0, 3.0)
    assert dimension.at(dimension.unit(value)) == pytest.approx(value, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"x": 0.5}, "there is no rate, layers, units, solver"),
        ({"y": 0.5}, "'y' is not in"),
        ({"x": 1.5}, "x = 1.5 is not in the space"),
    ],
)
def test_what_is_not_in_the_space_has_no_point(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        SPACE.unit(values)


def test_a_configuration_told_by_tables_has_a_point() -> None:
    given = {"model": {"lr": 1, "depth": 2}, "opt": {"p": 1}}
    assert NESTED.unit(given) == [1.0, 0.375, 0.5]


def test_a_space_with_a_float_is_not_finite() -> None:
    assert Space({"a": Int(1, 2), "x": Float(0.0, 1.0)}).size is None


NESTED = Space({"model.lr": Float(0.0, 1.0), "model.depth": Int(1, 4), "opt": Choice([{"p": 1}])})


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"lr": 1, "depth": 2}, "opt": {"p": 1}},
        {"model.lr": 1, "model.depth": 2, "opt": {"p": 1}},
        {"opt": {"p": 1}, "model": {"depth": 2}, "model.lr": 1},
    ],
)
def test_a_name_with_a_dot_may_be_said_by_a_table(values: dict[str, Any]) -> None:
    config = NESTED.whole(values)
    assert list(config.items()) == [("model.lr", 1.0), ("model.depth", 2), ("opt", {"p": 1})]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": {"rate": 1}}, "'model.rate' is not in"),
        ({"model": 3}, "'model' is not in"),
        ({"other": {"lr": 1}}, "'other' is not in"),
    ],
)
def test_a_name_in_a_table_that_is_none_is_told_whole(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        NESTED.part(values)


def test_a_name_that_is_not_in_the_space_is_told_which_are() -> None:
    with pytest.raises(SpaceError, match=r"'y' is not in \[space\], which has: x, rate, layers"):
        SPACE.part({"y": 1})


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        (Float(0.0, 1.0), " 5e-1", 0.5),
        (Float(0.0, 1.0), "half", "half"),
        (Int(0, 9), "7 ", 7),
        (Int(0, 9), "7.0", 7.0),
        (Int(0, 9), "seven", "seven"),
        (Choice([16, 0.5]), "16.0", 16),
        (Choice([16, 0.5]), "big", "big"),
        (Choice([True, False]), "TRUE", True),
        (Choice(["sgd ", "1"]), " sgd", "sgd "),
        (Choice(["sgd", "1"]), "1", "1"),
        (Choice([[64], [64, 64.0]]), " [64,64.0]", [64, 64.0]),
        (Choice([{"name": "sgd"}, "{"]), '{"name": "sgd"}', {"name": "sgd"}),
        (Choice([{"name": "sgd"}, "{"]), "{", "{"),
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
        assert SPACE.whole(config) == config
    assert len({tuple(config.values()) for config in examples}) > len(examples) / 2
