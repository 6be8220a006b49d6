"""What a line of the journal holds: what happened, and what the master decided on it.

Facts are what happened (events.py) and what the searcher suggested, which costs thought: nothing of
that is ever derived. What was decided on it is written beside it, for those who read, and so that
`replay` can compare it with what comes out again.

Times (`at`) are seconds since the study began; pauses between two starts of a study do not count.
"""

from typing import NamedTuple

from hpmpi.model.events import Event
from hpmpi.model.messages import FailureKind, Message, Outcome
from hpmpi.model.trial import AttemptId, Config

# -- decisions -------------------------------------------------------------------------------------


class Assigned(Message, frozen=True):
    """A rank is to make an attempt at a job, which trains up to `resource`.

    It is member 0 of a group where there are `others`, the members from 1; what is `queued` begins
    when the rank has answered what it has in work.
    """

    attempt: AttemptId
    resource: int
    rank: int
    bracket: int = 0
    others: tuple[int, ...] = ()
    queued: bool = False


class Chosen(Message, frozen=True):
    """A job that the scheduler has chosen waits for the ranks that it takes."""

    trial: int
    rung: int
    resource: int
    bracket: int = 0


class Result(Message, frozen=True):
    """What was heard is the first result of an open job.

    `over`: the trials that the scheduler will not go on with, as it said then.
    """

    attempt: AttemptId
    over: tuple[int, ...] = ()


class Failure(Message, frozen=True):
    """An attempt at an open job came to nothing; with `final` the job is given up.

    What is given up counts in its rung as the worst; `over` is as in Result.
    """

    attempt: AttemptId
    kind: FailureKind
    final: bool = False
    over: tuple[int, ...] = ()


class Suspension(Message, frozen=True):
    """An open job was ended for a drain, and waits to go on from the checkpoint at `saved`."""

    attempt: AttemptId
    saved: int


class Late(Message, frozen=True):
    """An answer that counts for nothing, as its attempt was given up on; the rank is free again."""

    attempt: AttemptId


class Unqueued(Message, frozen=True):
    """A job that was queued on a rank waits again: it was given back, or its rank is lost."""

    attempt: AttemptId


class Parted(Message, frozen=True):
    """A member of a group has ended its part in an attempt, and decides nothing; it is free."""

    attempt: AttemptId
    rank: int


class Stopped(Message, frozen=True):
    """The scheduler ends a trial in the middle of a job, which counts with what it had reported."""

    attempt: AttemptId
    over: tuple[int, ...] = ()


class Back(Message, frozen=True):
    """A lost rank was heard again; `held` is the attempt that it still has to answer."""

    rank: int
    held: AttemptId | None = None


class Quarantined(Message, frozen=True):
    """A rank is put aside: it fails, one after the other, jobs that others can do."""

    rank: int


class Released(Message, frozen=True):
    """A rank is put aside no more: it is to try a job, or is known to work."""

    rank: int
    on_trial: bool = False


class Deadline(Message, frozen=True):
    """The end of the allocation is known now; so the run drains at `drains_at`."""

    drains_at: float


class Draining(Message, frozen=True):
    """A start is to end, and `why`: nothing is handed out any more."""

    why: str


class Ended(Message, frozen=True):
    """A start of the study is over; `why` is for people."""

    outcome: Outcome
    why: str


OfAttempt = Assigned | Result | Failure | Suspension | Late | Unqueued | Parted | Stopped
"""A decision on an attempt, which it names."""

Decision = OfAttempt | Chosen | Back | Quarantined | Released | Deadline | Draining | Ended


# -- lines -----------------------------------------------------------------------------------------


AT_ONCE = -1


class Suggestion(NamedTuple):
    """What the searcher answered for a trial; None where there is no other configuration.

    `after`: of one that thinks ahead, how many results it had been told when it was asked; else it
    was asked when it answered, and that is AT_ONCE.
    """

    trial: int
    config: Config | None
    after: int = AT_ONCE


class Raised(NamedTuple):
    """The searcher or the scheduler raised in a call, by its number in the line; and `why`."""

    call: int
    why: str


class Started(Message, frozen=True):
    """A start of the study: what ran (the settings as TOML text) and on how many worker ranks.

    `rungs` has the resource of each rung, as far as they are known at a start; `format` is that of
    the run folder's files. `objective_digest`: what the objective's file was then, if it was found.
    """

    at: float
    version: str
    settings: str
    start: str
    ranks: int
    rungs: tuple[int, ...] = ()
    format: int = 1
    objective_digest: str = ""


class Entry(Message, frozen=True):
    """An event and the decisions that follow from it, in order.

    `suggested`: what the searcher answered meanwhile; `raised`: that it, or the scheduler, raised.
    """

    at: float
    event: Event
    decisions: tuple[Decision, ...] = ()
    suggested: tuple[Suggestion, ...] = ()
    raised: Raised | None = None


Line = Started | Entry
