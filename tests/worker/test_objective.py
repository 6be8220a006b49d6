"""The user's function: how it is found, called, and what it may return."""

import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Point
from hpmpi.model.trial import Config
from hpmpi.worker import checkpoints
from hpmpi.worker.baseline import welcome_to_baseline
from hpmpi.worker.calling import called
from hpmpi.worker.handle import SAVE_PAUSE_S, SAVE_SHARE, Drains, Suspend, Trial, open_trial
from hpmpi.worker.objective import load, made, prepare
from tests.harness import drive
from tests.harness.build import never
from tests.harness.drive import order, welcome


def ignore(_point: Point) -> None:
    """Have no use for a point of a curve."""


def handle(folder: Path, *, resource: int = 9, attempt: int = 1, drains: Drains = never) -> Trial:
    """Make the handle of an attempt at trial 7."""
    told = order(7, resource, attempt)
    return open_trial(welcome(folder, args={"dataset": "iris"}), told, ignore, drains)[0]


@pytest.mark.parametrize("reference", ["train.py:number", "train.py:nothing", "nothing.py:f"])
def test_what_is_no_function_is_no_objective(tmp_path: Path, reference: str) -> None:
    (tmp_path / "train.py").write_text("number = 7")
    with pytest.raises(ObjectiveError, match=f"'{reference}' is "):
        load(reference, tmp_path)


# -- calling ---------------------------------------------------------------------------------------


def by_config(config: object) -> object:
    return (config,)


def by_both(config: object, trial: object) -> object:
    return (config, trial)


def by_default(config: object, trial: object = None) -> object:
    return (config, trial)


def by_option(config: object, _epochs: int = 3) -> object:
    return (config,)


def by_anything(*everything: object) -> object:
    return everything


def by_keywords(config: object, **_rest: object) -> object:
    return (config,)


class ByObject:
    """Can be called."""

    def __call__(self, config: object, trial: object) -> object:
        """Take both."""
        return (config, trial)

    def method(self, config: object) -> object:
        """Take one."""
        return (config,)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (by_config, 1),
        (by_both, 2),
        (by_default, 2),
        (by_option, 1),
        (by_anything, 2),
        (by_keywords, 1),
        (ByObject(), 2),
        (ByObject().method, 1),
        (functools.partial(by_both, trial=None), 1),
        (functools.partial(by_anything), 2),
        (lambda config, /: (config,), 1),
    ],
)
def test_an_objective_is_given_as_much_as_it_takes(
    tmp_path: Path, function: Callable[..., Any], arguments: int
) -> None:
    config: Config = {"x": 1}
    trial = handle(tmp_path)
    given = called(function, {})(config, trial)
    if isinstance(function, functools.partial) and function.keywords:
        assert given == (config, None)
    else:
        assert given == (config, trial)[:arguments]


class ByClass:
    """Is made once, of nothing."""

    def __init__(self, offset: int = 1, *rest: int, **more: int) -> None:
        """Read the data, say."""
        self.offset = offset + len(rest) + len(more)
        self.calls = 0

    def __call__(self, _config: object, trial: Trial) -> object:
        """Count."""
        self.calls += 1
        return self.offset, self.calls, trial


def test_a_class_is_made_once_and_its_instance_is_the_objective(tmp_path: Path) -> None:
    trial = handle(tmp_path)
    function = called(made(ByClass), {})
    assert [function({}, trial) for _ in range(2)] == [(1, 1, trial), (1, 2, trial)]


class NeedsMore(ByClass):
    """Can't be made of nothing."""

    def __init__(self, path: str, *, folds: int) -> None:
        """Want something."""
        super().__init__(folds + len(path))


class NotCalled:
    """Can't be called."""


async def awaited(config: Config) -> object:
    """Take its time."""
    return config


class Awaited:
    """Takes its time."""

    async def __call__(self, config: Config) -> object:
        """Take it."""
        return config


def yields(config: Config) -> Iterator[object]:
    """Come to many results."""
    yield config


