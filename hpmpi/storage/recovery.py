"""Where a run folder says that a study is: what a start goes on from."""

import logging
import traceback
from collections.abc import Iterable, Sequence
from itertools import dropwhile
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError, SearcherError, SettingsError
from hpmpi.master.jobs import Jobs
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.model.records import Decision, Started
from hpmpi.storage.run_folder import Saved
from hpmpi.study import methods, settings
from hpmpi.study.settings import Settings

NOT_SO = (LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""What a state that never was raises in a scheduler, of ours or the user's."""

log = logging.getLogger("hpmpi")

OURS = Path(__file__).parents[1]
"""Where code is that is not the user's."""


def derive(study: Settings, saved: Saved) -> Jobs:
    """Bring the jobs to where a journal ends, by the stored state if that can be so."""
    check_rungs(methods.build(study), saved.decisions)
    if saved.state is not None:
        try:
            return jobs_of(study, saved)
        except (HpmpiError, msgspec.MsgspecError, ArithmeticError, *NOT_SO) as error:
            log.warning("the state in run.h5 can't be (%s): all is derived again", error)
    return jobs_of(study, Saved(saved.decisions))


def jobs_of(study: Settings, saved: Saved) -> Jobs:
    """Bring the jobs to where the journal ends; raises ReplayError where that can't be."""
    jobs = Jobs(methods.build(study), study.goal, study.limits.max_failures)
    counted = 0
    if saved.state is not None:
        jobs.restore(saved.state)
        counted = saved.counted
    follow(jobs, saved.decisions[counted:])
    jobs.max_failures = study.limits.max_failures
    return jobs


def follow(jobs: Jobs, decisions: Iterable[Decision]) -> None:
    """Derive decisions again, each start with the limits that it had.

    Raises ReplayError, or SearcherError where the study's own code raises.
    """
    for decision in decisions:
        if isinstance(decision, Started):
            jobs.max_failures = settings.parse(decision.settings).limits.max_failures
        jobs.redo(decision)
    if jobs.scheduler.error is not None:
        raise trouble(jobs.scheduler.error)


def trouble(error: BaseException) -> HpmpiError:
    """Say what a searcher or a scheduler has raised: where in its code, and what to do."""
    if isinstance(error, HpmpiError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    theirs = list(dropwhile(lambda it: OURS in Path(it.filename).parents, frames))
    lines = [
        "the searcher or the scheduler raised:\n",
        *traceback.format_list(theirs or frames),
        *traceback.format_exception_only(error),
        "the journal has all that was heard: mend it, and the same command goes on from here",
    ]
    return SearcherError("".join(lines))


def check_rungs(scheduler: Scheduler, decisions: Sequence[Decision]) -> None:
    """Raise SettingsError where a run has other rungs: its results would be taken for others'."""
    last = next((it for it in reversed(decisions) if isinstance(it, Started)), None)
    rungs = tuple(scheduler.rungs)
    if last is not None and last.rungs and last.rungs != rungs:
        before, now = (", ".join(map(str, each)) for each in (last.rungs, rungs))
        said = (
            f"the run that is there has its rungs at {before}, and this version has them at {now}"
        )
        todo = "go on with the version that began it, or use --fresh to move that run aside"
        raise SettingsError([f"{said}: {todo}"])


def rules_of(study: Settings) -> Rules:
    """Take from a study what the master must know."""
    target = study.stop.target
    return Rules(
        max_trials=study.stop.max_trials,
        time_s=study.stop.time_s,
        target_loss=None if target is None else study.goal.signed(target),
        grace_s=study.limits.grace_s,
        max_concurrent=study.run.max_concurrent,
        target_resource=study.stop.target_resource,
    )
