"""Laws that hold for every searcher that is built in, and those of each."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid

import hpmpi.master.adapters
import hpmpi.master.searchers
from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.searchers import LATER, OVER, Checked, Searcher
from hpmpi.master.searchers.grid import Grid
from hpmpi.master.searchers.list import List
from hpmpi.master.searchers.random import Random
from hpmpi.model.dimensions import Choice, Dimension, Float, Int
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.references import builtin, find
from tests.harness.build import SPACE
from tests.harness.insides import insides

Make = Callable[..., Searcher]


def drawn(trials: int) -> list[Config]:
    """Draw configurations."""
    random = Random(SPACE, 0, [])
    return [config for trial in range(trials) if isinstance(config := random.ask(trial), dict)]


OPTIONS: dict[str, dict[str, Any]] = {
    "evolution": {},
    "gp": {},
    "grid": {"resolution": {"x": 11, "rate": 5}},
    "list": {"candidates": drawn(100)},
    "random": {},
    "sobol": {},
}
"""What each is built with, so that it has 100 configurations at least."""

ADAPTED = [
    "optuna:TPESampler",
    "optuna:CmaEsSampler",
    f"gest:{Path(__file__).parents[1]}/harness/generators.py:Mutants",
]

FIRST: list[Config] = [{"x": 0.25, "layers": 4}, {}, {"solver": "sgd"}]

every_searcher = pytest.mark.parametrize("name", [*builtin(hpmpi.master.searchers), *ADAPTED])
every_that_draws = pytest.mark.parametrize(
    "name", ["evolution", "gp", "grid", "random", "sobol", *ADAPTED]
)
every_quick_one = pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"gp"}))


def start(name: str, seed: int = 0, first: list[Config] | None = None) -> Searcher:
    """Start a searcher by its name."""
    make: Make = find(name, hpmpi.master.searchers, adapters=hpmpi.master.adapters)
    return make(SPACE, seed, first or [], **OPTIONS.get(name, {}))


def go_on(searcher: Searcher, trials: int, first: int = 0) -> list[Config | None]:
    """Ask for trials from the `first` on, and tell of each; None where it is over."""
    configs: list[Config | None] = []
    for trial in range(first, first + trials):
        config = searcher.ask(trial)
        if isinstance(config, dict):
            searcher.tell(trial, 0, 1, float(trial % 7), {})
        else:
            assert config is OVER
        configs.append(config if isinstance(config, dict) else None)
    return configs


def told_of(searcher: Searcher, configs: list[Config | None]) -> Searcher:
    """Tell a searcher what another was asked for and told."""
    for trial, config in enumerate(configs):
        if config is not None:
            searcher.adopt(trial, config)
            searcher.tell(trial, 0, 1, float(trial % 7), {})
    return searcher


def everything(searcher: Searcher) -> Iterator[Config]:
    """Ask until there is no other."""
    for trial in count():
        config = searcher.ask(trial)
        if not isinstance(config, dict):
            return
        yield config


def told(config: Config | None) -> bytes:
    """Write a configuration so that 1, 1.0 and true are three."""
    return msgspec.json.encode(config)


@every_searcher
def test_every_configuration_is_in_the_space(name: str) -> None:
    for config in go_on(start(name), 100):
        assert config is not None
        assert list(config) == list(SPACE.dimensions)
        assert SPACE.whole(config) == config


@every_searcher
def test_the_same_seed_gives_the_same_configurations(name: str) -> None:
    assert go_on(start(name, seed=3), 30) == go_on(start(name, seed=3), 30)


@every_that_draws
def test_another_seed_gives_others(name: str) -> None:
    assert go_on(start(name, seed=3), 30) != go_on(start(name, seed=4), 30)


@every_quick_one
@given(before=st.integers(0, 110), after=st.integers(0, 10))
def test_who_is_told_what_was_goes_on_as_who_did_it(name: str, before: int, after: int) -> None:
    searcher = start(name)
    other = told_of(start(name), go_on(searcher, before))
    assert insides(other) == insides(searcher)
    assert go_on(other, after, before) == go_on(searcher, after, before)


@every_that_draws
def test_what_is_to_be_tried_first_comes_first(name: str) -> None:
    searcher = start(name, first=FIRST)
    one, other, third = go_on(searcher, 3)
    assert one is not None
    assert other is not None
    assert third is not None
    assert (one["x"], one["layers"], third["solver"]) == (0.25, 4, "sgd")
    assert list(one) == list(SPACE.dimensions)
    assert SPACE.whole(other) == other


@every_searcher
def test_configurations_are_not_all_alike(name: str) -> None:
    assert len(set(map(told, go_on(start(name), 50)))) == 50


# -- random ----------------------------------------------------------------------------------------


def test_what_comes_first_changes_no_draw_that_comes_after() -> None:
    first = start("random", first=[{"x": 0.25}])
    assert go_on(first, 9)[1:] == go_on(start("random"), 9)[1:]


def test_random_search_fills_the_space_evenly() -> None:
    xs = [float(config["x"]) for config in go_on(Random(SPACE, 0, []), 1000) if config]
    assert all(60 < sum(tenth <= x * 10 < tenth + 1 for x in xs) < 140 for tenth in range(10))


def test_random_draws_are_the_same_on_every_machine_and_day() -> None:
    (config,) = go_on(Random(SPACE, 0, []), 1)
    assert config is not None
    assert config["x"] == 0.321497020259


FEW = Space({"algorithm": Choice(["SAMME", ["SAMME", "R"]]), "depth": Int(1, 3, log=True)})


@pytest.mark.parametrize("seed", range(20))
def test_random_search_gives_each_configuration_of_a_finite_space_once(seed: int) -> None:
    searcher = Random(FEW, seed, [])
    configs = list(map(told, everything(searcher)))
    assert len(configs) == len(set(configs)) == searcher.size == FEW.size == 6
    state = insides(searcher)
    assert go_on(searcher, 2, 6) == [None, None]
    assert insides(searcher) == state


@pytest.mark.parametrize(
    "first",
    [
        [{"algorithm": "SAMME", "depth": 2}, {"depth": 3}],
        [{"algorithm": "SAMME", "depth": 2}] * 3,
        [{"depth": 1}] * 5,
        [{}] * 9,
    ],
)
def test_what_comes_first_is_not_drawn_again(first: list[Config]) -> None:
    configs = list(everything(Random(FEW, 0, first)))
    assert len(set(map(told, configs))) == len(configs) == 6
    assert configs[0] == configs[0] | first[0]


@given(before=st.integers(0, 8), seed=st.integers(0, 9))
def test_a_random_search_of_few_goes_on_where_it_was(before: int, seed: int) -> None:
    first: list[Config] = [{"depth": 1}, {"depth": 1}, {"depth": 1}]
    searcher = Random(FEW, seed, first)
    other = told_of(Random(FEW, seed, first), go_on(searcher, before))
    assert go_on(other, 8, before) == go_on(searcher, 8, before)


def test_random_search_of_a_finite_space_is_uniform_in_the_logarithm_still() -> None:
    space = Space({"units": Int(1, 10**6, log=True)})
    drawn = [config["units"] for config in go_on(Random(space, 0, []), 150) if config]
    assert len(set(drawn)) == 150
    assert all(20 < sum(low <= each < 100 * low for each in drawn) < 80 for low in (1, 100, 10**4))


def test_random_search_of_a_vast_finite_space_costs_nothing_before_it_is_walked() -> None:
    space = Space({f"h{index}": Int(1, 10**6) for index in range(5)})
    searcher = Random(space, 0, [])
    assert searcher.size == 10**30
    assert len(set(map(told, go_on(searcher, 100)))) == 100


def test_all_of_a_space_of_thousands_is_given_though_few_are_likely() -> None:
    space = Space({"units": Int(1, 3000, log=True)})
    assert sorted(config["units"] for config in everything(Random(space, 0, []))) == [
        *range(1, 3001)
    ]


# -- suggestions of any searcher -------------------------------------------------------------------


class Suggests:
    """A searcher of a user's, who suggests one thing."""

    def __init__(self, suggestion: Any) -> None:
        """Take it."""
        self.suggestion = suggestion

    def ask(self, trial: int) -> Any:
        """Give it."""
        del trial
        return self.suggestion

    def adopt(self, trial: int, config: Config) -> None:
        """Learn nothing."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


class Observes(Suggests):
    """One that keeps what it is shown."""

    def __init__(self) -> None:
        """See nothing yet."""
        super().__init__(OVER)
        self.seen: list[object] = []

    def observe(self, trial: int, points: object) -> None:
        """Keep it."""
        self.seen.append((trial, points))


MIXED = Space({"rate": Float(0.0, 1.0), "layers": Int(1, 4), "hidden": Choice([[8], [8, 8]])})


def checked(suggestion: Any) -> Checked:
    """Check what is suggested against a small space."""
    return Checked(Suggests(suggestion), MIXED, "mine:Suggests")


def test_points_of_learning_curves_are_shown_to_who_observes_and_to_nobody_else() -> None:
    observer = Observes()
    Checked(observer, MIXED, "mine:Observes").observe(3, [(1, {"loss": 0.5})])
    assert observer.seen == [(3, [(1, {"loss": 0.5})])]
    checked(OVER).observe(3, [(1, {"loss": 0.5})])


def test_what_a_searcher_suggests_is_brought_into_the_space() -> None:
    suggestion = {"hidden": (8, 8), "layers": np.int64(3), "rate": 1}
    config = checked(suggestion).ask(0)
    assert isinstance(config, dict)
    assert told(config) == b'{"rate":1.0,"layers":3,"hidden":[8,8]}'


@pytest.mark.parametrize("answer", [LATER, OVER])
def test_an_answer_that_is_no_suggestion_is_passed_on(answer: object) -> None:
    assert checked(answer).ask(0) is answer


@pytest.mark.parametrize(
    ("suggestion", "said"),
    [
        (None, "None; where there is no other, return hpmpi.master.searchers.OVER"),
        ([1, 2, [8]], r"\[1, 2, \[8\]\] is no configuration"),
        ({"rate": 1.5, "layers": 1, "hidden": [8]}, "rate = 1.5 is not in the space: it takes a"),
        ({"rate": float("nan"), "layers": 1, "hidden": [8]}, "rate = nan is not in the space"),
        ({"rate": 0.5, "layers": 1}, "there is no hidden"),
        ({"rate": 0.5, "layers": 1, "hidden": [8], "depth": 3}, "'depth' is not in"),
    ],
)
def test_a_suggestion_that_is_not_in_the_space_is_told_with_who_made_it(
    suggestion: object, said: str
) -> None:
    with pytest.raises(SpaceError, match=f"'mine:Suggests' suggested what can't be tried: {said}"):
        checked(suggestion).ask(0)


# -- the searcher of the page ----------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "own-searcher.md"


def climb(seed: int = 0) -> Searcher:
    """Start the searcher that the page has."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = (block for block in blocks if "class Climb" in block)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - it is ours
    return Checked(names["Climb"](SPACE, seed, [], rungs=(1,), most=40), SPACE, "Climb")


