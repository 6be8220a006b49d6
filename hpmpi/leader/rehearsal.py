"""One trial without ranks: in this process and terminal, what a rank would do at two rungs.

Debuggers work, and what is printed is seen. No run folder is touched: checkpoints and what else
there is go to a temporary folder, which stays. No limit is kept.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError, ObjectiveError, SettingsError, SpaceError
from hpmpi.master.searchers import Later, Over
from hpmpi.master.searchers.random import Random
from hpmpi.master.seeds import seed_of
from hpmpi.model.messages import Answer, Assign, Finished, Point, Progress, Unfit, Welcome, gist
from hpmpi.model.trial import AttemptId, Config
from hpmpi.storage import access_times, run_folder
from hpmpi.study.checks import first_of
from hpmpi.study.methods import build_searcher, made, space_of
from hpmpi.study.settings import Settings
from hpmpi.study.toml import value_of
from hpmpi.transports import resources
from hpmpi.transports.framing import await_any
from hpmpi.transports.resources import Share
from hpmpi.views.run_view import look
from hpmpi.worker.attempts import AttemptRunner
from hpmpi.worker.checkpoints import Checkpoint, parsed, trial_folder
from hpmpi.worker.environment import environment
from hpmpi.worker.error_text import told
from hpmpi.worker.shared_data import SharedData

LOOK_S = 0.05
"""How often it is looked whether the data are there."""


class Sample(msgspec.Struct, frozen=True):
    """The trial that is tried: its number, configuration and seed, and whose it is."""

    number: int
    config: Config
    seed: int
    whose: str


class TriedRung(msgspec.Struct, frozen=True):
    """What came of a rung: the answer, after how long, and what was reported and saved on the way.

    `start`: the resource of the checkpoint that there was to go on from; `read`: whether that was
    read, None where it can't be seen; `saved`: the size of each checkpoint in bytes, by resource.
    """

    start: int
    resource: int
    answer: Answer
    took_s: float
    points: list[Point]
    saved: dict[int, int]
    read: bool | None = None

    @property
    def unit_s(self) -> float:
        """How long one of what was to be added took."""
        return self.took_s / max(1, self.resource - self.start)


# -- which trial -----------------------------------------------------------------------------------


def given(study: Settings, options: Sequence[str]) -> Sample:
    """Take the configuration that `--config` options are, the rest of it drawn; raises SpaceError.

    It is what the first trial would be if it stood in `first`.
    """
    space, parts = space_of(study), [part_of(option) for option in options]
    config = Random(space, study.seed, [first_of(dict(parts), space)]).ask(0)
    assert not isinstance(config, Over), "one is given"
    return Sample(0, config, seed_of(study.seed, 0), "as --config says, the rest drawn")


def part_of(option: str) -> tuple[str, object]:
    """Read a `--config name=value`; raises SettingsError."""
    name, equals, text = option.partition("=")
    if not (name.strip() and equals):
        example = "such as --config learning_rate=0.01"
        raise SettingsError([f"--config {option[:80]!r} must be name=value, {example}"])
    return name.strip(), value_of(option, text.strip(), "--config")


def chosen(study: Settings, folder: Path, number: int | None) -> Sample:
    """Take a trial of the run in a folder, if it is named and there; or have it suggested."""
    if number is not None and run_folder.holds_run(folder):
        sample = of_run(study, folder, number)
        if sample is not None:
            return sample
    return suggested(study, number or 0)


def suggested(study: Settings, number: int) -> Sample:
    """Ask the searcher for a trial and all before it; raises HpmpiError where it has none."""
    searcher, method = build_searcher(study), str(study.searcher["method"])
    for trial in range(number + 1):
        config = made("searcher", method, partial(searcher.ask, trial))
    if isinstance(config, Later | Over):
        why = "none before others have results" if isinstance(config, Later) else "no such trial"
        raise SettingsError([f"--trial {number}: {method!r} has {why}; name one by --config"])
    return Sample(number, config, seed_of(study.seed, number), f"as {method} suggests it")


def of_run(study: Settings, folder: Path, number: int) -> Sample | None:
    """Take a trial that a run has; None where it has not; raises HpmpiError for what is no run."""
    history = look(folder).history
    if number >= len(history.trials):
        return None
    try:
        config = space_of(study).whole(history.trials[number].config)
    except SpaceError as error:
        raise SettingsError(
            [f"trial {number} of {folder} is not in [space] any more: {error}"]
        ) from error
    return Sample(number, config, seed_of(history.study.seed, number), f"as in {folder}")


# -- one after the other ---------------------------------------------------------------------------


def surround(share: Share, gpus_per_trial: int | None) -> None:
    """Have the environment that the objective has on a worker rank with this share of the machine.

    Raises SettingsError where that has no GPUs.
    """
    if no_gpus := resources.refusal(share, gpus_per_trial):
        raise SettingsError([no_gpus])
    surroundings = environment(share, gpus_per_trial)
    os.environ.clear()
    os.environ.update(surroundings)
    del sys.argv[1:]  # not meant for the objective


@contextmanager
def data_of(welcome: Welcome) -> Iterator[Welcome]:
    """Have the study's data read, as a node does; raises ObjectiveError where they can't be."""
    shared, are_there = SharedData(welcome, Path(welcome.folder) / "data.log"), list[float]()
    try:
        while not are_there:
            for report in shared.poll(are_there.append, time.monotonic()):
                if isinstance(report, Unfit):
                    raise ObjectiveError(report.error)
                are_there.append(0.0)
            await_any(shared.descriptors(), limit_s=0.0 if are_there else LOOK_S)
        yield shared.welcome
    finally:
        shared.close()


@contextmanager
def loading() -> Iterator[None]:
    """Raise ObjectiveError for what the user's module raises, after its traceback was printed."""
    try:
        yield
    except HpmpiError:
        raise
    except Exception as error:
        raise ObjectiveError(f"the objective can't be loaded: {gist(told(error))}") from error


