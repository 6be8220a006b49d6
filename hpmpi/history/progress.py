"""How far a run is, told from its journal: what its ranks do, and what became of each rung's jobs.

The states of a rank are those of master/roster.py, and a job is open, and held, as in
master/jobs.py; nobody's clock is needed, as every change of theirs is a decision.
"""

from collections import Counter
from enum import Enum

import msgspec

from hpmpi.master.roster import Worker
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import AttemptId, JobKey

Answer = Result | Failure | Suspension | Late


class RankState(Enum):
    """What a worker rank does."""

    BUSY = "busy"
    IDLE = "idle"
    AWAITED = "awaited"
    LOST = "lost"
    UNFIT = "unfit"


class Rung(msgspec.Struct, frozen=True):
    """What became of the jobs of a rung.

    `waiting`: open, and in work nowhere; `promoted`: how many of the trials have gone on from here.
    """

    rung: int
    resource: int
    running: int
    waiting: int
    results: int
    given_up: int
    promoted: int


class Progress:
    """Where the newest start of a study is, kept up to date decision by decision."""

    def __init__(self) -> None:
        """Begin before the first start."""
        self.deadline: Deadline | None = None
        self.draining: Draining | None = None
        self.hosts: dict[int, str] = {}
        self._started: Started | None = None
        self._workers: dict[int, Worker] = {}  # that were heard of; the others are awaited
        self._begun: Counter[int] = Counter()
        self._results: Counter[int] = Counter()
        self._given_up: Counter[int] = Counter()
        self._newest: dict[JobKey, int] = {}  # the attempt at each open job
        self._running: set[JobKey] = set()

    def add(self, decision: Decision) -> None:
        """Take a decision into account."""
        match decision:
            case Started():
                self._start(decision)
            case Deadline():
                self.deadline = decision
            case Draining():
                self.draining = decision
            case Joined() | Refused():
                self._meet(decision)
            case Lost(rank=rank):
                self._worker(rank).lost = True
            case Back():
                self._take_back(decision)
            case Assigned():
                self._hand_out(decision)
            case Result() | Failure() | Suspension() | Late():
                self._free(decision)
                self._answer(decision)
            case Ended():
                self._running.clear()
            case _:
                pass

    def ranks(self) -> dict[RankState, int]:
        """Count the ranks by state."""
        counts = Counter(map(state_of, self._workers.values()))
        expected = 0 if self._started is None else self._started.ranks
        counts[RankState.AWAITED] += expected - len(self._workers)
        return {state: counts[state] for state in RankState}

    def ranks_that_are(self, state: RankState) -> list[int]:
        """List the ranks in a state, but for the awaited that were never heard of."""
        return sorted(rank for rank, it in self._workers.items() if state_of(it) is state)

    def rungs(self, *, going_on: bool) -> list[Rung]:
        """Count the jobs of each rung, lowest first; where nobody goes on, none is running."""
        resources = () if self._started is None else self._started.rungs
        running = Counter(key.rung for key in self._running if going_on)
        still_open = Counter(key.rung for key in self._newest)
        return [
            Rung(
                rung=rung,
                resource=resource,
                running=running[rung],
                waiting=still_open[rung] - running[rung],
                results=self._results[rung],
                given_up=self._given_up[rung],
                promoted=self._begun[rung + 1],
            )
            for rung, resource in enumerate(resources)
        ]

    def _worker(self, rank: int) -> Worker:
        return self._workers.setdefault(rank, Worker())

    def _meet(self, decision: Joined | Refused) -> None:
        self.hosts[decision.rank] = decision.host
        worker = self._worker(decision.rank)
        if isinstance(decision, Joined):
            worker.ready = True
        else:
            worker.unfit = True

    def _start(self, started: Started) -> None:
        self._started = started
        self.deadline = self.draining = None
        self.hosts.clear()
        self._workers.clear()
        self._running.clear()

    def _hand_out(self, assigned: Assigned) -> None:
        key = JobKey(assigned.trial, assigned.rung)
        self._worker(assigned.rank).held = AttemptId(key, assigned.attempt)
        self._begun[key.rung] += assigned.attempt == 1
        self._newest[key] = assigned.attempt
        self._running.add(key)

    def _take_back(self, back: Back) -> None:
        worker = self._worker(back.rank)
        worker.lost, worker.held = False, back.held
        if back.held is not None and self._newest.get(back.held.job) == back.held.attempt:
            self._running.add(back.held.job)

    def _free(self, answer: Answer) -> None:
        """Free the rank; that of a lost one's job is lost, and says what it has when it is back."""
        worker = self._workers.get(answer.rank)
        held = AttemptId(JobKey(answer.trial, answer.rung), answer.attempt)
        if worker is not None and worker.held == held:
            worker.held = None

    def _answer(self, answer: Answer) -> None:
        key = JobKey(answer.trial, answer.rung)
        match answer:
            case Late():
                return
            case Result():
                self._results[key.rung] += 1
                self._newest.pop(key, None)
            case Failure(final=True):
                self._given_up[key.rung] += 1
                self._newest.pop(key, None)
            case _:
                pass
        self._running.discard(key)


def state_of(worker: Worker) -> RankState:
    """Tell what a rank does."""
    if worker.lost:
        return RankState.LOST
    if worker.unfit:
        return RankState.UNFIT
    if worker.held is not None:
        return RankState.BUSY
    return RankState.IDLE if worker.ready else RankState.AWAITED