def test_the_pages_searcher_gives_as_many_as_it_says() -> None:
    configs = go_on(climb(), 42)
    assert [config is None for config in configs] == [False] * 40 + [True] * 2
    assert len(set(map(told, configs[:40]))) == 40


@pytest.mark.parametrize("before", [0, 1, 8, 30])
def test_the_pages_searcher_goes_on_where_it_was(before: int) -> None:
    searcher = climb()
    other = told_of(climb(), go_on(searcher, before))
    assert go_on(other, 10, before) == go_on(searcher, 10, before)


# -- grid ------------------------------------------------------------------------------------------

SMALL = Space(
    {
        "rate": Float(0.001, 0.1, log=True),
        "layers": Int(1, 2),
        "solver": Choice(["a", "b"]),
    }
)


def choice(values: list[Any]) -> Choice:
    """Make a choice, as Hypothesis does not know what its values may be."""
    return Choice(values)


dimensions = (
    st.builds(Int, low=st.just(-1), high=st.integers(0, 6))
    | st.sampled_from([Float(-0.5, 0.5), Float(1e-5, 1.0, log=True)])
    | st.lists(st.sampled_from(["a", 1, 1.0, True]), min_size=1, unique_by=repr).map(choice)
)
spaces = st.lists(dimensions, min_size=1, max_size=4).map(
    lambda drawn: Space({f"h{index}": each for index, each in enumerate(drawn)})
)


