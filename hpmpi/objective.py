"""The user's function: finding it, what it is given, and what it may return.

    def train(config, trial): ...      or      def train(config): ...

It returns a number, or a dictionary of numbers by metric.
"""

import importlib
import importlib.util
import inspect
import math
import numbers
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from hpmpi.checkpoints import Checkpoints, trial_folder
from hpmpi.data import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.files import remove
from hpmpi.messages import Assign, Point, Welcome
from hpmpi.trial import Config, Metrics

Function = Callable[[Config, "Trial"], Any]
Publish = Callable[[Point], None]
Drains = Callable[[], bool]

SAVE_PAUSE_S = 10.0
"""Least time between two checkpoints that are not at the end of a job."""

SAVE_SHARE = 0.05
"""Greatest share of a job's time that may go into checkpoints between."""


TRIALS = "trials"
"""The folder in the run folder that has those of trials."""

MOST_METRICS = 10_000
MOST_CHARACTERS = 200
"""How many metrics an objective may return, and how much of what it returned is told."""


MOST_NOTES = 20
MOST_OF_NOTE = 300
"""How much of what an objective says of its study is told: texts, and characters of each."""


class Suspend(BaseException):
    """The run drains, and a checkpoint at the resource `saved` is there: leave the objective.

    Not an error, and not for an `except Exception` on the way.
    """

    def __init__(self, saved: int) -> None:
        """Say where the trial will go on."""
        super().__init__(saved)
        self.saved = saved


class Trial:
    """What an objective is given beside its configuration.

    `start`: the resource already spent, 0 without a checkpoint; `stop`: the resource to reach;
    `previous`: the folder of the trial's newest checkpoint, or None; `seed`: 32 bits, the same for
    every attempt at this trial; `args`: the study's `[objective_args]`; `origin`: the folder of the
    study file; `data`: the arrays of `[data]` by name, read-only, or None; `deadline_s`: seconds
    left before the allocation ends, None where that is not known; `folder`: one of this attempt's
    own.
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
        self.args = welcome.args
        self.origin = Path(welcome.origin)
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
        self._saved_at = time.monotonic()
        self._save_took_s = 0.0

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

    def report(self, resource: int, /, **metrics: float) -> None:
        """Add a point to the learning curve; raises ObjectiveError for what is no number."""
        self._publish(Point(int(resource), all_numbers(metrics)))

    def should_save(self, resource: int) -> bool:
        """Tell whether now is the time for a checkpoint.

        That is at the end, when the run drains, and now and then between.
        """
        pause_s = max(SAVE_PAUSE_S, self._save_took_s / SAVE_SHARE)
        due = resource >= self.stop or time.monotonic() - self._saved_at >= pause_s
        return due or self._drains()

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
        if newest is not None and resource <= newest.resource < self.stop and self._drains():
            raise Suspend(newest.resource)


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
    function = load(welcome.objective, Path(welcome.origin))
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
    given = (welcome.args, Path(welcome.origin), welcome.metric, data_in(welcome.data))
    wants_examples = "examples" in inspect.signature(look).parameters
    said = look(*given, **({"examples": welcome.examples} if wants_examples else {}))
    return (
        [str(each)[:MOST_OF_NOTE] for each in said[:MOST_NOTES]] if isinstance(said, list) else []
    )


def called_with_both(function: Callable[..., Any]) -> Function:
    """Let an objective be called with the trial, which it gets if it takes two arguments.

    A default of its own is left alone.
    """
    parameters = inspect.signature(function).parameters.values()
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    takes_both = any(each.kind is each.VAR_POSITIONAL for each in parameters) or any(
        each.default is each.empty or each.name == "trial" for each in positional[1:2]
    )
    return function if takes_both else lambda config, _: function(config)


def check(returned: object, metric: str | None) -> Metrics:
    """Turn what an objective returned into metrics; raises ObjectiveError where it is none.

    >>> check(0.5, None), check({"accuracy": 1}, "accuracy")
    ({'loss': 0.5}, {'accuracy': 1.0})
    """
    values = returned if isinstance(returned, dict) else {metric or "loss": returned}
    if (metric or "loss") not in values:
        there_is = ", ".join(map(repr, islice(values, 20)))[:MOST_CHARACTERS] or "nothing at all"
        raise ObjectiveError(
            f"the objective returned no {metric or 'loss'!r} but {there_is}; "
            "set `metric` in the study to one of its keys"
        )
    return all_numbers(values)


def all_numbers(values: Mapping[Any, object]) -> Metrics:
    """Turn metrics into floats by name; raises ObjectiveError where they are none, or too many."""
    if len(values) > MOST_METRICS:
        raise ObjectiveError(f"{len(values)} metrics are too many: return {MOST_METRICS} at most")
    names = {value: written(value) for value in values}
    if long := next((name for name in names.values() if len(name) > MOST_CHARACTERS), None):
        raise ObjectiveError(f"the name of the metric {long[:20]!r}... is too long")
    return {names[key]: number(names[key], value) for key, value in values.items()}


def written(name: object) -> str:
    """Write the name of a metric so that it can be sent and stored, whatever it is."""
    return str(name).encode(errors="backslashreplace").decode()


def number(name: str, value: object) -> float:
    """Turn one metric into a float; numpy's numbers and arrays of one are welcome."""
    if hasattr(value, "item") and not isinstance(value, numbers.Number):
        try:
            value = value.item()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ObjectiveError(f"the metric {name!r} is not one number: {error}") from error
    if not isinstance(value, numbers.Real):
        shown = repr(value)
        raise ObjectiveError(
            f"the metric {name!r} must be a number and is {shown[:MOST_CHARACTERS]} of type "
            f"{type(value).__name__}"
        )
    try:
        return float(value)
    except OverflowError:
        return -math.inf if abs(value) != value else math.inf


def load_file(path: Path) -> object:
    """Import a file; its neighbours can be imported by it."""
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
