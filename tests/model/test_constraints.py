"""What must hold between hyperparameters."""

from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpmpi.errors import SpaceError
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.space import Space
from tests.harness.spaces import constrained, told


@pytest.mark.parametrize(
    ("text", "config", "holds"),
    [
        ("batch_size <= 4 * layers", {"batch_size": 8, "layers": 2}, True),
        ("batch_size <= 4 * layers", {"batch_size": 9, "layers": 2}, False),
        ("a + b < 1 or not c", {"a": 0.5, "b": 0.5, "c": False}, True),
        ("a + b < 1 or not c", {"a": 0.5, "b": 0.5, "c": True}, False),
        ("1 < a < b", {"a": 2, "b": 3}, True),
        ("1 < a < b", {"a": 2, "b": 2}, False),
        ("a in ('x', 'y')", {"a": "x"}, True),
        ("a not in ['x', 'y']", {"a": "x"}, False),
        ("a == [64, 32]", {"a": [64, 32]}, True),
        ("-a // 2 % 3 == 1 and a ** 2 == 16", {"a": 4}, True),
        ("model.depth > 2", {"model.depth": 3}, True),
        ("a == true and b == False", {"a": True, "b": False}, True),
        ("  a\n> 1", {"a": 2}, True),
        ("a / b > 1", {"a": 1, "b": 0}, False),
        ("a ** b > 1", {"a": 1e300, "b": 2}, False),
        ("a ** 0.5 < 9", {"a": -1}, False),
        ("a ** b > 0", {"a": 10, "b": 10**9}, False),
        ("a > 'x'", {"a": 1}, False),
        ("a > 'x'", {"a": "y"}, True),
        ("a == '  b'", {"a": "  b"}, True),
        ("space['a-b'] + space['c.d'] == 3", {"a-b": 1, "c.d": 2}, True),
    ],
)
def test_a_constraint_says_what_it_says_in_python(
    text: str,
    config: dict[str, Any],
    holds: bool,  # noqa: FBT001
) -> None:
    assert Constraint(text).holds(config) is holds


def test_it_holds_where_a_name_is_inactive() -> None:
    assert Constraint("a > 5 and b > 5").holds({"a": 1})


def test_what_has_no_value_is_not_compared_by_size() -> None:
    assert Constraint("a > 5").holds({"a": None})
    assert not Constraint("a != None").holds({"a": None})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a.__class__()",
        "a[0] > 1",
        "space[0] > 1",
        "spice['a'] > 1",
        "space['a'] > 1 and space.b[0] > 1",
        "(lambda: 1)() == a",
        "[x for x in a]",
        "a if b else c",
        "f'{a}' == 'x'",
        "a := 3",
        "a = 3",
        "a; b",
        "a is b",
        "a | b",
        "a @ b",
        "b'x' == a",
        "1j == a",
        "... == a",
        "*a, b",
        "{1: a}",
        "",
        "a >",
        "(" * 900 + "a" + ")" * 900,
        "-" * 900 + "a > 1",
        "not " * 200 + "a",
        "a > " + "1 + " * 300 + "1",
        "a\0",
        "a > 1" + " " * 2000,
    ],
)
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(SpaceError):
        Constraint(text).check()


@given(st.text(st.sampled_from("ab1.()+-*/%<>=![],' notrdi\n")))
def test_any_text_is_read_or_refused(text: str) -> None:
    constraint = Constraint(text)
    try:
        constraint.check()
    except SpaceError:
        return
    assert constraint.holds({"a": 1, "b": "x"}) in (True, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a + 1", "2 is neither true nor false"),
        ("a + 'x' > 1", "'x' is no number"),
        ("a in 3", "3 is no list"),
        ("a / 0 > 1", "division"),
    ],
)
def test_why_it_can_not_be_computed_is_told(text: str, said: str) -> None:
    assert said in (Constraint(text).problem({"a": 1}) or "")


@given(constrained(), st.integers(0, 2**32).map(Random))
def test_no_draw_breaks_a_constraint(space: Space, random: Random) -> None:
    try:
        config = space.draw(random.random)
    except SpaceError:  # it is empty, or as good as that
        return
    assert all(constraint.holds(config) for constraint in space.constraints)
    assert told(space.at(space.unit(config))) == told(config)


@given(constrained(), st.integers(0, 2**32).map(Random))
def test_what_breaks_a_constraint_is_not_in_the_space(space: Space, random: Random) -> None:
    config = space.at([random.random() for _ in space.dimensions])
    assume(not space.holds(config))
    with pytest.raises(SpaceError, match="does not hold"):
        space.whole(config)


@given(constrained())
def test_no_example_breaks_a_constraint(space: Space) -> None:
    assert all(space.holds(config) for config in space.examples())


def test_of_a_large_space_nobody_counts_what_constraints_leave() -> None:
    space = Space({"a": Int(0, 9999), "b": Int(0, 9)}, {}, (Constraint("a < b"),))
    assert (space.most, space.size) == (100_000, None)
    assert Space({"a": Int(0, 99), "b": Int(0, 9)}, {}, space.constraints).size == 45
    assert Space({"a": Float(0, 99), "b": Int(0, 9)}, {}, space.constraints).size is None


def test_the_message_says_how_many_draws_there_were() -> None:
    space = Space({"a": Float(0.0, 1.0), "b": Choice(["x"])}, {}, (Constraint("a > 2"),))
    with pytest.raises(SpaceError, match="of 10000 random configurations none fulfils: 'a > 2'"):
        space.draw(Random(0).random)  # noqa: S311
