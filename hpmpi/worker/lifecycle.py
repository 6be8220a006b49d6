"""The life of a child, process after process: a state machine without clock or process.

    event --handle--> commands    orders, reports, Started, HungUp, Tick, Died --> Send, PassOn, Act

    NEW --Started--> LOADING --Ready--> IDLE --Assign--> BUSY --its answer--> IDLE
     ^                  |                 |                |
     |                  +-----------------+----------------+
     |                                    | has to end: hung up on, and interrupted if at work
     |                                    v
     |                                 ENDING --ORDER_S--> PRESSED, by TERM --KILL_AFTER_S--> KILL
     |
     +-- Died, in whatever state: another is to be started; or OVER, where none is to follow

A process has to end that hangs up, or writes rubbish (CRASH); that loads or works for too long
(TIME), or has too much memory (MEMORY: TERM comes at once); whose job may have spoilt it, or that
has done one where the next wants a fresh process (EXIT). None follows one that was retired or that
says it is Unfit, nor the last of MAX_CRASHES in a row that never came to Ready.

Rules:

- A job is given to one process, or waits for the next one where this one has to end.
- A job has one answer: the first that its process says, or, in its name, why that died. What is
  said of any other attempt is from something that another job has left running, and is dropped.
- What a process says while it is ended is no answer: its pool's workers may have died of our TERM,
  and what is told then comes after the cause.
- It has died when all of its family are gone: only then is there room for the next.
"""

from enum import Enum, auto
from typing import NamedTuple

from hpmpi.model.messages import (
    OUTPUT,
    Answer,
    Assign,
    Failed,
    FailureKind,
    Finished,
    Progress,
    Ready,
    Report,
    Retire,
    Save,
    Suspended,
    Unfit,
    Welcome,
)
from hpmpi.worker.ending import Ending, cause, ending, over_memory, over_time

MAX_CRASHES = 3
"""How many processes may end in a row while they load the objective."""


class State(Enum):
    """How far the process is; NEW: one is to be started; OVER: none is any more."""

    NEW = auto()
    LOADING = auto()
    IDLE = auto()
    BUSY = auto()
    ENDING = auto()
    PRESSED = auto()
    OVER = auto()


NEW, LOADING, IDLE, BUSY, ENDING, PRESSED, OVER = State  # Python before 3.12 finds these faster

ALIVE = (LOADING, IDLE, BUSY)
"""Where a process does not have to end."""


# -- events, beside what the rank orders and the process reports ----------------------------------


class Started(NamedTuple):
    """There is a process; where there can't be, that is Unfit."""


class HungUp(NamedTuple):
    """The process says no more, or `rubbish`."""

    rubbish: bool


class Tick(NamedTuple):
    """Time passed, and nothing is left to be heard; `used_mb`: its memory, if that was measured."""

    used_mb: float = 0.0


class Died(NamedTuple):
    """All of its family are gone; `taken`: the kernel killed somebody; `output`: its last words."""

    code: int
    taken: bool
    output: str


Event = Assign | Save | Retire | Report | Started | HungUp | Tick | Died

# -- commands -------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send the process an order."""

    order: Welcome | Assign | Save


class PassOn(NamedTuple):
    """Pass a report on to the rank."""

    report: Report


class Act(Enum):
    """Do something to the process."""

    HANG_UP = "say no more to it"
    INTERRUPT = "send TERM to it alone"
    TERM = "send TERM to its family"
    KILL = "kill its family"


Command = Send | PassOn | Act


