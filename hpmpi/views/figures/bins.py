"""Spans of time counted in bins, exactly, and without a loop over them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def in_work(begun: Sequence[float], ended: Sequence[float], edges: Numbers) -> Numbers:
    """Tell how many of the spans from `begun` to `ended` there were in each bin, on average.

    >>> in_work([0.0, 1.0], [2.0, 1.5], np.array([0.0, 1.0, 2.0])).tolist()
    [1.0, 1.5]
    """
    seconds = since(begun, edges) - since(ended, edges)
    means: Numbers = np.diff(seconds) / np.diff(edges)
    return means


def since(times: Sequence[float], edges: Numbers) -> Numbers:
    """Sum up, at each edge, how long ago those of the `times` were that had come."""
    ordered = np.sort(np.asarray(times, dtype=float))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    come = np.searchsorted(ordered, edges, side="right")
    ago: Numbers = come * edges - sums[come]
    return ago
