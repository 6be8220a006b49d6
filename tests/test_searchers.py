"""Laws that hold for every searcher that is built in."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpmpi.searchers
from hpmpi.names import builtin, find
from hpmpi.searchers import Searcher
from hpmpi.searchers.random import Random
from hpmpi.trial import Config
from tests.build import SPACE

Make = Callable[..., Searcher]

every_searcher = pytest.mark.parametrize("name", builtin(hpmpi.searchers))


def start(name: str, seed: int = 0, first: list[Config] | None = None) -> Searcher:
    """Start a searcher by its name."""
    make: Make = find(name, hpmpi.searchers)  # type: ignore[assignment]
    return make(SPACE, seed, first or [])


def go_on(searcher: Searcher, trials: int) -> list[Config | None]:
    """Ask for trials, and tell of each."""
    configs = []
    for loss in range(trials):
        config = searcher.ask()
        if config is not None:
            searcher.tell(config, 1, float(loss % 7))
        configs.append(config)
    return configs


@every_searcher
def test_every_configuration_is_in_the_space(name: str) -> None:
    for config in go_on(start(name), 100):
        assert config is not None
        assert list(config) == list(SPACE.dimensions)
        SPACE.check(config)


@every_searcher
def test_the_same_seed_gives_the_same_configurations(name: str) -> None:
    assert go_on(start(name, seed=3), 30) == go_on(start(name, seed=3), 30)


@every_searcher
def test_another_seed_gives_others(name: str) -> None:
    assert go_on(start(name, seed=3), 30) != go_on(start(name, seed=4), 30)


@every_searcher
@given(before=st.integers(0, 20), after=st.integers(0, 10))
def test_to_be_saved_and_loaded_changes_nothing(name: str, before: int, after: int) -> None:
    searcher, loaded = start(name), start(name)
    go_on(searcher, before)
    loaded.restore(msgspec.json.decode(msgspec.json.encode(searcher.state())))
    assert loaded.state() == searcher.state()
    assert go_on(loaded, after) == go_on(searcher, after)


@every_searcher
def test_what_is_to_be_tried_first_comes_first(name: str) -> None:
    searcher = start(name, first=[{"x": 0.25, "layers": 4}, {}, {"solver": "sgd"}])
    one, other, third = go_on(searcher, 3)
    assert one is not None
    assert other is not None
    assert third is not None
    assert (one["x"], one["layers"], third["solver"]) == (0.25, 4, "sgd")
    assert list(one) == list(SPACE.dimensions)
    SPACE.check(other)


@every_searcher
def test_what_comes_first_changes_nothing_that_comes_after(name: str) -> None:
    assert go_on(start(name, first=[{"x": 0.25}]), 9)[1:] == go_on(start(name), 9)[1:]


@every_searcher
def test_configurations_are_not_all_alike(name: str) -> None:
    configs = go_on(start(name), 50)
    assert len({msgspec.json.encode(config) for config in configs}) == 50


def test_random_search_fills_the_space_evenly() -> None:
    xs = [float(config["x"]) for config in go_on(Random(SPACE, 0, []), 1000) if config]
    assert all(60 < sum(tenth <= x * 10 < tenth + 1 for x in xs) < 140 for tenth in range(10))


def test_random_draws_are_the_same_on_every_machine_and_day() -> None:
    assert Random(SPACE, 0, []).ask()["x"] == 0.34268425763729726
