"""Where a run folder says that a study is: what a start goes on from."""

import logging
from collections.abc import Iterable

import msgspec

from hpmpi import settings
from hpmpi.decisions import Decision, Started
from hpmpi.errors import HpmpiError
from hpmpi.jobs import Jobs
from hpmpi.master import Rules
from hpmpi.settings import Settings
from hpmpi.store import Saved

NOT_SO = (LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""What a state that never was raises in a scheduler, of ours or the user's."""

log = logging.getLogger("hpmpi")


def derive(study: Settings, saved: Saved) -> Jobs:
    """Bring the jobs to where a journal ends, by the stored state if that can be so."""
    if saved.state is not None:
        try:
            return jobs_of(study, saved)
        except (HpmpiError, msgspec.MsgspecError, ArithmeticError, *NOT_SO) as error:
            log.warning("the state in run.h5 can't be (%s): all is derived again", error)
    return jobs_of(study, Saved(saved.decisions))


def jobs_of(study: Settings, saved: Saved) -> Jobs:
    """Bring the jobs to where the journal ends; raises ReplayError where that can't be."""
    jobs = Jobs(settings.build(study), study.goal, study.limits.max_failures)
    counted = 0
    if saved.state is not None and saved.state.pace is not None:
        jobs.restore(saved.state)
        counted = saved.counted
    follow(jobs, saved.decisions[counted:])
    jobs.max_failures = study.limits.max_failures
    return jobs


def follow(jobs: Jobs, decisions: Iterable[Decision]) -> None:
    """Derive decisions again, each start with the limits that it had; raises ReplayError."""
    for decision in decisions:
        if isinstance(decision, Started):
            jobs.max_failures = settings.parse(decision.settings).limits.max_failures
        jobs.redo(decision)


def rules_of(study: Settings) -> Rules:
    """Take from a study what the master must know."""
    target = study.stop.target
    return Rules(
        max_trials=study.stop.max_trials,
        time_s=study.stop.time_s,
        target_loss=None if target is None else study.goal.signed(target),
        grace_s=study.limits.grace_s,
        max_concurrent=study.run.max_concurrent,
    )
