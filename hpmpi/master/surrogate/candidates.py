"""Points that a model is asked about: half of them uniform, half mutants of the best."""

import numpy as np

from hpmpi.master.surrogate.features import MOST_CELLS, Features, cells_of
from hpmpi.master.surrogate.gaussian_process import Array, Indices
from hpmpi.model.dimensions import NONE_SHARE

CANDIDATES = 800

CHANGES = 1.5
"""How many dimensions of a mutant differ from its parent's, besides one that always does."""

NARROWEST, WIDEST = -2.5, -0.5
"""How far a mutant lies from its parent: the deviation's decimal logarithm lies between these."""

STEPS = 12
"""What has no more values than this goes from one to another by steps, of 1 mostly."""

STEP_CHANCE = 0.6

LEAP = 0.1
"""How often what has a value in an optional range is drawn from all of it, and none."""


def candidates(generator: np.random.Generator, features: Features, best: Array) -> Array:
    """Draw points, snapped; `best` are those that mutants come of, one a row."""
    half = CANDIDATES // 2
    uniform = generator.random((half, features.dimensions))
    parents = best[generator.integers(len(best), size=CANDIDATES - half)]
    return features.snapped(np.concatenate([uniform, mutants(generator, features, parents)]))


def mutants(generator: np.random.Generator, features: Features, parents: Array) -> Array:
    """Change some coordinates of each parent."""
    count, dimensions = parents.shape
    is_changed = generator.random(parents.shape) < min(1.0, CHANGES / dimensions)
    is_changed[np.arange(count), generator.integers(dimensions, size=count)] = True
    width = 10 ** generator.uniform(NARROWEST, WIDEST, size=(count, 1))
    moved = reflected(parents + width * generator.standard_normal(parents.shape))
    for column, (edges, size) in enumerate(zip(features.edges, features.choices, strict=True)):
        if size:
            moved[:, column] = generator.random(count)
        elif edges is not None and len(edges) - 1 <= STEPS:
            steps = drawn_steps(generator, count)
            cells = np.clip(cells_of(edges, parents[:, column]) + steps, 0, len(edges) - 2)
            moved[:, column] = (edges[cells] + edges[cells + 1]) / 2
        elif features.optional[column]:
            leaps = (parents[:, column] < NONE_SHARE) | (generator.random(count) < LEAP)
            within = NONE_SHARE + np.abs(moved[:, column] - NONE_SHARE)
            moved[:, column] = np.where(leaps, generator.random(count), within)
    return np.where(is_changed, moved, parents)


def drawn_steps(generator: np.random.Generator, count: int) -> Indices:
    """Draw how far to go, up or down."""
    signs = generator.integers(2, size=count) * 2 - 1
    return np.asarray(np.minimum(generator.geometric(STEP_CHANCE, size=count), MOST_CELLS) * signs)


def reflected(points: Array) -> Array:
    """Bring what lies beyond the unit cube back into it."""
    points = np.abs(points)
    points = np.where(points > 1, 2 - points, points)
    return np.asarray(np.clip(points, 0.0, np.nextafter(1.0, 0.0)))
