"""The user's function: finding it, and what it is given.

    def train(config, trial): ...      or      def train(config): ...

It may be anything that can be called so, or a class, whose one instance can.
"""

import ast
import copy
import functools
import importlib
import importlib.util
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hpmpi.checkpoints import Checkpoints, trial_folder
from hpmpi.data import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.files import remove
from hpmpi.messages import Assign, Point, Welcome
from hpmpi.metrics import all_numbers
from hpmpi.trial import Config

Function = Callable[[Config, "Trial"], Any]
Publish = Callable[[Point], None]
Drains = Callable[[], bool]

SAVE_PAUSE_S = 10.0
"""Least time between two checkpoints that are not at the end of a job."""

SAVE_SHARE = 0.05
"""Greatest share of a job's time that may go into checkpoints between."""


TRIALS = "trials"
"""The folder in the run folder that has those of trials."""

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


class Suspend(BaseException):
    """The run drains, and a checkpoint at the resource `saved` is there: leave the objective.

    Not an error, and not for an `except Exception` on the way. Where it is caught all the same, the
    job is suspended once its objective has ended, whatever that came to.
    """

    def __init__(self, saved: int) -> None:
        """Say where the trial will go on."""
        super().__init__(saved)
        self.saved = saved


class Trial:
    """What an objective is given beside its configuration.

    `start`: the resource already spent, 0 without a checkpoint; `stop`: the resource to reach;
    `previous`: the folder of the trial's newest checkpoint, or None; `seed`: 32 bits, the same for
    every attempt at this trial; `args`: the study's `[objective_args]`, a copy of this trial's own;
    `origin`: the folder of the study file; `data`: the arrays of `[data]` by name, read-only, or
    None; `deadline_s`: seconds left before the allocation ends, None where that is not known;
    `folder`: one of this attempt's own.

    It may be used in threads and forked processes of the objective, but not after the objective has
    ended: what is reported then is dropped.
    """

    def __init__(
        self,
        welcome: Welcome,
        order: Assign,
        checkpoints: Checkpoints,
        publish: Publish,
        drains: Drains,
    ) -> None:
        """Take over the trial's newest checkpoint."""
        self.number = order.trial
        self.seed = order.seed
        self.data = data_in(welcome.data)
        self.stop = order.resource
        self._ends_at = None if order.deadline_s is None else time.monotonic() + order.deadline_s
        self.previous = checkpoints.claim(heard_of=order.saved, limit=order.resource)
        self.start = checkpoints.newest.resource if checkpoints.newest else 0
        self._place = (welcome.folder, TRIALS, str(order.trial), f"{order.rung}.{order.attempt}")
        self._folder: Path | None = None
        self._checkpoints = checkpoints
        self._publish = publish
        self._drains = drains
        self._args = welcome.args
        self._origin = welcome.origin
        self._metric = welcome.metric
        self._suspended = False
        self._ended = False
        self._speaking = threading.RLock()
        self._saved_at = time.monotonic()
        self._save_took_s = 0.0

    @functools.cached_property
    def args(self) -> dict[str, Any]:
        """What the study has in `[objective_args]`; what is changed in it, no other trial sees."""
        return copy.deepcopy(self._args)

    @functools.cached_property
    def origin(self) -> Path:
        """The folder of the study file."""
        return Path(self._origin)

    @property
    def deadline_s(self) -> float | None:
        """How many seconds are left before the allocation ends; None where that is not known."""
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    @property
    def folder(self) -> Path:
        """A folder in the run folder that no other attempt has, made when it is first asked for.

        It stays at the end, as the logs do, unless it is empty.
        """
        if self._folder is None:
            folder = Path(*self._place)
            remove(folder)  # of an attempt that the journal has lost
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = folder
        return self._folder

    def report(self, resource: int, /, **metrics: object) -> None:
        """Add a point to the learning curve; what is no number is left out.

        Raises ObjectiveError where that is the studied metric.
        """
        point = Point(int(resource), all_numbers(metrics, self._metric))
        with self._speaking:
            if not self._ended:
                self._publish(point)

    def should_save(self, resource: int) -> bool:
        """Tell whether now is the time for a checkpoint.

        That is at the end, when the run drains, and now and then between.
        """
        pause_s = max(SAVE_PAUSE_S, self._save_took_s / SAVE_SHARE)
        due = resource >= self.stop or time.monotonic() - self._saved_at >= pause_s
        return due or self._asked()

    @contextmanager
    def checkpoint(self, resource: int) -> Iterator[Path]:
        """Give a folder to save the model in; it counts, as a whole, once the block has ended.

        When the run drains, the job ends there: the trial goes on from this checkpoint later.
        """
        began_at = time.monotonic()
        with self._checkpoints.save(int(resource)) as folder:
            yield folder
        self._saved_at = time.monotonic()
        self._save_took_s = self._saved_at - began_at
        newest = self._checkpoints.newest
        if newest is None or newest.resource < resource:  # there was no room for it
            return
        if self._suspended or (newest.resource < self.stop and self._asked()):
            self._suspended = True
            raise Suspend(newest.resource)

    def end(self) -> bool:
        """Have no more to do with the job from now on; true if its objective was to leave it."""
        with self._speaking:  # who reports meanwhile has done so before the answer
            self._ended = True
        return self._suspended

    def _asked(self) -> bool:
        """Look whether the run drains."""
        with self._speaking:
            return not self._ended and self._drains()


@contextmanager
def working_folder(trial: Trial, *, own: bool) -> Iterator[None]:
    """Have a job done in the folder of its attempt, or where this process is; put that back."""
    before = None
    with suppress(OSError):  # it is gone, and was when all began
        before = os.getcwd()  # noqa: PTH109 - it is done for each job
    if own:
        os.chdir(trial.folder)
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.chdir(before)
        if own:
            with suppress(OSError):  # there is something in it
                trial.folder.rmdir()
                trial.folder.parent.rmdir()


def open_trial(
    welcome: Welcome, order: Assign, publish: Publish, drains: Drains
) -> tuple[Trial, Checkpoints]:
    """Make the handle for an attempt, and what keeps its checkpoints."""
    checkpoints = Checkpoints(
        trial_folder(welcome.folder, order.trial),
        order.rung,
        order.attempt,
        keep_all=welcome.keep_all,
    )
    return Trial(welcome, order, checkpoints, publish, drains), checkpoints


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
