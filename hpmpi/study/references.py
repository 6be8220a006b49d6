"""Things found by name: with a colon an import path, without one it is built in.

`file.py:name` is in a file beside the study file, `package.module:name` in a module that lies there
or is installed. The built-in ones come through the same door: `asha` in the package
`hpmpi.master.schedulers` is `hpmpi.master.schedulers.asha:Asha`.
"""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from hpmpi.errors import ObjectiveError, SettingsError

OURS = __name__.partition(".")[0]

importing: list[str] = []
"""What is being imported for a study just now."""


class NotThereError(ObjectiveError):
    """What a study names is not there; the message says what was looked for."""


def find(
    name: str, package: ModuleType, origin: Path | None = None, adapters: ModuleType | None = None
) -> Any:
    """Import what `name` stands for, in a program of ours; raises NotThereError.

    Without `origin`, what is not named whole is looked for in the current folder.
    """
    adapter, named = adapter_of(name, adapters)
    if adapters is not None and adapter:
        return find_adapted(f"{adapters.__name__}.{adapter}", named, origin)
    if ":" not in name:
        if name not in builtin(package):
            raise NotThereError(
                f"{name!r} is not known; there is: {', '.join(builtin(package))}, "
                "or an import path such as 'file.py:Class' or 'package.module:Class'"
            )
        name = f"{package.__name__}.{name}:{name.title().replace('_', '')}"
    return load_foreign(name, origin)


def load_foreign(name: str, origin: Path | None) -> Any:
    """Import what stands in a module that may be anybody's; raises NotThereError."""
    try:
        return load(name, origin or Path.cwd(), last=True)
    except NotThereError:
        raise
    except Exception as error:  # the user's module may raise anything
        said = f"{type(error).__name__}: {error}"
        raise NotThereError(f"{name!r} can't be imported: {said}") from error


def adapter_of(name: str, adapters: ModuleType | None) -> tuple[str, str]:
    """Split what is adapted, as `optuna:TPESampler`; the first word is empty where nothing is."""
    adapter, _, named = name.partition(":")
    is_adapted = adapters is not None and named and adapter in builtin(adapters)
    return (adapter, named) if is_adapted else ("", name)


def find_adapted(adapter: str, named: str, origin: Path | None) -> Any:
    """Have an adapter, a module of ours, find what it is to adapt; raises NotThereError."""
    try:
        return importlib.import_module(adapter).adapted(named, partial(load_foreign, origin=origin))
    except SettingsError as error:
        raise NotThereError(
            f"{adapter.rpartition('.')[2]}:{named} is not there: {error}"
        ) from error


def builtin(package: ModuleType) -> list[str]:
    """List the names that are built in."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def absolute(reference: str, origin: Path) -> str:
    """Name a file whole, so that it is found without knowing where the study lies.

    >>> absolute("mine.py:Mine", Path("/studies")), absolute("mine:Mine", Path("/studies"))
    ('/studies/mine.py:Mine', 'mine:Mine')
    """
    return str(origin / reference) if is_file(reference) else reference


def is_file(reference: str) -> bool:
    """Tell whether an import path names a file."""
    return reference.partition(":")[0].endswith(".py")


def missing(reference: str, origin: Path) -> str:
    """Say why something is not there, as far as that shows without importing it; or nothing."""
    place, _, name = reference.partition(":")
    if not place or not name.isidentifier():
        return "it must be 'file.py:name' or 'package.module:name'"
    if is_file(reference):
        is_there = answers((origin / place).is_file)
        return "" if is_there else f"there is no file {origin / place}"
    package, *parts = place.split(".")
    looks = (
        (origin / package).is_dir,
        (origin / f"{package}.py").is_file,
        lambda: importlib.util.find_spec(package) is not None,
    )
    is_there = all(map(str.isidentifier, [package, *parts])) and any(map(answers, looks))
    return "" if is_there else no_module(place, origin)


def file_of(reference: str, origin: Path) -> Path | None:
    """Find the file that something is in, importing nothing; None where it can't be found so."""
    place = reference.partition(":")[0]
    if is_file(reference):
        return origin / place
    stems = [Path(home, *place.split(".")) for home in (str(origin), *sys.path)]
    files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return next((file for file in files if answers(file.is_file)), None)


