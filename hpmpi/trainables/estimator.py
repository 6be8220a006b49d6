"""From import paths and a configuration to an estimator, or a pipeline of several."""

import difflib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags

from hpmpi.errors import ObjectiveError
from hpmpi.trainables.options import Task

SAY_TASK = 'set objective_args.task to "classification" or "regression"'
"""What to do where it is not known what is to be predicted."""

INNER = ("estimator", "estimators", "regressor", "classifier")
"""How the parameters end that are estimators themselves."""

SLIP = 0.8
"""How alike two names are of which one is a slip of the other."""

INNER_CLASSIFIER = "sklearn.linear_model.LogisticRegression"
INNER_REGRESSOR = "sklearn.linear_model.Ridge"
"""What an estimator is made with that must have another, where none is said."""


def make(paths: Sequence[str], arguments: Mapping[str, Any], task: Task | None = None) -> Any:
    """Make an estimator as it comes, or a pipeline of several; raises ObjectiveError.

    What an estimator can't do without is taken from the arguments, or usual for the `task`.
    """
    steps = [build(find(path), arguments, task, is_last=path == paths[-1]) for path in paths]
    return steps[0] if len(steps) == 1 else make_pipeline(*steps)


def build(
    kind: Any, arguments: Mapping[str, Any], task: Task | None = None, *, is_last: bool
) -> Any:
    """Make an estimator of a class, with nothing but what it must be given."""
    given = {}
    for name in needed(kind):
        step = f"{kind.__name__.lower()}__{name}"
        if step in arguments or (is_last and name in arguments):
            given[name] = inner(name, arguments.get(step, arguments.get(name)))
        elif name in ("estimator", "base_estimator"):
            given[name] = find(usual(kind, task))()
        else:
            raise ObjectiveError(
                f"{kind.__name__} must be given `{name}`: say it in objective_args.arguments"
            )
    return kind(**given)


def needed(kind: Any) -> list[str]:
    """List what a class can't be made without."""
    return [
        name
        for name, each in inspect.signature(kind).parameters.items()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def usual(kind: Any, task: Task | None) -> str:
    """Say what an estimator is made with that must have another."""
    is_of_numbers = issubclass(kind, RegressorMixin) or (
        task == "regression" and not issubclass(kind, ClassifierMixin)
    )
    return INNER_REGRESSOR if is_of_numbers else INNER_CLASSIFIER


def assumed(paths: Sequence[str], arguments: Mapping[str, Any], task: Task | None) -> list[str]:
    """Say which estimators are made with one that nobody has said."""
    kinds = [kind for kind in map(find, paths) if {*needed(kind)} & {"estimator", "base_estimator"}]
    return [
        f"{kind.__name__} is one of {usual(kind, task).rpartition('.')[2]}, as "
        "objective_args.arguments has no estimator"
        for kind in kinds
        if not any(name.rpartition("__")[2].endswith("estimator") for name in arguments)
    ]


def inner(name: str, value: Any) -> Any:
    """Take import paths for estimators, where a parameter is to be some."""
    if not name.endswith(INNER):
        return value
    if isinstance(value, str) and "." in value:
        return build(find(value), {}, is_last=True)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        models = [inner("estimator", each) for each in value]
        return make_pipeline(*models).steps  # they have names there
    return value


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


def configure(
    model: Any,
    values: Mapping[str, Any],
    seed: int,
    *,
    own: Sequence[str] = (),
    classes: Sequence[Any] = (),
) -> None:
    """Set hyperparameters, and `seed` wherever it is taken; raises ObjectiveError.

    The word "None" is None. `own` names are not the estimator's, and listed with them. `classes`
    are what is to be predicted, by which a table has its keys.
    """
    full = {name if name in model.get_params() else last(model) + name: name for name in values}
    estimators = {known: inner(known, values[name]) for known, name in full.items()}
    there_is = model.get_params()
    model.set_params(
        **{
            known: it
            for known, it in estimators.items()
            if known in there_is and hasattr(it, "fit")
        }
    )
    valid = model.get_params()
    seeds = {name: seed for name in valid if name.rpartition("__")[2] == "random_state"}
    chosen = {}
    for known, name in full.items():
        if known not in valid and not takes_more(model, known, valid):
            hyperparameters = ", ".join(sorted([*own, *named(model)]))
            raise ObjectiveError(
                f"{title(model)} has no hyperparameter {name!r}; it has: {hyperparameters}"
            )
        if not hasattr(estimators[known], "fit"):
            chosen[known] = meant(estimators[known], valid.get(known), classes)
    model.set_params(**{**seeds, **chosen})


def takes_more(model: Any, name: str, valid: Sequence[str]) -> bool:
    """Tell whether a hyperparameter may be one that an estimator has beside those that it lists.

    XGBoost's and LightGBM's do so. What is almost one that is listed is a slip.
    """
    step = steps_of(model)[-1]
    own, listed = name.removeprefix(last(model)), [each.removeprefix(last(model)) for each in valid]
    parameters = inspect.signature(type(step)).parameters.values()
    has_more = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return has_more and "__" not in own and not difflib.get_close_matches(own, listed, 1, SLIP)


def meant(value: Any, usual: Any, classes: Sequence[Any]) -> Any:
    """Take what TOML has for what Python has beside: None, tuples, and keys that are no words.

    >>> meant("None", 3, []), meant([1, 2], (1, 1), []), meant({"0": 5.0, "1": 1.0}, None, [0, 1])
    (None, (1, 2), {0: 5.0, 1: 1.0})
    """
    if value == "None":
        return None
    if isinstance(value, list):
        found = [meant(each, None, classes) for each in value]
        return tuple(found) if isinstance(usual, tuple) else found
    if isinstance(value, dict):
        by_name = {name: label for label in classes for name in names_of(label)}
        return {by_name[key]: it for key, it in value.items()} if {*value} <= {*by_name} else value
    return value


def names_of(label: Any) -> list[str]:
    """Say how a label may be written as a key.

    >>> names_of(1.0), names_of(True), names_of("cat")
    (['1.0', '1'], ['True', 'true'], ['cat'])
    """
    if isinstance(label, bool):
        return [str(label), str(label).lower()]
    whole = isinstance(label, float) and label.is_integer()
    return [str(label), str(int(label))] if whole else [str(label)]


def named(model: Any) -> list[str]:
    """List the hyperparameters of a model; those of a pipeline have their step before them."""
    return [name for name in model.get_params() if ("__" in name) == isinstance(model, Pipeline)]


def steps_of(model: Any) -> list[Any]:
    """List the estimators of a pipeline, or the one that it is."""
    return [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]


def last(model: Any) -> str:
    """Write what stands before the names of a pipeline's last step."""
    return f"{model.steps[-1][0]}__" if isinstance(model, Pipeline) else ""


def title(model: Any) -> str:
    """Name a model in a message."""
    return ", ".join(type(step).__name__ for step in steps_of(model))


def takes_blanks(model: Any) -> bool:
    """Tell whether a model does something about what is not known, by itself."""
    for step in steps_of(model):
        try:
            if not get_tags(step).input_tags.allow_nan:
                return False
        except AttributeError:  # of somebody who does not build upon scikit-learn
            return False
        if type(step).__module__.startswith("sklearn.impute"):
            return True
    return True


def task_of(model: Any, said: Task | None) -> Task:
    """Tell what a model is for; raises ObjectiveError where neither it nor the study says."""
    if is_classifier(model):
        return "classification"
    if is_regressor(model):
        return "regression"
    if said is None:
        raise ObjectiveError(
            f"whether {title(model)} is for classes or numbers does not show; {SAY_TASK}"
        )
    return said
