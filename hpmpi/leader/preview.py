"""What is looked at before a study is run: `hpmpi check`, and `hpmpi try`, which tries a trial.

Both say what the study will take on so many ranks: the first by what it is told of a job, the
second by what it has measured.
"""

import faulthandler
import os
import shlex
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from hpmpi.leader import findings, rehearsal
from hpmpi.leader.rehearsal import Rehearsal, Sample, TriedRung
from hpmpi.leader.run import NO_SUCCESS, folder_of
from hpmpi.leader.welcome import welcome_to
from hpmpi.master.forecast import Terms, forecast
from hpmpi.model.messages import Failed, Finished, Welcome, escaped, gist
from hpmpi.model.values import label_of
from hpmpi.storage.resume import rules_of
from hpmpi.study import checks
from hpmpi.study.doubts import doubts
from hpmpi.study.methods import build_scheduler, made, rungs_of, space_of
from hpmpi.study.settings import Settings
from hpmpi.transports import local, resources
from hpmpi.views import forecast as forecast_view
from hpmpi.views.layout import printable, rungs_at
from hpmpi.views.stdout import say
from hpmpi.worker import objective
from hpmpi.worker.baseline import welcome_to_baseline
from hpmpi.worker.calling import called, signature_of

TRIED = 2
"""How many rungs are tried: the second shows whether a trial goes on from its checkpoint."""

INTERRUPTED = 128 + signal.SIGINT


class Machine(msgspec.Struct, frozen=True):
    """Where a study is to be run: on so many ranks, one of which leads, and nodes, for so long.

    Without `ranks`, as many work as this machine has cores.
    """

    ranks: int | None = None
    nodes: int = 1
    time_s: float | None = None

    @property
    def workers(self) -> int:
        """How many ranks work: one that is alone has local processes."""
        return self.ranks - 1 if self.ranks is not None and self.ranks > 1 else local.cores()


def outlook(study: Settings, machine: Machine, unit_s: float | None, *, saves: bool) -> list[str]:
    """Say what a study will take; raises SettingsError where its scheduler raises.

    `unit_s`: how long one of the resource takes; `saves`: whether trials go on from checkpoints.
    """
    rules = rules_of(study)
    limits = [limit for limit in (rules.time_s, machine.time_s) if limit is not None]
    rules = msgspec.structs.replace(rules, time_s=min(limits, default=None) if unit_s else None)
    terms = Terms(rules, machine.workers, unit_s or 1.0, saves, study.goal.metric)
    if not terms.has_end:
        return [forecast_view.ENDLESS]
    play = partial(forecast, partial(build_scheduler, study), terms)
    foreseen = made("scheduler", str(study.scheduler["method"]), play)
    if unit_s is None:
        return forecast_view.lines_of_resource(foreseen)
    return forecast_view.lines_of(foreseen, machine.nodes)


# -- check -----------------------------------------------------------------------------------------


def check(file: Path, changes: list[str], machine: Machine, job_s: float | None) -> Iterator[str]:
    """Check a study and its objective, and say what it is and will take; raises HpmpiError.

    `job_s`: how long a job of the lowest rung takes, in seconds.
    """
    study = checks.read(file, changes)
    space, rungs = space_of(study), rungs_of(study)
    welcome = welcome_to(study, file.parent.absolute(), Path(), "check", 1)
    takes = loaded(study, welcome)
    by_name = f"{study.objective} takes {takes}"
    yield f"{study.name}: " + (by_name if study.command is None else shlex.join(study.command))
    yield f"space: {space.names()}" + ("" if space.size is None else f" ({space.size} in all)")
    most = "" if study.stop.max_trials is None else f"up to {study.stop.max_trials} trials by "
    at = rungs_at(rungs, study)
    yield f"{most}{study.searcher['method']}; {study.scheduler['method']}: rungs at {at}"
    for doubt in doubts(study, rungs):
        yield f"is this meant? {doubt}"
    yield ""
    if job_s is None:
        yield f"counted in {study.unit} (--job-s, --ranks and --time say how long that takes):"
    yield from outlook(study, machine, None if job_s is None else job_s / rungs[0], saves=True)