class Lifecycle:
    """What a rank knows of its child; times are those of one monotonic clock, in seconds."""

    def __init__(self, welcome: Welcome, host: str) -> None:
        """Have no process yet."""
        self.state = NEW
        self._welcome = welcome
        self._host = host
        self._job: Assign | None = None  # what the process has been given, and not answered
        self._next: Assign | None = None  # what the next process will be given
        self._saves = self._used = self._last = False
        self._loads = 0
        self._began_at = 0.0
        self._ending: Ending | None = None

    def handle(self, event: Event, now: float) -> list[Command]:  # noqa: C901, PLR0912 - a table
        """Take note of what happens; return what is to be done, in this order."""
        match event, self.state:
            case Assign() as order, _:
                return self._assign(order, now)
            case (Finished() | Failed() | Suspended()) as answer, _:
                return self._answer(answer, now)
            case Progress() as points, _:
                return [PassOn(points)] if self._is_given(points) else []
            case Tick(used_mb), State.LOADING | State.BUSY:
                return self._limit(used_mb, now)
            case Tick(), State.ENDING | State.PRESSED:
                return self._press(now)
            case Save(), _:
                return self._save()
            case Started(), State.NEW:
                return self._load(now)
            case Ready() as ready, State.LOADING:
                return self._settle(ready, now)
            case Unfit() as unfit, State.NEW | State.LOADING:
                return self._refuse(unfit, now)
            case HungUp(rubbish), _:
                did = "wrote rubbish into" if rubbish else "closed"
                return self._end(FailureKind.CRASH, f"{did} its connection with its rank", now)
            case Retire(), _:
                return self._retire(now)
            case Died() as died, _:
                return self._die(died)
            case _:
                return []

    def _load(self, now: float) -> list[Command]:
        self.state, self._began_at = LOADING, now
        self._loads += 1
        self._used, self._ending = False, None
        self._job, self._next = self._next, None
        orders: list[Command] = [Send(self._welcome)]
        if self._job is not None:
            orders.append(Send(self._job))
            orders += [Send(Save())] if self._saves else []
        return orders

    def _settle(self, ready: Ready, now: float) -> list[Command]:
        self.state = IDLE if self._job is None else BUSY
        self._loads, self._began_at = 0, now
        return [PassOn(ready)]

    def _refuse(self, unfit: Unfit, now: float) -> list[Command]:
        if self.state is LOADING:
            self.state = IDLE  # nothing is there to interrupt: it ends by itself
        return [PassOn(unfit), *self._retire(now)]

    def _retire(self, now: float) -> list[Command]:
        self._last = True
        if self.state is NEW:
            self.state = OVER
        return self._end(FailureKind.EXIT, "", now)

    def _assign(self, order: Assign, now: float) -> list[Command]:
        assert self._job is None, "a child does one job at a time"
        assert self._next is None, "one job at a time waits for the next process"
        self._saves = False
        ends = self._end(FailureKind.EXIT, "", now) if order.fresh and self._used else []
        if self.state not in ALIVE:
            self._next = order
            return ends
        self._job = order
        if self.state is IDLE:
            self.state, self._began_at = BUSY, now
        return [Send(order)]

    def _save(self) -> list[Command]:
        self._saves = True
        return [Send(Save())] if self._job is not None and self._ending is None else []

    def _answer(self, answer: Answer, now: float) -> list[Command]:
        if not self._is_given(answer):
            return []
        failed = answer if isinstance(answer, Failed) else None
        if self._ending is not None:
            self._ending = self._ending.said(failed.error) if failed else self._ending
            return []
        self._job, self._used, self.state = None, True, IDLE
        ends = self._end(FailureKind.EXIT, "", now) if failed and failed.spoils else []
        return [PassOn(answer), *ends]

    def _is_given(self, report: Answer | Progress) -> bool:
        """Tell whether it is the job in work that a report is of."""
        return self._job is not None and attempt_of(report) == attempt_of(self._job)

    def _limit(self, used_mb: float, now: float) -> list[Command]:
        spent_s, loaded = now - self._began_at, self.state is BUSY
        if overrun := over_time(spent_s, self._welcome.time_s, loaded=loaded):
            return self._end(FailureKind.TIME, overrun, now)
        if loaded and (overrun := over_memory(used_mb, self._welcome.memory_mb)):
            return self._end(FailureKind.MEMORY, overrun, now)
        return []

    def _end(self, kind: FailureKind, error: str, now: float) -> list[Command]:
        """Have a process end, unless it has to already, or there is none."""
        if self.state not in ALIVE:
            return []
        interrupt = [Act.INTERRUPT] if self.state is not IDLE else []
        self.state, self._ending = ENDING, ending(kind, error, now)
        return [Act.HANG_UP, *(self._press(now) or interrupt)]

    def _press(self, now: float) -> list[Command]:
        assert self._ending is not None, "who is pressed has to end"
        if now >= self._ending.kill_at:
            return [Act.KILL]  # again and again, as what is stuck in the kernel dies late
        if self.state is ENDING and now >= self._ending.term_at:
            self.state = PRESSED
            return [Act.TERM]
        return []

    def _die(self, died: Died) -> list[Command]:
        kind, error = cause(died.code, taken=died.taken)
        if self._ending is not None:
            kind, error = self._ending.kind, self._ending.error
        error = f"{error}{OUTPUT}\n{died.output}" if died.output else error
        job, self._job = self._job, None
        self.state = OVER
        if self._last:
            return []
        failed = job and Failed(*attempt_of(job), kind, error, self._used)
        commands: list[Command] = [PassOn(failed)] if failed else []
        if self._loads >= MAX_CRASHES:
            said = f"while the objective was loaded: {error}"
            return [*commands, PassOn(Unfit(self._host, said))]
        self.state = NEW
        return commands


def attempt_of(it: Assign | Answer | Progress) -> tuple[int, int, int]:
    """Name the attempt that something is of."""
    return it.trial, it.rung, it.attempt
