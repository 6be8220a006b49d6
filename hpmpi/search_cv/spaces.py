"""The space of a search: what a study has of it, and how its configurations become parameters.

    {"svc__C": loguniform(1e-3, 1e3), "scaler": ["passthrough", StandardScaler()]}

    svc__C = { type = "float", low = 0.001, high = 1000.0, log = true }
    scaler = { type = "choice", values = ["passthrough", "StandardScaler()"] }

Any Python value may be a choice. What no study file can hold stands there by a name, and is found
again by its place: a study knows names and numbers only. A list of dictionaries is a space each, of
which a configuration names one, as `subspace`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rv_discrete
from sklearn.model_selection import ParameterGrid

from hpmpi.errors import SpaceError
from hpmpi.model.dimensions import Choice, Dimension, Float, Int, OptionalRange, Ordinal
from hpmpi.model.values import is_number, plain, same
from hpmpi.study.schema import Table
from hpmpi.study.space_table import written

Params = dict[str, Any]
"""What an estimator is set to, by the names of its parameters."""

SUBSPACE = "subspace"
"""Says in a configuration of which dictionary of a list it is, from 0 on."""

TAIL = 1e-9
"""How much of a distribution is cut off at each end, where it may be infinite."""

MANY = 3
"""How many numbers are in an order, rather than two choices."""

KNOWN: dict[str, Table] = {
    "uniform": {"type": "float"},
    "loguniform": {"type": "float", "log": True},
    "reciprocal": {"type": "float", "log": True},
    "randint": {"type": "int"},
}
"""How a study draws from scipy's distributions, by their names."""

SEEDS = 2**31 - 1
"""How many draws there are of a distribution that only draws."""

LONGEST_LABEL = 60
"""How long the name of a value is at most, in characters; else it is that of its type."""


class ParameterAxis(NamedTuple):
    """One hyperparameter: its table in the study, and how a value of that is read.

    `values`: what is listed, and `shown`: what stands for each in a configuration; `draw`: the
    distribution whose quantile, or seed, a configuration has. Without either, a value is itself.
    """

    table: Table
    values: Sequence[Any] = ()
    shown: Sequence[Any] = ()
    draw: Any = None

    def place(self, value: object) -> int:
        """Find the place of a value among those listed."""
        return next(place for place, it in enumerate(self.shown) if same(it, value))

    def read(self, value: Any) -> Any:
        """Take the value of the parameter that a configuration's stands for."""
        if self.shown:
            return self.values[self.place(value)]
        if self.draw is None:
            return value
        if not hasattr(self.draw, "ppf"):
            return self.draw.rvs(random_state=value)
        drawn = self.draw.ppf(value)
        return int(drawn) if is_discrete(self.draw) else float(drawn)

    def is_like(self, other: "ParameterAxis") -> bool:
        """Tell whether a study's values of both are the same values here."""
        if self is other:
            return True
        plain_values = all(
            same(plain(it), shown) for it, shown in zip(self.values, self.shown, strict=True)
        )
        return self.table == other.table and plain_values and self.draw is other.draw is None


