"""The user's function: finding it, and what it may be.

    def train(config, trial): ...      or      def train(config): ...

It may be anything that can be called so, or a class, whose one instance can.
"""

import ast
import copy
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpmpi.data.mapped import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Welcome
from hpmpi.model.trial import Config
from hpmpi.worker.handle import Trial

Function = Callable[[Config, Trial], Any]

MOST_CHARACTERS = 200
"""How much is told of what an objective takes."""

UNFINISHED = {
    inspect.iscoroutinefunction: "is async, and nobody would await it: name a function that does, "
    "as in def train(config): return asyncio.run(train_async(config))",
    inspect.isgeneratorfunction: "has a yield, and nobody would ask for what comes: return the "
    "metrics, and report what comes before by trial.report",
    inspect.isasyncgenfunction: "is an async generator, and nobody would ask for what comes: "
    "return the metrics, and report what comes before by trial.report",
}
"""What gives something other than a result when it is called, and what to do."""


MOST_NOTES = 20
MOST_OF_NOTE = 300
"""How much of what an objective says of its study is told: texts, and characters of each."""


def prepare(welcome: Welcome) -> tuple[Function, tuple[str, ...]]:
    """Load the objective of a study, have it look at the study, if it does so; and its notes."""
    function = made(load(welcome.objective, Path(welcome.origin)))
    data = data_in(welcome.data)
    notes = (*(data.notes if data is not None else []), *check_study(function, welcome))
    return called_with_both(function), notes


def load(reference: str, origin: Path) -> Callable[..., Any]:
    """Import `package.module:function`, or `file.py:function` relative to the folder `origin`.

    Raises ObjectiveError where there is no such thing; whatever the user's module raises comes out
    as it is.
    """
    place, _, name = reference.partition(":")
    module = load_file(origin / place) if place.endswith(".py") else load_module(place, origin)
    function = getattr(module, name, None)
    if not callable(function):
        raise ObjectiveError(f"{reference!r} is not there: {place} has no function {name!r}")
    found: Callable[..., Any] = function
    return found


def check_study(function: Callable[..., Any], welcome: Welcome) -> list[str]:
    """Have an objective look at the study once, if it can: what it raises ends the run.

    It can where it has an attribute `check_study`, which takes `[objective_args]`, the folder of
    the study file, the name of the metric, and the data, None without `[data]`; and, where it has a
    parameter `examples`, some configurations. If it returns texts, people are told them.
    """
    look = getattr(function, "check_study", None)
    if not callable(look):
        return []
    args, data = copy.deepcopy(welcome.args), data_in(welcome.data)
    wants_examples = "examples" in inspect.signature(look).parameters
    more = {"examples": welcome.examples} if wants_examples else {}
    said = look(args, Path(welcome.origin), welcome.metric, data, **more)
    notes = said[:MOST_NOTES] if isinstance(said, list) else []
    return [str(each)[:MOST_OF_NOTE] for each in notes]


def made(found: Callable[..., Any]) -> Callable[..., Any]:
    """Make the one instance of a class, which is the objective then; a function is left as it is.

    Raises ObjectiveError for what can't be one; whatever a constructor raises comes out.
    """
    if inspect.isclass(found):
        name = found.__name__
        if not takes(found):
            raise ObjectiveError(
                f"the objective is the class {name}, whose constructor takes {signature_of(found)}:"
                f" give all of it defaults, or make one in the file, as objective = {name}(...), "
                "and name that in the study"
            )
        instance: Any = found()
        if not callable(instance):
            raise ObjectiveError(
                f"the objective is the class {name}, which has no method __call__(self, config): "
                "give it one, or name a function"
            )
        found = instance
    called = found if inspect.isroutine(found) else functools.partial(type(found).__call__, found)
    for kind, advice in UNFINISHED.items():
        if kind(found) or kind(called):
            raise ObjectiveError(f"the objective {advice}")
    return found


def called_with_both(function: Callable[..., Any]) -> Function:
    """Let an objective be called with the trial, which it gets if it takes two arguments.

    A default of its own is left alone. Raises ObjectiveError for one that can't be called so.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some that are written in C don't tell
        return lambda config, _: function(config)
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    takes_both = any(each.kind is each.VAR_POSITIONAL for each in parameters) or any(
        each.default is each.empty or each.name == "trial" for each in positional[1:2]
    )
    if not takes(function, *["config", "trial"][: 1 + takes_both]):
        raise ObjectiveError(
            f"the objective takes {signature_of(function)}: it must take a configuration, or a "
            "configuration and a trial, as in def train(config, trial)"
        )
    return function if takes_both else lambda config, _: function(config)


def takes(function: Callable[..., Any], *arguments: object) -> bool:
    """Tell whether something can be called with these arguments, or does not say."""
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


def signature_of(function: Callable[..., Any]) -> str:
    """Write what something is called with, for people."""
    return str(inspect.signature(function))[:MOST_CHARACTERS]


def load_file(path: Path) -> object:
    """Import a file; its neighbours can be imported by it, as parts of its package, too."""
    if path.is_file() and (levels := levels_up(path)):
        return load_part(path, levels)
    name = path.stem
    if name in sys.stdlib_module_names:  # others will ask for that one
        name = f"objective_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ObjectiveError(f"the objective's file {path} does not exist")
    module = importlib.util.module_from_spec(spec)
    look_beside(path.parent)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def levels_up(path: Path) -> int:
    """Tell how many folders up a file's relative imports reach; 0 where it has none."""
    tree = ast.parse(path.read_bytes(), str(path))
    return max((it.level for it in ast.walk(tree) if isinstance(it, ast.ImportFrom)), default=0)


def load_part(path: Path, levels: int) -> object:
    """Import a file as a part of the package of the folders above it, so many or more."""
    name, top = path.stem, path.parent
    while levels > 0 or (top / "__init__.py").is_file():
        name, top, levels = f"{top.name}.{name}", top.parent, levels - 1
    look_beside(path.parent)
    look_beside(top)
    module = importlib.import_module(name)
    if module.__file__ is None or not path.samefile(module.__file__):
        raise ObjectiveError(
            f"{path} has relative imports, and Python takes its package {name.partition('.')[0]!r} "
            f"from elsewhere ({module.__file__}): give the folder another name"
        )
    return module


def load_module(name: str, origin: Path) -> object:
    """Import a module, one that lies beside the study file included."""
    if name.partition(".")[0] == __package__:
        sys.path.append(str(origin))
    else:
        look_beside(origin)
    missing = f"there is no module {name!r}, neither in {origin} nor installed"
    if not all(part.isidentifier() for part in name.split(".")):
        raise ObjectiveError(missing)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise ObjectiveError(missing) from error
        raise


def look_beside(folder: Path) -> None:
    """Have modules looked for in a folder, and in the current one if that is looked in at all.

    Before those that are installed, as for any script. But after Python's own: a `logging.py` of
    the user's would be taken for that by every library.
    """
    current = [each for each in sys.path if each == str(Path.cwd())]
    beside = list(dict.fromkeys([str(folder), *current]))
    others = [each for each in sys.path if each not in beside]
    python = str(Path(inspect.__file__).parent)
    last = max((index for index, each in enumerate(others) if is_own(each, python)), default=-1)
    sys.path[:] = [*others[: last + 1], *beside, *others[last + 1 :]]


def is_own(folder: str, python: str) -> bool:
    """Tell whether a folder has modules of Python's own, and not what is installed."""
    return folder.startswith(python) and not folder.endswith("-packages")
