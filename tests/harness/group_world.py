"""The master and ranks that work in groups, in virtual time: members die, freeze and come back.

The members of an attempt meet in collectives: it ends only when all of them have lived through it,
and where one of them is dead, or has failed, the others hang until they are told to end. All that
happens follows from the seed.
"""

import heapq
from collections.abc import Callable
from functools import partial
from random import Random

import msgspec

from hpmpi.master.master import PARTING_S, Master
from hpmpi.master.restart import redo
from hpmpi.master.rules import Sizes
from hpmpi.model.events import Drain, Event, Heard, Interrupted, Tick
from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Done,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Ready,
    Recall,
    Report,
    Save,
    Suspended,
)
from hpmpi.model.records import Assigned, Ended, Entry, Line, Started
from hpmpi.model.trial import AttemptId
from tests.harness.build import Study
from tests.harness.insides import insides
from tests.harness.rederive import rederive

BEAT_S = 3.0
MOST_EVENTS = 200_000
QUARANTINE = 3


class Harm(msgspec.Struct, frozen=True):
    """The chance that a rank dies or freezes at a beat, and an attempt fails; kills of rank 0.

    The first `broken` ranks fail whatever they are given, at once.
    """

    dies: float = 0.0
    freezes: float = 0.0
    fails: float = 0.0
    kills: int = 0
    broken: int = 0


class Member(msgspec.Struct):
    """A rank: what it has in work, and whether it lives."""

    host: str
    held: AttemptId | None = None
    slot: tuple[int, ...] = ()
    dead: bool = False
    frozen_until: float = 0.0
    hears_at: float = 0.0


