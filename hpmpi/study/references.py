"""Things found by name: with a colon an import path, without one it is built in.

The built-in ones come through the same door: `asha` in the package `hpmpi.master.schedulers` is
`hpmpi.master.schedulers.asha:Asha`.
"""

import importlib
import pkgutil
from types import ModuleType

from hpmpi.errors import HpmpiError


class NameNotFoundError(HpmpiError):
    """No such thing; the message says what there is."""


def find(name: str, package: ModuleType) -> object:
    """Import what `name` stands for; raises NameNotFoundError."""
    module, colon, attribute = name.partition(":")
    if not colon:
        if name not in builtin(package):
            raise NameNotFoundError(
                f"{name!r} is not known; there is: {', '.join(builtin(package))}, "
                "or an import path such as 'package.module:Class'"
            )
        module, attribute = f"{package.__name__}.{name}", name.title().replace("_", "")
    if module.endswith(".py"):
        *folders, file = module.split("/")
        where = f"{'/'.join(folders)}/" if folders else "its folder"
        raise NameNotFoundError(
            f"{name!r} names a file; name a module: '{file.removesuffix('.py')}:{attribute}', "
            f"with {where} the current folder (of python -m hpmpi), or in PYTHONPATH"
        )
    if not all(part.isidentifier() for part in module.split(".")):
        raise NameNotFoundError(f"{name!r} can't be imported: {module!r} names no module")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the user's module may raise anything
        said = f"{type(error).__name__}: {error}"
        raise NameNotFoundError(f"{name!r} can't be imported: {said}") from error


def builtin(package: ModuleType) -> list[str]:
    """List the names that are built in."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
