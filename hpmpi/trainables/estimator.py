"""From import paths and a configuration to an estimator, or a pipeline of several."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline, make_pipeline

from hpmpi.errors import ObjectiveError
from hpmpi.trainables.options import Task


def make(paths: Sequence[str]) -> Any:
    """Make an estimator as it comes, or a pipeline of several; raises ObjectiveError."""
    try:
        steps = [find(path)() for path in paths]
    except TypeError as error:
        raise ObjectiveError(f"objective_args.estimator = {paths}: {error}") from error
    return steps[0] if len(steps) == 1 else make_pipeline(*steps)


def find(path: str) -> Any:
    """Import a class; raises ObjectiveError that lists what else its module has."""
    place, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(place)
    except (ImportError, ValueError) as error:
        raise ObjectiveError(
            f"objective_args.estimator = {path!r} can't be imported: {error}; "
            "it must be like 'sklearn.ensemble.RandomForestClassifier'"
        ) from error
    there_is = [each for each in dir(module) if hasattr(getattr(module, each), "fit")]
    if name not in there_is:
        said = f"objective_args.estimator = {path!r}: {place} has no estimator {name!r}"
        raise ObjectiveError(f"{said}; it has: {', '.join(there_is) or 'none'}")
    return getattr(module, name)


def configure(model: Any, values: Mapping[str, Any], seed: int, *, own: Sequence[str] = ()) -> None:
    """Set hyperparameters, and `seed` wherever it is taken; raises ObjectiveError.

    The word "None" is None. `own` names are not the estimator's, and listed with them.
    """
    valid = model.get_params()
    seeds = {name: seed for name in valid if name.rpartition("__")[2] == "random_state"}
    chosen = {}
    for name, value in values.items():
        known = name if name in valid else last(model) + name
        if known not in valid:
            hyperparameters = ", ".join(sorted([*own, *named(model)]))
            raise ObjectiveError(
                f"{title(model)} has no hyperparameter {name!r}; it has: {hyperparameters}"
            )
        chosen[known] = None if value == "None" else value
    model.set_params(**{**seeds, **chosen})


def named(model: Any) -> list[str]:
    """List the hyperparameters of a model; those of a pipeline have their step before them."""
    return [name for name in model.get_params() if ("__" in name) == isinstance(model, Pipeline)]


def last(model: Any) -> str:
    """Write what stands before the names of a pipeline's last step."""
    return f"{model.steps[-1][0]}__" if isinstance(model, Pipeline) else ""


def title(model: Any) -> str:
    """Name a model in a message."""
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    return ", ".join(type(step).__name__ for step in steps)


def task_of(model: Any, said: Task | None) -> Task:
    """Tell what a model is for; raises ObjectiveError where neither it nor the study says."""
    if is_classifier(model):
        return "classification"
    if is_regressor(model):
        return "regression"
    if said is None:
        raise ObjectiveError(
            f"whether {title(model)} is for classes or numbers does not show; "
            'set objective_args.task to "classification" or "regression"'
        )
    return said
