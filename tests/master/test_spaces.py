"""Searchers in spaces with conditions, constraints and priors: random, grid and list."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, islice

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.searchers import OVER, Checked, Searcher
from hpmpi.master.searchers.evolution import Evolution
from hpmpi.master.searchers.gp import Gp
from hpmpi.master.searchers.grid import Grid
from hpmpi.master.searchers.list import List
from hpmpi.master.searchers.random import Random
from hpmpi.master.searchers.sobol import Sobol
from hpmpi.model.conditions import Condition, OneOf
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import Choice, Float, Int, OptionalRange
from hpmpi.model.priors import STRENGTH, Prior
from hpmpi.model.space import Space
from hpmpi.model.trial import Config
from tests.harness.spaces import constrained, everything_in, spaces, told

MOST = 300


def everything(searcher: Searcher, space: Space) -> Iterator[Config]:
    """Ask until there is no other; each is brought into the space, as the master does."""
    checked = Checked(searcher, space, "mine")
    for trial in count():
        config = checked.ask(trial)
        if config is OVER:
            return
        assert isinstance(config, dict)
        yield config


def grid(space: Space, seed: int = 0, first: list[Config] | None = None) -> Grid:
    """Start a grid with 3 levels for each float."""
    ranges = {
        name: it.range if isinstance(it, OptionalRange) else it
        for name, it in space.dimensions.items()
    }
    endless = [name for name, it in ranges.items() if isinstance(it, Float) and it.size is None]
    return Grid(space, seed, first or [], resolution=dict.fromkeys(endless, 3))


def made(make: Callable[[], Searcher]) -> Searcher:
    """Make a searcher of a space that is not empty."""
    try:
        return make()
    except SettingsError:
        assume(False)  # noqa: FBT003
        raise


def part(config: Config, seed: int) -> Config:
    """Take a part of a configuration."""
    names = [name for place, name in enumerate(config) if seed >> place & 1]
    return {name: config[name] for name in names}


@given(constrained(finite=True) | spaces(finite=True), st.integers(0, 99))
def test_a_grid_and_random_give_each_configuration_of_a_finite_space_once(
    space: Space, seed: int
) -> None:
    assume(space.size and space.size < MOST)
    for searcher in (grid(space, seed), Random(space, seed, [])):
        configs = list(map(told, everything(searcher, space)))
        assert len(configs) == len(set(configs)) == space.size == searcher.size
        assert set(configs) == everything_in(space)


@given(constrained(), st.integers(0, 99))
def test_a_grid_gives_nothing_twice_and_breaks_no_constraint(space: Space, seed: int) -> None:
    searcher = made(lambda: grid(space, seed))
    assert isinstance(searcher, Grid)
    assume(searcher.size < MOST)
    configs = list(map(told, everything(searcher, space)))
    assert len(configs) == len(set(configs)) == searcher.size


@given(constrained() | spaces(), st.integers(0, 99))
def test_random_gives_what_is_of_the_space(space: Space, seed: int) -> None:
    searcher = Random(space, seed, [])
    try:
        configs = [
            config for config, _ in zip(everything(searcher, space), range(20), strict=False)
        ]
    except SpaceError:  # it is as good as empty
        return
    assert space.size is None or len(configs) == min(space.size, 20)


@given(constrained() | spaces(), st.integers(0, 99))
def test_what_was_adopted_is_gone_on_from(space: Space, seed: int) -> None:
    for make in (lambda: Random(space, seed, []), lambda: grid(space, seed)):
        before, after = made(make), made(make)
        try:
            given_before = [before.ask(trial) for trial in range(12)]
        except SpaceError:
            continue
        for trial, config in enumerate(given_before[:7]):
            if isinstance(config, dict):
                after.adopt(trial, config)
        assert [after.ask(trial) for trial in range(7, 12)] == given_before[7:]


@given(spaces(), st.integers(0, 99))
def test_what_comes_first_is_completed(space: Space, seed: int) -> None:
    whole = next(everything(grid(space, seed), space))
    first = part(whole, seed)
    for searcher in (grid(space, seed + 1, [first]), Random(space, seed + 1, [first])):
        with suppress(SpaceError):  # random may never come to the end of a float
            config = next(everything(searcher, space))
            assert told({name: config[name] for name in first}) == told(first)


@given(spaces(finite=True), st.integers(0, 99))
def test_a_grid_does_not_try_again_what_came_first(space: Space, seed: int) -> None:
    assume((space.size or 0) < MOST)
    first = next(everything(grid(space, seed + 1), space))
    configs = list(map(told, everything(grid(space, seed, [first]), space)))
    assert configs[0] == told(first)
    assert len(configs) == len(set(configs)) == space.size


def rule(*texts: str) -> tuple[Constraint, ...]:
    """Make constraints."""
    return tuple(map(Constraint, texts))


def test_a_grid_that_nothing_is_left_of_is_refused() -> None:
    space = Space({"a": Float(0.0, 1.0)}, {}, rule("a > 0.6 and a < 0.9"))
    with pytest.raises(SettingsError, match="no point of the grid fulfils the constraints, of 2"):
        Grid(space, 0, [], resolution=2)


def test_a_large_grid_that_nothing_seems_left_of_is_refused() -> None:
    space = Space({"a": Float(0.0, 1.0), "b": Int(1, 30_000)}, {}, rule("a > 0.6 and a < 0.9"))
    with pytest.raises(SettingsError, match="of 60,000 points of the grid none fulfils"):
        Grid(space, 0, [], resolution=2)


def test_what_nobody_can_count_is_drawn_and_is_no_grid() -> None:
    """Twenty pairs of parents, all of which must be known before any child is."""
    parents = {f"p{place}": Int(0, 1) for place in range(40)}
    children = {f"c{place}": Int(0, 1) for place in range(20)}
    one = OneOf([1], [1])
    last = {f"p{place}": one for place in range(39, 40)}
    conditions = {
        f"c{place}": Condition({f"p{place}": one, f"p{place + 19}": one, **last})
        for place in range(20)
    }
    space = Space({**parents, **children}, conditions)
    assert space.most is None
    assert isinstance(Random(space, 0, []).ask(0), dict)
    with pytest.raises(SettingsError, match="'grid' is not for this space: the conditions are too"):
        Grid(space, 0, [])


def test_a_large_grid_skips_what_can_not_be() -> None:
    space = Space({"a": Int(1, 300), "b": Int(1, 300)}, {}, rule("a + b < 6"))
    searcher = Grid(space, 0, [])
    assert searcher.size == 90_000  # at most
    assert len(list(everything(searcher, space))) == 10


def test_random_ends_when_a_large_space_has_no_other() -> None:
    space = Space({"a": Int(1, 300), "b": Int(1, 300)}, {}, rule("a + b < 6"))
    configs = list(map(told, everything(Random(space, 0, []), space)))
    assert len(configs) == len(set(configs)) == 10


def test_some_whole_numbers_may_be_all_of_a_grid() -> None:
    space = Space({"a": Int(1, 100), "b": Int(1, 1000, log=True), "c": Int(1, 2)})
    searcher = Grid(space, 0, [], resolution={"a": 4, "b": 4})
    configs = list(everything(searcher, space))
    assert sorted({config["a"] for config in configs}) == [1, 34, 67, 100]
    assert sorted({config["b"] for config in configs}) == [1, 10, 100, 1000]
    assert len(configs) == 32


@pytest.mark.parametrize("levels", [0, 1, 101])
def test_whole_numbers_have_no_more_levels_than_values(levels: int) -> None:
    with pytest.raises(SettingsError, match=r"searcher.resolution = \d+ is too"):
        Grid(Space({"a": Int(1, 100)}), 0, [], resolution={"a": levels})


def test_an_optional_float_has_none_beside_its_levels() -> None:
    space = Space({"a": OptionalRange(Float(0.0, 1.0))})
    values = [config["a"] for config in everything(Grid(space, 0, [], resolution=3), space)]
    assert sorted(values, key=str) == [0.0, 0.5, 1.0, None]


SGD = Space(
    {"optimizer": Choice(["adam", "sgd"]), "momentum": Float(0.0, 1.0)},
    {"momentum": Condition({"optimizer": OneOf(["sgd"], ["sgd"])})},
    rule("momentum < 0.95"),
)


def test_candidates_may_leave_out_what_is_inactive() -> None:
    candidates: list[Config] = [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.5}]
    assert list(everything(List(SGD, 0, [], candidates=candidates), SGD)) == candidates
    none = [{"optimizer": "adam", "momentum": None}]
    assert list(everything(List(SGD, 0, [], candidates=none), SGD)) == [{"optimizer": "adam"}]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"optimizer": "adam", "momentum": 0.5}, r"candidates\[0\]: momentum is inactive here"),
        ({"optimizer": "sgd"}, r"candidates\[0\]: there is no momentum"),
        ({"optimizer": "sgd", "momentum": 1}, r"'momentum < 0.95' does not hold: momentum = 1.0"),
    ],
)
def test_candidates_that_can_not_be_are_refused(candidate: Config, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        List(SGD, 0, [], candidates=[candidate])


def test_a_part_that_comes_first_makes_itself_active() -> None:
    first: list[Config] = [{"momentum": 0.25}]
    for searcher in (Random(SGD, 1, first), Grid(SGD, 0, first, resolution=3)):
        assert searcher.ask(0) == {"optimizer": "sgd", "momentum": 0.25}


def near(strength: float, value: float) -> int:
    """Count the trials, of many, that come near (0.7, 0.7, 0.7)."""
    names = ["a", "b", "c"]
    priors = {name: Prior(value, value, strength) for name in names}
    space = Space({name: Float(0.0, 1.0) for name in names}, {}, (), priors)
    configs = islice(everything(Random(space, 0, []), space), 20_000)
    far = (max(abs(config[name] - 0.7) for name in names) for config in configs)
    return sum(distance < 0.12 for distance in far)


def test_a_prior_that_is_right_halves_the_trials_and_one_that_is_wrong_costs_little() -> None:
    without, right, wrong = near(0.0, 0.7), near(STRENGTH, 0.7), near(STRENGTH, 0.1)
    assert right > 2 * without
    assert wrong > without / 1.2


HARD = Space(
    {
        "optimizer": Choice(["sgd", "adam"]),
        "momentum": Float(0.0, 1.0),
        "layers": Int(1, 4),
        "batch": Int(1, 32),
    },
    {"momentum": Condition({"optimizer": OneOf(["sgd"], ["sgd"])})},
    (Constraint("batch <= 4 * layers"),),
)


@pytest.mark.parametrize("kind", [Gp, Evolution, Sobol])
def test_who_thinks_in_the_cube_breaks_no_constraint_and_leaves_out_what_is_inactive(
    kind: type[Gp | Evolution | Sobol],
) -> None:
    first: list[Config] = [{"optimizer": "adam", "layers": 1}]
    searcher = kind(HARD, 3, first)
    checked = Checked(searcher, HARD, "mine")
    seen = set()
    for trial in range(120):
        config = checked.ask(trial)
        assert isinstance(config, dict)
        assert config["batch"] <= 4 * config["layers"]
        assert ("momentum" in config) == (config["optimizer"] == "sgd")
        seen.add(told(config))
        loss = abs(config["batch"] - 11) + config.get("momentum", 0.5)
        checked.tell(trial, 0, 1, None if trial % 7 == 0 else loss, {})
        if trial == 0:
            assert (config["optimizer"], config["layers"]) == ("adam", 1)
    assert len(seen) >= 80  # of those without momentum there are 40