def is_ours(reference: str) -> bool:
    """Tell whether something is in this package."""
    return reference.partition(":")[0].partition(".")[0] == OURS


def no_module(name: str, origin: Path) -> str:
    """Say where a module was looked for."""
    return f"there is no module {name!r}, neither in {origin} nor installed"


def answers(look: Callable[[], bool]) -> bool:
    """Look for a thing; it is not there where its name can't be a thing's."""
    try:
        return look()
    except (OSError, ValueError, ImportError):
        return False


def load(reference: str, origin: Path, *, last: bool = False) -> Any:
    """Import `file.py:name`, relative to the folder `origin`, or `package.module:name`.

    What lies beside it can be imported by it: before what is installed, as for any script, or
    `last`, where the program is ours. Raises NotThereError; whatever the user's module raises comes
    out as it is.
    """
    if why := missing(reference, origin):
        raise NotThereError(f"{reference!r} is not there: {why}")
    place, _, name = reference.partition(":")
    importing.append(reference)
    try:
        if is_file(reference):
            module = load_file(origin / place, last=last)
        else:
            module = load_module(place, origin, last=last)
    finally:
        importing.pop()
    if not hasattr(module, name):
        raise NotThereError(f"{reference!r} is not there: {place} has no {name!r}")
    return getattr(module, name)


def load_file(path: Path, *, last: bool) -> ModuleType:
    """Import a file; its neighbours can be imported by it, as parts of its package, too."""
    if levels := levels_up(path):
        return load_part(path, levels, last=last)
    name = path.stem
    if last or name in sys.stdlib_module_names:  # others will ask for that one
        name = f"study_{name}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ is not None and path.samefile(known.__file__):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "its name ends as Python's do"  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    look_beside(path.parent, last=last)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half of it is nobody's
        raise
    return module


def levels_up(path: Path) -> int:
    """Tell how many folders up a file's relative imports reach; 0 where it has none."""
    tree = ast.parse(path.read_bytes(), str(path))
    return max((it.level for it in ast.walk(tree) if isinstance(it, ast.ImportFrom)), default=0)


def load_part(path: Path, levels: int, *, last: bool) -> ModuleType:
    """Import a file as a part of the package of the folders above it, so many or more."""
    name, top = path.stem, path.parent
    while levels > 0 or (top / "__init__.py").is_file():
        name, top, levels = f"{top.name}.{name}", top.parent, levels - 1
    look_beside(path.parent, last=last)
    look_beside(top, last=last)
    module = importlib.import_module(name)
    if module.__file__ is None or not path.samefile(module.__file__):
        raise NotThereError(
            f"{path} has relative imports, and Python takes its package {name.partition('.')[0]!r} "
            f"from elsewhere ({module.__file__}): give the folder another name"
        )
    return module


def load_module(name: str, origin: Path, *, last: bool) -> ModuleType:
    """Import a module, one that lies beside the study file included."""
    look_beside(origin, last=last or name.partition(".")[0] == OURS)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise NotThereError(no_module(name, origin)) from error
        raise


def look_beside(folder: Path, *, last: bool) -> None:
    """Have modules looked for in a folder, and in the current one if that is looked in at all.

    Before those that are installed, as for any script, unless they come `last`. But after Python's
    own: a `logging.py` of the user's would be taken for that by every library.
    """
    if last:
        sys.path += [str(folder)] if str(folder) not in sys.path else []
        return
    current = [each for each in sys.path if each == str(Path.cwd())]
    beside = list(dict.fromkeys([str(folder), *current]))
    others = [each for each in sys.path if each not in beside]
    python = str(Path(inspect.__file__).parent)
    end = max((index for index, each in enumerate(others) if is_own(each, python)), default=-1) + 1
    sys.path[:] = [*others[:end], *beside, *others[end:]]


def is_own(folder: str, python: str) -> bool:
    """Tell whether a folder has modules of Python's own, and not what is installed."""
    return folder.startswith(python) and not folder.endswith("-packages")
