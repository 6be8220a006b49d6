"""The matrix file: which runs there are to be, and the study that each of them is.

    seed, repetitions, bound_s, patience_s
    [models.NAME]    an objective, its space, and what else a study of it says
    [[sweep]]        lists: every combination of them is a cell; all sweeps together are the matrix

Mistakes are told as those of a study file are: all at once, each with what is valid.
"""

import hashlib
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from hpmpi.errors import SettingsError
from hpmpi.study import checks, toml
from hpmpi.study.schema import Table, fill_struct
from hpmpi.study.settings import Count, NonEmpty, Positive
from scripts.experiment.padded import PADDING, ROOT

GRACE_S = 2.0
"""How long a drain may take, of a run that has come to its bound."""

Bytes = Annotated[int, msgspec.Meta(ge=0, le=64 << 20)]
Rate = Annotated[float, msgspec.Meta(ge=0)]


class Model(msgspec.Struct, frozen=True):
    """`[models.NAME]`: what is trained, as a study file has it."""

    objective: NonEmpty
    space: Table
    metric: str | None = None
    mode: Literal["min", "max"] = "min"
    resource: Count = 1
    args: Table = msgspec.field(default_factory=dict)


class Sweep(msgspec.Struct, frozen=True):
    """`[[sweep]]`: values for each axis; sizes in bytes, kills in worker ranks a minute."""

    models: tuple[str, ...]
    workers: tuple[Count, ...]
    trials: tuple[Count, ...]
    config_bytes: tuple[Bytes, ...] = (0,)
    result_bytes: tuple[Bytes, ...] = (0,)
    kills_per_min: tuple[Rate, ...] = (0.0,)


class Cell(msgspec.Struct, frozen=True, order=True):
    """One combination; its runs are its repetitions."""

    model: str
    workers: int
    trials: int
    config_bytes: int
    result_bytes: int
    kills_per_min: float


class Run(msgspec.Struct, frozen=True):
    """A repetition of a cell; `key` changes with all that its outcome may depend on."""

    cell: Cell
    repetition: int
    key: str


class Matrix(msgspec.Struct, frozen=True):
    """The whole file; the tables in it are checked by `read`."""

    models: Table
    sweep: Annotated[list[Any], msgspec.Meta(min_length=1)]
    name: str = ""
    seed: int = 0
    repetitions: Count = 1
    bound_s: Positive = 60.0
    patience_s: Positive = 2.0

    def cells(self) -> list[Cell]:
        """List the cells, each once, in the order of the file."""
        swept = [msgspec.structs.asdict(sweep) for sweep in self.sweep]
        rows = [row for lists in swept for row in product(*lists.values())]
        return list(dict.fromkeys(Cell(*row) for row in rows))

    def runs(self) -> list[Run]:
        """List the runs: each cell once, then each once more, so that an end comes to no harm."""
        return [
            Run(cell, repetition, self._key(cell, repetition))
            for repetition in range(self.repetitions)
            for cell in self.cells()
        ]

    def study(self, run: Run) -> Table:
        """Make the study file of a run; its objective is one that `program` writes beside it."""
        cell, model = run.cell, self.models[run.cell.model]
        padding = {"type": "choice", "values": ["x" * cell.config_bytes]}
        return {
            "name": f"{cell.model}-{run.key}",
            "objective": "objective.py:train",
            **({"metric": model.metric} if model.metric else {}),
            "mode": model.mode,
            "seed": self.seed + run.repetition,
            "space": {**model.space, **({PADDING: padding} if cell.config_bytes else {})},
            "scheduler": {"method": "full", "max_resource": model.resource},
            "stop": {"max_trials": cell.trials},
            "limits": {"patience_s": self.patience_s, "grace_s": GRACE_S},
            "objective_args": model.args,
        }

    def program(self, run: Run) -> str:
        """Write the objective of a run: the model's, with its results padded."""
        model = self.models[run.cell.model]
        return (
            "from scripts.experiment.padded import padded\n\n"
            f"train = padded({model.objective!r}, {run.cell.result_bytes})\n"
        )

    def _key(self, cell: Cell, repetition: int) -> str:
        model = self.models[cell.model]
        told = [cell, repetition, model, self.seed, self.bound_s, self.patience_s]
        return hashlib.blake2b(msgspec.json.encode(told), digest_size=8).hexdigest()


def read(path: Path) -> Matrix:
    """Read a matrix file and check all of it; raises SettingsError with every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"the matrix file {path} can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is not TOML: {error}"]) from error
    table = toml.load(text, str(path))
    problems: list[str] = []
    filled = fill_struct(Matrix, table, "", problems)
    models = {
        name: fill_struct(Model, each, f"models.{name}", problems)
        for name, each in checks.as_table(table.get("models")).items()
    }
    for name, model in models.items():
        problems += study_problems(name, model) if model else []
    listed = table.get("sweep")
    sweeps = [
        fill_struct(Sweep, each, f"sweep[{number}]", problems)
        for number, each in enumerate(listed if isinstance(listed, list) else [])
    ]
    for number, sweep in enumerate(sweeps):
        problems += empty(sweep, f"sweep[{number}]", models) if sweep else []
    if filled is None or problems:
        raise SettingsError(problems)
    return msgspec.structs.replace(
        filled, name=filled.name or path.stem, models=models, sweep=sweeps
    )


def empty(sweep: Sweep, where: str, models: Table) -> list[str]:
    """Name the lists of a sweep that have nothing in them, and the models that there are not."""
    there_is = ", ".join(models) or "none"
    return [
        *(
            f"{where}.{key} is empty"
            for key, each in msgspec.structs.asdict(sweep).items()
            if not each
        ),
        *(
            f"{where}.models: {name!r} is not a model; there is: {there_is}"
            for name in sweep.models
            if name not in models
        ),
    ]


def study_problems(name: str, model: Model) -> list[str]:
    """Say why a model makes no study, whatever the sweeps are."""
    matrix = Matrix(models={name: model}, sweep=[])
    run = Run(Cell(name, 1, 1, 0, 0, 0.0), 0, key="")
    problems = [*checks.of_reference(f"models.{name}.objective", model.objective, ROOT)]
    try:
        checks.check(matrix.study(run))
    except SettingsError as error:
        problems += [f"models.{name}: {line}" for line in error.problems]
    return problems
