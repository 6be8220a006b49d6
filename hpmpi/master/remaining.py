"""What is left to do of a study: whether there is more, and what it comes to when it ends now."""

from hpmpi.master.jobs import Jobs
from hpmpi.master.rules import Rules
from hpmpi.model.messages import Outcome


def may_start(jobs: Jobs, rules: Rules) -> bool:
    """Tell whether another trial may be begun."""
    return rules.may_start(jobs.trials)


def enough(jobs: Jobs, rules: Rules) -> str:
    """Say why nothing more is to be begun, if so."""
    return rules.enough(jobs.tally, len(jobs.scheduler.rungs) - 1)


def is_any(jobs: Jobs, rules: Rules) -> bool:
    """Tell whether there may be more to do."""
    goes_on = bool(jobs.open) or may_start(jobs, rules) or jobs.scheduler.promotable
    return goes_on and not enough(jobs, rules)


def outcome_of(jobs: Jobs, rules: Rules) -> Outcome:
    """Tell what a drain that is over comes to."""
    if jobs.scheduler.error is not None:
        return Outcome.UNFIT
    return Outcome.DRAINED if is_any(jobs, rules) else Outcome.COMPLETE


def would_fit(jobs: Jobs, rules: Rules, now: float) -> bool:
    """Tell whether the scheduler, that gave nothing, would give a job if there were time."""
    begins = jobs.is_out_of_time(now) and may_start(jobs, rules)
    return begins or jobs.scheduler.promotable


def is_over(jobs: Jobs, rules: Rules, now: float) -> bool:
    """Tell whether a study ends at once, whatever there is in work."""
    return rules.time_is_up(now) or target_is_reached(jobs, rules)


def target_is_reached(jobs: Jobs, rules: Rules) -> bool:
    """Tell whether a result is good enough."""
    if rules.target_loss is None:
        return False
    least = jobs.best.least
    return rules.target_is_reached(
        (resource, least.get(rung)) for rung, resource in enumerate(jobs.scheduler.rungs)
    )
