"""What is known of trials, as a model learns it.

- What failed counts as the worst loss that its rung has.
- Losses above the median are squeezed by their logarithm: how bad the bad ones are is not to be
  modelled.
- A rung whose ranking says little of that of the rung above is not to be trusted, nor are those
  below it.
"""

from typing import NamedTuple

import numpy as np

from hpmpi.master.surrogate.gaussian_process import Array, Indices

LEAST_CORRELATION = 0.3
"""How far the rankings of neighbouring rungs agree at least, where the lower one is trusted."""


class Results(NamedTuple):
    """A row for each result, in the order in which they came; NaN is the loss of what failed."""

    trials: Indices
    rungs: Indices
    losses: Array

    def rows(self, mask: Indices | slice) -> "Results":
        """Take some of the rows."""
        return Results(self.trials[mask], self.rungs[mask], self.losses[mask])

    def of(self, rungs: tuple[int, ...]) -> "Results":
        """Take those of some rungs."""
        return self.rows(np.flatnonzero(np.isin(self.rungs, rungs)))


def trusted(results: Results, needed: int) -> tuple[int, ...]:
    """List the rungs to learn from, highest first.

    As long as two rungs share fewer than `needed` trials, the lower one is trusted.
    """
    above, *below = map(int, np.unique(results.rungs)[::-1])
    rungs = [above]
    for rung in below:
        agreement = correlation(results, rung, above, needed)
        if agreement < LEAST_CORRELATION:
            break
        rungs.append(rung)
        above = rung
    return tuple(rungs)


def correlation(results: Results, low: int, high: int, needed: int) -> float:
    """Compute Spearman's rank correlation of two rungs, over the trials of both; 1 for too few."""
    lower, upper = results.of((low,)), results.of((high,))
    _, at_low, at_high = np.intersect1d(lower.trials, upper.trials, return_indices=True)
    if len(at_low) < needed:
        return 1.0
    ranks = np.stack([ranked(lower.losses[at_low]), ranked(upper.losses[at_high])])
    deviations = ranks - ranks.mean(axis=1, keepdims=True)
    scale = np.sqrt((deviations * deviations).sum(axis=1).prod())
    return float(deviations[0] @ deviations[1] / scale) if scale > 0 else 0.0


def ranked(losses: Array) -> Array:
    """Rank losses from 1 on; those that are equal share a rank, and failures are equal, at the end.

    >>> ranked(np.array([3.0, 1.0, 3.0, np.nan])).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def comparable(results: Results) -> Results:
    """Give failures a loss, and bring all rungs to the level of the highest.

    A lower rung is shifted by what its trials gain, in the median, on their way up.
    """
    losses, shift = results.losses.copy(), 0.0
    above: Results | None = None
    for rung in np.unique(results.rungs)[::-1]:
        rows = np.flatnonzero(results.rungs == rung)
        here = losses[rows]
        here[np.isnan(here)] = np.nanmax(here) if np.isfinite(here).any() else np.nan
        losses[rows] = here
        lower = results.rows(rows)
        if above is not None:
            shift += gain(lower, above)
        losses[rows] += shift
        above = lower
    return results._replace(losses=losses).rows(np.flatnonzero(np.isfinite(losses)))


def gain(lower: Results, upper: Results) -> float:
    """Compute the median change of the loss from a rung to one above it."""
    _, at_low, at_high = np.intersect1d(lower.trials, upper.trials, return_indices=True)
    changes = upper.losses[at_high] - lower.losses[at_low]
    changes = changes[np.isfinite(changes)]
    return float(np.median(changes)) if len(changes) else 0.0


def squeezed(losses: Array) -> Array:
    """Squeeze what lies above the median, and bring all to mean 0 and variance 1.

    >>> squeezed(np.array([0.0, 1.0, 2.0, 1e6])).round(1).tolist()
    [-0.7, -0.6, -0.5, 1.7]
    """
    median = np.median(losses)
    scale = median - losses.min()
    if scale > 0:
        above = np.maximum(losses - median, 0.0)
        losses = np.minimum(losses, median) + scale * np.log1p(above / scale)
    deviation = losses.std()
    centred = losses - losses.mean()
    return np.asarray(centred / deviation if deviation > 0 else centred)


def spread(losses: Array, most: int) -> Indices:
    """Choose at most so many: half of them the best, the others evenly among the rest, as it came.

    >>> spread(np.array([3.0, 0.0, 1.0, 5.0, 4.0, 2.0]), 4).tolist()
    [0, 1, 2, 5]
    """
    if len(losses) <= most:
        return np.arange(len(losses))
    best = np.argsort(losses, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(losses)), best)
    places = np.linspace(0, len(rest) - 1, most - len(best)).astype(np.intp)
    return np.sort(np.concatenate([best, rest[places]]))
