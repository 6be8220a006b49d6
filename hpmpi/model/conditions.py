"""When a hyperparameter is there at all: `when = { optimizer = "sgd" }`.

A condition names other hyperparameters, its parents, and what each of them must be; all must hold.
One whose condition does not hold is inactive: a configuration does not have it. A parent that is
inactive itself has no value, so that what depends on it is inactive, too.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.values import is_number, same


class OneOf(msgspec.Struct, frozen=True):
    """Some values; a name that a value has is told in its place."""

    values: list[Any]
    shown: list[Any]

    def holds(self, value: object) -> bool:
        """Tell whether a value is one of them."""
        return any(same(value, own) for own in self.values)

    def describe(self, name: str) -> str:
        """Say what a hyperparameter must be."""
        words = " or ".join(repr(value) for value in self.shown)
        return f"{name} = {words}"


class Between(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    def holds(self, value: object) -> bool:
        """Tell whether a value is one of them."""
        return is_number(value) and self.low <= value <= self.high

    def describe(self, name: str) -> str:
        """Say what a hyperparameter must be."""
        return f"{self.low} <= {name} <= {self.high}"


class Condition(msgspec.Struct, frozen=True):
    """What each of the parents must be."""

    parents: dict[str, OneOf | Between]

    def holds(self, config: Mapping[str, object], inactive: Collection[str] = ()) -> bool:
        """Tell whether it holds, where some of what a configuration says is inactive."""
        for name, valid in self.parents.items():
            if name in inactive or name not in config or not valid.holds(config[name]):
                return False
        return True

    def describe(self) -> str:
        """Say what must be."""
        return " and ".join(valid.describe(name) for name, valid in self.parents.items())


Conditions = Mapping[str, Condition]
"""By the name of who has it."""


def in_order(names: Collection[str], conditions: Conditions) -> list[str]:
    """List names, each after its parents, and as soon as it can be after them.

    Raises SpaceError where there is a circle.
    """
    children: dict[str, list[str]] = {}
    for name, condition in conditions.items():
        for parent in condition.parents:
            children.setdefault(parent, []).append(name)
    placed: dict[str, None] = {}
    for name in names:
        if name not in conditions:
            placed.update(dict.fromkeys(opened(name, placed, children, conditions)))
    if len(placed) < len(names):
        left = [name for name in names if name not in placed]
        raise SpaceError(f"when: {circle(left, conditions)}: no configuration can begin with one")
    return list(placed)


def opened(
    name: str, before: Collection[str], children: Mapping[str, list[str]], conditions: Conditions
) -> Iterator[str]:
    """List a name, and all that needs nothing else, besides what comes before."""
    placed = set(before)
    stack = [name]
    while stack:
        placed.add(stack[-1])
        yield (parent := stack.pop())
        stack += [
            child
            for child in reversed(children.get(parent, []))
            if child not in placed and placed.issuperset(conditions[child].parents)
        ]


def circle(left: list[str], conditions: Conditions) -> str:
    """Describe a circle among names that can't be placed."""
    path = [left[0]]
    while True:
        path.append(next(name for name in conditions[path[-1]].parents if name in left))
        if path[-1] in path[:-1]:
            return " needs ".join(path[path.index(path[-1]) :])
