"""The user's function: how it is found, and what it may be.

It may be anything that can be called as calling.py has it, or a class, whose one instance can.
"""

import copy
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpmpi.data.mapped import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Welcome
from hpmpi.study import references
from hpmpi.worker.calling import Function, called, signature_of, takes

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
    found = find(welcome)
    function, data = called(found, welcome.hyperparameters), data_in(welcome.data)
    notes = (*(data.notes if data is not None else []), *check_study(found, welcome))
    return function, notes


def find(welcome: Welcome) -> Callable[..., Any]:
    """Import the objective of a study, and make its instance where it is a class."""
    return made(load(welcome.objective, Path(welcome.origin)))


def load(reference: str, origin: Path) -> Callable[..., Any]:
    """Import a function beside a study, or one that is installed.

    Raises ObjectiveError where there is no such thing; whatever the user's module raises comes out
    as it is.
    """
    found = references.load(reference, origin)
    if not callable(found):
        raise ObjectiveError(f"{reference!r} is no function: it is a {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def check_study(function: Callable[..., Any], welcome: Welcome) -> list[str]:
    """Have an objective look at the study once, if it can: what it raises ends the run.

    It can where it has an attribute `check_study`, which takes `[objective_args]`, the folder of
    the study file, the name of the metric (the list of them, where the study has one), and the
    data, None without `[data]`; and, where it has a parameter `examples`, some configurations. If
    it returns texts, people are told them.
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
