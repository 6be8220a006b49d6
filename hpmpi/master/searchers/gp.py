"""Bayesian optimisation: a Gaussian process of the losses so far says what to try next.

Each configuration is the one, of 800 candidates, with the least `mean - kappa * deviation`, and
kappa is drawn anew for each (qUCB: De Palma et al., Sampling Acquisition Functions for Batch
Bayesian Optimization, arXiv 1903.09434; Egele et al., Asynchronous Decentralized Bayesian
Optimization for Large Scale Hyperparameter Optimization, arXiv 2207.00479). So those that are
asked for at the same time differ, and what is in work needs no place in the model.

- The first ones are random, until there are ten results; but the very first is where priors expect
  the best, if there are any. From then on these count less from trial to trial (piBO: beliefs.py).
- With W worker ranks one model serves W/4 results, so that what an ask costs stays small.
- What failed counts as the worst loss of its rung: the searcher stays away from there.
- Of several metrics, each model is of one number, by weights that are drawn anew (ParEGO).
- Nothing is suggested twice, nor what was learnt from earlier runs.
- With several rungs, `fidelity = "joint"` has one model of all, with the resource as one more
  dimension, asked about the highest; `fidelity = "top"` has a model of the highest rung that has
  more results than there are hyperparameters. Either leaves out rungs that say little of the ones
  above them.
"""

import math
from functools import cached_property
from random import Random as Generator
from typing import Any, Literal

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.master.proposals import Proposer
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Metrics

KAPPA = 1.96
"""What kappa is on average."""

SHARE = 4
"""One model serves as many results as there are ranks, divided by this."""


class Gp(Proposer):
    """Suggest what promises most; those of `first` come first."""

    learns = thinks = works_ahead = True

    def __init__(  # noqa: PLR0913 - the settings, the ranks and the goal
        self,
        space: Space,
        seed: int,
        first: list[Config],
        *,
        ranks: int = 1,
        fidelity: Literal["joint", "top"] = "joint",
        goal: Goal | None = None,
    ) -> None:
        """Take on how many worker ranks the study runs, and what is modelled of several rungs."""
        super().__init__(msgspec.structs.replace(space, priors={}), seed, first)
        self._priors = space.priors
        self._first = len(first)
        self._fidelity: Literal["joint", "top"] = fidelity
        self._goal = goal
        self._step = max(1, ranks // SHARE)

    @cached_property
    def _surrogate(self) -> Any:
        """The model; rank 0, which checks a study by making its searcher, needs none."""
        from hpmpi.master.surrogate.outlook import Surrogate  # noqa: PLC0415 - has numpy and scipy
        from hpmpi.master.surrogate.several import SeveralSurrogate  # noqa: PLC0415 - likewise

        believed = msgspec.structs.replace(self._space, priors=self._priors)
        if self._goal is None or not self._goal.others:
            return Surrogate(believed, self._seed, self._fidelity)
        return SeveralSurrogate(believed, self._seed, self._fidelity, self._goal)

    def adopt(self, trial: int, config: Config) -> None:
        """Note what is not to be given again, and where it lies."""
        super().adopt(trial, config)
        self._surrogate.place(trial, self._space.unit(config))

    def learn(
        self, config: Config, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn a result of another study, as that of a trial before the first."""
        if rung < 0:  # it was trained for less than any trial is
            return
        trial = self._number(config)
        self._surrogate.place(trial, self._space.unit(config))
        self._surrogate.tell(trial, rung, resource, loss, metrics)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn a loss."""
        self._surrogate.tell(trial, rung, resource, loss, metrics)

    def _proposal(self, trial: int) -> Config | None:
        """Choose by the model; None where there is none, or all of its candidates were given."""
        if trial < self._first:
            return None
        if trial == self._first and self._priors:
            return self._expected(trial)
        outlook = self._surrogate.outlook(self._surrogate.count // self._step * self._step)
        if outlook is None:
            return None
        generator = Generator(f"{self._seed}/{trial}/kappa")  # noqa: S311 - not for secrets
        kappa = -KAPPA * math.log1p(-generator.random())
        configs = (self._space.at(outlook.points[index]) for index in outlook.order(kappa))
        return next((config for config in configs if self._is_new(config)), None)

    def _expected(self, trial: int) -> Config | None:
        """Take the priors, and draw the rest; None where they do not go with each other."""
        given = {name: prior.value for name, prior in self._priors.items() if prior.strength}
        generator = Generator(f"{self._seed}/{trial}/prior")  # noqa: S311 - not for secrets
        try:
            config = self._space.draw(generator.random, given)
        except SpaceError:
            return None
        return config if self._is_new(config) else None
