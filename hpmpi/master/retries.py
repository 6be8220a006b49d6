"""Retries of a job: when it is given up, when it is suspected, and when there is no hope.

Rules:

- A job is given up when it has failed `max_failures` times; after two times where it says the same
  each time, and the second time in a process that had done nothing else: two that have done the
  same before may both be spoilt by it. So a job that has failed is tried again in one of its own.
  But what a member of a group says may be what another's death has made of it.
- It is given up at once where its objective returned what is no result; and when it has taken
  MAX_LOSSES ranks with it. A rank that was lost and is heard again was not taken.
- A start that ended without a word was taken along by a job in work, maybe: each of them is charged
  a lost rank, unless it has saved a checkpoint that is newer than the last one that was known: what
  gets on is no killer. Only what was in work at three such ends, without getting on, is given up.
- What has cost all losses but one is suspected: it is handed out when nothing else waits, and never
  beside another suspect. So of several that were in work each time, the next end accuses only one.
- Where ALIKE trials were given up in this start and said the same, and none has ever had a result,
  there is no hope for the others: they need not be tried.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from hpmpi.model.events import Event, Heard, Interrupted, Silent
from hpmpi.model.messages import Failed, FailureKind, Unfit, gist
from hpmpi.model.trial import AttemptId, Job, JobKey

MAX_LOSSES = 3
"""Ranks that may be lost with a job: with the last of them it is given up."""

ALIKE = 3
"""Trials that may be given up for the same reason before one has a result."""

TALKATIVE = (FailureKind.EXCEPTION, FailureKind.BAD_VALUE)
"""Failures whose message tells whether another attempt would come to the same."""


NO_WORD = "the run ended without a word while this was in work"
"""What is told of a job that may have taken a run along."""


class Cause(NamedTuple):
    """Why an attempt came to nothing; `used`: in a process that had done other jobs before."""

    kind: FailureKind
    error: str
    used: bool = False


def cause_of(event: Event, rank: int) -> Cause:
    """Say what an event has made of the attempt that a rank had."""
    match event:
        case Heard(report=Failed(kind=kind, error=error, used=used)):
            return Cause(kind, error, used)
        case Heard(report=Unfit(error=error)):
            return Cause(FailureKind.CRASH, error)
        case Silent():
            return Cause(FailureKind.LOST, f"rank {rank} was silent for too long")
        case Interrupted():
            return Cause(FailureKind.LOST, NO_WORD)
    raise AssertionError(f"nothing fails by {event}")


class OpenJob(msgspec.Struct):
    """A job without a result.

    `holder`: the rank that has its newest attempt, with the `others` of its slot; `failed_on`: the
    ranks of this start that it has failed on; `lost`: the attempts whose ranks were lost and not
    heard since; `said`: what its newest error came to; `held_since`: when its newest attempt was
    handed out; `starts`: by its attempts, the resource of the checkpoint to go on from; `is_first`:
    whether it begins its trial.
    """

    job: Job
    attempts: int = 0
    failures: int = 0
    failed_on: list[int] = []
    lost: list[int] = []
    said: str | None = None
    holder: int | None = None
    others: tuple[int, ...] = ()
    held_since: float = 0.0
    starts: dict[int, int] = {}
    is_first: bool = False

    @property
    def newest(self) -> AttemptId:
        """The newest attempt."""
        return AttemptId(self.job.trial, self.job.rung, self.attempts)

    def is_newest(self, number: int, rank: int) -> bool:
        """Tell whether a rank holds the job by its newest attempt, and that is this one."""
        if self.attempts != number or self.holder is None:
            return False
        return self.holder == rank or rank in self.others

    @property
    def slot(self) -> tuple[int, ...]:
        """The ranks that have its newest attempt."""
        return () if self.holder is None else (self.holder, *self.others)

    def is_for(self, rank: int, able: float, doubted: AbstractSet[int]) -> bool:
        """Tell whether a rank may try it: of `able` ones, one that it has not failed on.

        And, where there are others, not a doubted one if it has failed.
        """
        return rank not in self.unsuited(able, doubted)

    def unsuited(self, able: float, doubted: AbstractSet[int], size: int = 1) -> AbstractSet[int]:
        """Tell which ranks may not, where it takes so many of `able` ones."""
        if not self.failed_on:
            return frozenset()
        failed_on = frozenset(self.failed_on)
        found = (it for it in (failed_on | doubted, failed_on) if able - len(it) >= size)
        return next(found, frozenset())

    def charge(self, attempt: int, rank: int, cause: Cause) -> None:
        """Take note of a failure that was not the last."""
        if cause.kind is FailureKind.LOST:
            self.lost.append(attempt)
        else:
            self.failures += 1
            if rank not in self.failed_on:
                self.failed_on.append(rank)
        if cause.kind in TALKATIVE:
            self.said = gist(cause.error)

    def gives_up(self, cause: Cause, max_failures: int) -> bool:
        """Tell whether the job is given up with another failure."""
        if cause.kind is FailureKind.LOST:
            return len(self.lost) + 1 >= MAX_LOSSES
        if cause.kind is FailureKind.BAD_VALUE:  # the objective came to its end, and will again
            return True
        talks = cause.kind in TALKATIVE and not cause.used and not self.others
        repeats = talks and gist(cause.error) == self.said
        return repeats or self.failures + 1 >= max_failures


class Suspects:
    """The open jobs that are given up with the next loss."""

    def __init__(self) -> None:
        """Suspect nobody."""
        self._keys: set[JobKey] = set()

    def __contains__(self, key: object) -> bool:
        """Tell whether a job is suspected."""
        return key in self._keys

    def judge(self, opened: OpenJob) -> None:
        """Suspect a job or not, by its losses."""
        if len(opened.lost) == MAX_LOSSES - 1:
            self._keys.add(opened.job.key)
        else:
            self._keys.discard(opened.job.key)

    def drop(self, key: JobKey) -> None:
        """Forget a job that is closed."""
        self._keys.discard(key)

    def are_in_work(self, jobs: Mapping[JobKey, OpenJob]) -> bool:
        """Tell whether one of them is held by a rank."""
        return any(jobs[key].holder is not None for key in self._keys)


class Hope:
    """Whether any trial can be expected to succeed; `succeeded`: whether any has."""

    def __init__(self) -> None:
        """Hope for the best."""
        self.succeeded = False
        self._alike: Counter[str] = Counter()

    @property
    def is_lost(self) -> bool:
        """Whether what was tried has shown that the rest need not be."""
        return bool(self._alike) and max(self._alike.values()) >= ALIKE

    def begin(self) -> None:
        """Begin another start: what was wrong may be mended."""
        self._alike.clear()

    def give_up(self, cause: Cause) -> None:
        """Take note of what a trial was given up for."""
        if not self.succeeded:
            self._alike[reason(cause.kind, cause.error)] += 1

    def succeed(self) -> None:
        """Take note of a result."""
        self.succeeded = True
        self._alike.clear()


def reason(kind: FailureKind, error: str) -> str:
    """Say for what a trial was given up: of what is no result it does not matter what it was.

    >>> reason(FailureKind.EXIT, "code 1"), reason(FailureKind.BAD_VALUE, "'0.5' of type str")
    ('exit code: code 1', 'bad value')
    """
    return kind.value if kind is FailureKind.BAD_VALUE else f"{kind.value}: {gist(error)}"
