"""What an objective returns or reports: a number, or numbers by metric.

The studied metrics must be there and be numbers. What else is none is left out, and that is said
once: objectives written for other tools return a status, the configuration, lists for later.
"""

import contextlib
import math
import numbers
import reprlib
import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any

from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Metrics, Studied, names_of
from hpmpi.worker.error_text import writable

MOST_METRICS = 10_000
MOST_CHARACTERS = 200
"""How many metrics an objective may return, and how much of what it returned is told."""

MOST_LEFT_OUT = 100
LEFT_OUT: set[str] = set()
"""Of what it was said in this process that it is no metric, and of how many names at most."""

SHORT = reprlib.Repr()
SHORT.maxlevel = 1
SHORT.maxstring = SHORT.maxother = MOST_CHARACTERS


def check(returned: object, metric: Studied) -> Metrics:
    """Turn what an objective returned into metrics; raises ObjectiveError where it is none.

    >>> check(0.5, None), check({"accuracy": 1}, "accuracy")
    ({'loss': 0.5}, {'accuracy': 1.0})
    """
    studied = names_of(metric)
    several = len(studied) > 1
    if several and not isinstance(returned, Mapping):
        raise ObjectiveError(
            f"the objective returned {SHORT.repr(returned)}, and the study has several metrics: "
            f"return a dictionary that has {', '.join(map(repr, studied))}"
        )
    values = returned if isinstance(returned, Mapping) else {studied[0]: returned}
    if lacking := [name for name in studied if name not in values]:
        there_is = ", ".join(map(repr, islice(values, 20)))[:MOST_CHARACTERS] or "nothing at all"
        raise ObjectiveError(
            f"the objective returned no {lacking[0]!r} but {there_is}; "
            f"set `metric` in the study to {'some' if several else 'one'} of its keys, and begin "
            "anew by --fresh"
        )
    return all_numbers(values, metric)


def all_numbers(values: Mapping[Any, object], metric: Studied) -> Metrics:
    """Turn metrics into floats by name, and leave out what is no number, which is said once.

    So is what has too long a name. Raises ObjectiveError where it is a studied `metric` that is no
    number, or there are too many.
    """
    studied = names_of(metric)
    if len(values) > MOST_METRICS:
        raise ObjectiveError(f"{len(values)} metrics are too many: return {MOST_METRICS} at most")
    found: Metrics = {}
    for key, value in values.items():
        name, as_float = writable(str(key)), number(value)
        if as_float is not None and len(name) <= MOST_CHARACTERS:
            found[name] = as_float
        elif key in studied:
            raise ObjectiveError(no_number(name, value))
        else:
            leave_out(name, value)
    return found


def number(value: object) -> float | None:
    """Turn what is one number into a float, as arrays and tensors of one are; None for the rest.

    >>> number(True), number("0.5"), number(1j), number([0.5])
    (1.0, None, None, None)
    """
    if type(value) is float:  # as most are, and the others take ten times as long
        return value
    try:
        if is_masked(value):
            return None
        if hasattr(value, "item") and not isinstance(value, numbers.Number):
            value = value.item()
        if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
            return None  # numpy would make a number of half of it
        return float(value) if hasattr(type(value), "__float__") else None  # type: ignore[arg-type]
    except OverflowError:
        return -math.inf if abs(value) != value else math.inf  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - the user's own types, and all that arrays may raise
        return None


def is_masked(value: object) -> bool:
    """Tell what numpy has in place of a number that is missing, though it passes for 0."""
    any_of = getattr(getattr(value, "mask", None), "any", None)
    return any_of is not None and bool(any_of())


def no_number(name: str, value: object) -> str:
    """Say that a metric is no number but something else."""
    kind = type(value).__name__
    return f"the metric {name!r} must be a number and is {SHORT.repr(value)} of type {kind}"


def leave_out(name: str, value: object) -> None:
    """Say that a value is no metric, once for each name, and for so many names."""
    is_long, name = len(name) > MOST_CHARACTERS, name[:MOST_CHARACTERS]
    if name in LEFT_OUT or len(LEFT_OUT) >= MOST_LEFT_OUT:
        return
    LEFT_OUT.add(name)
    with contextlib.suppress(Exception):  # whatever the objective has put in its place
        long = f"the name of the metric {name[:20]!r}... has more than {MOST_CHARACTERS} characters"
        said = long if is_long else no_number(name, value)
        sys.stderr.write(f"left out: {writable(said)}\n")
