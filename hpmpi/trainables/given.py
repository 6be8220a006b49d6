"""What a trainable is given of its study: its options, its data, and the seed of a trial."""

from pathlib import Path
from typing import NamedTuple

from hpmpi.data.mapped import Data
from hpmpi.trainables.dataset import DatasetSource, located
from hpmpi.trainables.options import DEFAULT, Options
from hpmpi.worker.handle import Trial


class Given(NamedTuple):
    """What a study says, the folder of its file, its `[data]`, and the seed of a trial."""

    args: dict[str, object]
    origin: Path
    data: Data | None
    seed: int


def given_by(trial: Trial) -> Given:
    """Take what a trial is given."""
    return Given(trial.args, trial.origin, trial.data, trial.seed)


def source_of(options: Options, given: Given) -> tuple[DatasetSource, str]:
    """Say where the data are, and what to call them."""
    shared = given.data if options.dataset is None else None
    name, beside = options.dataset or DEFAULT, options.validation
    dataset = located(name, given.origin) if shared is None else str(shared.folder)
    validation = None if beside is None else located(beside, given.origin)
    source = DatasetSource(dataset, options.target, validation, options.rows, options.groups)
    return source, name if shared is None else "[data]"
