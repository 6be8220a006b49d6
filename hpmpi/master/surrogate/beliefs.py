"""Where somebody expects the best (`prior`), as a density over the unit cube.

In each dimension that has a prior it is a mixture, by the prior's strength: of what lies near it
(hpmpi.model.priors), and of all that there is. A model heeds it as piBO does (Hvarfner et al.,
piBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization, ICLR 2022): by
the density to the power of BETA / n, after n trials. As a confidence bound is no factor, that is a
sum here, of the bound and the logarithm.
"""

import math

import numpy as np

from hpmpi.master.surrogate.features import Features
from hpmpi.master.surrogate.gaussian_process import Array, Indices
from hpmpi.model.priors import Prior
from hpmpi.model.space import Space

BETA = 1.0
"""By how much priors count: after n trials, by this over n. It is little, as a wrong one is not to
cost much."""

LEAST = 1e-12
"""The least density: of what a prior of strength 1 rules out."""


class Beliefs:
    """The priors of a space."""

    def __init__(self, space: Space, features: Features) -> None:
        """Find whose they are."""
        self._features = features
        names = enumerate(space.dimensions)
        self._priors = [(at, space.priors[name]) for at, name in names if name in space.priors]

    def logarithm(self, points: Array, active: Indices | None = None) -> Array:
        """Compute the density's logarithm at snapped points; what is inactive has no say."""
        total = np.zeros(len(points))
        for column, prior in self._priors:
            density = prior.strength * self._near(points[:, column], column, prior)
            logarithm = np.log(np.maximum(1 - prior.strength + density, LEAST))
            total += logarithm if active is None else np.where(active[:, column], logarithm, 0.0)
        return total

    def _near(self, units: Array, column: int, prior: Prior) -> Array:
        """Compute the density of what is near a prior."""
        if not prior.width:  # a choice's value, whose cell is as large as others, or the only one
            size = self._features.choices[column] or 1
            return np.where((units * size).astype(int) == int(prior.unit * size), size, 0.0)
        ends = [(end - prior.unit) / prior.width for end in (prior.low, 1.0)]
        mass = (math.erf(ends[1] / math.sqrt(2)) - math.erf(ends[0] / math.sqrt(2))) / 2
        steps = (units - prior.unit) / prior.width
        density = np.exp(-steps * steps / 2) / (math.sqrt(2 * math.pi) * prior.width * mass)
        return np.where(units < prior.low, 0.0, density)
