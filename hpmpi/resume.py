"""Where a run folder says that a study is: what a start goes on from."""

from hpmpi import settings
from hpmpi.decisions import Started
from hpmpi.jobs import Jobs
from hpmpi.master import Rules
from hpmpi.settings import Settings
from hpmpi.store import Saved


def jobs_of(study: Settings, saved: Saved) -> Jobs:
    """Bring the jobs to where the journal ends; raises ReplayError where that can't be.

    Each start is derived with the limits that it had.
    """
    jobs = Jobs(settings.build(study), study.goal, study.limits.max_failures)
    counted = 0
    if saved.state is not None and saved.state.pace is not None:
        jobs.restore(saved.state)
        counted = saved.counted
    for decision in saved.decisions[counted:]:
        if isinstance(decision, Started):
            jobs.max_failures = settings.parse(decision.settings).limits.max_failures
        jobs.redo(decision)
    jobs.max_failures = study.limits.max_failures
    return jobs


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
