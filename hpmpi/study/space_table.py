"""The `[space]` table of a study becomes a space, or every mistake in it is said."""

from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from itertools import chain
from random import Random
from typing import Annotated, Any, get_type_hints

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.conditions import Condition, in_order
from hpmpi.model.constraints import Constraint
from hpmpi.model.dimensions import NONE_SHARE, Choice, Dimension, Float, Int, OptionalRange, Ordinal
from hpmpi.model.listed import Listed
from hpmpi.model.priors import STRENGTH, WIDTH, Prior
from hpmpi.model.space import Space
from hpmpi.model.trial import Value
from hpmpi.study.schema import Table, dotted, fill
from hpmpi.study.when import valid_of

DIMENSIONS: dict[str, type[Float | Int | Choice | Ordinal]] = {
    "float": Float,
    "int": Int,
    "choice": Choice,
    "ordinal": Ordinal,
}

CONSTRAINTS = "constraints"
"""The key of `[space]` that is no hyperparameter, where it is a list."""

OWN = ("low", "high", "values")
"""Keys that a hyperparameter's table has, and a table of hyperparameters only as their names."""

LONGEST_NAME = 200
"""How long the name of a hyperparameter or a metric is at most: it is that of a column."""

TOLD = 40
"""How much of one that is too long is told, in characters."""

SAMPLES = 50
"""How many configurations a constraint is tried with, to see whether it can be computed."""


class Common(msgspec.Struct, frozen=True):
    """What any hyperparameter's table may have, besides what is of its type."""

    when: Table | None = None
    optional: bool = False
    prior: Value | None = None
    prior_strength: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


Values = (
    Annotated[list[Value], msgspec.Meta(min_length=1)]
    | Annotated[dict[str, Value], msgspec.Meta(min_length=1)]
)


def written(dimension: Dimension) -> Table:
    """Write a hyperparameter as a study has it."""
    if isinstance(dimension, OptionalRange):
        return {**written(dimension.range), "optional": True}
    told: Table = msgspec.to_builtins(dimension)
    table = {key: value for key, value in told.items() if value is not None}
    if isinstance(dimension, Listed):
        values = [it for it in dimension.values if it is not None]
        names = [it for it in table.pop("names", ()) if it is not None]
        table["values"] = dict(zip(names, values, strict=True)) if names else values
        table |= {"optional": True} if None in dimension.values else {}
    return table


def make_space(table: object, problems: list[str]) -> Space | None:
    """Make the space of a `[space]` table."""
    before = len(problems)
    dimensions: dict[str, Dimension] = {}
    common: dict[str, Common] = {}
    own, constraints = parted(table if isinstance(table, dict) else {})
    for name, entry in entries(own):
        problems += name_problems("space", name)
        if name in dimensions:
            problems.append(f"space.{name} stands twice; give each hyperparameter once")
        made = make_dimension(f"space.{name}", entry, problems)
        if made is not None:
            dimensions[name], common[name] = made
    if table == {} or (own == {} and constraints):
        problems.append("[space] is empty; it must have a hyperparameter at least")
    if len(problems) > before:
        return None
    space = Space(
        dimensions,
        make_conditions(Space(dimensions), common, problems),
        make_constraints(Space(dimensions), constraints, problems),
        make_priors(dimensions, common, problems),
    )
    if len(problems) == before:
        attempt(lambda: in_order(dimensions, space.conditions), "space", problems)
    return space if len(problems) == before else None


def parted(table: Table) -> tuple[Table, list[object]]:
    """Part the constraints of a table from its hyperparameters."""
    constraints = table.get(CONSTRAINTS)
    if not isinstance(constraints, list):
        return table, []
    return {key: entry for key, entry in table.items() if key != CONSTRAINTS}, constraints


def entries(table: Table, above: str = "") -> Iterator[tuple[str, object]]:
    """List the hyperparameters of a table, and of the tables in it, with dots in their names."""
    for key, entry in table.items():
        name = dotted(above, key)
        if isinstance(entry, dict) and not isinstance(entry.get("type"), str) and holds_any(entry):
            yield from entries(entry, name)
        else:
            yield name, entry


def holds_any(table: Table) -> bool:
    """Tell whether a table has hyperparameters in it, and is none itself, whose type is missing."""
    own = [key for key in OWN if key in table and not isinstance(table[key], dict)]
    return not own and any(isinstance(each, dict) for each in table.values())


def make_dimension(
    where: str, entry: object, problems: list[str]
) -> tuple[Dimension, Common] | None:
    """Make a dimension of its table, and what else that says."""
    valid = ", ".join(DIMENSIONS)
    if not isinstance(entry, dict) or "type" not in entry:
        values = entry if isinstance(entry, list) else [entry]
        example = f'{{ type = "choice", values = {values!r} }}'
        hint = "" if isinstance(entry, dict) else f", such as {example}"
        problems.append(f"{where} = {entry!r} must be a table with a type, one of: {valid}{hint}")
        return None
    kind = entry["type"]
    if not isinstance(kind, str) or kind not in DIMENSIONS:
        problems.append(f"{where}.type = {kind!r} is not known; there is: {valid}")
        return None
    rest = {key: value for key, value in entry.items() if key != "type"}
    settings = fill(*form_of(DIMENSIONS[kind]), rest, where, problems)
    if settings is None:
        return None
    common = Common(**{key: settings.pop(key) for key in COMMON if key in settings})
    dimension = dimension_of(DIMENSIONS[kind], settings, optional=common.optional)
    attempt(dimension.check, where, problems)
    return dimension, common


