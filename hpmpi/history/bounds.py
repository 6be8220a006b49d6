"""What a journal can say at all: numbers beyond that are nonsense, whoever wrote them.

Checksums tell damage; this tells nonsense. It is no replay: which job comes next is not derived.
Everything here raises ReplayError.
"""

import math

from hpmpi.errors import ReplayError
from hpmpi.master.time_left import AllocationEnd
from hpmpi.model.events import Due, Event
from hpmpi.model.records import Assigned, Started
from hpmpi.model.trial import BASELINE, Config
from hpmpi.model.values import unfit

MOST = 2**53
"""The greatest whole number that every program reads exactly."""

MOST_RANKS = 2**20
MOST_RUNGS = 10_000
"""More than any study has: each costs who reads a journal some memory."""

NUMBERS = frozenset({float, int})
WORDS = frozenset({str, bool, type(None)})
"""What is optional has None."""

LONGEST_S = 1e10
"""No study takes 300 years."""


def check_time(at: float) -> None:
    """Refuse what is no time since a study began."""
    if not 0 <= at <= LONGEST_S:
        raise ReplayError(f"{at} is no time")


def check_start(started: Started) -> None:
    """Refuse a start on ranks, or with rungs, that can't be."""
    if not 0 < started.ranks <= MOST_RANKS:
        raise ReplayError(f"there can't be {started.ranks} ranks")
    rungs = started.rungs
    if len(rungs) > MOST_RUNGS:
        raise ReplayError(f"there can't be {len(rungs)} rungs")
    if list(rungs) != sorted(set(rungs)) or not all(0 < rung <= MOST for rung in rungs):
        raise ReplayError(f"{rungs} are no rungs")


def check_job(assigned: Assigned) -> None:
    """Refuse a job of a rung, or for a resource, that can't be."""
    trial, rung, _ = assigned.attempt
    if not 0 <= rung < MOST_RUNGS or (trial == BASELINE and rung > 0):
        raise ReplayError(f"there is no rung {rung} for trial {trial}")
    if not 0 < assigned.resource <= MOST:
        raise ReplayError(f"{assigned.resource} is no resource")
    if not 0 <= assigned.bracket < MOST_RUNGS:
        raise ReplayError(f"there is no bracket {assigned.bracket}")


def check_saved(saved: int) -> None:
    """Refuse what is no resource of a checkpoint; 0 is that there is none."""
    if not 0 <= saved <= MOST:
        raise ReplayError(f"{saved} is no resource of a checkpoint")


def check_config(config: Config) -> None:
    """Refuse a configuration that no file can hold."""
    for value in config.values():
        kind = type(value)  # most are numbers or words, and each trial pays for it
        if kind in WORDS or (kind in NUMBERS and -MOST <= value <= MOST):
            continue
        for problem in unfit(value):
            raise ReplayError(problem)


def deadline_of(event: Event, drains_at: float) -> AllocationEnd:
    """Say when the allocation ends; raises ReplayError where nothing says it."""
    if not isinstance(event, Due):
        raise ReplayError("nothing says when the allocation ends")
    check_deadline(event, drains_at)
    return AllocationEnd(event.ends_at, event.epoch_s, drains_at)


def check_deadline(due: Due, drains_at: float) -> None:
    """Refuse what is no end of an allocation."""
    dated = abs(due.ends_at) <= LONGEST_S and 0 <= due.epoch_s <= LONGEST_S
    if not (dated and -math.inf < drains_at <= due.ends_at):
        raise ReplayError(f"{due} is no deadline, with a drain at {drains_at}")
