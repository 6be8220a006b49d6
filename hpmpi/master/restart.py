"""A restart replays decisions: the jobs are brought to where the journal ends, line by line.

What was decided is done again as the journal has it, whatever the scheduler would decide by now;
the scheduler and the searcher are told what was. What can't have been raises ReplayError.
"""

from hpmpi.errors import ReplayError
from hpmpi.master.jobs import BASELINE_KEY, Jobs
from hpmpi.master.retries import cause_of
from hpmpi.master.time_left import AllocationEnd
from hpmpi.model.events import Due, Event, Heard, Interrupted, Learnt, Silent
from hpmpi.model.messages import Finished, Progress
from hpmpi.model.records import (
    Assigned,
    Back,
    Chosen,
    Deadline,
    Decision,
    Ended,
    Entry,
    Failure,
    Line,
    Result,
    Started,
    Stopped,
    Suspension,
    Unqueued,
)
from hpmpi.model.trial import AttemptId, Job, JobKey


def redo(jobs: Jobs, line: Line) -> None:
    """Do again what a line of the journal tells; raises ReplayError where that can't be."""
    if isinstance(line, Started):
        jobs.begin()
        return
    if jobs.interrupted and not isinstance(line.event, Interrupted):
        jobs.reopen()
    jobs.suggestions.learn(line.suggested)
    match line.event:
        case Heard(report=Progress(attempt=attempt, points=points)):
            jobs.observe(attempt, points)
        case Learnt(observations):
            jobs.teach(observations)
        case _:
            pass
    for decision in line.decisions:
        decide(jobs, line, decision)


def decide(jobs: Jobs, entry: Entry, decision: Decision) -> None:
    """Do again what was decided on an event."""
    event = entry.event
    match decision:
        case Chosen():
            choose(jobs, decision)
        case Assigned():
            hand_out(jobs, decision, entry.at)
        case Result(attempt=attempt):
            finish(jobs, attempt, event, entry.at)
        case Failure():
            fail(jobs, decision, event)
        case Suspension() | Stopped() | Unqueued():
            end(jobs, decision, event)
        case Back():
            jobs.take_back(decision)
        case Deadline(drains_at=drains_at) if isinstance(event, Due):
            jobs.time_left.deadline = AllocationEnd(event.ends_at, event.epoch_s, drains_at)
        case Ended(outcome=outcome):
            jobs.end(outcome)
        case _:
            pass


def hand_out(jobs: Jobs, assigned: Assigned, at: float) -> None:
    """Hand out what waits, or was chosen then."""
    key = assigned.attempt.job
    if key not in jobs.waiting:
        open_chosen(jobs, key, assigned)
    again = jobs.give(key, assigned.rank, at, assigned.others, queued=assigned.queued)
    if again != assigned:
        raise ReplayError(f"{assigned} can't be derived; it comes out as {again}")


def choose(jobs: Jobs, chosen: Chosen) -> None:
    """Have a job wait that was chosen then."""
    key = JobKey(chosen.trial, chosen.rung)
    if key == BASELINE_KEY:
        raise ReplayError("the baseline is chosen by nobody")
    open_chosen(jobs, key, chosen)
    jobs.put_off(key)


def open_chosen(jobs: Jobs, key: JobKey, said: Assigned | Chosen) -> None:
    """Open the job that the scheduler chose."""
    trial, rung = key
    config = {} if key == BASELINE_KEY else jobs.configs.get(trial)
    if config is None and trial == jobs.trials:  # it begins a trial
        config = jobs.suggestions.known(trial)
    there = key == BASELINE_KEY or said.resource in jobs.scheduler.rungs[rung : rung + 1]
    if config is None or rung < 0 or not there or key in jobs.open:
        raise ReplayError(f"{said} can't be derived")
    job = Job(trial, rung, said.resource, config, said.bracket)
    if key != BASELINE_KEY:
        jobs.scheduler.adopt(job)
    jobs.open_job(job)


def finish(jobs: Jobs, attempt: AttemptId, event: Event, at: float) -> None:
    """Close a job with its result."""
    opened = jobs.open.get(attempt.job)
    match event:
        case Heard(rank, Finished(attempt=finished) as report) if finished == attempt:
            if opened is not None and attempt.number <= opened.attempts:
                jobs.take_result(report, rank, at)
                return
        case _:
            pass
    raise ReplayError(f"the result of {attempt} is of a job that is not open")


def fail(jobs: Jobs, failure: Failure, event: Event) -> None:
    """Charge a job, or give it up."""
    rank = holder_of(jobs, failure.attempt, event)
    why = cause_of(event, rank)
    if failure.final != jobs.is_last(failure.attempt.job, why):
        raise ReplayError(f"{failure} can't be derived; final comes out otherwise")
    jobs.take_failure(failure.attempt, rank, why, final=failure.final)


def end(jobs: Jobs, decision: Suspension | Stopped | Unqueued, event: Event) -> None:
    """End an attempt that brought no result, and did not fail."""
    holder_of(jobs, decision.attempt, event)
    match decision:
        case Suspension(attempt=attempt, saved=saved):
            jobs.take_suspension(attempt, saved)
        case Stopped(attempt=attempt):
            jobs.stop(attempt.job)
        case Unqueued(attempt=attempt):
            jobs.take_from_queue(attempt)


def holder_of(jobs: Jobs, attempt: AttemptId, event: Event) -> int:
    """Tell which rank has the newest attempt at an open job, if it is this one.

    Of a group, the one that the event is of.
    """
    opened = jobs.open.get(attempt.job)
    slot = () if opened is None or opened.newest != attempt else opened.slot
    match event:
        case Heard(rank=rank):
            found = [rank] if rank in slot else []
        case Silent(ranks) if len(slot) > 1:
            found = [rank for rank in ranks if rank in slot]
        case _:
            found = list(slot)
    if not found:
        raise ReplayError(f"{attempt} is not the newest attempt at an open job")
    return found[0]
