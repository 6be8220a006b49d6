"""The life of a child, and its limits: a state machine without clock or process.

    event --handle--> commands    as child_events.py has them

    NEW --ChildStarted--> LOADING --Ready--> IDLE --Assign--> BUSY --its answer--> IDLE
     ^                       |                |                |
     |                       +----------------+----------------+
     |                                    | has to end: hung up on, and interrupted if at work
     |                                    v
     |                                 ENDING --ORDER_S--> PRESSED, by TERM --KILL_AFTER_S--> KILL
     |
     +-- Died, or Unborn, whenever: another is to be started; or OVER, where none is to follow

A process has to end that hangs up, or writes rubbish (CRASH); that loads or works for too long
(TIME), or has too much memory (MEMORY: TERM comes at once); whose job is cancelled or may have
spoilt it, or that has done one where the next wants a fresh process (EXIT). None follows one that
was retired or that says it is Unfit, nor the last of MAX_CRASHES in a row that never came to Ready.

The baseline has a process that does nothing else: it is told another Welcome, and ends when its job
is done. The rank's own is another: it is not Ready, nor Unfit, nor has crashed, where this is.

Rules:

- A job is given to one process, or waits for the next one where this one has to end.
- A job has one answer: the first that its process says, or, in its name, why that died; it can be
  cancelled up to then. What is said of any other attempt is from something that another job has
  left running, and is dropped.
- What a process says while it is ended is no answer: its pool's workers may have died of our TERM,
  and what is told then comes after the cause. Where its job is cancelled, that is the answer.
- It has died when all of its family are gone: only then is there room for the next.
"""

import math
from enum import Enum, auto

from hpmpi.model.messages import (
    OUTPUT,
    Agreed,
    Answer,
    Assign,
    Cancel,
    Cancelled,
    Done,
    Failed,
    FailureKind,
    Finished,
    Progress,
    Ready,
    Relay,
    Retire,
    Save,
    Suspended,
    Unfit,
    Welcome,
)
from hpmpi.worker.baseline import is_baseline, welcome_to_baseline
from hpmpi.worker.child_events import (
    Act,
    ChildStarted,
    ChildTick,
    Command,
    Died,
    Event,
    HungUp,
    PassOn,
    Send,
    Unborn,
)
from hpmpi.worker.limits import ChildEnding, cause, ending, over_memory, over_time
from hpmpi.worker.pmi import has_world

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