def grid(space: Space, seed: int = 0, first: list[Config] | None = None) -> Grid:
    """Start a grid with 3 levels for each float."""
    floats = [name for name, each in space.dimensions.items() if isinstance(each, Float)]
    return Grid(space, seed, first or [], resolution=dict.fromkeys(floats, 3))


def levels(dimension: Dimension) -> list[Any]:
    """List what a dimension has in the grid with 3 levels for each float."""
    match dimension:
        case Int(low=low, high=high):
            return list(range(low, high + 1))
        case Choice(values=values):
            return values
        case Float(low=low):
            return [low, 0.0, 0.5] if low < 0 else [low, 0.00316227766017, 1.0]
        case _:
            raise AssertionError(dimension)


@given(spaces, st.integers(0, 99))
def test_a_grid_has_the_points_of_scikit_learns_each_once(space: Space, seed: int) -> None:
    table = {name: levels(each) for name, each in space.dimensions.items()}
    expected = [{name: point[name] for name in table} for point in ParameterGrid(table)]
    points = list(everything(grid(space, seed)))
    assert sorted(map(told, points)) == sorted(map(told, expected))
    assert grid(space).size == len(expected)


@pytest.mark.parametrize("sizes", [[2] * 8, [3] * 5, [4] * 4, [10] * 3, [8, 12, 20]])
@pytest.mark.parametrize("seed", range(5))
def test_half_a_grid_has_nearly_every_pair_of_levels(sizes: list[int], seed: int) -> None:
    space = Space({f"h{index}": Int(1, size) for index, size in enumerate(sizes)})
    points = itertools.islice(everything(grid(space, seed)), grid(space).size // 2)
    configs = [list(config.values()) for config in points]
    for (one, few), (other, many) in itertools.combinations(enumerate(sizes), 2):
        there = len({(config[one], config[other]) for config in configs})
        assert 0.95 * few * many < there <= few * many


@pytest.mark.parametrize("seed", range(5))
def test_the_first_points_of_a_grid_have_each_level_about_as_often(seed: int) -> None:
    space = Space({f"h{index}": Int(1, 4) for index in range(30)})
    configs = [config for config in go_on(grid(space, seed), 100) if config]
    for name in space.dimensions:
        counts = Counter(config[name] for config in configs)
        assert 8 < min(counts.values()) <= max(counts.values()) < 45


@given(spaces, st.data())
def test_no_point_is_given_twice_because_it_came_first(space: Space, data: st.DataObject) -> None:
    units = st.lists(st.floats(0.0, 0.99), min_size=4, max_size=4)
    drawn = data.draw(st.lists(units.map(lambda unit: space.at(unit[: len(space.dimensions)]))))
    names = st.sets(st.sampled_from(list(space.dimensions)))
    first = [{name: each[name] for name in data.draw(names)} for each in drawn]
    points = list(map(told, everything(grid(space))))
    searcher = grid(space, first=first)
    configs = list(map(told, everything(searcher)))
    begun = len(searcher._first)
    assert begun <= len(first)
    assert configs[begun:] == [each for each in points if each not in configs[:begun]]
    assert len(configs) == len(set(configs)) == searcher.size


def test_what_is_left_open_in_what_comes_first_is_taken_from_the_grid_in_order() -> None:
    first: list[Config] = [{"rate": 0.05}, {"layers": 2}, {"rate": 0.1, "layers": 1, "solver": "a"}]
    plain = list(everything(grid(SMALL)))
    searcher = grid(SMALL, first=first)
    configs = list(everything(searcher))
    assert configs[:3] == [plain[0] | first[0], plain[1] | first[1], first[2]]
    assert configs[3:] == [each for each in plain if each not in configs[:3]]
    assert searcher.size == len(configs) == len(plain) + 1


def test_a_whole_number_is_the_level_of_a_float_that_it_equals() -> None:
    space = Space({"x": Float(0.0, 4.0)})
    configs = list(everything(Grid(space, 0, [{"x": 3}, {"x": 3.0}], resolution=5)))
    assert msgspec.json.encode(configs[0]) == b'{"x":3.0}'
    assert sorted(each["x"] for each in configs) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_order_of_a_grid_is_the_same_on_every_machine_and_day() -> None:
    assert [" ".join(map(str, each.values())) for each in everything(grid(SMALL))] == [
        *("0.1 2 a", "0.01 1 a", "0.1 1 b", "0.1 1 a", "0.1 2 b", "0.001 1 b"),
        *("0.01 1 b", "0.001 2 a", "0.001 2 b", "0.001 1 a", "0.01 2 b", "0.01 2 a"),
    ]


def test_a_grid_takes_what_is_finite_whole() -> None:
    hidden = Choice([[8], [8, 8]])
    x, y, n = Float(0.0, 0.5, step=0.25), Float(2.0, 2.0), Int(2, 6, step=2)
    space = Space({"x": x, "y": y, "n": n, "hidden": hidden})
    configs = list(everything(Grid(space, 0, [{"x": 0.25, "hidden": [8, 8]}])))
    assert len(configs) == len(set(map(told, configs))) == 18
    assert {config["x"] for config in configs} == {0.0, 0.25, 0.5}
    assert {config["n"] for config in configs} == {2, 4, 6}


def test_levels_of_a_float_are_written_as_people_would() -> None:
    space = Space({"x": Float(0.1, 0.7), "rate": Float(1e-4, 1.0, log=True)})
    configs = list(everything(Grid(space, 0, [], resolution={"x": 7, "rate": 5})))
    assert sorted({each["x"] for each in configs}) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert sorted({each["rate"] for each in configs}) == [0.0001, 0.001, 0.01, 0.1, 1.0]


def test_a_grid_of_any_size_costs_nothing_before_it_is_walked() -> None:
    space = Space({f"h{index}": Int(1, 10**6) for index in range(5)})
    searcher = grid(space)
    assert searcher.size == 10**30
    configs = go_on(searcher, 100)
    assert len(set(map(told, configs))) == 100
    searcher._turn = 10**30 - 2
    assert [each is None for each in go_on(searcher, 4)] == [False, False, True, True]


def test_a_searcher_that_has_no_other_stays_as_it_is() -> None:
    first: list[Config] = list(everything(grid(SMALL)))[-2:]
    for searcher in (grid(SMALL, first=first), List(SMALL, 0, [], candidates=first)):
        configs = go_on(searcher, searcher.size)
        assert None not in configs
        state = insides(searcher)
        assert go_on(searcher, 2, searcher.size) == [None, None]
        assert insides(searcher) == state


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        (
            None,
            (
                "searcher.resolution must say how many levels rate has: one number for all floats, "
                "or a table such as { rate = 5 }"
            ),
        ),
        (
            {},
            (
                "searcher.resolution must say how many levels rate has: one number for all floats, "
                "or a table such as { rate = 5 }"
            ),
        ),
        (
            1,
            (
                "searcher.resolution = 1 is too little for rate: 2 levels at least, its low and "
                "its high; for one value alone, make it a choice"
            ),
        ),
        (
            {"rate": 10**12},
            (
                "searcher.resolution = 1000000000000 is too much for rate: from 0.001 to 0.1 there "
                "are not so many levels that differ in 12 digits"
            ),
        ),
        (
            {"rate": 3, "momentum": 2},
            (
                "searcher.resolution.momentum = 2: momentum is no float or whole number of "
                "[space], and only those have a resolution: rate, layers"
            ),
        ),
    ],
)
def test_a_resolution_that_can_not_be_says_so(
    resolution: int | dict[str, int] | None, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Grid(SMALL, 0, [], resolution=resolution)
    assert caught.value.problems == [said]


def test_a_resolution_may_be_said_by_tables_as_names_are() -> None:
    space = Space({"model.rate": Float(0.0, 1.0), "model.x": Float(0.0, 1.0)})
    searcher = Grid(space, 0, [], resolution={"model": {"rate": 2}, "model.x": 3})
    assert searcher.size == 6
    with pytest.raises(SettingsError, match=r"resolution.model.rate = 'two' must be a whole"):
        Grid(space, 0, [], resolution={"model": {"rate": "two", "x": 3}})


def test_a_resolution_for_nothing_says_so() -> None:
    with pytest.raises(SettingsError) as caught:
        Grid(Space({"layers": Int(1, 2)}), 0, [], resolution=3)
    said = "searcher.resolution = 3 is for floats, and [space] has none: leave it out"
    assert caught.value.problems == [said]


@pytest.mark.parametrize(
    "dimension",
    [
        Float(1.0, 1.0 + 2**-52),
        Float(0.0, 5e-324),
        Float(5e-324, 1.0, log=True),
        Float(1.0, 1.0 + 1e-12, log=True),
    ],
)
def test_levels_that_would_be_the_same_are_refused(dimension: Float) -> None:
    with pytest.raises(SettingsError, match="is too much for x"):
        Grid(Space({"x": dimension}), 0, [], resolution=1000)


@pytest.mark.parametrize(
    "dimension",
    [
        Float(-1e308, 1e308),
        Float(-1e-300, 1e-300),
        Float(1.0, 1.0 + 1e-6),
        Float(1e-300, 1e300, log=True),
        Float(1e300, 1.000001e300, log=True),
    ],
)
def test_levels_that_are_taken_differ_and_have_both_ends(dimension: Float) -> None:
    configs = list(everything(Grid(Space({"x": dimension}), 0, [], resolution=1000)))
    xs = {float(each["x"]) for each in configs}
    assert len(xs) == 1000
    assert (min(xs), max(xs)) == (dimension.low, dimension.high)


# -- list ------------------------------------------------------------------------------------------

CANDIDATES: list[dict[str, Any]] = [
    {"rate": 0.05, "layers": 2, "solver": "a"},
    {"solver": "b", "layers": 1, "rate": 0.1},
]


def refused(candidates: list[dict[str, Any]], first: list[Config] | None = None) -> list[str]:
    """Tell what is wrong with candidates."""
    with pytest.raises(SettingsError) as caught:
        List(SMALL, 0, first or [], candidates=candidates)
    return caught.value.problems


def test_a_list_gives_its_candidates_in_their_order_and_no_others() -> None:
    searcher = List(SMALL, 0, [], candidates=CANDIDATES)
    assert searcher.size == 2
    configs = list(everything(searcher))
    assert configs == CANDIDATES
    assert [list(each) for each in configs] == [list(SMALL.dimensions)] * 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": 1}, "rate = 1 is not in the space: it takes a number from 0.001 to 0.1"),
        (
            {"layers": True},
            "layers = True is not in the space: it takes a whole number from 1 to 2",
        ),
        ({"solver": ["a"]}, "solver = ['a'] is not in the space: it takes one of 'a', 'b'"),
        ({"depth": 3}, "'depth' is not in [space], which has: rate, layers, solver"),
    ],
)
def test_a_candidate_that_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    assert refused([*CANDIDATES, CANDIDATES[0] | change]) == [f"searcher.candidates[2]: {said}"]