class Rehearsal:
    """A trial, rung after rung; all that it leaves is in the folder that `welcome` names."""

    def __init__(self, welcome: Welcome, sample: Sample) -> None:
        """Load the objective; raises ObjectiveError."""
        self._sample = sample
        self._checkpoints = trial_folder(welcome.folder, sample.number)
        self._sees_reads = access_times.are_kept(Path(welcome.folder))
        with loading():
            self._attempts = AttemptRunner(msgspec.structs.replace(welcome, keep_all=True))
        self.notes = self._attempts.notes

    def climb(self, rung: int, resource: int, start: int) -> TriedRung:
        """Do the job of a rung, with the checkpoint that there is at `start`."""
        attempt = AttemptId(self._sample.number, rung, 1)
        order = Assign(attempt, resource, self._sample.config, self._sample.seed, saved=start)
        points: list[Point] = []
        if self._checkpoints.exists():
            access_times.forget(self._checkpoints)
        began_at = time.monotonic()
        answer = self._attempts.make(order, partial(collect, points), lambda: False)
        took_s = time.monotonic() - began_at
        found = {it: path for it, path in self._whole() if it.rung == rung}
        sizes = {it.resource: access_times.size_of(found[it]) for it in sorted(found)}
        begun_from = next((path for it, path in found.items() if it.resource == start), None)
        read = None
        if begun_from is not None and self._sees_reads and any(access_times.files_in(begun_from)):
            read = access_times.was_read(begun_from)
        sizes.pop(start, None)
        return TriedRung(start, resource, answer, took_s, points, sizes, read)

    def _whole(self) -> Iterator[tuple[Checkpoint, Path]]:
        for path in self._checkpoints.glob("[0-9]*"):
            if (checkpoint := parsed(path.name)) is not None:
                yield checkpoint, path


def collect(points: list[Point], progress: Progress) -> None:
    """Keep what was reported."""
    points += progress.points


def start_of(rung: TriedRung) -> int:
    """Tell where the next rung begins."""
    return rung.answer.saved if isinstance(rung.answer, Finished) else 0
