"""The attempts: who made which, from when until when, and what became of it."""

from collections.abc import Sequence
from enum import Enum

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.master.retries import cause_of
from hpmpi.model.events import Event, Heard, Interrupted, Silent
from hpmpi.model.messages import Failed, FailureKind, Unfit, gist
from hpmpi.model.records import Assigned
from hpmpi.model.trial import BASELINE, AttemptId, Metrics
from hpmpi.model.usage import Usage


class Fate(Enum):
    """What became of an attempt; OPEN is in work still, CUT went down with a start of the study.

    QUEUED has not begun: its rank has another in work.
    """

    RESULT = "result"
    SAVED = "saved for a drain"
    FAILED = "failed"
    LOST = "lost with its rank"
    LATE = "answered too late"
    STOPPED = "stopped by its scheduler"
    CUT = "cut off"
    RETURNED = "given back before it began"
    QUEUED = "queued"
    OPEN = "in work"


USEFUL = frozenset({Fate.RESULT, Fate.SAVED, Fate.STOPPED, Fate.RETURNED, Fate.QUEUED, Fate.OPEN})
"""The fates that time was not lost with."""

ANSWERED = frozenset({Fate.RESULT, Fate.SAVED, Fate.FAILED, Fate.LATE, Fate.STOPPED})
"""The fates of attempts whose rank has said what came of them."""


pack = msgspec.msgpack.Encoder().encode
unpack_metrics = msgspec.msgpack.Decoder(Metrics).decode


class Attempt(msgspec.Struct, gc=False):
    """A try at a job by a rank on a host, and `others`, which trains from `start` to `resource`.

    `saved` is the resource of the checkpoint that it left; while it is in work it has not `ended`;
    `usage`: what it has used, as far as its ranks have said that.
    There are many, and a dictionary takes four times the memory of what is `packed`.
    """

    id: AttemptId
    rank: int
    host: str
    start: int
    resource: int
    begun: float
    ended: float | None = None
    fate: Fate = Fate.OPEN
    packed: bytes = b""
    saved: int = 0
    usage: Usage | None = None
    others: tuple[int, ...] = ()

    @property
    def slot(self) -> tuple[int, ...]:
        """All ranks that make it."""
        return (self.rank, *self.others)

    @property
    def metrics(self) -> Metrics:
        """What its result has, if it brought one."""
        return unpack_metrics(self.packed) if self.packed else {}

    def end(self, now: float) -> float:
        """Tell when it ended, or that it goes on."""
        if self.fate is Fate.QUEUED:
            return self.begun
        return now if self.ended is None else max(self.begun, self.ended)

    def took_s(self, now: float) -> float:
        """Tell how long it took, or takes by now."""
        return self.end(now) - self.begun

    def close(self, fate: Fate, at: float) -> None:
        """Note what became of it; the last word counts, but what was stopped stays so."""
        self.fate = self.fate if self.fate is Fate.STOPPED else fate
        self.ended = at

    @property
    def has_begun(self) -> bool:
        """Whether its rank has come to it; one that was given back has not."""
        return self.fate not in (Fate.QUEUED, Fate.RETURNED)

    def begin(self, at: float) -> None:
        """Begin what was queued, and is still."""
        if self.fate is Fate.QUEUED:
            self.fate, self.begun = Fate.OPEN, at

    def give_back(self, at: float) -> None:
        """Have it never have begun."""
        self.close(Fate.RETURNED, at)
        self.begun = at


def share_out(usage: Usage, attempts: Sequence[Attempt], at: float) -> None:
    """Note what attempts have used together on a rank, each as long as it took."""
    total_s = sum(attempt.took_s(at) for attempt in attempts)
    for attempt in attempts:
        part = attempt.took_s(at) / total_s if total_s else 1 / len(attempts)
        its = msgspec.structs.replace(
            usage,
            span_s=part * usage.span_s,
            cpu_s=part * usage.cpu_s,
            read_bytes=int(part * usage.read_bytes),
            written_bytes=int(part * usage.written_bytes),
        )
        attempt.usage = its if attempt.usage is None else attempt.usage.beside(its)


class FailedAttempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt that came to nothing, by which rank, and why; with `final` its job is given up.

    The rank may have been lost and come back: then the attempt may have come to something yet.
    """

    attempt: AttemptId
    rank: int
    kind: FailureKind
    error: str
    final: bool
    at: float

    @property
    def sort(self) -> str:
        """Name the sort of failure that it is, for people: of exceptions, their class."""
        excepts = self.kind is FailureKind.EXCEPTION
        return gist(self.error).partition(":")[0] if excepts else self.kind.value


class Attempts:
    """All attempts, and the newest at each job that is open."""

    def __init__(self) -> None:
        """Know of none."""
        self.all: dict[AttemptId, Attempt] = {}
        self.open: dict[tuple[int, int], Attempt] = {}

    def begin(self, assigned: Assigned, at: float, host: str, start: int) -> Attempt:
        """Add an attempt; raises ReplayError unless it is the next one at an open job."""
        new = assigned.attempt
        newest = self.open.get(new[:2])
        follows = newest is not None and newest.id[2] == new[2] - 1
        begins = newest is None and new[2] == 1 and new not in self.all
        if not follows and not begins and not self._is_of_another_baseline(new):
            raise ReplayError(f"{new} is not the next")
        attempt = Attempt(
            new, assigned.rank, host, start, assigned.resource, at, others=assigned.others
        )
        if assigned.queued:
            attempt.fate = Fate.QUEUED
        self.all[new] = self.open[new[:2]] = attempt
        return attempt

    def _is_of_another_baseline(self, new: AttemptId) -> bool:
        """Tell whether an attempt follows those at a baseline that is over."""
        before = new._replace(number=new.number - 1)
        return new.trial == BASELINE and before in self.all and new not in self.all

    def find(self, attempt: AttemptId) -> Attempt:
        """Find an attempt; raises ReplayError for one that was never handed out."""
        try:
            return self.all[attempt]
        except KeyError:
            raise ReplayError(f"{attempt} was not handed out") from None

    def at_open_job(self, attempt: AttemptId) -> Attempt:
        """Find an attempt at a job that is open; raises ReplayError for others."""
        known = self.find(attempt)
        if attempt[:2] not in self.open:
            raise ReplayError(f"{attempt} was answered before")
        return known

    def close_job(self, attempt: AttemptId) -> Attempt:
        """Find an attempt at a job that is open, and is no more; raises ReplayError for others."""
        known = self.at_open_job(attempt)
        del self.open[attempt[:2]]
        return known


def decider_of(event: Event, attempt: Attempt) -> int:
    """Tell which of the ranks that made an attempt has decided that it came to nothing."""
    match event:
        case Heard(rank=rank) if rank in attempt.slot:
            return rank
        case Silent(ranks):
            return next((rank for rank in ranks if rank in attempt.slot), attempt.rank)
    return attempt.rank


def error_of(event: Event, attempt: Attempt, rank: int) -> str:
    """Say what made an attempt fail; raises ReplayError where nothing says it."""
    match event:
        case Silent() | Interrupted() | Heard(report=Failed() | Unfit()):
            return cause_of(event, rank).error
    raise ReplayError(f"nothing says why {attempt.id} failed")
