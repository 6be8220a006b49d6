"""Spaces that hypothesis draws, conditions and constraints and all; and what is in a small one."""

from collections.abc import Iterator
from itertools import product

import msgspec
from hypothesis import strategies as st

from hpmpi.model.conditions import Between, Condition, OneOf
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import Choice, Dimension, Float, Int, OptionalRange, Ordinal
from hpmpi.model.priors import Prior
from hpmpi.model.space import Space
from hpmpi.model.trial import Config

FINITE: list[Dimension] = [
    Int(1, 3),
    Int(2, 9, log=True),
    Choice(["a", 1, 1.0, True]),
    Choice([[64], [64, 64], None], ["small", "deep", None]),
    Ordinal(["s", "m", "l"]),
    Ordinal([None, 1, 10]),
    Float(0.0, 1.0, step=0.5),
    Float(3.0, 3.0),
    OptionalRange(Int(0, 2)),
]
ENDLESS: list[Dimension] = [
    Float(-1.0, 1.0),
    Float(1e-4, 1.0, log=True),
    OptionalRange(Float(0.0, 2.0)),
]

RULES = [
    "{} <= {}",
    "{} != {}",
    "{} + {} < 3 or {} == 'a'",
    "not {} in (1, 's', 2) or {} == 2",
]


@st.composite
def spaces(draw: st.DrawFn, *, finite: bool = False) -> Space:
    """Draw a space of up to six dimensions, some of them with conditions and priors."""
    some = st.sampled_from(FINITE if finite else FINITE + ENDLESS)
    drawn = draw(st.lists(some, min_size=1, max_size=6))
    dimensions = {f"h{place}": dimension for place, dimension in enumerate(drawn)}
    order = draw(st.permutations(list(dimensions)))
    conditions = {}
    for place, name in enumerate(order):
        parents = draw(st.lists(st.sampled_from(order[:place]), max_size=2)) if place else []
        if parents:
            conditions[name] = Condition({it: draw(valid(dimensions[it])) for it in parents})
    priors = {
        name: Prior(dimension.at(0.3), 0.3, draw(st.sampled_from([0.0, 0.5, 1.0])))
        for name, dimension in dimensions.items()
        if draw(st.integers(0, 3)) == 0
    }
    return Space(dimensions, conditions, (), priors)


@st.composite
def constrained(draw: st.DrawFn, *, finite: bool = False) -> Space:
    """Draw a space with a constraint or two."""
    space = draw(spaces(finite=finite))
    names = st.sampled_from(list(space.dimensions))
    rules = draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=2))
    texts = [rule.format(draw(names), draw(names), draw(names)) for rule in rules]
    return msgspec.structs.replace(space, constraints=tuple(map(Constraint, texts)))


def valid(dimension: Dimension) -> st.SearchStrategy[OneOf | Between]:
    """Draw what a parent must be."""
    units = st.lists(st.floats(0, 0.999), min_size=1, max_size=3)
    values = units.map(lambda drawn: [dimension.at(unit) for unit in drawn])
    some = values.map(lambda drawn: OneOf(drawn, drawn))
    if isinstance(dimension, Choice | Ordinal):
        return some
    return some | st.tuples(st.floats(-1, 3), st.floats(0, 9)).map(lambda ends: Between(*ends))


def everything_in(space: Space) -> set[bytes]:
    """List a finite space by trying all values of everything: what `told` makes of each."""
    levels = [
        [dimension.level(number) for number in range(dimension.size or 0)]
        for dimension in space.dimensions.values()
    ]
    configs = (dict(zip(space.dimensions, values, strict=True)) for values in product(*levels))
    return {told(each) for config in configs for each in active_part(space, config)}


def active_part(space: Space, config: Config) -> Iterator[Config]:
    """Leave out what is inactive, again and again; give nothing that breaks a constraint."""
    left = dict(config)
    for _ in space.dimensions:
        left = {
            name: value
            for name, value in left.items()
            if name not in space.conditions or space.conditions[name].holds(left)
        }
    if all(constraint.holds(left) for constraint in space.constraints):
        yield left


def told(config: Config) -> bytes:
    """Write a configuration so that 1, 1.0 and true are three."""
    return msgspec.json.encode(config, order="sorted")
