"""Training one vector of weights by all members of a trial: what federated and data_parallel share.

Each option is set in `[objective_args]`, or tuned in `[space]`. All members hold the same weights
and the same generator after each round or epoch, so what is drawn needs no message; member 0 reads
what a checkpoint holds (weights, resource, generator), and tells the others.
"""

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
import numpy as np

from hpmpi.data.mapped import Data
from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.schema import fill
from hpmpi.trainables.dataset import load
from hpmpi.trainables.given import Given, given_by, source_of
from hpmpi.trainables.members import ALONE, Communicator, members_of
from hpmpi.trainables.networks import Network
from hpmpi.trainables.options import Options
from hpmpi.trainables.scoring import check_metric
from hpmpi.trainables.splits import Layout, Part, part
from hpmpi.worker.handle import Trial

WEIGHTS, STATE = "w.npy", "state.json"

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class JointOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be set or tuned: the data, the model (`hidden` is of 2nn), and SGD.

    The learning rate is multiplied by `decay` after each of the resource.
    """

    dataset: str | None = None
    target: str | None = None
    test_size: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.25
    model: Literal["2nn", "softmax"] = "2nn"
    hidden: Count = 200
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 0.1
    decay: Share = 1.0
    batch_size: Count | Literal["all"] = 10
    target_accuracy: Share = 0.95

    def rate(self, done: int) -> float:
        """Tell the learning rate after so much of the resource."""
        return self.learning_rate * self.decay**done


class Setting(NamedTuple):
    """What the training is of and who does it; alike in all members but for their ranks."""

    options: Any
    network: Network
    data: Part
    members: Communicator


class JointState(NamedTuple):
    """Where the training is; `reached`: when it first had the target accuracy, if it had."""

    w: Array
    draw: np.random.Generator
    resource: int = 0
    accuracy: float = 0.0
    reached: int | None = None


class Joint(msgspec.Struct, frozen=True):
    """An objective of which all members of a trial do a share, and all come to the same.

    `unit`: what the resource counts; `advance` returns the weights after one more of it, `check`
    raises ObjectiveError for what can't be, and `costs` says what else there is to tell.
    """

    options: type[JointOptions]
    unit: str
    advance: Callable[[Setting, JointState], Array]
    check: Callable[[Setting], None] = lambda _: None
    costs: Callable[[Setting, JointState], Metrics] = lambda *_: {}

    def __call__(self, config: Config, trial: Trial) -> Metrics:
        """Train up to `trial.stop`, from the trial's newest checkpoint on."""
        return self.train(config, trial, members_of(trial))

    def train(self, config: Config, trial: Trial, members: Communicator) -> Metrics:
        """Train with these members, all of which call this."""
        setting = self.setting(trial.args, config, given_by(trial), members)
        state = members.bcast(gone_on(trial, setting) if members.rank == 0 else None)
        while state.resource < trial.stop:
            state = self.step(setting, state)
            trial.report(state.resource, **self._metrics(setting, state))
            if trial.should_save(state.resource):
                with trial.checkpoint(state.resource) as folder:
                    save(folder, state)
        return self._metrics(setting, state)

    def check_study(
        self,
        args: dict[str, object],
        origin: Path,
        metric: str | list[str] | None,
        data: Data | None,
        examples: Sequence[Config] = (),
    ) -> list[str]:
        """Look at the options and the data; raises ObjectiveError for what can't be."""
        given = Given(args, origin, data, seed=0)
        for config in examples or ({},):
            setting = self.setting(args, config, given, ALONE)
        start = JointState(np.zeros(0), np.random.default_rng(0))
        check_metric(metric, [*self._metrics(setting, start)])
        return []

    def setting(
        self, args: Mapping[str, object], config: Config, given: Given, members: Communicator
    ) -> Setting:
        """Read the options and the data; raises ObjectiveError."""
        options = read(self.options, args, config)
        data = data_of(options, given)
        hidden = (options.hidden,) * 2 if options.model == "2nn" else ()
        network = Network((data.x_train.shape[1], *hidden, int(data.y_train.max()) + 1))
        setting = Setting(options, network, data, members)
        self.check(setting)
        return setting

    def step(self, setting: Setting, state: JointState) -> JointState:
        """Train for one more of the resource, and score."""
        w, resource = self.advance(setting, state), state.resource + 1
        accuracy, reached = scored(setting, w), state.reached
        if reached is None and accuracy >= setting.options.target_accuracy:
            reached = resource
        return JointState(w, state.draw, resource, accuracy, reached)

    def _metrics(self, setting: Setting, state: JointState) -> Metrics:
        """Tell where the training is; what was not reached takes for ever."""
        to_target = math.inf if state.reached is None else float(state.reached)
        said = {"accuracy": state.accuracy, f"{self.unit}_to_target": to_target}
        return said | self.costs(setting, state)


def read(
    kind: type[JointOptions], args: Mapping[str, object], config: Mapping[str, object]
) -> JointOptions:
    """Check what is set and what is tuned; raises ObjectiveError with every mistake."""
    problems: list[str] = []
    parameters = inspect.signature(kind).parameters
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for where, table in (("objective_args", args), ("space", config)):
        values |= fill(parameters, hints, dict(table), where, problems) or {}
    if problems:
        raise ObjectiveError("; ".join(problems))
    return kind(**values)


def data_of(options: JointOptions, given: Given) -> Part:
    """Take the rows to train on and to score with; raises ObjectiveError where there are none."""
    source, name = source_of(Options(dataset=options.dataset, target=options.target), given)
    data = load(source)
    if data.task != "classification" or data.y.ndim > 1:
        raise ObjectiveError(f"{name} does not have one class a row to predict")
    held = Layout(source, options.test_size, stratified=True, scaled=True, filled=True, coded=True)
    return part(held, 0)


def scored(setting: Setting, w: Array) -> float:
    """Tell the accuracy: each member predicts its share of the rows held out."""
    _, network, data, members = setting
    mine = slice(members.rank, None, members.size)
    hits = np.array([(network.classes(w, data.x_test[mine]) == data.y_test[mine]).sum()])
    total = np.empty_like(hits)
    members.Allreduce(hits, total)
    return float(total[0] / len(data.y_test))


def gone_on(trial: Trial, setting: Setting) -> JointState:
    """Go on from a checkpoint, or begin."""
    return restored(trial.previous) if trial.previous else begun(setting, trial.seed)


def begun(setting: Setting, seed: int) -> JointState:
    """Begin."""
    draw = np.random.default_rng(seed)
    return JointState(setting.network.initial(draw), draw)


def save(folder: Path, state: JointState) -> None:
    """Write a checkpoint."""
    np.save(folder / WEIGHTS, state.w)
    rest = state._asdict() | {"draw": state.draw.bit_generator.state}
    (folder / STATE).write_text(json.dumps({name: rest[name] for name in JointState._fields[1:]}))


def restored(folder: Path) -> JointState:
    """Read a checkpoint."""
    rest = json.loads((folder / STATE).read_text())
    draw = np.random.default_rng()
    draw.bit_generator.state = rest.pop("draw")
    return JointState(np.load(folder / WEIGHTS, allow_pickle=False), draw, **rest)
