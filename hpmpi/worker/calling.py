"""How an objective is called: with the configuration, or with the hyperparameters by name.

    def train(config, trial): ...           def train(config): ...
    def train(lr, width, trial): ...        def train(lr, *, width=64): ...
    def train(**hyperparameters): ...

What it takes decides:

- Where no parameter is named as a hyperparameter is, the configuration is the first argument,
  whatever that is called. The trial is the second, where that has no default, or is `trial`.
- Where one is, or where there is nothing but `**rest` and `trial`, they are given by name. Then all
  of the space must be taken, and one that is not always active must have a default, which counts
  where it is inactive. What else there is must have a default, which is left alone.
- `config` is the whole configuration, as the first, and `trial` is the handle, also where there are
  hyperparameters of these names.

What can be given by its position only (`/`, `*args`) has no name.
"""

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Config
from hpmpi.worker.handle import Trial

Function = Callable[[Config, Trial], Any]
Parameters = Mapping[str, Parameter]
Hyperparameters = Mapping[str, bool]
"""Those of the space by name, and of each whether it is always active."""

CONFIG, TRIAL = "config", "trial"

MOST_CHARACTERS = 200
"""How much is told of what an objective takes."""

BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
REST = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def called(function: Callable[..., Any], hyperparameters: Hyperparameters) -> Function:
    """Let an objective be called with a configuration and a trial, whichever way it takes them.

    Raises ObjectiveError for one that can't be called so, and for one that may be meant both ways.
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # some that are written in C don't tell
        return lambda config, _: function(config)
    if is_by_name(parameters, hyperparameters):
        return called_by_name(function, parameters, hyperparameters)
    return called_with_both(function, parameters, hyperparameters)


def is_by_name(parameters: Parameters, hyperparameters: Hyperparameters) -> bool:
    """Tell whether hyperparameters are taken one by one."""
    if next(iter(parameters), CONFIG) == CONFIG:
        return False
    if any(name in hyperparameters for name in named(parameters)):
        return True
    kinds = {it.kind for name, it in parameters.items() if name != TRIAL}
    return bool(hyperparameters) and kinds <= {Parameter.VAR_KEYWORD}


def called_by_name(
    function: Callable[..., Any], parameters: Parameters, hyperparameters: Hyperparameters
) -> Function:
    """Let an objective be called with the hyperparameters, and the trial if it takes one."""
    names, takes_trial = named(parameters), TRIAL in parameters
    takes_rest = any(it.kind is it.VAR_KEYWORD for it in parameters.values())
    for name, it in parameters.items():
        needed = it.default is it.empty and it.kind not in REST and name != TRIAL
        if needed and (name not in hyperparameters or it.kind is it.POSITIONAL_ONLY):
            raise refusal(function, f"{name} has no default, and is no hyperparameter")
        if needed and not hyperparameters[name]:
            raise refusal(function, f"{name} is not always active, and has no default")
    for name in hyperparameters:
        if (name == TRIAL and takes_trial) or not (name in names or takes_rest):
            raise refusal(function, f"the hyperparameter {name!r} is not taken")
    if takes_trial:
        return lambda config, trial: function(**config, trial=trial)
    return lambda config, _: function(**config)


def called_with_both(
    function: Callable[..., Any], parameters: Parameters, hyperparameters: Hyperparameters
) -> Function:
    """Let an objective be called with the configuration, and the trial if it takes two arguments.

    A default of its own is left alone.
    """
    positional = [it for it in parameters.values() if it.kind in BY_POSITION]
    takes_both = any(it.kind is it.VAR_POSITIONAL for it in parameters.values()) or any(
        it.default is it.empty or it.name == TRIAL for it in positional[1:2]
    )
    for name in named(parameters):
        if name in hyperparameters and name not in (CONFIG, TRIAL):
            raise refusal(function, f"{name} is a hyperparameter, which {CONFIG} has")
    if not takes(function, *[CONFIG, TRIAL][: 1 + takes_both]):
        raise refusal(function, "that is neither")
    return function if takes_both else lambda config, _: function(config)


def named(parameters: Parameters) -> list[str]:
    """List what can be given by its name, and is not the handle."""
    return [name for name, it in parameters.items() if it.kind in BY_NAME and name != TRIAL]


def takes(function: Callable[..., Any], *arguments: object) -> bool:
    """Tell whether something can be called with these arguments, or does not say."""
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


def refusal(function: Callable[..., Any], why: str) -> ObjectiveError:
    """Say what an objective takes, why it can't be called, and what it is to take."""
    return ObjectiveError(
        f"the objective takes {signature_of(function)}: {why}; it must take a configuration, or a "
        "configuration and a trial, as in def train(config, trial), or each hyperparameter by its "
        "name, as in def train(lr, width)"
    )


def signature_of(function: Callable[..., Any]) -> str:
    """Write what something is called with, for people."""
    try:
        return str(inspect.signature(function))[:MOST_CHARACTERS]
    except ValueError:
        return "what it does not say"
