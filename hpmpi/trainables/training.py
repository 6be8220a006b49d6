"""The one mechanism of all trainables: train, score, report, save; go on where it was left.

What comes after a checkpoint is what would have come without it, bit by bit.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hpmpi.columns import Array
from hpmpi.data import Data
from hpmpi.errors import ObjectiveError
from hpmpi.objective import Trial
from hpmpi.trainables import options as study
from hpmpi.trainables import snapshot
from hpmpi.trainables.dataset import Layout, load, located, part, splits
from hpmpi.trainables.estimator import SAY_TASK, configure, make, task_of
from hpmpi.trainables.options import DEFAULT, FOLDS, Kind, Options, Task
from hpmpi.trainables.resource import RESOURCES, choose
from hpmpi.trainables.scoring import PLAIN, measure, over_folds, scorers
from hpmpi.trial import Config, Metrics


def as_it_is(config: Config) -> Mapping[str, Any]:
    """Take a configuration as the arguments of the estimator."""
    return config


def unchanged(x: Array, _config: Config, _draw: np.random.Generator) -> Array:
    """Train on the same features in each epoch."""
    return x


class Trainable(msgspec.Struct, frozen=True):
    """What one model is: a class for each task, and what it does where the study says nothing.

    `own` are hyperparameters beside the estimator's: `arguments` turns a configuration into the
    estimator's arguments, and `vary` changes the training features for an epoch.
    """

    classifier: str | None = None
    regressor: str | None = None
    resource: Kind = "none"
    scale: bool = False
    own: Sequence[str] = ()
    arguments: Callable[[Config], Mapping[str, Any]] = as_it_is
    vary: Callable[[Array, Config, np.random.Generator], Array] = unchanged

    def __call__(self, config: Config, trial: Trial) -> Metrics:
        """Train up to `trial.stop`, from the trial's newest checkpoint on."""
        return over_folds(Training(self, config, given_by(trial)).run(trial))

    def default(self, config: Config, trial: Trial) -> Metrics:
        """Train the estimator with nothing tuned, on all rows and folds: a baseline."""
        return over_folds(Training(self, config, given_by(trial)).at_once())

    def check_study(
        self, args: dict[str, object], origin: Path, metric: str | None, data: Data | None
    ) -> None:
        """Raise ObjectiveError where a study asks for what there is not; loads the data."""
        there_is = Training(self, {}, Given(args, origin, data, seed=0)).metrics
        if metric not in there_is:
            raise ObjectiveError(f"metric = {metric!r} is none; there is: {', '.join(there_is)}")

    def paths(self, options: Options, task: Task | None) -> Sequence[str]:
        """Say which estimator it is, or which steps of a pipeline; raises ObjectiveError."""
        usual = self.regressor if task == "regression" else self.classifier
        said = options.estimator or usual
        if task is None and not options.estimator and usual:
            raise ObjectiveError(
                f"whether the many whole numbers to predict in {options.dataset or '[data]'} are "
                f"classes does not show; {SAY_TASK}"
            )
        if not said:
            raise ObjectiveError(
                "objective_args.estimator is missing: an import path such as "
                "'sklearn.ensemble.RandomForestClassifier', or a list of them, a pipeline"
            )
        return [said] if isinstance(said, str) else said


class Given(NamedTuple):
    """What a study says, the folder of its file, its `[data]`, and the seed of a trial."""

    args: dict[str, object]
    origin: Path
    data: Data | None
    seed: int


def given_by(trial: Trial) -> Given:
    """Take what a trial is given."""
    return Given(trial.args, trial.origin, trial.data, trial.seed)