def loaded(study: Settings, welcome: Welcome) -> str:
    """Load the objective, and the baseline; return what the objective takes.

    Nothing of the data is read: that is left to the ranks. Raises ObjectiveError.
    """
    with rehearsal.loading():
        function = objective.find(welcome)
        called(function, welcome.hyperparameters)
        if study.baseline is not None:
            baseline = welcome_to_baseline(welcome)
            called(objective.find(baseline), baseline.hyperparameters)
    return signature_of(function)


# -- try -------------------------------------------------------------------------------------------


class Wanted(msgspec.Struct, frozen=True):
    """Which trial is to be tried: of this `config`; or the `number` of the run in `folder`.

    Where that has none, or no number is named, it is what the searcher suggests.
    """

    config: list[str]
    number: int | None
    folder: Path | None


def rehearse(file: Path, changes: list[str], machine: Machine, wanted: Wanted) -> int:
    """Try a trial at its first rungs, and say what came of it; return the exit code.

    Raises HpmpiError where it can't be begun.
    """
    share = resources.divide([resources.here()] * min(machine.workers, local.cores()))[0]
    rehearsal.surround(share, None)  # before numpy is loaded, by a searcher, maybe
    study = checks.read(file, changes)
    rehearsal.surround(share, study.run.gpus_per_trial)
    if wanted.config:
        sample = rehearsal.given(study, wanted.config)
    else:
        sample = rehearsal.chosen(study, wanted.folder or folder_of(study), wanted.number)
    return rehearsed(study, file.parent.absolute(), sample, machine)


def rehearsed(study: Settings, origin: Path, sample: Sample, machine: Machine) -> int:
    """Try a trial, in a temporary folder, which stays unless it is empty; return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="hpmpi-try-"))
    say(f"{study.name}: trial {sample.number}, {sample.whose}; its files go to {folder}")
    for name, value in space_of(study).shown(sample.config).items():
        say(printable(f"  {name} = {label_of(value)}"))
    if study.run.in_groups:
        say("by one process, though a run gives it several ranks: what it comes to may differ")
    faulthandler.enable()  # where it crashes, it is said where
    welcome = welcome_to(study, origin, folder, f"try-{os.getpid()}", 1)
    try:
        with rehearsal.data_of(welcome) as with_data:
            rungs = climb(study, Rehearsal(with_data, sample))
    finally:
        with suppress(OSError):
            folder.rmdir()
    if isinstance(failed := rungs[-1].answer, Failed):
        return INTERRUPTED if gist(failed.error) == KeyboardInterrupt.__name__ else NO_SUCCESS
    saves = len(rungs) < TRIED or findings.goes_on(*rungs)[0]
    last = rungs[-1]
    unit_s = last.unit_s if saves else last.took_s / last.resource
    here = "" if machine.ranks else ", at one rank a core of this machine (--ranks N)"
    say(f"\nwhat the study will take{here}, if all its trials are like this one:")
    say("\n".join(outlook(study, machine, unit_s, saves=saves)))
    return 0


def climb(study: Settings, trial: Rehearsal) -> list[TriedRung]:
    """Do one rung after the other, until one fails; say what each has come to."""
    for note in trial.notes:
        say(printable(note))
    rungs: list[TriedRung] = []
    for rung, resource in enumerate(rungs_of(study)[:TRIED]):
        start = rehearsal.start_of(rungs[-1]) if rungs else 0
        say(f"\nrung {rung}, from {start} to {resource}:")
        rungs.append(trial.climb(rung, resource, start))
        said = findings.of_rung(rungs[-1], study.goal, study.limits.trial_time_s)
        say("\n".join(f"-> {escaped(line)}" for line in said))
        if not isinstance(rungs[-1].answer, Finished):
            return rungs
    if len(rungs) == TRIED:
        terms = findings.OF_FUNCTIONS if study.command is None else findings.OF_PROGRAMS
        say(f"-> goes on from the checkpoint: {findings.goes_on(*rungs, terms=terms)[1]}")
        if rungs[1].start:
            say(f"-> {findings.pace(*rungs)}")
    return rungs
