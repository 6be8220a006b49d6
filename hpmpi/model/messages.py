"""What ranks say: reports to the master, orders to a rank; and what both, and the journal, are of.

    rank --report--> transport --Heard--> master --order--> transport --> rank
                                            |
                                            +--> a line of the journal: what was heard, and decided

Everything here is frozen data; msgspec writes it as msgpack between ranks, and as JSON in the
journal, with the class's name in lower case as its tag.
"""

from enum import Enum
from typing import Literal

import msgspec

from hpmpi.model.trial import AttemptId, Config, Metrics
from hpmpi.model.usage import Provision, Usage

OUTPUT = "; its last output:"
"""Stands between an error and what the objective has printed last."""

TRACEBACK = "Traceback (most recent call last):"
"""How a traceback begins."""

END_LINES = 6
"""How much of the end of a traceback is told beside the line that sums it up."""


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


def end_of(error: str, lines: int = END_LINES) -> list[str]:
    r"""Take the last lines of what stands behind that one: of a traceback, or of what was printed.

    >>> end_of("ValueError: no\n\nTraceback...\n  fit()\nValueError: no", 2)
    ['  fit()', 'ValueError: no']
    >>> end_of("killed by SIGSEGV; its last output:\nepoch 3", 2), end_of("exit code 1", 2)
    (['epoch 3'], [])
    """
    first, _, behind = error.partition(OUTPUT)
    return (behind or first.partition("\n\n")[2]).strip("\n").splitlines()[-lines:]


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
    has: Provision = Provision()


class Unfit(Message, frozen=True):
    """The objective can't be loaded on this rank: it will never work."""

    host: str
    error: str


class Beat(Message, frozen=True):
    """I am alive: from a rank, and back from the master."""


class Progress(Message, frozen=True):
    """Points of the learning curve, as the objective reported them."""

    attempt: AttemptId
    points: list[Point]


class Finished(Message, frozen=True):
    """The job is done; `saved` is the resource of the trial's newest checkpoint, 0 without one."""

    attempt: AttemptId
    metrics: Metrics
    saved: int = 0
    usage: Usage | None = None


class Failed(Message, frozen=True):
    """The attempt came to nothing; its process is `used` if it had done other jobs before."""

    attempt: AttemptId
    kind: FailureKind
    error: str
    used: bool = False
    usage: Usage | None = None

    @property
    def spoils(self) -> bool:
        """Whether what went wrong may have spoilt the process in which it did."""
        return self.kind is not FailureKind.BAD_VALUE


class Suspended(Message, frozen=True):
    """The attempt ended early, as it was asked to, after a checkpoint at the resource `saved`."""

    attempt: AttemptId
    saved: int
    usage: Usage | None = None


class Cancelled(Message, frozen=True):
    """The attempt was ended, as nobody waits for what comes of it."""

    attempt: AttemptId


class Returned(Message, frozen=True):
    """The attempt was called back before it began: somebody else may make it."""

    attempt: AttemptId


class Done(Message, frozen=True):
    """A member of a group other than the first has done its part: the first says what it is."""

    attempt: AttemptId
    usage: Usage | None = None


class Agreed(Message, frozen=True):
    """What the first member of a group has decided for all: the `number`th of its `topic`.

    `about` is what it was asked about, and `answer` what all members hear.
    """

    attempt: AttemptId
    topic: str
    number: int
    about: int
    answer: tuple[str | int | bool | None, ...]


class Fence(Message, frozen=True):
    """A member has come to the `number`th fence of its world; or, back to all, all have.

    `pairs` are what it, or all of them, have to tell; see worker/pmi.py.
    """

    attempt: AttemptId
    index: int
    number: int
    pairs: dict[str, str]


Word = Agreed | Fence
"""What members of a group say to each other."""


class Relay(Message, frozen=True):
    """A word for other ranks, which rank 0 passes on: no master hears it."""

    ranks: tuple[int, ...]
    word: Word


class Goodbye(Message, frozen=True):
    """The last word of a rank that was told to stop."""


Answer = Finished | Failed | Suspended | Cancelled | Done | Returned
"""What comes of an attempt: the last word on it."""

Measured = Finished | Failed | Suspended | Done
"""Answers that can say what was used."""

Report = Ready | Unfit | Beat | Progress | Answer | Goodbye | Relay | Agreed


# -- orders: master to rank ----------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """What a rank must know of the study before its first job; folders are absolute paths.

    `examples`: configurations such as those to come, for an objective that looks at the study;
    `source`: the study's `[data]`; `data`: where they lie on a node, as a rank tells its child;
    `baseline`: the function that the trial BASELINE is a call of, if the study has one;
    `hyperparameters`: those of the space by name, and of each whether it is always active;
    `max_resource`: the most that a trial is trained to; `forks`: whether the processes of its
    objective may be forked from one that has imported it; `world`: what the members of a group find
    each other by.
    """

    objective: str
    origin: str
    metric: str | list[str] | None
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
    forks: bool = False
    own_folder: bool = False
    examples: tuple[Config, ...] = ()
    source: dict[str, object] = {}
    data: str | None = None
    baseline: str | None = None
    hyperparameters: dict[str, bool] = {}
    max_resource: int = 1
    world: Literal["none", "torch", "mpi"] = "none"


class Member(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Which member of a group a rank is, and who the members are, the first of which decides."""

    index: int
    ranks: tuple[int, ...]
    hosts: tuple[str, ...]

    @property
    def leads(self) -> bool:
        """Whether it is the first."""
        return self.index == 0


class Assign(Message, frozen=True):
    """Make this attempt at a job, from the newest checkpoint, which the master knows as `saved`.

    That of the trial BASELINE has no configuration: it is the study's baseline that is called.
    Where the rank has another in work, it makes this one next.

    `deadline_s`: how long it is until the allocation ends, if that is known; `fresh`: in a process
    that has done no other job, where there is a process; `member`: of a group, where trials may
    take several ranks.
    """

    attempt: AttemptId
    resource: int
    config: Config
    seed: int
    saved: int = 0
    deadline_s: float | None = None
    fresh: bool = False
    member: Member | None = None


class Cancel(Message, frozen=True):
    """End this attempt, whatever it does: nobody waits for what comes of it.

    It may come to its end by itself in `grace_s`.
    """

    attempt: AttemptId
    grace_s: float = 0.0


class Recall(Message, frozen=True):
    """Give this attempt back, unless it has begun: then it is made as if nothing had been said."""

    attempt: AttemptId


class Save(Message, frozen=True):
    """The run drains: end the job in work as soon as it has saved a checkpoint."""


class Retire(Message, frozen=True):
    """No job follows: let the objective's process end, while the results are written."""


class Stop(Message, frozen=True):
    """Leave now."""


Order = Welcome | Assign | Cancel | Recall | Beat | Save | Retire | Stop | Word
