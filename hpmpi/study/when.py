"""What a `when` says of a parent: a value, some of them, or from `min` to `max`."""

import math
from typing import Any

from hpmpi.errors import SpaceError
from hpmpi.model.conditions import Between, OneOf
from hpmpi.model.dimensions import Dimension, Float, Int, Ordinal
from hpmpi.model.listed import Listed
from hpmpi.model.values import is_number

ENDS = ("min", "max")


def valid_of(dimension: Dimension, said: object) -> OneOf | Between:
    """Make a test of a parent; raises SpaceError for what that can't be."""
    if isinstance(said, dict) and said and said.keys() <= {*ENDS}:
        return between(dimension, said)
    if not isinstance(said, list):
        return one_of(dimension, [dimension.fit(said)])
    if not said:
        raise SpaceError("it lists no value")
    try:
        return one_of(dimension, [dimension.fit(value) for value in said])
    except SpaceError as error:
        try:
            return one_of(dimension, [dimension.fit(said)])  # a list may be a value itself
        except SpaceError:
            raise error from None


def one_of(dimension: Dimension, values: list[Any]) -> OneOf:
    """Make a test for values of a dimension."""
    names = dimension.shown if isinstance(dimension, Listed) else None
    return OneOf(values, [names(it) for it in values] if names else values)


def between(dimension: Dimension, ends: dict[str, Any]) -> OneOf | Between:
    """Make a test for what lies between two ends, by size or in the order of the values."""
    if isinstance(dimension, Ordinal):
        places = {end: dimension.number(dimension.fit(value)) for end, value in ends.items()}
        part = slice(places.get("min", 0), places.get("max", dimension.size) + 1)
        values = [it for it in dimension.values[part] if it is not None]
    else:
        low, high = ends.get("min", -math.inf), ends.get("max", math.inf)
        if not (is_number(low) and is_number(high)):
            raise SpaceError("min and max must be numbers")
        if not isinstance(dimension, Listed):
            of = dimension if isinstance(dimension, Float | Int) else dimension.range
            if not (low <= high and low <= of.high and high >= of.low):
                raise nothing(dimension)
            return Between(max(low, of.low), min(high, of.high))
        values = [it for it in dimension.values if is_number(it) and low <= it <= high]
    if not values:
        raise nothing(dimension)
    return one_of(dimension, values)


def nothing(dimension: Dimension) -> SpaceError:
    """Say that a parent is never what it must be."""
    return SpaceError(f"it can be none of that: it takes {dimension.describe()}")