async def yields_in_time(config: Config) -> AsyncIterator[object]:
    """Come to many results."""
    yield config


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (NeedsMore, "class NeedsMore, whose constructor takes (path: str, *, folds: int)"),
        (NotCalled, "class NotCalled, which has no method __call__(self, config)"),
        (awaited, "is async"),
        (Awaited(), "is async"),
        (Awaited, "is async"),
        (Awaited().__call__, "is async"),
        (functools.partial(awaited), "is async"),
        (yields, "has a yield"),
        (functools.partial(yields), "has a yield"),
        (yields_in_time, "is an async generator"),
        (lambda: 0, "takes ()"),
        (lambda **config: config, "takes (**config)"),
        (lambda *, config: config, "takes (*, config)"),
        (lambda config, trial, more: (config, trial, more), "takes (config, trial, more)"),
        (lambda config, *, epochs: (config, epochs), "takes (config, *, epochs)"),
    ],
)
def test_what_can_be_no_objective_is_said_before_the_first_trial(
    found: Callable[..., Any], said: str
) -> None:
    with pytest.raises(ObjectiveError) as caught:
        called(made(found), {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# -- by name -------------------------------------------------------------------------------------

ALWAYS = {"lr": True, "width": True}
"""Hyperparameters that are always active."""


def by_name(lr: object, width: object) -> object:
    return (lr, width)


def by_name_with_trial(trial: object, width: object, lr: object = None) -> object:
    return (lr, width, trial)


def by_keyword(*, width: object, lr: object, epochs: int = 3) -> object:
    return (lr, width, epochs)


def by_rest(**given: object) -> object:
    return (given["lr"], given["width"])


def by_rest_with_trial(lr: object, trial: object, **given: object) -> object:
    return (lr, given["width"], trial)


def decorated(*args: Any, **given: Any) -> object:
    return by_name(*args, **given)


class ByNames:
    """Can be called by name."""

    def __call__(self, lr: object, width: object) -> object:
        """Take both."""
        return (lr, width)


@pytest.mark.parametrize(
    ("function", "more"),
    [
        (by_name, ()),
        (by_name_with_trial, ("trial",)),
        (by_keyword, (3,)),
        (by_rest, ()),
        (by_rest_with_trial, ("trial",)),
        (ByNames(), ()),
        (ByNames, ()),
        (functools.partial(by_name, width=3), ()),
        (functools.wraps(by_name)(decorated), ()),
    ],
)
def test_what_is_named_as_hyperparameters_are_is_given_them_by_name(
    tmp_path: Path, function: Callable[..., Any], more: tuple[object, ...]
) -> None:
    trial = handle(tmp_path)
    given = called(made(function), ALWAYS)({"width": 64, "lr": 0.1}, trial)
    assert given == (0.1, 64, *[trial if it == "trial" else it for it in more])


@pytest.mark.parametrize("function", [by_config, by_both, by_option, by_anything, ByObject()])
def test_what_is_named_otherwise_is_given_the_configuration(
    tmp_path: Path, function: Callable[..., Any]
) -> None:
    config: Config = {"lr": 0.1, "width": 64, "config": 1, "trial": 2}
    told = dict.fromkeys(config, True)
    given = called(function, told)(config, handle(tmp_path))
    assert given[0] == config


def test_a_default_counts_where_a_hyperparameter_is_inactive(tmp_path: Path) -> None:
    function = called(lambda lr, momentum=0.9: (lr, momentum), {"lr": True, "momentum": False})
    assert function({"lr": 0.1}, handle(tmp_path)) == (0.1, 0.9)
    assert function({"lr": 0.1, "momentum": 0.5}, handle(tmp_path)) == (0.1, 0.5)


def test_a_name_with_a_dot_is_given_to_what_takes_any(tmp_path: Path) -> None:
    function = called(lambda **given: given, {"model.lr": True})
    assert function({"model.lr": 0.1}, handle(tmp_path)) == {"model.lr": 0.1}


@pytest.mark.parametrize(
    ("function", "hyperparameters", "said"),
    [
        (by_name, {"lr": True}, "width has no default, and is no hyperparameter"),
        (by_name, {**ALWAYS, "depth": True}, "the hyperparameter 'depth' is not taken"),
        (by_name, {**ALWAYS, "model.lr": True}, "the hyperparameter 'model.lr' is not taken"),
        (by_name, {"lr": True, "width": False}, "width is not always active, and has no default"),
        (lambda config, lr=0.1: (config, lr), ALWAYS, "lr is a hyperparameter, which config has"),
        (lambda config, lr: (config, lr), ALWAYS, "lr is a hyperparameter, which config has"),
        (
            lambda params, lr: (params, lr),
            ALWAYS,
            "params has no default, and is no hyperparameter",
        ),
        (lambda lr, /, width: (lr, width), ALWAYS, "lr has no default, and is no hyperparameter"),
        (lambda trial: trial, ALWAYS, "the hyperparameter 'lr' is not taken"),
        (by_rest_with_trial, {"lr": True, "trial": True}, "the hyperparameter 'trial' is not"),
        (lambda: 0, ALWAYS, "that is neither"),
    ],
)
def test_what_may_be_meant_both_ways_is_refused_in_a_line(
    function: Callable[..., Any], hyperparameters: dict[str, bool], said: str
) -> None:
    with pytest.raises(ObjectiveError) as caught:
        called(function, hyperparameters)
    text = str(caught.value)
    assert text.startswith("the objective takes (")
    assert f": {said}" in text
    assert "\n" not in text


def test_a_baseline_of_that_name_is_called_with_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text("def base(lr=0.5, width=1): return lr + width")
    told = welcome(tmp_path, "it.py:no", baseline="it.py:base", hyperparameters=ALWAYS)
    function, _ = prepare(welcome_to_baseline(told))
    assert function({}, handle(tmp_path)) == 1.5


def test_what_a_constructor_raises_comes_out() -> None:
    class Fails(ByClass):
        def __init__(self) -> None:
            raise LookupError("no data")

    with pytest.raises(LookupError, match="no data"):
        made(Fails)


def test_what_does_not_say_what_it_takes_is_given_the_configuration(tmp_path: Path) -> None:
    assert called(max, {})({"a": 1, "b": 2}, handle(tmp_path)) == "b"


# -- what it is given ------------------------------------------------------------------------------


def test_a_first_attempt_starts_with_nothing(tmp_path: Path) -> None:
    trial = handle(tmp_path)
    assert (trial.start, trial.stop, trial.previous) == (0, 9, None)
    assert (trial.number, trial.seed, trial.args) == (7, 7, {"dataset": "iris"})
    assert trial.origin == Path(drive.__file__).parent
    assert trial.deadline_s is None


def test_a_later_attempt_starts_where_the_checkpoint_is(tmp_path: Path) -> None:
    with handle(tmp_path).checkpoint(3) as folder:
        (folder / "model").write_text("three")
    trial = handle(tmp_path, attempt=2)
    assert trial.start == 3
    assert trial.previous is not None
    assert (trial.previous / "model").read_text() == "three"


def test_points_of_the_curve_are_numbers(tmp_path: Path) -> None:
    points: list[Point] = []
    trial, _ = open_trial(welcome(tmp_path), order(7), points.append, never)
    trial.report(np.int64(3), accuracy=np.float32(0.5), loss=np.array(1))  # type: ignore[arg-type]
    assert points == [Point(3, {"accuracy": 0.5, "loss": 1.0})]
    assert [type(value) for value in points[0].metrics.values()] == [float, float]


def test_what_is_no_number_is_left_out_of_the_curve_but_not_the_studied_metric(
    tmp_path: Path,
) -> None:
    points: list[Point] = []
    told = welcome(tmp_path, metric="accuracy")
    trial, _ = open_trial(told, order(7), points.append, never)
    trial.report(3, accuracy=0.5, note="half way", folds=[0.1])
    assert points == [Point(3, {"accuracy": 0.5})]
    with pytest.raises(ObjectiveError, match="'accuracy' must be a number"):
        trial.report(4, accuracy="good", loss=0.5)
    assert len(points) == 1


def test_arguments_are_each_trials_own(tmp_path: Path) -> None:
    told = welcome(tmp_path, args={"model": {"layers": [1, 2]}})
    for _ in range(2):
        trial, _checkpoints = open_trial(told, order(7), ignore, never)
        layers = trial.args["model"]["layers"]
        assert layers == [1, 2]
        layers.append(3)
        assert trial.args["model"]["layers"] == [1, 2, 3]


def test_the_end_is_a_time_to_save(tmp_path: Path) -> None:
    trial = handle(tmp_path)
    assert [resource for resource in range(1, 11) if trial.should_save(resource)] == [9, 10]


def test_now_and_then_is_a_time_to_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = handle(tmp_path)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert not trial.should_save(1)
    now += SAVE_PAUSE_S + 1
    assert trial.should_save(1)
    with trial.checkpoint(1):
        now += 100
    assert not trial.should_save(2)
    now += 100 / SAVE_SHARE - 1
    assert not trial.should_save(2)
    now += 2
    assert trial.should_save(2)


def test_a_drain_is_a_time_to_save_and_the_job_ends_there(tmp_path: Path) -> None:
    trial = handle(tmp_path, drains=lambda: True)
    assert trial.should_save(2)
    with pytest.raises(Suspend) as suspended, trial.checkpoint(2) as folder:
        (folder / "model").write_text("two")
    assert suspended.value.saved == 2
    assert handle(tmp_path, attempt=2).start == 2


def test_a_drain_lets_a_job_that_is_done_return_its_result(tmp_path: Path) -> None:
    trial = handle(tmp_path, resource=2, drains=lambda: True)
    with trial.checkpoint(2):
        pass


def test_a_save_that_fails_leaves_no_checkpoint(tmp_path: Path) -> None:
    trial = handle(tmp_path)
    with pytest.raises(ZeroDivisionError), trial.checkpoint(3):
        raise ZeroDivisionError
    assert os.listdir(checkpoints.trial_folder(tmp_path, 7)) == []  # noqa: PTH208