class GroupWorld:
    """One study on ranks of hosts of four."""

    def __init__(
        self, study: Study, ranks: int, harm: Harm, takes_s: Callable[[Assign], float] | None = None
    ) -> None:
        """Begin; a job takes `takes_s`, or some seconds by its resource and size."""
        self.study = study
        self.random = Random(study.seed)  # noqa: S311 - not for secrets
        self.lines: list[Line] = []
        self.now = 0.0
        self.busy_s = 0.0
        self._count = ranks
        self._harm = harm
        self._kills = harm.kills
        self._takes_s = takes_s or self._draw_s
        self._serial = 0
        self._drained = False
        self.start(study.master(ranks, 0.0))

    def start(self, master: Master) -> None:
        """Start the study, or start it again, on fresh ranks."""
        self.master = master
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self.members = {rank: Member(f"host {rank // 4}") for rank in range(1, self._count + 1)}
        started = Started(self.now, "", "", "", self._count)
        for line in self.lines:
            redo(master.jobs, line)
        redo(master.jobs, started)
        self.lines.append(started)
        if master.jobs.interrupted:
            self._later(0.0, lambda: self.handle(Interrupted({})))
        for rank in self.members:
            self._later(self.random.uniform(0, 5), partial(self._introduce, rank))
            self._later(self.random.uniform(5, 8), partial(self._beat, rank))
        self._later(0.0, self._tick)

    def run(self) -> Outcome:
        """Let things happen until the study is over; then all of it is decided once more."""
        while self.master.outcome in (None, Outcome.DRAINED):
            if self.master.outcome is Outcome.DRAINED:
                self._start_again()
            assert self._serial < MOST_EVENTS, "every study comes to its end"
            self.now, _, happen = heapq.heappop(self._queue)
            happen()
        rederive(self.study, self.lines)
        return self.master.outcome

    def _start_again(self) -> None:
        again = self.study.master(self._count, self.now)
        before = insides(self.master.jobs)
        for line in self.lines:
            redo(again.jobs, line)
        assert insides(again.jobs) == before, "the journal leads to where the master was"
        self.start(self.study.master(self._count, self.now))

    def handle(self, event: Event) -> None:
        """Let the master hear of an event; do what it wants done."""
        if self.master.outcome is not None:
            return
        reaction = self.master.handle(event, self.now)
        if reaction.entry is not None:
            self.lines.append(reaction.entry)
            if any(isinstance(it, Ended) for it in reaction.entry.decisions):
                self.master.jobs.end(self.master.outcome or Outcome.COMPLETE)
        for rank, order in reaction.orders:
            worker = self.master.roster.workers[rank]
            assert not worker.lost, "a lost rank is told nothing"
            assert not (worker.aside and isinstance(order, Assign)), "who is aside is in no slot"
            member = self.members[rank]  # which hears one order after the other
            member.hears_at = max(member.hears_at, self.now + self.random.expovariate(100))
            self._at(member.hears_at, partial(self._get, rank, order))

    def _tick(self) -> None:
        self.handle(Tick())
        if self._kills and self.random.random() < 0.01:
            self._kills -= 1
            if self.random.random() < 0.5:
                self.handle(Drain("signal"))
            else:
                self._start_again()
                return
        self._later(0.5, self._tick)

    def _beat(self, rank: int) -> None:
        member = self.members[rank]
        self._report(rank, Beat())
        if self.random.random() < self._harm.dies and self._alive() > max(2, self._count // 2):
            member.dead = True
        if self.random.random() < self._harm.freezes:
            member.frozen_until = self.now + self.random.uniform(0, 3 * self.study.patience_s)
        self._later(BEAT_S, lambda: self._beat(rank))

    def _alive(self) -> int:
        return sum(not member.dead for member in self.members.values())

    # -- a rank ------------------------------------------------------------------------------------

    def _get(self, rank: int, order: Assign | Cancel | Recall | Beat | Save) -> None:
        member = self.members[rank]
        if member.dead:
            return
        if member.frozen_until > self.now:
            self._at(member.frozen_until, lambda: self._get(rank, order))
            return
        match order:
            case Assign():
                self._begin(rank, member, order)
            case Cancel(attempt, grace_s) if member.held == attempt:
                assert grace_s in (0.0, PARTING_S)
                ends_s = self.random.uniform(0, 1) + grace_s
                self._later(ends_s, lambda: self._answer(rank, attempt, Cancelled(attempt)))
            case Save() if member.held is not None and member.slot[0] == rank:
                held = member.held
                self._later(1.0, lambda: self._answer(rank, held, Suspended(held, 1)))
            case _:
                pass

    def _begin(self, rank: int, member: Member, order: Assign) -> None:
        assert member.held is None, "no rank is in two slots"
        assert order.member is not None
        assert order.member.ranks[order.member.index] == rank
        assert len(set(order.member.ranks)) == len(order.member.ranks)
        member.held, member.slot = order.attempt, order.member.ranks
        if order.member.leads:
            takes_s = self._takes_s(order)
            self._later(takes_s, lambda: self._meet(order, takes_s))
        broken = rank <= self._harm.broken
        if broken or self.random.random() < self._harm.fails / len(member.slot):
            said = Failed(order.attempt, FailureKind.EXCEPTION, str(self.random.random()))
            after_s = 0.0 if broken else self.random.uniform(0, 3)
            self._later(after_s, lambda: self._answer(rank, order.attempt, said))

    def _draw_s(self, order: Assign) -> float:
        assert order.member is not None
        return self.random.uniform(1, 4) * order.resource / len(order.member.ranks)

    def _meet(self, order: Assign, takes_s: float) -> None:
        """End an attempt that all of its members have come to the end of."""
        assert order.member is not None
        members = [self.members[rank] for rank in order.member.ranks]
        if any(member.held != order.attempt or member.dead for member in members):
            return
        thaws_at = max(member.frozen_until for member in members)
        if thaws_at > self.now:
            self._at(thaws_at, lambda: self._meet(order, takes_s))
            return
        loss = round(abs(float(order.config.get("x", 0.5)) - 0.3) + 0.5 / order.resource, 3)
        self.busy_s += takes_s * len(members)
        for rank in self.random.sample(order.member.ranks, len(members)):
            leads = rank == order.member.ranks[0]
            metrics = self.study.metrics(loss)
            last = (
                Finished(order.attempt, metrics, order.resource) if leads else Done(order.attempt)
            )
            self._answer(rank, order.attempt, last)

    def _answer(self, rank: int, attempt: AttemptId, answer: Report) -> None:
        member = self.members[rank]
        if member.dead or member.held != attempt:
            return
        if member.frozen_until > self.now:
            self._at(member.frozen_until, lambda: self._answer(rank, attempt, answer))
            return
        member.held = None
        self._report(rank, answer)

    def _introduce(self, rank: int) -> None:
        self._report(rank, Ready(self.members[rank].host, rank))

    def _report(self, rank: int, report: Report) -> None:
        member = self.members[rank]
        if member.dead:
            return
        if member.frozen_until > self.now:
            if not isinstance(report, Beat):
                self._at(member.frozen_until, lambda: self._report(rank, report))
            return
        self._later(0.001, lambda: self.handle(Heard(rank, report)))

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        self._at(self.now + seconds, happen)

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (time, self._serial, happen))


def assignments(lines: list[Line]) -> list[Assigned]:
    """List what was handed out."""
    entries = [line for line in lines if isinstance(line, Entry)]
    return [it for entry in entries for it in entry.decisions if isinstance(it, Assigned)]


def draw_world(seed: int, harm: Harm) -> GroupWorld:
    """Draw a study of slots of mixed size, and its ranks."""
    random = Random(f"{seed}/groups")  # noqa: S311 - not for secrets
    sizes = random.choice([Sizes((2,)), Sizes((1, 1, 2, 4)), Sizes((4, 2, 1)), Sizes((1,), 2)])
    study = Study(
        method=random.choice(["asha", "sha", "hyperband", "full"]),
        high=random.choice([4, 8, 9]),
        eta=2,
        limit=random.randint(5, 30),
        baseline=random.choice([None, 4]),
        failures=3,
        patience_s=10.0,
        start_s=20.0,
        max_concurrent=random.choice([None, None, 5]),
        sizes=sizes,
        quarantine=QUARANTINE,
        seed=seed,
    )
    return GroupWorld(study, random.randint(4, 12), harm)
