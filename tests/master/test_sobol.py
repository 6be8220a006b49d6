"""What Sobol search must do, beside what every searcher does."""

import msgspec
import numpy as np
import pytest
from scipy.stats import qmc

from hpmpi.master.searchers import OVER
from hpmpi.master.searchers.random import Random
from hpmpi.master.searchers.sobol import BLOCK, Sobol
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.space import Space
from hpmpi.model.trial import Config

PLANE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "z": Float(0.0, 1.0)})
FEW = Space({"solver": Choice(["a", "b", "c"]), "depth": Int(1, 9)})


def asked(searcher: Sobol | Random, trials: int) -> list[Config]:
    """Ask for trials."""
    configs = [searcher.ask(trial) for trial in range(trials)]
    return [config for config in configs if isinstance(config, dict)]


@pytest.mark.parametrize("seed", range(3))
def test_its_points_lie_more_evenly_than_random_ones(seed: int) -> None:
    even, random = (
        qmc.discrepancy(np.array([list(config.values()) for config in asked(searcher, 256)]))
        for searcher in (Sobol(PLANE, seed, []), Random(PLANE, seed, []))
    )
    assert even < random / 3


def test_blocks_make_one_sequence() -> None:
    xs = [config["x"] for config in asked(Sobol(PLANE, 0, []), 2 * BLOCK)]
    cells = sorted(int(x * 2 * BLOCK) for x in xs)
    assert cells == [*range(2 * BLOCK)]


@pytest.mark.parametrize("seed", [0, -1, 2**70])
def test_each_configuration_of_a_finite_space_is_given_once(seed: int) -> None:
    searcher = Sobol(FEW, seed, [{"depth": 3}, {"depth": 3}])
    configs = asked(searcher, 27)
    assert len({msgspec.json.encode(config) for config in configs}) == searcher.size == 27
    assert searcher.ask(27) is OVER


def test_what_comes_first_changes_no_point_that_comes_after() -> None:
    configs = asked(Sobol(PLANE, 0, [{"x": 0.25}]), 9)
    assert configs[0]["x"] == 0.25
    assert configs[1:] == asked(Sobol(PLANE, 0, []), 9)[1:]