class SearchSpace:
    """The axes of each subspace by parameter, and by which key a configuration has each."""

    def __init__(self, subspaces: Iterable[Mapping[str, Sequence[Any]]]) -> None:
        """Have what `space_of` has read, or what `axes` has told."""
        self._axes = [
            {name: ParameterAxis(*axis) for name, axis in axes.items()} for axes in subspaces
        ]

    @property
    def axes(self) -> list[dict[str, tuple[Any, ...]]]:
        """All that another process makes the same space of."""
        return [{name: tuple(axis) for name, axis in axes.items()} for axes in self._axes]

    @property
    def parameters(self) -> set[str]:
        """The names of all parameters."""
        return {name for axes in self._axes for name in axes}

    @property
    def is_listed(self) -> bool:
        """Whether all values are listed, so that there is a grid."""
        return all(axis.shown for axes in self._axes for axis in axes.values())

    def table(self) -> Table:
        """Write the `[space]` of the study."""
        found: dict[str, Table] = {}
        where: dict[str, list[int]] = {}
        for number, axes in enumerate(self._axes):
            for name, axis in axes.items():
                key = self._key(name, number)
                found[key] = axis.table
                where.setdefault(key, []).append(number)
        numbers = list(range(len(self._axes)))
        if len(numbers) == 1 and found:
            return found
        for key, its in where.items():
            if its != numbers:
                found[key] = {**found[key], "when": {SUBSPACE: its}}
        return {SUBSPACE: {"type": "choice", "values": numbers}, **found}

    def params(self, config: Mapping[str, Any]) -> Params:
        """Read a configuration; the parameters are in the order of their names."""
        number = config.get(SUBSPACE, 0)
        axes = self._axes[number].items()
        return {name: axis.read(config[self._key(name, number)]) for name, axis in axes}

    def grid_place(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Say where scikit-learn's ParameterGrid has a configuration, by what sorts so."""
        number = config.get(SUBSPACE, 0)
        axes = self._axes[number].items()
        places = (axis.place(config[self._key(name, number)]) for name, axis in axes)
        return (number, *places)

    def _key(self, name: str, number: int) -> str:
        """Name a hyperparameter: as its parameter is, unless subspaces differ in it."""
        own = self._axes[number][name]
        others = (axes[name] for axes in self._axes if name in axes)
        return name if all(own.is_like(it) for it in others) else f"{name}@{number}"


def space_of(given: Any) -> SearchSpace:
    """Read what a search is given; raises what ParameterGrid raises."""
    check(given)
    subspaces = [given] if isinstance(given, Mapping) else given
    return SearchSpace({name: axis_of(axes[name]) for name in sorted(axes)} for axes in subspaces)


def check(given: object) -> None:
    """Raise what ParameterGrid raises for what is no space; the rest is not its business."""
    subspaces: Any = [given] if isinstance(given, Mapping) else given
    if not isinstance(subspaces, Sequence) or not all(isinstance(it, Mapping) for it in subspaces):
        ParameterGrid(subspaces)
    for axes in subspaces:
        ParameterGrid({name: it for name, it in axes.items() if not draws(it)})


def draws(given: object) -> bool:
    """Tell a distribution, or a dimension of ours, from a list."""
    return isinstance(given, Dimension) or hasattr(given, "rvs")


def axis_of(given: Any) -> ParameterAxis:
    """Make the axis of a list, a distribution, or a dimension of ours."""
    match given:
        case Choice() | Ordinal():
            kind = "choice" if isinstance(given, Choice) else "ordinal"
            return of_list(list(given.values), kind)
        case Float() | Int() | OptionalRange():
            return ParameterAxis(written(given))
    return of_distribution(given) if hasattr(given, "rvs") else of_list(list(given))


def of_list(values: list[Any], kind: str | None = None) -> ParameterAxis:
    """List values as they are, where a study can hold them, and else by names."""
    shown = [plain(it) if is_written(it) else None for it in values]
    numbered = [it for it in shown if it is not None]
    if is_whole(values, numbered):
        optional = {"optional": True} if None in shown else {}
        kind = kind or ("ordinal" if is_ordered(shown) else "choice")
        return ParameterAxis({"type": kind, "values": numbered, **optional}, values, shown)
    labels = labelled(values)
    return ParameterAxis({"type": kind or "choice", "values": labels}, values, labels)


def is_written(value: object) -> bool:
    """Tell whether a study file may have a value as it is: a number, a text, a tuple of them."""
    if isinstance(value, tuple | list):
        return all(map(is_written, value))
    return isinstance(value, bool | int | float | str | np.generic)


def is_whole(values: Sequence[Any], told: list[Any]) -> bool:
    """Tell whether all values but one None are told, and stand for themselves in a study."""
    lacking = [it for it in values if it is None]
    if not told or len(lacking) > 1 or len(told) + len(lacking) < len(values):
        return False
    try:
        Choice(told).check()
    except SpaceError:
        return False
    return True


def is_ordered(shown: Sequence[Any]) -> bool:
    """Tell whether values are numbers that only grow, or only fall."""
    if len(shown) < MANY or not all(map(is_number, shown)):
        return False
    steps = [after - before for before, after in pairwise(shown)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def labelled(values: Sequence[Any]) -> list[str]:
    """Name values, each by another name, and the same in another process."""
    labels: list[str] = []
    for value in values:
        label = name_of(value)
        again = sum(it == label or it.startswith(f"{label} #") for it in labels)
        labels.append(f"{label} #{again + 1}" if again else label)
    return labels


def name_of(value: object) -> str:
    """Name a value: as Python writes it where that is short and no address, else by its type.

    >>> name_of(None), name_of((64, None)), name_of(object())
    ('None', '(64, None)', 'object')
    """
    named = getattr(value, "__name__", None)
    if isinstance(named, str):
        return named
    written = " ".join(repr(value).split())
    is_short = len(written) <= LONGEST_LABEL and written.isprintable() and " at 0x" not in written
    return written if is_short and written else type(value).__name__


def of_distribution(draw: Any) -> ParameterAxis:
    """Have a study draw as a distribution does, or draw the quantile that is taken of it."""
    name = getattr(getattr(draw, "dist", None), "name", None)
    if name in KNOWN:
        low, high = (plain(end) for end in draw.support())
        return ParameterAxis({**KNOWN[name], "low": low, "high": high})
    if hasattr(draw, "ppf"):
        return ParameterAxis({"type": "float", "low": TAIL, "high": 1 - TAIL}, draw=draw)
    return ParameterAxis({"type": "int", "low": 0, "high": SEEDS}, draw=draw)


def is_discrete(draw: Any) -> bool:
    """Tell whether a distribution has whole numbers."""
    return isinstance(getattr(draw, "dist", draw), rv_discrete)
