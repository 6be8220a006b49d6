"""A child's life in a simulated world: virtual time, a seed, and processes that misbehave by it.

A rank assigns, cancels, drains, retires; a process loads, answers, crashes, hangs, hangs up, talks
rubbish, eats memory, talks of other jobs, has no ear for TERM, dies late. The laws are checked with
each command that the lifecycle gives. A seed that fails once fails always.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import msgspec
import pytest

from hpmpi.model.messages import (
    Answer,
    Assign,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Point,
    Progress,
    Ready,
    Report,
    Retire,
    Save,
    Suspended,
    Unfit,
    Welcome,
)
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.worker.baseline import is_baseline
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
from hpmpi.worker.lifecycle import MAX_CRASHES, Lifecycle, State
from hpmpi.worker.limits import END_S, KILL_AFTER_S, START_S
from tests.harness.drive import order, welcome

SEEDS = range(400)
BASE = "base.py:base"
POLL_S = 0.2
KILLED_S = 0.3
"""How often a rank looks at most, and how long the killed take to be gone."""

LATE_S = KILLED_S + 3 * POLL_S
"""How much later than it is due an end may be seen."""

MEMORY_MB = 100.0
EVENTS = {Assign, Cancel, Save, Retire, Ready, Unfit, ChildStarted, Unborn, HungUp, ChildTick, Died}


class Process:
    """A process that does by chance what objectives do; `said` waits to be heard."""

    def __init__(self, random: Random, now: float) -> None:
        """Be started; hear no order yet."""
        self.random = random
        self.now = self.heard_at = now
        self.said: list[Report] = []
        self.orders: list[Assign] = []
        self.begun: dict[AttemptId, float] = {}
        self.loaded = self.dead = self.unborn = self.rubbish = self.hung_up = False
        self.code = 0
        self.used_mb = 10.0
        self.deaf = random.random() < 0.3
        self.ended_at: float | None = None
        self.acts: list[Act] = []
        self.ready = self.says_unfit = self.unfit = self.spoilt = self.drained = False
        self.unwanted = self.of_baseline = False
        self.plans: list[tuple[float, Callable[[], None]]] = []

    def plan(self, most_s: float, do: Callable[[], None]) -> None:
        """Do something within so many seconds."""
        self.plans.append((self.now + self.random.uniform(0, most_s), do))

    def step(self, now: float) -> None:
        """Do what was planned for the time until now."""
        while not self.dead and (due := min((at for at, _ in self.plans), default=now + 1)) <= now:
            (do,) = [do for at, do in self.plans if at == due][:1]
            self.plans.remove((due, do))
            self.now = due
            do()
        self.now = now

    def load(self, told: Welcome) -> None:
        """Load the objective, or the baseline, or not."""
        self.of_baseline = told.objective == BASE
        moods = (
            *(self.be_ready, lambda: self.die(-6), self.hang_up, self.be_unfit, None),
            self.never_be,
        )
        mood = self.random.choices(moods, (20, 4, 1, 1, 1, 2))[0]
        if mood is not None:
            self.plan(5.0, mood)

    def be_ready(self) -> None:
        """Say so, and begin the job that has come meanwhile."""
        self.loaded = True
        self.said.append(Ready("host", 1))
        for job in self.orders:
            self.begin(job)

    def never_be(self) -> None:
        """Turn out never to have been forked."""
        self.dead = self.unborn = True

    def be_unfit(self) -> None:
        """Say so, and end, as a program does."""
        self.says_unfit = True
        self.said.append(Unfit("host", "no module"))
        self.plan(1.0, lambda: self.die(0))

    def hear(self, job: Assign) -> None:
        """Take a job, which begins when the objective is loaded."""
        self.orders.append(job)
        if self.loaded:
            self.begin(job)

    def begin(self, job: Assign) -> None:
        """Do a job, or what comes to an objective's mind."""
        self.begun[job.attempt] = self.now
        moods: list[Callable[[], None] | None] = [
            lambda: self.answer(job),
            lambda: self.flood(job),
            lambda: self.die(self.random.choice((0, 3, -9, -11))),
            self.hang_up,
            self.talk_rubbish,
            self.eat,
            None,
        ]
        mood = self.random.choices(moods, (20, 4, 2, 1, 1, 1, 1))[0]
        if mood is not None:
            self.plan(8.0, mood)

    def answer(self, job: Assign) -> None:
        """Answer, well or badly; some die right behind it, or go on talking."""
        self.said.append(self.any_answer(job))
        if isinstance(self.said[-1], Failed) and self.said[-1].spoils and not self.deaf:
            self.plan(1.0, lambda: self.die(0))
        if self.random.random() < 0.1:
            self.flood(job)
        if self.random.random() < 0.05:
            self.die(-11)

    def any_answer(self, job: Assign) -> Report:
        """Say what came of a job."""
        kind = self.random.choice((FailureKind.EXCEPTION, FailureKind.BAD_VALUE))
        return self.random.choices(
            (
                Finished(job.attempt, {"loss": 1.0}),
                Failed(job.attempt, kind, "no luck"),
                Suspended(job.attempt, 1),
                Cancelled(job.attempt),  # which is not for it to say
            ),
            (60, 20, 10, 1),
        )[0]

    def flood(self, job: Assign) -> None:
        """Talk of this job and of others, in any order, once or twice the same."""
        for _ in range(self.random.randint(1, 20)):
            of = self.random.choice([*self.orders, order(999), job])
            points = Progress(of.attempt, [Point(1, {"loss": 1.0})])
            self.said.append(points if self.random.random() < 0.8 else self.any_answer(of))

    def eat(self) -> None:
        """Take more memory than there may be, and never answer."""
        self.used_mb = 2 * MEMORY_MB

    def hang_up(self) -> None:
        """Close the connection, and stay."""
        self.hung_up = True

    def talk_rubbish(self) -> None:
        """Say what nobody understands."""
        self.hung_up = self.rubbish = True

    def die(self, code: int) -> None:
        """End; nothing is said any more."""
        self.dead, self.code = True, code

    def suffer(self, act: Act) -> None:
        """Have done to it what a rank does; it may be deaf to all but the last."""
        self.acts.append(act)
        if act is Act.KILL:
            self.plan(KILLED_S, lambda: self.die(-9))
        elif not self.deaf:
            if self.orders and self.random.random() < 0.3:  # its workers die, and it says so
                self.plan(0.5, lambda: self.said.append(self.any_answer(self.orders[-1])))
            self.plan(1.0, lambda: self.die(-15))