def test_a_candidate_must_have_every_hyperparameter() -> None:
    said = "searcher.candidates[0]: there is no rate, solver; each of [space] must have a value"
    assert refused([{"layers": 1}]) == [said]


def test_a_candidate_that_stands_twice_is_named_with_the_first() -> None:
    again = {"rate": 0.05, "solver": "a", "layers": 2}
    said = "searcher.candidates[2] is searcher.candidates[0] again; each must stand once"
    assert refused([*CANDIDATES, again]) == [said]


def test_candidates_that_only_look_alike_are_taken() -> None:
    space = Space({"value": Choice([1, 1.0, True, "1"])})
    candidates = [{"value": each} for each in (1, 1.0, True, "1")]
    assert List(space, 0, [], candidates=candidates).size == 4


def test_of_many_bad_candidates_ten_are_told() -> None:
    assert len(refused([{"layers": 1}] * 10)) == 10
    assert refused([{"layers": 1}] * 11)[10] == "... and 1 more candidates that can't be"
    problems = refused([{"layers": 1}] * 13)
    assert len(problems) == 11
    assert problems[9].startswith("searcher.candidates[9]: there is no")
    assert problems[10] == "... and 3 more candidates that can't be"


def test_a_list_without_candidates_says_so() -> None:
    assert refused([]) == ["searcher.candidates is empty; there must be one at least"]


def test_a_list_takes_nothing_to_be_tried_first() -> None:
    said = "searcher.first is not for a list: put those candidates first in it"
    assert refused(CANDIDATES, first=[{}]) == [said]
