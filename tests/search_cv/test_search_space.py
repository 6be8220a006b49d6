"""The space of a search: as a study has it, and back to what an estimator is set to."""

from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.stats import expon, loguniform, poisson, randint, uniform
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from hpmpi.model.dimensions import Choice, Float, Int, OptionalRange, Ordinal
from hpmpi.model.space import Space
from hpmpi.search_cv.spaces import SearchSpace, space_of
from hpmpi.study.space_table import make_space

GRIDS: list[Any] = [
    {"C": [1, 10, 100], "kernel": ["a", "b"]},
    [{"C": [1, 10]}, {"C": [1, 10], "gamma": [0.1, 0.2]}, {}],
    [{"C": [1, 10]}, {"C": [1, 100]}],
    [{"step": [None, StandardScaler()]}, {"step": [MinMaxScaler()], "C": [1]}],
    {},
    {"none": [None, None], "same": [1, 1], "like": [1, 1.0, True, "1"], "deep": [None, 3, 5]},
    {"hidden": [(1,), (2, 3)], "model": [SVC(), SVC(C=3)], "function": [np.log1p, max]},
    {"weight": [{0: 1.0, 1: 2.0}, "balanced", None], "numpy": np.linspace(0, 1, 3)},
    {"large": [2**60, 1], "odd": [float("nan"), 1.0], "empty": [""]},
]


def study_space(space: SearchSpace) -> Space:
    problems: list[str] = []
    made = make_space(space.table(), problems)
    assert problems == []
    assert made is not None
    return made


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_grid_has_the_candidates_of_parameter_grid_in_its_order(grid: Any) -> None:
    space = space_of(grid)
    known = study_space(space)
    assert space.is_listed
    assert known.size is not None
    configs = sorted(map(known.numbered, range(known.size)), key=space.grid_place)
    assert repr([space.params(config) for config in configs]) == repr(list(ParameterGrid(grid)))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_space_is_the_same_where_it_is_opened(grid: Any) -> None:
    space = space_of(grid)
    again = SearchSpace(space.axes)
    config = study_space(space).draw(Random(0).random)  # noqa: S311 - not for secrets
    assert repr(again.params(config)) == repr(space.params(config))


def test_a_value_is_the_very_one_that_was_given() -> None:
    scaler = StandardScaler()
    space = space_of({"scaler": [None, scaler], "C": [np.float64(0.5), 1]})
    found = space.params({"scaler": "StandardScaler()", "C": 0.5})
    assert found["scaler"] is scaler
    assert isinstance(found["C"], np.float64)


def test_numbers_in_an_order_are_an_ordinal_and_none_is_no_value() -> None:
    table = space_of({"C": [10, 1, 0.1], "depth": [None, 3, 5], "pair": [1, 2]}).table()
    assert table["C"] == {"type": "ordinal", "values": [10, 1, 0.1]}
    assert table["depth"] == {"type": "choice", "values": [3, 5], "optional": True}
    assert table["pair"]["type"] == "choice"


DRAWN = {
    "C": (loguniform(1e-3, 1e3), float, 1e-3, 1e3),
    "share": (uniform(0.25, 0.5), float, 0.25, 0.75),
    "count": (randint(1, 9), int, 1, 8),
    "events": (poisson(3), int, 0, 40),
    "wait": (expon(scale=10), float, 0, 300),
    "own": (Float(0.0, 1.0), float, 0, 1),
    "whole": (Int(2, 5, step=3), int, 2, 5),
}


def test_distributions_and_dimensions_are_drawn_from() -> None:
    space = space_of({name: given for name, (given, *_) in DRAWN.items()})
    assert not space.is_listed
    random = Random(1).random  # noqa: S311 - as above
    known = study_space(space)
    for _ in range(50):
        params = space.params(known.draw(random))
        for name, (_, kind, low, high) in DRAWN.items():
            assert type(params[name]) is kind
            assert low <= params[name] <= high


def test_quantiles_are_those_of_the_distribution() -> None:
    given = expon(scale=10)
    assert space_of({"wait": given}).params({"wait": 0.5}) == {"wait": float(given.ppf(0.5))}


def test_what_only_draws_is_drawn_by_a_seed() -> None:
    class Dice:
        def rvs(self, random_state: int) -> int:
            return 1 + random_state % 6

    assert space_of({"dice": Dice()}).params({"dice": 8}) == {"dice": 3}


def test_dimensions_of_ours_may_be_optional_and_listed() -> None:
    space = space_of(
        {"o": OptionalRange(Int(1, 4)), "c": Choice(["a", None]), "r": Ordinal([3, 9])}
    )
    assert study_space(space).size == 5 * 2 * 2
    assert space.params({"o": None, "c": None, "r": 9}) == {"o": None, "c": None, "r": 9}


@pytest.mark.parametrize("given", [3, "C", {"C": "abc"}, {"C": 3}, {"C": []}, [3]], ids=str)
def test_what_is_no_space_is_refused_as_parameter_grid_does(given: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as theirs:
        ParameterGrid(given)
    with pytest.raises(theirs.type) as ours:
        space_of(given)
    assert str(ours.value) == str(theirs.value)
