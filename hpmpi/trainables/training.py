"""The one mechanism of all trainables: train, score, report, save; go on where it was left.

What comes after a checkpoint is what would have come without it, bit by bit.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hpmpi.data.mapped import Data
from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Config, Metrics
from hpmpi.trainables import options as study
from hpmpi.trainables import snapshot
from hpmpi.trainables.dataset import DatasetSource, classes, load
from hpmpi.trainables.estimator import SAY_TASK, configure, make, takes_blanks, task_of, title
from hpmpi.trainables.fitting import few, wants_numbers
from hpmpi.trainables.given import Given, given_by, source_of
from hpmpi.trainables.notes import notes
from hpmpi.trainables.options import FOLDS, Kind, Options, Task
from hpmpi.trainables.resource import RESOURCES, choose, resource_of
from hpmpi.trainables.scoring import PLAIN, check_metric, is_curved, measure, over_folds, scorers
from hpmpi.trainables.splits import Layout, part, splits
from hpmpi.worker.handle import Trial


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
        self,
        args: dict[str, object],
        origin: Path,
        metric: str | list[str] | None,
        data: Data | None,
        examples: Sequence[Config] = (),
    ) -> list[str]:
        """Try what each trial does, on some rows; return what people must know of the data.

        Raises ObjectiveError where a study asks for what there is not, or what would fail in each
        trial: as it comes, and with each of some `examples` of configurations.
        """
        given = Given(args, origin, data, seed=0)
        training = Training(self, {}, given)
        there_is = training.metrics
        wanted = metric if isinstance(metric, list) else [metric]
        if {*wanted} <= {*there_is}:
            there_is = rehearsed([training, *possible(self, examples, given)])
        check_metric(metric, there_is)
        return training.notes

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


def possible(kind: Trainable, configs: Sequence[Config], given: Given) -> list["Training"]:
    """Keep the configurations that an estimator has the names for; raises where it has for none."""
    found, errors = [], []
    for config in configs:
        try:
            found.append(Training(kind, config, given))
        except ObjectiveError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found


def rehearsed(trainings: Sequence["Training"]) -> list[str]:
    """Return the names of what comes of the first training that works; raises ObjectiveError.

    Some rows tell most that works. What does not work with them is tried with all, and with the
    other configurations: what is refused fails in each trial.
    """
    usual, *others = trainings
    tries = [(usual, False), (usual, True), *((other, False) for other in others)]
    errors: list[Exception] = []
    for training, in_full in tries:
        try:
            return training.rehearse(in_full=in_full)
        except Exception as error:  # noqa: BLE001 - somebody's estimator, and what is said to it
            errors.append(error)
    in_each = errors[1]
    if isinstance(in_each, ObjectiveError):
        raise in_each
    what = f"{type(in_each).__name__}: {' '.join(str(in_each).split())}"
    raise ObjectiveError(
        f"{usual.title} can't be trained and scored on these data: {what}"
    ) from in_each


@lru_cache(maxsize=1)
def is_coded(paths: tuple[str, ...], arguments: bytes, layout: Layout) -> bool:
    """Tell whether an estimator learns these classes only as numbers: the same for all trials."""
    given = msgspec.json.decode(arguments)
    model = make(paths, given)
    configure(model, given, seed=0)
    return wants_numbers(model, part(layout, 0))


class Training:
    """One job: as many models as there are folds, or one of a hold-out."""

    def __init__(self, kind: Trainable, config: Config, given: Given) -> None:
        """Check what the study asks for; raises ObjectiveError."""
        options = study.read(given.args)
        source, name = source_of(options, given)
        data = load(source)
        self.paths = kind.paths(options, options.task or data.task)
        self.options = options
        self._model = make(self.paths, options.arguments, options.task or data.task)
        task = task_of(self._model, options.task)
        if task == "classification" and data.task == "regression":
            raise ObjectiveError(f"{name} has numbers to predict, and no classes")
        values = {**options.arguments, **kind.arguments(config)}
        seed = given.seed if options.random_state is None else options.random_state
        labels = classes(source) if task == "classification" else ()
        configure(self._model, values, seed, own=kind.own, classes=labels)
        self._name = choose(options.resource, kind.resource, self._model, values)
        self._resource = resource_of(self._name, self._model)
        self._scorers = scorers(options.scoring, task)
        self._kind, self._config, self._seed = kind, config, given.seed
        self._layout = self._lay_out(source, task)
        self._models: dict[int, Any] = {}
        self._preparers: dict[int, Any] = {}
        self._folds: dict[int, Metrics] = {}
        self._kept = True

    def _lay_out(self, source: DatasetSource, task: Task) -> Layout:
        """Say what is trained on, and what of it is made before, as this model needs it."""
        options = self.options
        layout = Layout(
            source,
            options.test_size,
            options.final_test_size,
            options.folds or (FOLDS if self._name == "folds" else None),
            options.split,
            stratified=task == "classification",
            scaled=self._kind.scale if options.scale is None else options.scale,
            filled=not takes_blanks(self._model),
        )
        arguments = msgspec.json.encode(options.arguments)
        coded = layout.stratified and is_coded(tuple(self.paths), arguments, layout)
        return msgspec.structs.replace(layout, coded=coded)

    @property
    def metrics(self) -> list[str]:
        """The names of what comes of it, if it has several folds and tells its loss."""
        curved = [*self._scorers, "train_loss"]
        return [*self._scorers, *PLAIN, "train_loss", *(f"{name}_std" for name in curved)]

    @property
    def title(self) -> str:
        """What is trained, in words."""
        return title(self._model)

    @property
    def notes(self) -> list[str]:
        """What people must know of it."""
        return notes(self._layout, self._model, self.paths, self.options)

    def rehearse(self, *, in_full: bool) -> list[str]:
        """Train as little as can be, on some dozens of rows or all; return the metrics' names."""
        folds = len(splits(self._layout))
        data = part(self._layout, 0)
        if not in_full:
            data = few(data, classified=self._layout.stratified)
        model = clone(self._model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few rows
            least = len(data.y_train) if self._name == "rows" else 1
            self._resource.train(model, data, least, self._vary)
            found = {*measure(model, data, self._scorers), "fit_s", "train_rows"}
        found |= {f"{name}_std" for name in found - {*PLAIN}} if folds > 1 else set()
        return [name for name in self.metrics if name in found]

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
            curve = {name: value for name, value in means.items() if is_curved(name)}
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
            self._models[number], self._preparers[number] = model, data.preparer

    def _vary(self, x: Array, epoch: int) -> Array:
        # A generator for each epoch: what goes on from a checkpoint draws what it would have drawn.
        draw = np.random.default_rng([self._seed, epoch])
        return self._kind.vary(x, self._config, draw)

    def _go_on(self, folder: Path) -> None:
        """Take over what a checkpoint has."""
        self._folds = dict(enumerate(snapshot.load_scores(folder)))
        if self._resource.continues:
            models = snapshot.load_models(folder, self._model)
            self._models = dict(enumerate(models))

    def _save(self, trial: Trial, reached: int) -> None:
        """Save a checkpoint; where the model can't be kept there is none to go on from."""
        try:
            with trial.checkpoint(reached) as folder:
                snapshot.save_scores(folder, list(self._folds.values()))
                if self._models:
                    models, preparers = self._models.values(), self._preparers.values()
                    snapshot.save_models(folder, list(models), list(preparers))
        except snapshot.NotKeptError as error:
            self._kept = False
            warnings.warn(str(error), stacklevel=2)
