"""Optuna's samplers: `method = "optuna:TPESampler"`, by the name that one has in optuna.samplers.

A study of Optuna's, in memory, has what the sampler is to know. A trial in work is RUNNING in it;
one with a result is COMPLETE at the highest rung, and PRUNED below, with its loss as the
intermediate value at the resource; each further rung that it reaches is another trial of Optuna's,
with all its intermediate values. What failed is FAIL. Samplers differ in what they learn from:
TPESampler from all that has a loss, most others from COMPLETE alone.

Names, floats and whole numbers are Optuna's, with `log` and `step`; choices are categories, by
their numbers, and values in an order these numbers; a range that is optional is a category, and the
range where it has a value. What is inactive is not suggested, as where a study is defined by its
run.
"""

import warnings
from collections.abc import Iterator
from inspect import isabstract, signature
from typing import Any

from hpmpi.errors import SettingsError
from hpmpi.master.adapters import Adapted, Load, adapt, settings_of
from hpmpi.model.conditions import in_order
from hpmpi.model.dimensions import Choice, Dimension, Float, OptionalRange, Ordinal
from hpmpi.model.trial import Config, Metrics

NOT_OURS = {"BruteForceSampler"}
"""What ends a study of Optuna's, as only `optimize` has it; `grid` gives all there is, too."""

SEEDS = 2**32
"""How many seeds numpy has."""


class OptunaSearcher(Adapted):
    """Suggest what a sampler does, in a study of Optuna's."""

    def _start(self, settings: dict[str, Any]) -> None:
        import optuna  # noqa: PLC0415 - an extra, and takes a while

        self._order = in_order(self._space.dimensions, self._space.conditions)
        self._state = optuna.trial.TrialState
        self._finished = optuna.trial.create_trial
        self._losses: dict[int, dict[int, float]] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a setting is experimental
            sampler = type(self).kind(seed=self._seed % SEEDS, **settings)
        self._study = optuna.create_study(sampler=sampler)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """End a trial of Optuna's; what is known of it from then on is in others."""
        del metrics
        asked, losses = self._begun[trial], self._losses.setdefault(trial, {})
        if loss is None:
            if not losses:
                self._drop(asked)
            return
        state = self._state.COMPLETE if rung >= self._top else self._state.PRUNED
        value = loss if rung >= self._top else None
        losses[resource] = loss
        if len(losses) == 1:
            asked.report(loss, resource)
            self._study.tell(asked, value, state=state)
            return
        known = {"params": asked.params, "distributions": asked.distributions}
        again = self._finished(state=state, value=value, intermediate_values=dict(losses), **known)
        self._study.add_trial(again)

    def _suggest(self) -> tuple[Config, Any]:
        asked = self._study.ask()
        return self._config(asked), asked

    def _given_by_us(self, config: Config) -> Any:
        items = self._space.dimensions.items()
        pairs = (it for name, own in items if name in config for it in told(name, own, config))
        self._study.enqueue_trial(dict(pairs))
        asked = self._study.ask()
        self._config(asked)
        return asked

    def _drop(self, theirs: Any) -> None:
        self._study.tell(theirs, state=self._state.FAIL)

    def _config(self, asked: Any) -> Config:
        """Have what is active be suggested, each after what it depends on."""
        values: Config = {}
        dimensions, conditions = self._space.dimensions, self._space.conditions
        for name in self._order:
            if name not in conditions or conditions[name].holds(values):
                own = dimensions[name]
                values[name] = own.fit(suggested(asked, name, own))
        return {name: values[name] for name in dimensions if name in values}


def suggested(asked: Any, name: str, it: Dimension) -> Any:
    """Ask for the value of a hyperparameter."""
    match it:
        case OptionalRange():
            is_none = asked.suggest_categorical(none_name(name), [True, False])
            return None if is_none else suggested(asked, name, it.range)
        case Choice():
            return it.level(asked.suggest_categorical(name, list(range(it.size))))
        case Ordinal():
            return it.level(asked.suggest_int(name, 0, it.size - 1))
        case Float():
            high = it.high if it.step is None or it.size is None else it.level(it.size - 1)
            return asked.suggest_float(name, it.low, high, step=it.step, log=it.log)
        case _:
            high = it.level(it.size - 1)
            return asked.suggest_int(name, it.low, high, step=it.step or 1, log=it.log)


def told(name: str, it: Dimension, config: Config) -> Iterator[tuple[str, Any]]:
    """Say the value of a hyperparameter in Optuna's words: what `suggested` leads back from."""
    value = config[name]
    match it:
        case OptionalRange():
            yield none_name(name), value is None
            if value is not None:
                yield name, value
        case Choice() | Ordinal():
            yield name, it.number(value)
        case _:
            yield name, value


def none_name(name: str) -> str:
    """Name the category that says whether a hyperparameter has no value."""
    return f"{name} is none"


def adapted(name: str, load: Load) -> Any:
    """Make the searcher of a sampler; raises SettingsError for one that is not there."""
    del load  # only Optuna's own are samplers
    try:
        import optuna  # noqa: PLC0415
    except ImportError as error:
        said = "Optuna can't be imported; pip install 'hpmpi[optuna]'"
        raise SettingsError([f"{said} ({error})"]) from error
    names = [it for it in optuna.samplers.__all__ if is_usable(getattr(optuna.samplers, it))]
    if name not in names:
        raise SettingsError([f"Optuna has no such sampler for us; there is: {', '.join(names)}"])
    kind = getattr(optuna.samplers, name)
    return adapt(OptunaSearcher, kind, settings_of(kind, ["seed"]))


def is_usable(kind: object) -> bool:
    """Tell whether it is a sampler that settings suffice for."""
    if not isinstance(kind, type) or isabstract(kind) or kind.__name__ in NOT_OURS:
        return False
    return all(it.default is not it.empty for it in signature(kind).parameters.values())
