"""What a search is made of, as digests: whether it is the same when it is called again.

The digest is joblib's, of what pickle would write: the same in another process. What has no import
path, as a function of a notebook's, counts by its code, and by what that names in its module; what
has one, by that path alone.
"""

import contextlib
import pickle
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, GetSetDescriptorType, ModuleType
from typing import Any

import numpy as np
from joblib.hashing import NumpyHasher
from scipy.stats.distributions import rv_frozen

from hpmpi.search_cv.forms import Form, Parts

NOT_ITS_OWN = {"__doc__", "__firstlineno__", "__module__", "__static_attributes__", "_abc_impl"}
"""What a class has besides what it does: where it was written, and what is registered for it."""

MAIN = "__main__"
"""The module that each process has another of."""


def digest_of(value: Any) -> str:
    """Make the digest of a value; raises pickle.PicklingError or TypeError where there is none."""
    digest: str = CodeHasher("sha1").hash(value)
    return digest


def digest_of_parts(form: Form, parts: Parts) -> str:
    """Make the digest of what data are made of."""
    own = [
        {name: each for name, each in found.items() if name.partition(".")[0] == form.name}
        for found in parts
    ]
    return digest_of((repr(form), own))


class CodeHasher(NumpyHasher):  # type: ignore[misc]
    """Takes what can't be pickled, or not alike in two processes, by what it is made of."""

    def __init__(self, hash_name: str) -> None:
        """Have met nothing yet."""
        super().__init__(hash_name)
        self._met: list[Any] = []  # so that what names itself comes to an end

    def save(self, value: Any) -> None:
        """Add a value to the digest."""
        if isinstance(value, FunctionType | type) and not has_path(value):
            if any(value is each for each in self._met):
                super().save(value.__qualname__)
                return
            self._met.append(value)
        super().save(made_of(value))


def made_of(value: Any) -> Any:
    """Say what a value is made of, where pickle would not say it, or say more than that."""
    match value:
        case FunctionType() if not has_path(value):
            defaults = value.__defaults__, value.__kwdefaults__
            return value.__qualname__, of_code(value.__code__), defaults, dict(named_by(value))
        case type() if not has_path(value):
            return value.__qualname__, value.__bases__, dict(own_of(value))
        case staticmethod() | classmethod():
            return type(value).__name__, value.__func__
        case property():
            return value.fget, value.fset, value.fdel
        case ModuleType():
            return value.__name__
        case np.random.RandomState():
            return value.get_state()
        case rv_frozen():  # which has a generator of its own, as it was when scipy was imported
            return value.dist.name, value.args, value.kwds
    return value


def named_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Find what a function's code names of its module, and of the functions around it."""
    for name in sorted(names_in(function.__code__) & function.__globals__.keys()):
        yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # nothing is in it yet
            yield f"{name} around it", cell.cell_contents


def names_in(code: CodeType) -> set[str]:
    """Find all names in code, and in what is defined in it."""
    inner = (names_in(it) for it in code.co_consts if isinstance(it, CodeType))
    return set(code.co_names).union(*inner)


def own_of(kind: type) -> Iterator[tuple[str, Any]]:
    """List what a class is."""
    for name, value in vars(kind).items():
        if name not in NOT_ITS_OWN and not isinstance(value, GetSetDescriptorType):
            yield name, value


def has_path(value: Callable[..., Any] | type) -> bool:
    """Tell whether another process finds a function or a class by its import path."""
    if value.__module__ == MAIN:
        return False
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def of_code(code: CodeType) -> tuple[object, ...]:
    """Take what code does, wherever it was written."""
    values = [of_code(it) if isinstance(it, CodeType) else it for it in code.co_consts]
    return code.co_code, values, code.co_names


NO_DIGEST = (pickle.PicklingError, TypeError, AttributeError)
"""What is raised for a value that has none."""
