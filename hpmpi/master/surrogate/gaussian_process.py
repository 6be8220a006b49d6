"""Gaussian process regression: a mean and a deviation of the loss at each point.

Matern-5/2 kernel with automatic relevance determination, Gaussian noise, and hyperparameters at the
maximum of their posterior under log-normal priors (Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006: equations 2.25, 2.26, 4.17 and 5.9).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotri, dtrtrs
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

LENGTH = 0.5
"""What a length scale is expected to be in one dimension; in more of them points lie further apart,
by the root of their number (Hvarfner et al., Vanilla Bayesian Optimization Performs Great in High
Dimensions, ICML 2024)."""

VARIANCE, NOISE = 1.0, 1e-2
"""What they are expected to be, of losses of variance 1."""

LENGTH_WIDTH, VARIANCE_WIDTH, NOISE_WIDTH = 1.0, 1.0, 1.5
"""How sure that is: deviations of the logarithms."""

BOUND = 6.0
"""How many deviations from what is expected one looks."""

JITTER = 1e-8
"""What is added to the noise, so that every kernel matrix has a Cholesky factor."""

ITERATIONS = 50
IMPOSSIBLE = 1e25

LOWER = 1
"""Which triangle LAPACK reads and writes."""


class Hyperparameters(NamedTuple):
    """A length scale for each group of columns, the variance of the loss, and that of its noise."""

    lengths: Array
    variance: float
    noise: float


class Prior:
    """Normal distributions of the hyperparameters' logarithms, for so many length scales."""

    def __init__(self, lengths: int) -> None:
        """Know nothing but how many there are."""
        length = math.log(LENGTH * math.sqrt(lengths))
        self.mean = np.array([*[length] * lengths, math.log(VARIANCE), math.log(NOISE)])
        self.width = np.array([*[LENGTH_WIDTH] * lengths, VARIANCE_WIDTH, NOISE_WIDTH])

    def bounds(self) -> list[tuple[float, float]]:
        """Say between what to look."""
        low, high = self.mean - BOUND * self.width, self.mean + BOUND * self.width
        return list(zip(low.tolist(), high.tolist(), strict=True))


class Evidence:
    """How likely hyperparameters are, given losses: its negative logarithm, and the gradient."""

    def __init__(self, features: Array, losses: Array, groups: Indices, prior: Prior) -> None:
        """Compute the squared distances once, for each group of columns that share a length."""
        count = len(losses)
        distances = np.zeros((int(groups.max()) + 1, count, count))
        for column, group in zip(features.T, groups, strict=True):
            distances[group] += (column[:, None] - column[None, :]) ** 2
        self._distances = distances.reshape(len(distances), count * count)
        self._losses = losses
        self._diagonal = np.arange(count)
        self._prior = prior

    def __call__(self, logarithms: Array) -> tuple[float, Array]:
        """Evaluate it at the logarithms of the lengths, the variance and the noise."""
        count, diagonal = len(self._losses), self._diagonal
        weights = np.exp(-2 * logarithms[:-2])
        variance, noise = np.exp(logarithms[-2:])
        root = np.sqrt(5 * (weights @ self._distances)).reshape(count, count)
        decay = variance * np.exp(-root)
        kernel = (1 + root + root * root / 3) * decay
        matrix = kernel.copy()
        matrix[diagonal, diagonal] += noise + JITTER
        factor, failed = dpotrf(matrix, lower=LOWER)
        if failed:
            return IMPOSSIBLE, np.zeros_like(logarithms)
        inverse = dpotri(factor, lower=LOWER)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        solution = inverse @ self._losses
        offset = (logarithms - self._prior.mean) / self._prior.width
        value = self._losses @ solution / 2 + np.log(factor[diagonal, diagonal]).sum()
        # Equation 5.9: half the trace of (a a' - 1/K) dK.
        outer = (np.outer(solution, solution) - inverse) / 2
        slope = (outer * decay * (1 + root) * (5 / 3)).ravel()
        gradient = np.empty_like(logarithms)
        gradient[:-2] = -(self._distances @ slope) * weights
        gradient[-2] = -(outer * kernel).sum()
        gradient[-1] = -noise * outer[diagonal, diagonal].sum()
        return float(value + offset @ offset / 2), gradient + offset / self._prior.width


def learn(features: Array, losses: Array, groups: Indices) -> Hyperparameters:
    """Find the most likely hyperparameters; `groups` says which length a column of features has.

    The losses have mean 0 and variance 1, more or less.
    """
    prior = Prior(int(groups.max()) + 1)
    evidence = Evidence(features, losses, groups, prior)
    options: dict[str, Any] = {"maxiter": ITERATIONS}
    found = minimize(
        evidence, prior.mean, jac=True, method="L-BFGS-B", bounds=prior.bounds(), options=options
    )
    *lengths, variance, noise = np.exp(found.x)
    return Hyperparameters(np.array(lengths), float(variance), float(noise))


class Posterior:
    """What is to be expected at any point, given losses at some."""

    def __init__(
        self, features: Array, losses: Array, groups: Indices, known: Hyperparameters
    ) -> None:
        """Solve for the losses."""
        self._lengths = known.lengths[groups]
        self._variance = known.variance
        self._features = features / self._lengths
        matrix = self._kernel(self._features)
        diagonal = np.arange(len(losses))
        matrix[diagonal, diagonal] += known.noise + JITTER
        self._factor, failed = dpotrf(matrix, lower=LOWER)
        assert not failed, "the jitter is larger than what rounding does"
        half = dtrtrs(self._factor, losses, lower=LOWER)[0]
        self._solution = dtrtrs(self._factor, half, lower=LOWER, trans=1)[0]

    def mean(self, features: Array) -> Array:
        """Return the means alone, one a row of features."""
        return np.asarray(self._solution @ self._kernel(features / self._lengths))

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Return the means, and the deviations without noise: one a row of features."""
        kernel = self._kernel(features / self._lengths)
        explained = dtrtrs(self._factor, kernel, lower=LOWER)[0]
        left = self._variance - (explained * explained).sum(axis=0)
        return self._solution @ kernel, np.sqrt(np.maximum(left, 0.0))

    def _kernel(self, others: Array) -> Array:
        """Compute the kernel of what is known and others, both divided by the lengths."""
        here = self._features
        squares = (here * here).sum(axis=1)[:, None] + (others * others).sum(axis=1)[None, :]
        root = np.sqrt(5 * np.maximum(squares - 2 * (here @ others.T), 0.0))
        return np.asarray((1 + root + root * root / 3) * (self._variance * np.exp(-root)))
