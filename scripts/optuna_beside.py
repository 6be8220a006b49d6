"""Optuna's samplers as searchers, for bench_search.py to measure beside ours."""

import importlib.util
import math
from typing import Any

from hpmpi.model.dimensions import Choice, Float
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics


class OptunaSampler:
    """A sampler of Optuna's; what has failed is told to be failed."""

    sampler = "RandomSampler"
    needs = "optuna"

    def __init__(self, space: Space, seed: int) -> None:
        """Start a study of Optuna's in memory."""
        import optuna  # noqa: PLC0415 - not everywhere

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        made = getattr(optuna.samplers, self.sampler)(seed=seed, **self.settings())
        self._study = optuna.create_study(sampler=made)
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions = distributions(space, optuna.distributions)
        self._trials: dict[int, Any] = {}

    @classmethod
    def is_there(cls) -> bool:
        """Tell whether all that it needs is installed."""
        return all(importlib.util.find_spec(each) for each in ("optuna", cls.needs))

    def settings(self) -> dict[str, Any]:
        """Say how it is made."""
        return {}

    def ask(self, trial: int) -> Config:
        """Ask the study."""
        self._trials[trial] = asked = self._study.ask(self._distributions)
        return dict(asked.params)

    def adopt(self, trial: int, config: Config) -> None:
        """Do nothing: what is asked for is tried."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Tell the study."""
        del rung, resource, metrics
        if loss is None or math.isnan(loss):
            self._study.tell(self._trials[trial], state=self._failed)
        else:
            self._study.tell(self._trials[trial], loss)


class Tpe(OptunaSampler):
    """The tree-structured Parzen estimator, as its authors advise for many workers."""

    sampler = "TPESampler"

    def settings(self) -> dict[str, Any]:
        """Model the dimensions together, and what is in work as bad."""
        return {"multivariate": True, "constant_liar": True}


class GpSampler(OptunaSampler):
    """Optuna's Gaussian process."""

    sampler = "GPSampler"
    needs = "torch"


OPTUNA: dict[str, type[OptunaSampler]] = {"optuna-tpe": Tpe, "optuna-gp": GpSampler}


def distributions(space: Space, kinds: Any) -> dict[str, Any]:
    """Say in Optuna's words what the space is."""
    made = {}
    for name, it in space.dimensions.items():
        if isinstance(it, Choice):
            made[name] = kinds.CategoricalDistribution(it.values)
        elif isinstance(it, Float):
            made[name] = kinds.FloatDistribution(it.low, it.high, log=it.log, step=it.step)
        else:
            made[name] = kinds.IntDistribution(it.low, it.high, log=it.log, step=it.step or 1)
    return made
