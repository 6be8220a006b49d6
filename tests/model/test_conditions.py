"""What depends on others: conditions, and the numbers of what is left."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.errors import SpaceError
from hpmpi.model.conditions import Between, Condition, OneOf, in_order
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.space import NEUTRAL, Space
from tests.harness.spaces import active_part, constrained, everything_in, spaces, told

randoms = st.integers(0, 2**32).map(Random)


def one(*values: Any) -> OneOf:
    """Say that something must be one of some values."""
    return OneOf(list(values), list(values))


NET = Space(
    {
        "momentum": Float(0.0, 1.0),
        "nesterov": Choice([True, False]),
        "optimizer": Choice(["adam", "sgd"]),
        "layers": Int(1, 3),
        "last": Int(1, 9),
    },
    {
        "momentum": Condition({"optimizer": one("sgd")}),
        "nesterov": Condition({"momentum": Between(0.5, 1.0), "layers": one(2, 3)}),
        "last": Condition({"layers": Between(3, 9)}),
    },
)


def test_a_configuration_has_what_is_active_in_the_order_of_the_space() -> None:
    assert list(NET.at([0.7, 0.2, 0.9, 0.9, 0.5])) == list(NET.dimensions)
    assert NET.at([0.7, 0.2, 0.1, 0.9, 0.5]) == {"optimizer": "adam", "layers": 3, "last": 5}
    assert NET.at([0.2, 0.2, 0.9, 0.1, 0.5]) == {"momentum": 0.2, "optimizer": "sgd", "layers": 1}


def test_what_is_inactive_has_a_neutral_coordinate() -> None:
    unit = NET.unit({"optimizer": "adam", "layers": 1})
    assert [unit[0], unit[1], unit[4]] == [NEUTRAL] * 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"optimizer": "adam", "layers": 1, "momentum": 0.5},
            "inactive.*optimizer = 'sgd'",
        ),
        ({"optimizer": "sgd", "layers": 1}, "there is no momentum; each"),
        ({"optimizer": "sgd"}, "there is no momentum, layers; each"),
        ({"optimizer": "adam", "layers": 2, "nesterov": True}, "nesterov is inactive here"),
        ({"optimizer": "adam", "layers": 3}, "there is no last"),
    ],
)
def test_a_configuration_must_have_what_is_active_and_nothing_else(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpaceError, match=said):
        NET.whole(values)


def test_a_part_must_go_together() -> None:
    assert NET.part({"momentum": 1}) == {"momentum": 1.0}
    with pytest.raises(SpaceError, match="momentum is inactive here, leave it out"):
        NET.part({"momentum": 1, "optimizer": "adam"})


@given(spaces(), randoms)
def test_a_draw_leads_back_to_itself(space: Space, random: Random) -> None:
    config = space.draw(random.random)
    unit = space.unit(config)
    assert all(0 <= coordinate <= 1 for coordinate in unit)
    assert told(space.at(unit)) == told(config)
    assert list(space.whole(config)) == list(config)


@given(spaces(), randoms)
def test_what_is_inactive_does_not_depend_on_its_coordinate(space: Space, random: Random) -> None:
    point = [random.random() for _ in space.dimensions]
    config = space.at(point)
    moved = [
        unit if name in config else random.random()
        for name, unit in zip(space.dimensions, point, strict=True)
    ]
    assert told(space.at(moved)) == told(config)


@given(spaces(), randoms)
def test_conditions_are_those_of_whoever_is_active(space: Space, random: Random) -> None:
    point = [random.random() for _ in space.dimensions]
    dimensions = space.dimensions.items()
    values = {name: it.at(unit) for (name, it), unit in zip(dimensions, point, strict=True)}
    assert [told(space.at(point))] == list(map(told, active_part(space, values)))


@given(spaces(finite=True))
def test_a_finite_space_numbers_each_of_its_configurations_once(space: Space) -> None:
    assert space.most is not None
    numbered = [told(space.numbered(number)) for number in range(space.most)]
    assert space.size == space.most == len(set(numbered))
    assert set(numbered) == everything_in(space)


@given(constrained(finite=True))
def test_of_a_space_with_constraints_those_are_numbered_that_fulfil_them(space: Space) -> None:
    assert space.size is not None
    numbered = [told(space.numbered(number)) for number in range(space.size)]
    assert len(numbered) == len(set(numbered))
    assert set(numbered) == everything_in(space)


@given(spaces(), randoms, st.data())
def test_a_draw_has_what_is_given(space: Space, random: Random, data: st.DataObject) -> None:
    whole = space.draw(random.random)
    names = data.draw(st.sets(st.sampled_from(list(whole))))
    part = {name: whole[name] for name in names}
    try:
        config = space.draw(random.random, part)
    except SpaceError:  # it is too rare
        return
    assert told({name: config[name] for name in part}) == told(part)
    assert told(space.whole(config)) == told(config)


def test_a_parent_of_many_values_is_numbered_without_looking_at_each() -> None:
    space = Space(
        {"a": Int(0, 2**50), "b": Int(1, 3), "c": Int(0, 1)},
        {"b": Condition({"a": Between(10, 12)}), "c": Condition({"a": one(5, 11)})},
    )
    assert space.size == (2**50 + 1 - 4) + 2 * 3 + 3 * 2 + 2
    numbered = [space.numbered(number) for number in (0, 5, 6, space.size - 1)]
    assert numbered == [{"a": 0}, {"a": 5, "c": 0}, {"a": 5, "c": 1}, {"a": 2**50}]


def test_many_parents_are_counted_soon() -> None:
    switches = {f"on{place}": Int(0, 1) for place in range(60)}
    numbers = {f"n{place}": Int(1, 3) for place in range(60)}
    conditions = {f"n{place}": Condition({f"on{place}": one(1)}) for place in range(60)}
    space = Space({**switches, **numbers}, conditions)
    assert space.size == 4**60
    assert len({told(space.numbered(number)) for number in range(100)}) == 100


def test_a_circle_is_told() -> None:
    conditions = {
        "a": Condition({"b": one(1)}),
        "b": Condition({"c": one(1)}),
        "c": Condition({"b": one(1)}),
    }
    with pytest.raises(SpaceError, match="when: b needs c needs b: no configuration"):
        in_order(["a", "b", "c", "d"], conditions)


def test_a_child_comes_as_soon_as_its_last_parent() -> None:
    conditions = {"x": Condition({"a": one(1)}), "y": Condition({"a": one(1), "b": one(1)})}
    assert in_order(["y", "x", "a", "b", "c"], conditions) == ["a", "x", "b", "y", "c"]


def test_examples_are_of_the_space() -> None:
    for config in NET.examples():
        assert NET.whole(config) == config
