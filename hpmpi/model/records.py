"""What the master has decided: a line of the journal each.

Times (`at`) are seconds since the study began; pauses between two starts of a study do not count.
"""

from hpmpi.model.messages import FailureKind, Message, Outcome, Point
from hpmpi.model.trial import AttemptId, Config, Metrics


class Started(Message, frozen=True):
    """A start of the study: what ran (the settings as TOML text) and on how many worker ranks.

    `rungs` has the resource of each rung; `format` is that of the run folder's files.
    """

    at: float
    version: str
    settings: str
    start: str
    ranks: int
    rungs: tuple[int, ...] = ()
    format: int = 1


class Joined(Message, frozen=True):
    """A rank has loaded the objective and is ready to work.

    `notes`: what it was the first to say of the study, for people.
    """

    at: float
    rank: int
    host: str
    pid: int
    notes: tuple[str, ...] = ()


class Refused(Message, frozen=True):
    """A rank can't load the objective and gets no work."""

    at: float
    rank: int
    host: str
    error: str


class Assigned(Message, frozen=True):
    """A job was handed out; the configuration is written once, with the trial's first job."""

    at: float
    trial: int
    rung: int
    attempt: int
    resource: int
    rank: int
    config: Config | None = None


class Result(Message, frozen=True):
    """The first answer to an open job."""

    at: float
    trial: int
    rung: int
    attempt: int
    resource: int
    rank: int
    metrics: Metrics
    saved: int = 0


class Failure(Message, frozen=True):
    """An attempt at an open job came to nothing.

    With `final` the job is given up, and counts in its rung as the worst. `used`: in a process that
    had done other jobs before. One of a lost rank that follows a start is of the start before,
    which had ended without a word.
    """

    at: float
    trial: int
    rung: int
    attempt: int
    rank: int
    kind: FailureKind
    error: str
    final: bool = False
    used: bool = False


class Late(Message, frozen=True):
    """An answer that counts for nothing, as its attempt was given up on; the rank is free again."""

    at: float
    trial: int
    rung: int
    attempt: int
    rank: int


class Deadline(Message, frozen=True):
    """The allocation ends at `ends_at`, as far as is known now; so the run drains at `drains_at`.

    `epoch_s`: the end by the world's clock, in seconds since 1970.
    """

    at: float
    ends_at: float
    drains_at: float
    epoch_s: float


class Draining(Message, frozen=True):
    """A start is to end, and `why`: nothing is handed out any more."""

    at: float
    why: str


class Suspension(Message, frozen=True):
    """An open job was ended for a drain, to go on from its checkpoint at the resource `saved`.

    One that follows a start was ended with the start before, and had saved until then.
    """

    at: float
    trial: int
    rung: int
    attempt: int
    rank: int
    saved: int


class Lost(Message, frozen=True):
    """A rank was silent for longer than the patience."""

    at: float
    rank: int


class Back(Message, frozen=True):
    """A lost rank was heard again; `held` is the attempt that it still has to answer."""

    at: float
    rank: int
    held: AttemptId | None = None


class Curve(Message, frozen=True):
    """Points of a learning curve."""

    at: float
    trial: int
    rung: int
    attempt: int
    points: list[Point]


class Baseline(Message, frozen=True):
    """What the study's baseline reached, by metric."""

    at: float
    metrics: Metrics


class Ended(Message, frozen=True):
    """A start of the study is over; `why` is for people."""

    at: float
    outcome: Outcome
    why: str


Decision = (
    Started
    | Joined
    | Refused
    | Assigned
    | Result
    | Failure
    | Late
    | Deadline
    | Draining
    | Suspension
    | Lost
    | Back
    | Curve
    | Baseline
    | Ended
)