class World:
    """A rank and its child; the laws are asserted on the way."""

    def __init__(self, seed: int) -> None:
        """Draw the limits, and how the rank is."""
        self.random = Random(seed)  # noqa: S311 - not for secrets
        self.time_s = self.random.choice((None, 2.0, 6.0))
        self.memory_mb = self.random.choice((None, MEMORY_MB))
        self.welcome = welcome(Path(), baseline=BASE, time_s=self.time_s, memory_mb=self.memory_mb)
        self.life = Lifecycle(self.welcome, "host")
        self.now = 0.0
        self.process: Process | None = None
        self.job: Assign | None = None
        self.jobs = 0
        self.answered: set[AttemptId] = set()
        self.cancelled: set[AttemptId] = set()
        self.refused = self.retired = self.saved = self.fails_to_start = False
        self.crashes = 0
        self.seen: set[object] = set()

    def run(self) -> None:
        """Let a rank live for a while, then retire, in whatever state its child is."""
        if self.random.random() < 0.9:
            self.start()
        for _ in range(self.random.randint(1, 600)):
            self.turn()
        if self.job is not None and not self.refused and self.time_s is not None:
            self.see_to_the_job()
        self.retired = True
        self.handle(Retire())
        ends_at = self.now + END_S + LATE_S
        while self.process is not None:
            self.turn()
            assert self.now < ends_at, "who is retired ends"
        self.start()
        self.handle(ChildTick())
        assert self.life.state is State.OVER
        assert self.process is None, "nothing follows"

    def see_to_the_job(self) -> None:
        """Wait for the answer to a job whose time is limited, however often it has to load."""
        if self.life.state is State.NEW:
            self.start()
        limit_s = MAX_CRASHES * (START_S + END_S + LATE_S) + 6.0 + END_S + LATE_S
        ends_at, job = self.now + limit_s, self.job
        while self.job is job and not self.refused:
            self.turn(assigns=False)
            assert self.now < ends_at, "each job has an answer"

    def start(self) -> None:
        """Start a process, where one is wanted and can be."""
        if self.life.state is not State.NEW:
            return
        assert self.process is None, "one process at a time"
        assert not self.refused
        assert not self.retired
        if self.random.random() < 0.01:
            self.fail_to_start()
            return
        assert self.crashes < MAX_CRASHES, "what can't be loaded is not tried for ever"
        self.process = Process(self.random, self.now)
        self.handle(ChildStarted())

    def fail_to_start(self) -> None:
        """Have no process: for the baseline that is an answer, for a trial the end."""
        job = self.job
        self.fails_to_start = not is_baseline(job)
        self.handle(Unfit("host", "it can't be started"))
        assert self.refused is self.fails_to_start
        if is_baseline(job):
            self.seen.add((BASE, ChildStarted))
            assert self.job is None, "it is answered"
            self.start()

    def turn(self, *, assigns: bool = True) -> None:
        """Let time pass, give orders, hear the process, as a rank does."""
        self.now += self.random.uniform(0.01, POLL_S)
        if assigns and self.job is None and self.random.random() < 0.5:
            self.job = self.next_job()
            self.saved = False
            self.handle(self.job)
        if self.random.random() < 0.01:
            self.saved = True
            self.handle(Save())
        if self.random.random() < 0.02:
            self.cancel()
        if self.process is not None:
            self.poll(self.process)
        elif self.life.state is State.NEW and self.random.random() < 0.1:
            self.start()

    def next_job(self) -> Assign:
        """Take the next trial, or the baseline once more."""
        self.jobs += 1
        if self.random.random() < 0.1:
            return order(BASELINE, attempt=self.jobs)
        return msgspec.structs.replace(order(self.jobs), fresh=self.random.random() < 0.2)

    def cancel(self) -> None:
        """Cancel the job, or what is none any more, or never was."""
        process, job = self.process, self.job
        attempt = self.random.choice([order(999).attempt, *self.answered])
        if job is None or self.random.random() < 0.3:
            assert self.handle(Cancel(attempt)) == [], "what was answered is not cancelled"
            return
        if self.refused or self.retired:
            assert self.handle(Cancel(job.attempt)) == [], "nobody waits for it any more"
            return
        self.cancelled.add(job.attempt)
        self.seen.add((Cancel, self.life.state))
        waits = process is None or job not in process.orders
        commands = self.handle(Cancel(job.attempt))
        assert not waits or commands == [PassOn(Cancelled(job.attempt))], "it is taken out"

    def poll(self, process: Process) -> None:
        """Hear what was said, then see how the process is."""
        process.step(self.now)
        said, process.said = process.said, []
        for report in said:
            counts = process.of_baseline and process.ended_at is None
            if counts:
                self.seen.add((BASE, type(report)))
                process.ready |= isinstance(report, Ready)
                process.unfit |= isinstance(report, Unfit)
            self.handle(report)
            assert not (counts and process.unfit) or self.job is None, "it has failed"
            if isinstance(report, Finished | Failed | Suspended) and process.ended_at is None:
                assert self.job is None or report.attempt != self.job.attempt, "it counts"
        if process.unborn:
            self.process = None
            self.handle(Unborn())
            self.start()
            return
        if process.dead:
            self.process = None
            self.crashes += not (process.ready or process.unwanted or process.of_baseline)
            self.handle(Died(process.code, self.random.random() < 0.1, "last words"))
            self.start()
            return
        if process.hung_up:
            self.handle(HungUp(process.rubbish))
        self.handle(ChildTick(process.used_mb))
        self.check_limits(process)

    def check_limits(self, process: Process) -> None:
        """See that who is over a limit has to end, and has ended in time."""
        if process.ended_at is not None:
            assert self.now - process.ended_at <= END_S + LATE_S, "who has to end does"
            return
        assert not process.hung_up, "who hangs up has to end"
        assert not process.spoilt, "who may be spoilt has to end"
        assert process.drained or not self.saved or self.job is None, "a drain is passed on"
        job, limit_s = self.job, self.time_s
        began_at = None if job is None else process.begun.get(job.attempt)
        if limit_s is not None:
            assert process.loaded or self.now - process.heard_at <= START_S + POLL_S
            assert began_at is None or self.now - began_at <= limit_s + POLL_S
        if began_at is not None and self.memory_mb is not None:
            assert process.used_mb <= self.memory_mb

    def check_end(self, process: Process, *, interrupted: bool) -> None:
        """See that there is a reason why a process has to end, and that it leaves its work."""
        job = self.job
        is_given = any(each is job for each in process.orders)
        is_at_work = (is_given or not process.ready) and not process.unfit
        assert interrupted is is_at_work, "who is at work is interrupted, and nobody else"
        since = process.begun.get(job.attempt) if job is not None and is_given else None
        limit_s = self.time_s or float("inf")
        assert (
            self.retired
            or process.hung_up
            or process.unfit
            or process.spoilt
            or (is_given and job is not None and job.attempt in self.cancelled)
            or (job is not None and job.fresh and process.orders)
            or (job is not None and is_baseline(job) is not process.of_baseline)
            or (job is None and process.of_baseline)
            or (not process.ready and self.now - process.heard_at > max(limit_s, START_S))
            or (since is not None and self.now - since > limit_s)
            or (since is not None and process.used_mb > (self.memory_mb or float("inf")))
        ), "nobody is ended without a reason"

    def handle(self, event: Event) -> list[Command]:
        """Let the lifecycle know; do as it says."""
        self.seen |= {self.life.state, type(event)}
        commands = self.life.handle(event, self.now)
        acts = {command for command in commands if isinstance(command, Act)}
        self.seen |= acts
        for command in commands:
            self.do(command)
        if Act.HANG_UP in acts:
            assert self.process is not None
            self.check_end(self.process, interrupted=bool(acts & {Act.INTERRUPT, Act.TERM}))
            self.process.unwanted = isinstance(event, Cancel | Assign)
        return commands

    def do(self, command: Command) -> None:
        """Do what is to be done, where it may be."""
        if isinstance(command, PassOn):
            self.take(command.report)
        else:
            assert self.process is not None, "only to a process something can be done"
            if isinstance(command, Send):
                self.send(self.process, command)
            else:
                self.act(self.process, command)

    def send(self, process: Process, command: Send) -> None:
        """Have the process hear an order."""
        assert process.ended_at is None, "nothing is said to who was hung up on"
        match command.order:
            case Welcome() as told:
                assert told.time_s == self.time_s
                assert told.memory_mb == self.memory_mb
                process.load(told)
            case Assign() as job:
                assert job is self.job, "the job is the one that was assigned last"
                given = {each.attempt for each in process.orders}
                assert given <= self.answered, "a process has one job at a time"
                assert not (job.fresh and given), "a fresh process has done nothing"
                assert is_baseline(job) is process.of_baseline, "it is told what it will call"
                assert not (process.of_baseline and given), "it calls the baseline once"
                process.drained = False
                process.hear(job)
            case Save():
                process.drained = True
                assert self.saved
                assert process.orders
                assert process.orders[-1] is self.job, "a process is drained that is at work"

    def act(self, process: Process, act: Act) -> None:
        """Do to the process what is due."""
        before = process.acts
        if act is Act.HANG_UP:
            assert before == [], "it is hung up on once"
            process.ended_at = self.now
        else:
            assert before[:1] == [Act.HANG_UP], "who is interrupted can tell by whom"
            assert process.ended_at is not None
            assert act is Act.KILL or act not in before, "TERM comes once"
            assert act is not Act.INTERRUPT or before == [Act.HANG_UP]
            has_s = KILL_AFTER_S if before[1:2] == [Act.TERM] else END_S
            assert act is not Act.KILL or self.now - process.ended_at >= min(has_s, KILL_AFTER_S)
        process.suffer(act)

    def take(self, report: Report) -> None:
        """Hear what the rank is told."""
        assert not self.refused, "nothing follows a refusal"
        match report:
            case Ready():
                assert self.process is not None
                assert not self.process.of_baseline, "it is ready for no trial"
                self.process.ready = True
                self.crashes = 0
            case Unfit():
                self.refused = True
                if self.process is not None:
                    assert not self.process.of_baseline, "a trial may do without one"
                    self.process.unfit = self.process.says_unfit
                    assert self.process.unfit, "who can work is not unfit"
                else:
                    assert self.fails_to_start or self.crashes == MAX_CRASHES
            case Progress():
                assert self.job is not None
                assert report.attempt == self.job.attempt, "points are of the job in work"
                assert report.attempt not in self.cancelled, "nobody waits for them any more"
            case Finished() | Failed() | Suspended() | Cancelled():
                self.check_answer(report)
                self.job = None

    def check_answer(self, answer: Answer) -> None:
        """See that it is the one answer to the job in work."""
        attempt = answer.attempt
        assert not self.retired, "nobody waits for it any more"
        assert self.job is not None
        assert attempt == self.job.attempt, "an answer is to the job in work"
        assert attempt not in self.answered, "a job has one answer"
        self.answered.add(attempt)
        assert isinstance(answer, Cancelled) is (attempt in self.cancelled), (
            "who cancels is told so"
        )
        if self.process is not None and attempt not in self.cancelled:
            assert self.process.ended_at is None, "who has to end has no answer any more"
            self.process.spoilt = isinstance(answer, Failed) and answer.spoils


