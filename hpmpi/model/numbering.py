"""The configurations of a finite space by their numbers, conditions and all.

The hyperparameters stand in an order in which each comes after its parents. What of the following
can't be active any more is all that one must know of the values before: who knows it can count how
many ways there are to go on. Of values that rule out the same, which are runs of levels, there are
few, however many levels there are.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from hpmpi.errors import SpaceError
from hpmpi.model.conditions import Between, Conditions, OneOf, in_order
from hpmpi.model.listed import Listed
from hpmpi.model.trial import Value
from hpmpi.model.values import is_number

FEW = 1000
"""So many levels are looked at one by one; of more, which are those of a range, by their ends."""

MOST_STATES = 100_000
"""How much is known of what is ruled out, in all, until nobody counts any more."""

Ruled = frozenset[str]
"""The names of what can't be active any more."""


class Axis(Protocol):
    """The values of a hyperparameter by their numbers; those of more than a few rise."""

    @property
    def size(self) -> int | None:
        """How many there are."""

    def level(self, number: int) -> Value | None:
        """Compute a value."""


class Run(NamedTuple):
    """Levels side by side that rule out the same."""

    start: int
    length: int
    ruled: Ruled


class Numbering:
    """A number for each configuration."""

    def __init__(self, axes: Mapping[str, Axis], conditions: Conditions) -> None:
        """Count; raises SpaceError where there is too much to know."""
        self._order = in_order(axes, conditions)
        self._children: dict[str, Ruled] = {}
        for name in self._order:
            depending = [it for it, condition in conditions.items() if name in condition.parents]
            self._children[name] = frozenset(depending)
        self._runs = {name: self._runs_of(name, axes[name], conditions) for name in self._order}
        self._counts = self._count()

    @property
    def size(self) -> int:
        """How many configurations there are."""
        return self._counts[0][frozenset()]

    def levels(self, number: int) -> dict[str, int]:
        """Compute the level of each that is active in a configuration."""
        levels: dict[str, int] = {}
        ruled: Ruled = frozenset()
        for place, name in enumerate(self._order, start=1):
            for run in self._ways(name, ruled):
                after = self._after(name, ruled, run)
                block = run.length * self._counts[place][after]
                if number < block:
                    break
                number -= block
            if name not in ruled:
                number, offset = divmod(number, run.length)
                levels[name] = run.start + offset
            ruled = after
        return levels

    def _ways(self, name: str, ruled: Ruled) -> list[Run]:
        """List what there is to choose from; of what is inactive, there is one way to be so."""
        return [Run(0, 1, self._children[name])] if name in ruled else self._runs[name]

    def _after(self, name: str, ruled: Ruled, run: Run) -> Ruled:
        return (ruled | run.ruled) - {name}

    def _count(self) -> list[dict[Ruled, int]]:
        """Count the ways to go on from each place, by what is ruled out there."""
        states: list[set[Ruled]] = [{frozenset()}]
        for name in self._order:
            following = {
                self._after(name, ruled, run)
                for ruled in states[-1]
                for run in self._ways(name, ruled)
            }
            states.append(following)
            if sum(map(len, states)) > MOST_STATES:
                raise SpaceError("the conditions are too many to count what they leave")
        counts: list[dict[Ruled, int]] = [{frozenset(): 1}]
        for name, known in zip(reversed(self._order), reversed(states[:-1]), strict=True):
            counts.append({ruled: self._sum(name, ruled, counts[-1]) for ruled in known})
        return counts[::-1]

    def _sum(self, name: str, ruled: Ruled, counts: Mapping[Ruled, int]) -> int:
        return sum(
            run.length * counts[self._after(name, ruled, run)] for run in self._ways(name, ruled)
        )

    def _runs_of(self, name: str, axis: Axis, conditions: Conditions) -> list[Run]:
        """Part the levels of one by what they rule out."""
        assert axis.size is not None, "only what is finite can be numbered"
        tests = {child: conditions[child].parents[name] for child in self._children[name]}
        runs: list[Run] = []
        starts = sorted(cuts(axis, axis.size, tests.values()))
        for start, end in zip(starts, [*starts[1:], axis.size], strict=True):
            value = axis.level(start)
            ruled = frozenset(child for child, test in tests.items() if not test.holds(value))
            if runs and runs[-1].ruled == ruled:
                start = runs.pop().start  # noqa: PLW2901 - they are one
            runs.append(Run(start, end - start, ruled))
        return runs


def cuts(axis: Axis, size: int, tests: Iterable[OneOf | Between]) -> set[int]:
    """Find where runs may begin, among `size` levels."""
    tests = list(tests)
    if not tests:
        return {0}
    if size <= FEW or isinstance(axis, Listed):
        return set(range(size))

    def place(number: int) -> Any:
        value = axis.level(number)
        return -math.inf if value is None else value

    found = {0, 1}  # None may be the level 0
    for test in tests:
        if isinstance(test, Between):
            ends = [(test.low, test.high)]
        else:
            ends = [(value, value) for value in test.values if is_number(value)]
        for low, high in ends:
            found.add(bisect_left(range(size), low, key=place))
            found.add(bisect_right(range(size), high, key=place))
    return {cut for cut in found if cut < size}