class Lifecycle:
    """What a rank knows of its child; times are those of one monotonic clock, in seconds."""

    def __init__(self, welcome: Welcome, host: str) -> None:
        """Have no process yet."""
        self.state = NEW
        self._welcome = welcome
        self._host = host
        self._job: Assign | None = None  # what the process has been given, and not answered
        self._next: Assign | None = None  # what the next process will be given
        self._saves = self._used = self._last = self._cancelled = False
        self._ready = self._of_baseline = False
        self._in_world = self._in_group = False
        self._words: list[Agreed] = []  # for what the next process will be given
        self._crashes = 0
        self._began_at = 0.0
        self._ends_at = math.inf
        self._ending: ChildEnding | None = None

    @property
    def next_job(self) -> Assign | None:
        """What the next process will be given, if it waits for it."""
        return self._next

    @property
    def next_of_baseline(self) -> bool:
        """Whether the next process is to call the baseline, and not the objective."""
        return is_baseline(self._next)

    def handle(self, event: Event, now: float) -> list[Command]:  # noqa: C901, PLR0912 - a table
        """Take note of what happens; return what is to be done, in this order."""
        match event, self.state:
            case Assign() as order, _:
                return self._assign(order, now)
            case (Finished() | Failed() | Suspended() | Done()) as answer, _:
                return self._answer(answer, now)
            case Progress() as points, _:
                return [PassOn(points)] if self._is_given(points) else []
            case Agreed() as word, _:
                return self._agree(word)
            case Cancel() as order, _:
                return self._cancel(order, now)
            case ChildTick(used_mb), State.LOADING | State.BUSY:
                return self._limit(used_mb, now)
            case ChildTick(), State.ENDING | State.PRESSED:
                return self._press(now)
            case Save(), _:
                return self._save()
            case ChildStarted(), State.NEW:
                return self._load(now)
            case Unborn(), _:
                return self._await_another()
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
        self._of_baseline = self.next_of_baseline
        self._ready = self._used = False
        self._ending = None
        self._job, self._next = self._next, None
        welcome = welcome_to_baseline(self._welcome) if self._of_baseline else self._welcome
        orders: list[Command] = [Send(welcome)]
        self._in_world = has_world(self._welcome, self._job)
        if self._job is not None:
            orders += [Send(self._job), *map(Send, self._words)]
            orders += [Send(Save())] if self._saves else []
        return orders

    def _await_another(self) -> list[Command]:
        """Have another process started in the place of one that never was, for the same job."""
        self.state = OVER if self._last else NEW
        self._job, self._next = None, self._job or self._next
        cancelled, self._cancelled = self._cancelled, False
        if cancelled and self._next is not None:
            attempt, self._next = self._next.attempt, None
            return [PassOn(Cancelled(attempt))]
        return []

    def _settle(self, ready: Ready, now: float) -> list[Command]:
        self.state = IDLE if self._job is None else BUSY
        self._ready, self._began_at = True, now
        if self._of_baseline:
            return []
        self._crashes = 0
        return [PassOn(ready)]

    def _refuse(self, unfit: Unfit, now: float) -> list[Command]:
        job = self._job or self._next
        if self.state is LOADING:
            self.state = IDLE  # nothing is there to interrupt: it ends by itself
        if job is None or not is_baseline(job):
            return [PassOn(unfit), *self._retire(now)]
        self._job = self._next = None
        failed = Failed(job.attempt, FailureKind.EXCEPTION, unfit.error)
        return [PassOn(failed), *self._end(FailureKind.EXIT, "", now)]

    def _retire(self, now: float) -> list[Command]:
        self._last = True
        if self.state is NEW:
            self.state = OVER
        return self._end(FailureKind.EXIT, "", now)

    def _assign(self, order: Assign, now: float) -> list[Command]:
        assert self._job is None, "a child does one job at a time"
        assert self._next is None, "one job at a time waits for the next process"
        self._saves, self._words, self._ends_at = False, [], math.inf
        self._in_group = order.member is not None and len(order.member.ranks) > 1
        unsuited = (
            is_baseline(order) is not self._of_baseline
            or (order.fresh and self._used)
            or has_world(self._welcome, order)
        )
        ends = self._end(FailureKind.EXIT, "", now) if unsuited else []
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
        spoilt = self._of_baseline or self._in_world or (failed is not None and failed.spoils)
        of_group = failed is not None and self._in_group
        ends = self._end(FailureKind.EXIT, "", now, of_group=of_group) if spoilt else []
        return [PassOn(answer), *ends]

    def _agree(self, word: Agreed) -> list[Command]:
        """Pass on what the first member has decided: the process's word, or one for it."""
        given = self._job is not None and self._job.attempt == word.attempt
        order = self._job if given else self._next
        if order is None or order.member is None or order.attempt != word.attempt:
            return []
        if order.member.leads:
            return [PassOn(Relay(order.member.ranks[1:], word))]
        if not given or not self._ready:  # it may never come to be
            self._words.append(word)
        return [Send(word)] if given and self._ending is None else []

    def _cancel(self, order: Cancel, now: float) -> list[Command]:
        attempt = order.attempt
        if self._last or self.state is OVER:
            return []  # nobody waits for an answer
        if self._next is not None and self._next.attempt == attempt:
            self._next = None
            return [PassOn(Cancelled(attempt))]
        if self._job is None or self._job.attempt != attempt:
            return []  # it has been answered
        if order.grace_s:
            self._ends_at = now + order.grace_s
            return []
        self._cancelled = True
        return self._end(FailureKind.EXIT, "", now, of_group=self._in_group)

    def _is_given(self, report: Answer | Progress) -> bool:
        """Tell whether it is the job in work that a report is of, and somebody waits for it."""
        job = None if self._cancelled else self._job
        return job is not None and report.attempt == job.attempt

    def _limit(self, used_mb: float, now: float) -> list[Command]:
        if now >= self._ends_at and self._job is not None:
            return self._cancel(Cancel(self._job.attempt), now)
        spent_s, loaded = now - self._began_at, self.state is BUSY
        if overrun := over_time(spent_s, self._welcome.time_s, loaded=loaded):
            return self._end(FailureKind.TIME, overrun, now, of_group=self._in_group)
        if loaded and (overrun := over_memory(used_mb, self._welcome.memory_mb)):
            return self._end(FailureKind.MEMORY, overrun, now)
        return []

    def _end(
        self, kind: FailureKind, error: str, now: float, *, of_group: bool = False
    ) -> list[Command]:
        """Have a process end, unless it has to already, or there is none."""
        if self.state not in ALIVE:
            return []
        interrupt = [Act.INTERRUPT] if self.state is not IDLE else []
        self.state = ENDING
        self._ending = ending(kind, error, now, of_group=of_group)
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
        self.state = OVER
        if self._last:
            return []
        commands = self._last_word(kind, error)
        self._crashes += not (self._ready or self._of_baseline or self._is_unwanted())
        if self._crashes >= MAX_CRASHES:
            said = f"while the objective was loaded: {error}"
            return [*commands, PassOn(Unfit(self._host, said))]
        self.state = NEW
        return commands

    def _last_word(self, kind: FailureKind, error: str) -> list[Command]:
        """Answer in the name of a process that has died at work."""
        job, self._job = self._job, None
        cancelled, self._cancelled = self._cancelled, False
        if job is None:
            return []
        if cancelled:
            return [PassOn(Cancelled(job.attempt))]
        return [PassOn(Failed(job.attempt, kind, error, self._used))]

    def _is_unwanted(self) -> bool:
        """Tell whether the process has to end, and has done nothing wrong."""
        return self._ending is not None and self._ending.kind is FailureKind.EXIT
