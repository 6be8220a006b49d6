"""All that is said: reports, orders, events, commands, and the decisions that the journal keeps.

    rank --report--> transport --Heard--> master --Tell--> transport --order--> rank
                                            |
                                            +--Record--> store: a decision, a line of the journal

Everything here is frozen data; msgspec writes it as msgpack between ranks and as JSON in the
journal, with the class's name in lower case as its tag. Times (`at`) are seconds since the study
began; pauses between two starts of a study do not count.
"""

from enum import Enum

import msgspec

from hpmpi.trial import Config, Held, Metrics

OUTPUT = "; its last output:"
"""Stands between an error and what the objective has printed last."""


class Message(msgspec.Struct, frozen=True, tag=str.lower, omit_defaults=True):
    """What can be written and read again."""


class FailureKind(Enum):
    """Why an attempt came to nothing."""

    EXCEPTION = "exception"
    CRASH = "crash"
    EXIT = "exit code"
    TIME = "time"
    MEMORY = "memory"
    BAD_VALUE = "bad value"
    LOST = "lost rank"


def gist(error: str) -> str:
    """Take the line of an error that says most.

    >>> gist("Traceback ... ValueError: no"), gist("killed by SIGSEGV; its last output: epoch 3")
    ('Traceback ... ValueError: no', 'killed by SIGSEGV')
    """
    return error.partition(OUTPUT)[0].strip().rpartition("\n")[2]


class Outcome(Enum):
    """How a start of a study came to its end."""

    COMPLETE = "complete"
    DRAINED = "drained"
    DESERTED = "deserted"
    UNFIT = "unfit"


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One point of a learning curve."""

    resource: int
    metrics: Metrics


# -- reports: rank to master ---------------------------------------------------------------------


class Ready(Message, frozen=True):
    """The objective is loaded: this rank can work."""

    host: str
    pid: int


class Unfit(Message, frozen=True):
    """The objective can't be loaded on this rank: it will never work."""

    host: str
    error: str


class Beat(Message, frozen=True):
    """I am alive: from a rank, and back from the master."""


class Progress(Message, frozen=True):
    """Points of the learning curve, as the objective reported them."""

    trial: int
    rung: int
    attempt: int
    points: list[Point]


class Finished(Message, frozen=True):
    """The job is done; `saved` is the resource of the trial's newest checkpoint, 0 without one."""

    trial: int
    rung: int
    attempt: int
    metrics: Metrics
    saved: int = 0


class Failed(Message, frozen=True):
    """The attempt came to nothing."""

    trial: int
    rung: int
    attempt: int
    kind: FailureKind
    error: str


class Suspended(Message, frozen=True):
    """The attempt ended early, as it was asked to, after a checkpoint at the resource `saved`."""

    trial: int
    rung: int
    attempt: int
    saved: int


class Goodbye(Message, frozen=True):
    """The last word of a rank that was told to stop."""


Report = Ready | Unfit | Beat | Progress | Finished | Failed | Suspended | Goodbye


# -- orders: master to rank ----------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """What a rank must know of the study before its first job; folders are absolute paths."""

    objective: str
    origin: str
    metric: str | None
    folder: str
    args: dict[str, object]
    start: str
    patience_s: float
    beat_s: float
    keep_all: bool = False
    time_s: float | None = None
    memory_mb: float | None = None


class Assign(Message, frozen=True):
    """Do this job; `saved` is the resource of the newest checkpoint the master has heard of."""

    trial: int
    rung: int
    attempt: int
    resource: int
    config: Config
    seed: int
    saved: int = 0


class Save(Message, frozen=True):
    """The run drains: end the job in work as soon as it has saved a checkpoint."""


class Stop(Message, frozen=True):
    """Leave now."""


Order = Welcome | Assign | Beat | Save | Stop


# -- decisions: lines of the journal -------------------------------------------------------------


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
    """A rank has loaded the objective and is ready to work."""

    at: float
    rank: int
    host: str
    pid: int


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

    With `final` the job is given up, and counts in its rung as the worst.
    """

    at: float
    trial: int
    rung: int
    attempt: int
    rank: int
    kind: FailureKind
    error: str
    final: bool = False


class Late(Message, frozen=True):
    """An answer that counts for nothing, as its attempt was given up on; the rank is free again."""

    at: float
    trial: int
    rung: int
    attempt: int
    rank: int


class Draining(Message, frozen=True):
    """Somebody wants this start to end: nothing is handed out any more."""

    at: float
    why: str


class Suspension(Message, frozen=True):
    """An open job was ended for a drain, to go on from its checkpoint at the resource `saved`."""

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
    held: Held | None = None


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
    | Draining
    | Suspension
    | Lost
    | Back
    | Curve
    | Baseline
    | Ended
)


# -- events: what happened to the master ---------------------------------------------------------


class Heard(msgspec.Struct, frozen=True):
    """A report came in."""

    rank: int
    report: Report


class Tick(msgspec.Struct, frozen=True):
    """Time passed and nothing is left to be heard."""


class Drain(msgspec.Struct, frozen=True):
    """Somebody wants this start to end: a signal, or the end of the allocation; twice, at once."""

    why: str


Event = Heard | Tick | Drain


# -- commands: what the master wants done --------------------------------------------------------


class Tell(msgspec.Struct, frozen=True):
    """Send an order to a rank."""

    rank: int
    order: Assign | Beat | Save


class Record(msgspec.Struct, frozen=True):
    """Write a decision into the journal, before any later command is performed."""

    decision: Decision


class Discard(msgspec.Struct, frozen=True):
    """Nobody will go on from this trial's checkpoints."""

    trial: int


class Leave(msgspec.Struct, frozen=True):
    """End this start of the study."""

    outcome: Outcome


Command = Tell | Record | Discard | Leave