class Training:
    """One job: as many models as there are folds, or one of a hold-out."""

    def __init__(self, kind: Trainable, config: Config, given: Given) -> None:
        """Check what the study asks for; raises ObjectiveError."""
        options = study.read(given.args)
        shared = given.data if options.dataset is None else None
        name, beside = options.dataset or DEFAULT, options.validation
        dataset = located(name, given.origin) if shared is None else str(shared.folder)
        validation = None if beside is None else located(beside, given.origin)
        source = (dataset, options.target, validation, options.rows)
        data = load(*source)
        self._model = make(kind.paths(options, options.task or data.task))
        task = task_of(self._model, options.task)
        if task == "classification" and data.task == "regression":
            name = name if shared is None else "[data]"
            raise ObjectiveError(f"{name} has numbers to predict, and no classes")
        values = {**options.arguments, **kind.arguments(config)}
        seed = given.seed if options.random_state is None else options.random_state
        configure(self._model, values, seed, own=kind.own)
        self._name = choose(options.resource, kind.resource, self._model, values)
        self._resource = RESOURCES[self._name]
        scaled = kind.scale if options.scale is None else options.scale
        folds = options.folds or (FOLDS if self._name == "folds" else None)
        stratified = task == "classification"
        self._layout = Layout(*source, options.test_size, folds, stratified, scaled)
        self._scorers = scorers(options.scoring, task)
        self._kind, self._config, self._seed = kind, config, given.seed
        self._models: dict[int, Any] = {}
        self._scalers: dict[int, Any] = {}
        self._folds: dict[int, Metrics] = {}
        self._kept = True

    @property
    def metrics(self) -> list[str]:
        """The names of what comes of it, if it has several folds and tells its loss."""
        curved = [*self._scorers, "train_loss"]
        return [*self._scorers, *PLAIN, "train_loss", *(f"{name}_std" for name in curved)]

    def run(self, trial: Trial) -> list[Metrics]:
        """Train up to where the job ends; returns the metrics of each fold."""
        count = len(splits(self._layout))
        if self._name == "folds" and trial.stop > count:
            raise ObjectiveError(
                f"{trial.stop} folds are asked for by [scheduler], and there are {count}: "
                f"set max_resource = {count}, or objective_args.folds"
            )
        if trial.previous is not None:
            self._go_on(trial.previous)
        for reached in self._resource.points(trial.start, trial.stop):
            for number in [reached - 1] if self._name == "folds" else range(count):
                self._advance(number, reached)
            means = over_folds(list(self._folds.values()))
            curve = {name: value for name, value in means.items() if name not in PLAIN}
            trial.report(reached, **curve)
            if self._kept and trial.should_save(reached):
                self._save(trial, reached)
        return list(self._folds.values())

    def at_once(self) -> list[Metrics]:
        """Train as the estimator does by itself, whatever the resource is."""
        self._resource = RESOURCES["none"]
        for number in range(len(splits(self._layout))):
            self._advance(number, 1)
        return list(self._folds.values())

    def _advance(self, number: int, reached: int) -> None:
        """Take the model of a fold to the next point, and score it."""
        data = part(self._layout, number)
        before = self._folds.get(number, {}) if self._resource.continues else {}
        model = self._models[number] if before else clone(self._model)
        began_at = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            rows = self._resource.train(model, data, reached, self._vary)
        fit_s = before.get("fit_s", 0.0) + time.monotonic() - began_at
        measured = measure(model, data, self._scorers)
        self._folds[number] = {**measured, "fit_s": fit_s, "train_rows": rows}
        if self._name != "folds":
            self._models[number], self._scalers[number] = model, data.scaler

    def _vary(self, x: Array, epoch: int) -> Array:
        # A generator for each epoch: what goes on from a checkpoint draws what it would have drawn.
        draw = np.random.default_rng([self._seed, epoch])
        return self._kind.vary(x, self._config, draw)

    def _go_on(self, folder: Path) -> None:
        """Take over what a checkpoint has."""
        self._folds = dict(enumerate(snapshot.load_scores(folder)))
        if self._resource.continues:
            models = snapshot.load_models(folder, self._model, scaled=self._layout.scaled)
            self._models = dict(enumerate(models))

    def _save(self, trial: Trial, reached: int) -> None:
        """Save a checkpoint; where the model can't be kept there is none to go on from."""
        try:
            with trial.checkpoint(reached) as folder:
                snapshot.save_scores(folder, list(self._folds.values()))
                if self._models:
                    models, scalers = self._models.values(), self._scalers.values()
                    snapshot.save_models(folder, list(models), list(scalers))
        except snapshot.NotKeptError as error:
            self._kept = False
            warnings.warn(str(error), stacklevel=2)