@cache
def lived(seed: int) -> World:
    """Let a world be, once."""
    world = World(seed)
    world.run()
    return world


@pytest.mark.parametrize("first", range(0, len(SEEDS), 50))
def test_the_laws_hold_whatever_a_process_does(first: int) -> None:
    for seed in SEEDS[first : first + 50]:
        print("seed", seed)  # noqa: T201 - the last one printed is the one that fails
        lived(seed)


def test_all_that_can_happen_happens() -> None:
    seen = set().union(*(lived(seed).seen for seed in SEEDS))
    cancelled_in = {State.NEW, State.LOADING, State.BUSY, State.ENDING, State.PRESSED}
    assert seen >= {*State, *Act, *EVENTS, *((Cancel, state) for state in cancelled_in)}
    of_baseline = (ChildStarted, Ready, Unfit, Finished, Failed, Suspended, Progress)
    assert seen >= {(BASE, event) for event in of_baseline}


def test_who_is_ready_when_its_time_is_over_has_not_loaded() -> None:
    life = Lifecycle(welcome(Path(), time_s=1.0), "host")
    said = [life.handle(event, now) for event, now in MAX_CRASHES * TOO_LATE]
    assert said[-1] == [PassOn(Unfit("host", f"while the objective was loaded: {SLOW}"))]
    assert PassOn(Ready("host", 1)) not in [each for commands in said for each in commands]


SLOW = "was loading for more than 60 s; trial_time_s = 1"
TOO_LATE: list[tuple[Event, float]] = [
    (ChildStarted(), 0.0),
    (ChildTick(), START_S + 1),
    (Ready("host", 1), START_S + 2),
    (Died(0, taken=False, output=""), START_S + 3),
]
