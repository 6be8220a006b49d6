"""How much each hyperparameter matters, asked of a process of its own: forests.py.

It is asked about the trials at the highest rung that has enough of them, and answers while others
draw, as that takes as long.
"""

import subprocess
import tempfile
from typing import Any

import msgspec

from hpmpi import program
from hpmpi.errors import HpmpiError, SpaceError
from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.history.series import thinned
from hpmpi.model.listed import Listed
from hpmpi.model.space import Space
from hpmpi.model.trial import BASELINE, Config

FEWEST, ENOUGH = 20, 60
"""Of fewer trials at a rung, nothing is learnt; with enough, no lower rung is asked."""

MOST_TRIALS = 300
"""How many trials are learnt from."""

LITTLE = 0.1
"""Below this R², what a forest has learnt says next to nothing."""

ABSENT = -1.0
"""Where a hyperparameter is that a trial does not have; others are from 0 to 1."""


class Sample(msgspec.Struct, frozen=True):
    """What is learnt from: of each trial its configuration, as numbers, and its loss."""

    names: list[str]
    inputs: list[list[float]]
    losses: list[float]
    resource: int


class Weight(msgspec.Struct, frozen=True):
    """What a hyperparameter matters: the mean loss of R² without it, its standard deviation.

    `fanova`: the share of the variance that it explains, where that was computed.
    """

    name: str
    mean: float
    spread: float
    fanova: float | None = None


class Importance(msgspec.Struct, frozen=True):
    """What matters, most first, as learnt from some `trials` at a `resource`.

    `score`: the R² of the forest on trials that it has not seen; about 0 is that it knows nothing.
    `left_out`: how many hyperparameters matter less than those that are told.
    """

    resource: int
    trials: int
    score: float
    weights: list[Weight]
    left_out: int


class Question:
    """What is asked of a run, and its answer when that is wanted; closed, nobody waits for it."""

    def __init__(self, history: History) -> None:
        """Ask, where there are trials enough."""
        self._process: subprocess.Popen[bytes] | None = None
        sample = sample_of(history)
        if sample is None:
            return
        words, pipe = program(f"{__package__}.forests"), subprocess.PIPE
        with tempfile.TemporaryFile() as file:  # it would be long until it reads from a pipe
            file.write(msgspec.msgpack.encode(sample))
            file.seek(0)
            self._process = subprocess.Popen(words, stdin=file, stdout=pipe, stderr=pipe)

    def answer(self) -> Importance | None:
        """Wait for it, once; None where nothing was asked. Raises HpmpiError where none comes."""
        if self._process is None:
            return None
        said, errors = self._process.communicate()
        if self._process.returncode:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            ended = f"it ended with {self._process.returncode}: {last}"
            raise HpmpiError(f"the importance of hyperparameters can't be computed: {ended}")
        return msgspec.msgpack.decode(said, type=Importance)

    def close(self) -> None:
        """End it, if it has not answered."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


def sample_of(history: History) -> Sample | None:
    """Take the trials to learn from; None where there are too few."""
    results, space = enough(history), history.space
    if not results or not space.dimensions:
        return None
    results = thinned(results, MOST_TRIALS)
    return Sample(
        list(space.dimensions),
        [encoded(space, history.trials[it.id.trial].config) for it in results],
        [history.goal.loss(it.metrics) for it in results],
        results[0].resource,
    )


def enough(history: History) -> list[Attempt]:
    """List the results at the highest rung that has enough, or at that which has most."""
    by_rung: dict[int, list[Attempt]] = {}
    for attempt in history.answers:
        if attempt.fate is Fate.RESULT and attempt.id.trial != BASELINE:
            by_rung.setdefault(attempt.id.rung, []).append(attempt)
    rung = max(by_rung, key=lambda it: (min(len(by_rung[it]), ENOUGH), it), default=0)
    results = by_rung.get(rung, [])
    return results if len(results) >= FEWEST else []


def encoded(space: Space, config: Config) -> list[float]:
    """Write a configuration as numbers from 0 to 1; a choice by where it is among the values."""
    units = (unit_of(config, name, dimension) for name, dimension in space.dimensions.items())
    return [ABSENT if unit is None else unit for unit in units]


def unit_of(config: Config, name: str, dimension: Any) -> float | None:
    """Find where a trial is in the range of a hyperparameter; None where it has no value of it."""
    value = config.get(name)
    if name not in config or (value is None and not isinstance(dimension, Listed)):
        return None
    try:
        return float(dimension.unit(dimension.fit(value)))
    except SpaceError:  # a run folder may be anybody's
        return None
