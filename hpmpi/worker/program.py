"""A program in place of a function: an objective that starts it for each job, and listens to it.

To its rank it is an objective like any other: so limits, memory, retries, and the end of all that
it has started, are those of a function. Here is what a job makes of its words; what it does then is
followed in program_run.py.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.model.trial import Config, Studied, names_of
from hpmpi.study.command import ProgramArgs, filled, located, names_in, text_of, variable
from hpmpi.transports import resources
from hpmpi.worker.group import ALONE
from hpmpi.worker.handle import Trial
from hpmpi.worker.printed import Said
from hpmpi.worker.program_run import CONFIGURATION, ProgramRun, has_state

TERM = "TERM"
"""The signal of a drain, for a program that is given a `{folder}` to save in."""


class NothingSavedError(Exception):
    """The program has left nothing to go on from."""


class Program:
    """The objective of a study that has a command."""

    def check_study(
        self, args: dict[str, Any], origin: Path, metric: Studied, _data: object
    ) -> None:
        """Find the program, and work where the study file lies; raises ObjectiveError."""
        program, *words = args["command"]
        self._command = [located(program, origin), *words]
        self._resume = args["resume"]
        self._metric = names_of(metric)[0]
        self._args = msgspec.convert(args, ProgramArgs)
        named = set().union(*map(names_in, [*words, *self._resume]))
        self._has_folder = bool(named & {"folder", "config"})
        if "folder" in named and self._args.signal is None:
            self._args = msgspec.structs.replace(self._args, signal=TERM)
        self._env = dict(os.environb)
        os.chdir(origin)

    def __call__(self, config: Config, trial: Trial) -> Said:
        """Run it; return its metrics."""
        if not self._has_folder:
            return self._run(config, trial, None)
        if not trial.group.leads:
            (named,) = trial.group.agree("folder", 0, lambda: (None,))
            return self._run(config, trial, Path(str(named)))
        came: Said = {}
        with contextlib.suppress(NothingSavedError), trial.checkpoint(trial.stop) as folder:
            (folder / CONFIGURATION).write_bytes(msgspec.json.encode(config))
            trial.group.agree("folder", 0, lambda: (str(folder),))
            came = self._run(config, trial, folder)
            if not has_state(folder, self._args):
                raise NothingSavedError
        return came

    def _run(self, config: Config, trial: Trial, folder: Path | None) -> Said:
        values = dict(values_of(config, trial, folder))
        words = filled(self._command + (self._resume if trial.previous else []), values)
        values |= dict(place_of(trial))
        # Where a group meets is said anew for each attempt.
        env = self._env if trial.group is ALONE else dict(os.environb)
        env = env | {variable(name): os.fsencode(value) for name, value in values.items()}
        run = ProgramRun(words, env, trial, folder, args=self._args, metric=self._metric)
        with contextlib.closing(run):
            return run.result()


def values_of(config: Config, trial: Trial, folder: Path | None) -> Iterator[tuple[str, str]]:
    """List what a job has for placeholders, by name."""
    ours = {
        "start": trial.start,
        "stop": trial.stop,
        "previous": trial.previous and str(trial.previous),
        "folder": folder and str(folder),
        "config": folder and str(folder / CONFIGURATION),
        "trial": trial.number,
        "seed": trial.seed,
        "gpus": gpus_here(),
        "origin": str(trial.origin),
    }
    for name, value in (config | ours).items():
        if value is not None:
            yield name, text_of(value)


def place_of(trial: Trial) -> Iterator[tuple[str, str]]:
    """Say which member of which group it is, as `HPMPI_TRIAL_INDEX` and so on."""
    if trial.group is not ALONE:
        yield "trial.index", str(trial.index)
        yield "trial.size", str(trial.size)
        yield "trial.hosts", ",".join(trial.hosts)


def gpus_here() -> str | None:
    """Name the GPUs that this process sees; None where it sees none, or nobody says which."""
    said = next(iter(resources.chosen_in(os.environ).values()), "")
    return ",".join(resources.devices(said)) or None
