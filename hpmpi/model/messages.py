"""What ranks say: reports to the master, orders to a rank; and what both, and the journal, are of.

    rank --report--> transport --Heard--> master --Tell--> transport --order--> rank
                                            |
                                            +--Record--> store: a decision, a line of the journal

Everything here is frozen data; msgspec writes it as msgpack between ranks, and decisions as JSON in
the journal, with the class's name in lower case as its tag.
"""

from enum import Enum

import msgspec

from hpmpi.model.trial import Config, Metrics

OUTPUT = "; its last output:"
"""Stands between an error and what the objective has printed last."""

TRACEBACK = "Traceback (most recent call last):"
"""How a traceback begins."""


class Message(msgspec.Struct, frozen=True, gc=False, tag=str.lower, omit_defaults=True):
    """What can be written and read again.

    Nothing in it can lead back to it, so the garbage collector need not look at the many there are.
    """


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
    r"""Take the line of an error that says what it was: the first.

    Old journals have tracebacks without such a line, whose last one was taken, and is still.

    >>> gist("ValueError: no\n\nTraceback..."), gist("killed by SIGSEGV; its last output: epoch 3")
    ('ValueError: no', 'killed by SIGSEGV')
    """
    lines = error.partition(OUTPUT)[0].strip().split("\n")
    return lines[-1] if lines[0].endswith(TRACEBACK) else lines[0]


def escaped(line: str) -> str:
    r"""Escape what acts on a terminal, the end of a line included.

    >>> escaped("red: \x1b[31m, \u202eleft"), escaped("größer\n")
    ('red: \\x1b[31m, \\u202eleft', 'größer\\n')
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


class Outcome(Enum):
    """How a start of a study came to its end."""

    COMPLETE = "complete"
    DRAINED = "drained"
    DESERTED = "deserted"
    UNFIT = "unfit"
    FAILED = "failed"


class Point(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One point of a learning curve."""

    resource: int
    metrics: Metrics


# -- reports: rank to master ---------------------------------------------------------------------


class Ready(Message, frozen=True):
    """The objective is loaded: this rank can work; `notes`: what people must know of the study."""

    host: str
    pid: int
    notes: tuple[str, ...] = ()


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
    """The attempt came to nothing; its process is `used` if it had done other jobs before."""

    trial: int
    rung: int
    attempt: int
    kind: FailureKind
    error: str
    used: bool = False

    @property
    def spoils(self) -> bool:
        """Whether what went wrong may have spoilt the process in which it did."""
        return self.kind is not FailureKind.BAD_VALUE


class Suspended(Message, frozen=True):
    """The attempt ended early, as it was asked to, after a checkpoint at the resource `saved`."""

    trial: int
    rung: int
    attempt: int
    saved: int


class Goodbye(Message, frozen=True):
    """The last word of a rank that was told to stop."""


Answer = Finished | Failed | Suspended
"""What comes of an attempt: the last word on it."""

Report = Ready | Unfit | Beat | Progress | Finished | Failed | Suspended | Goodbye


# -- orders: master to rank ----------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """What a rank must know of the study before its first job; folders are absolute paths.

    `examples`: configurations such as those to come, for an objective that looks at the study;
    `source`: the study's `[data]`; `data`: where they lie on a node, as a rank tells its child.
    """

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
    gpus_per_trial: int | None = None
    isolated: bool = True
    own_folder: bool = False
    examples: tuple[Config, ...] = ()
    source: dict[str, object] = {}
    data: str | None = None


class Assign(Message, frozen=True):
    """Do this job; `saved` is the resource of the newest checkpoint the master has heard of.

    `deadline_s`: how long it is until the allocation ends, if that is known; `fresh`: in a process
    that has done no other job, where there is a process.
    """

    trial: int
    rung: int
    attempt: int
    resource: int
    config: Config
    seed: int
    saved: int = 0
    deadline_s: float | None = None
    fresh: bool = False


class Save(Message, frozen=True):
    """The run drains: end the job in work as soon as it has saved a checkpoint."""


class Retire(Message, frozen=True):
    """No job follows: let the objective's process end, while the results are written."""


class Stop(Message, frozen=True):
    """Leave now."""


Order = Welcome | Assign | Beat | Save | Retire | Stop
