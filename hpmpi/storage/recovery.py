"""Where a run folder says that a study is: what a start goes on from."""

import traceback
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path

from hpmpi.errors import HpmpiError, SearcherError, SettingsError
from hpmpi.master.jobs import Jobs
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.searchers import Searcher
from hpmpi.model.records import Decision, Started
from hpmpi.study import methods, settings
from hpmpi.study.settings import Settings

OURS = Path(__file__).parents[1]
"""Where code is that is not the user's."""


def jobs_of(
    study: Settings, decisions: Iterable[Decision], searcher: Searcher | None = None
) -> Jobs:
    """Bring the jobs to where a journal ends, each start with the limits that it had.

    The searcher is the study's, if none is given. Raises ReplayError where that can't be,
    SettingsError where the run has other rungs, and SearcherError where the study's own code
    raises.
    """
    scheduler = methods.build_scheduler(study, searcher or methods.build_searcher(study))
    jobs = Jobs(scheduler, study.goal, study.limits.max_failures)
    for decision in decisions:
        if isinstance(decision, Started):
            check_rungs(scheduler, decision)
            jobs.max_failures = settings.parse(decision.settings).limits.max_failures
        jobs.redo(decision)
    if jobs.scheduler.error is not None:
        raise trouble(jobs.scheduler.error)
    jobs.max_failures = study.limits.max_failures
    return jobs


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


def check_rungs(scheduler: Scheduler, started: Started) -> None:
    """Raise SettingsError where a run has other rungs: its results would be taken for others'."""
    rungs = tuple(scheduler.rungs)
    if started.rungs and started.rungs != rungs:
        before, now = (", ".join(map(str, each)) for each in (started.rungs, rungs))
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