COMMON = signature(Common).parameters


def form_of(kind: type[Dimension]) -> tuple[dict[str, Parameter], dict[str, Any]]:
    """Say which keys a table of a type has, and what they may be."""
    hints = get_type_hints(kind, include_extras=True) | get_type_hints(Common, include_extras=True)
    own = {key: it for key, it in signature(kind).parameters.items() if key != "names"}
    return own | dict(COMMON), hints | ({"values": Values} if issubclass(kind, Listed) else {})


def dimension_of(
    kind: type[Float | Int | Choice | Ordinal], settings: Table, *, optional: bool
) -> Dimension:
    """Make a dimension; no value comes after those of a choice, and before all that have an order.

    An ordinal with it begins with it, and a range has it beside its numbers.
    """
    if issubclass(kind, Float | Int):
        number = kind(**settings)
        return OptionalRange(number) if optional else number
    given = settings["values"]
    names: list[str | None] | None = list(given) if isinstance(given, dict) else None
    values = list(given.values()) if isinstance(given, dict) else list(given)
    if optional:
        place = 0 if kind is Ordinal else len(values)
        values.insert(place, None)
        if names is not None:
            names.insert(place, None)
    return kind(values, names)


def make_conditions(
    space: Space, common: dict[str, Common], problems: list[str]
) -> dict[str, Condition]:
    """Make the condition of each hyperparameter that has one."""
    conditions = {}
    for name, its in common.items():
        if its.when is None:
            continue
        where = f"space.{name}.when"
        if not its.when:
            problems.append(f'{where} is empty; say of what it depends: {{ optimizer = "sgd" }}')
        parents = {}
        for parent, valid in space.flat(its.when).items():
            if parent not in space.dimensions:
                known = f"which has: {space.names()}"
                problems.append(f"{where}: {parent!r} is not in [space], {known}")
                continue
            try:
                parents[parent] = valid_of(space.dimensions[parent], valid)
            except SpaceError as error:
                problems.append(f"{where}.{parent} = {valid!r}: {error}")
        conditions[name] = Condition(parents)
    return conditions


def make_constraints(
    space: Space, texts: list[object], problems: list[str]
) -> tuple[Constraint, ...]:
    """Make constraints of what a study says."""
    constraints = []
    for number, text in enumerate(texts):
        where = f"space.{CONSTRAINTS}[{number}] = {text!r}"
        if not isinstance(text, str):
            problems.append(f"{where} must be a text, such as 'batch_size <= 4 * layers'")
            continue
        constraint = Constraint(text)
        try:
            constraint.check()
        except SpaceError as error:
            problems.append(f"{where}: {error}")
            continue
        unknown = sorted(constraint.names - space.dimensions.keys())
        if unknown or not constraint.names:
            what = f"{', '.join(unknown)} is" if unknown else "nothing that it names is"
            problems.append(f"{where}: {what} not in [space], which has: {space.names()}")
        constraints.append(constraint)
    return tuple(constraints)


def make_priors(
    dimensions: dict[str, Dimension], common: dict[str, Common], problems: list[str]
) -> dict[str, Prior]:
    """Make the prior of each hyperparameter that has one."""
    priors = {}
    for name, its in common.items():
        where = f"space.{name}.prior"
        strength = STRENGTH if its.prior_strength is None else its.prior_strength
        if its.prior is None:
            if its.prior_strength is not None:
                problems.append(f"{where}_strength = {strength} needs a prior: {name}.prior = ...")
            continue
        dimension = dimensions[name]
        try:
            value: Any = dimension.fit(its.prior)
        except SpaceError as error:
            problems.append(f"{where} = {its.prior!r} is not in the space: {error}")
            continue
        width = 0.0 if isinstance(dimension, Choice) or dimension.size == 1 else WIDTH
        low = NONE_SHARE if isinstance(dimension, OptionalRange) else 0.0
        priors[name] = Prior(value, dimension.unit(value), strength, width, low)
    return priors


def of_space(space: Space) -> Iterator[str]:
    """Check that there is a configuration at all, and that constraints can be computed."""
    if not space.constraints:
        return
    random = Random(0).random  # noqa: S311 - not for secrets
    free = msgspec.structs.replace(space, constraints=())
    samples = [*chain(free.examples(), (free.draw(random) for _ in range(SAMPLES)))]
    for number, constraint in enumerate(space.constraints):
        tried = [constraint.problem(it) for it in samples if constraint.names <= it.keys()]
        if tried and all(tried):
            where = f"space.{CONSTRAINTS}[{number}] = {constraint.text!r}"
            yield f"{where} can't be computed: {tried[0]}"
            return
    if space.size == 0:
        yield f"no configuration fulfils space.{CONSTRAINTS}, of all {space.most:,} that there are"
    elif space.size is None:
        try:
            space.draw(random)
        except SpaceError as error:
            yield f"space.{CONSTRAINTS} seem to leave nothing: {error}"


def name_problems(where: str, name: str) -> list[str]:
    """Say why a name can't be that of a column."""
    if 0 < len(name) <= LONGEST_NAME and name.isprintable():
        return []
    shown = repr(name) if len(name) <= TOLD else f"{name[:TOLD]!r}... of {len(name)} characters"
    must = f"it must have 1 to {LONGEST_NAME} characters, and none that can't be printed"
    return [f"{where}: {shown} can't be a name: {must}"]


def attempt(check: Callable[[], object], where: str, problems: list[str]) -> None:
    """Collect what a check raises."""
    try:
        check()
    except SpaceError as error:
        problems.append(f"{where}: {error}")
