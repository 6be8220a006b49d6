"""Points of the unit cube as a model sees them: where what is tried lies, and the choices one-hot.

What has finitely many values is snapped to the middle of its cell, so that the model sees what
runs. A choice of more than two has a column for each value; two that differ are as far apart as 0
and 1 are. A range that is optional has a column that says whether there is no value, and where
there is none, the middle of the range. All columns of a dimension are one group, which shares a
length scale.
"""

import math

import numpy as np

from hpmpi.master.surrogate.gaussian_process import Array, Indices
from hpmpi.model.dimensions import NONE_SHARE, Choice, Dimension, Int, OptionalRange
from hpmpi.model.space import NEUTRAL, Space

MOST_CELLS = 1000
"""Of more values than this one does not lie far from the next: they are as good as floats."""

PAIR = 2


class Features:
    """The way from points to features, for a space."""

    def __init__(self, space: Space) -> None:
        """Find the cells of each dimension."""
        dimensions = list(space.dimensions.values())
        self.dimensions = len(dimensions)
        self.edges = [edges_of(each) for each in dimensions]
        self.choices = [each.size if isinstance(each, Choice) else 0 for each in dimensions]
        self.optional = [isinstance(each, OptionalRange) for each in dimensions]
        pairs = zip(self.choices, self.optional, strict=True)
        columns = [size if size > PAIR else 1 + optional for size, optional in pairs]
        self.groups: Indices = np.repeat(np.arange(self.dimensions), columns)

    def snapped(self, points: Array) -> Array:
        """Put each coordinate in the middle of its cell, where there are cells."""
        points = points.copy()
        for column, edges in enumerate(self.edges):
            if edges is not None:
                cells = cells_of(edges, points[:, column])
                points[:, column] = (edges[cells] + edges[cells + 1]) / 2
            elif self.optional[column]:
                points[points[:, column] < NONE_SHARE, column] = NONE_SHARE / 2
        return points

    def of(self, points: Array) -> Array:
        """Compute the features of snapped points, one a row."""
        columns = []
        for column, size in enumerate(self.choices):
            values = points[:, column : column + 1]
            if self.optional[column]:
                is_none = values < NONE_SHARE
                within = (values - NONE_SHARE) / (1 - NONE_SHARE)
                values = np.column_stack([np.where(is_none, NEUTRAL, within), is_none])
            elif size == PAIR:
                values = np.floor(values * size)
            elif size > PAIR:
                levels = np.minimum(values * size, size - 1).astype(np.intp)
                values = (levels == np.arange(size)) * math.sqrt(0.5)
            columns.append(values)
        return np.concatenate(columns, axis=1)


def edges_of(dimension: Dimension) -> Array | None:
    """List where the cells of a dimension begin, and the last one ends; None for no cells."""
    size = dimension.size
    if size is None or size > MOST_CELLS:
        return None
    if isinstance(dimension, OptionalRange):
        within = edges_of(dimension.range)
        assert within is not None, "it has fewer values than with none"
        return np.append(0.0, NONE_SHARE + (1 - NONE_SHARE) * within)
    if isinstance(dimension, Int) and dimension.log:
        logarithms = np.log(np.arange(dimension.low, dimension.high + 2))
        return np.asarray((logarithms - logarithms[0]) / (logarithms[-1] - logarithms[0]))
    return np.linspace(0.0, 1.0, size + 1)


def cells_of(edges: Array, units: Array) -> Indices:
    """Find in which cell each number lies."""
    cells = np.searchsorted(edges, units, side="right") - 1
    return np.clip(cells, 0, len(edges) - 2)
