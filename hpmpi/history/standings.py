"""Who stands where: the trials, their leaderboard, and the incumbent.

A trial stands where its highest rung with a real result put it. Trials of a higher rung stand
above those of a lower one, whatever their losses, since losses at different resources do not
compare; within a rung the lower loss is better, and of equal ones the one that came in earlier.

Of several metrics it is the front within a rung that counts, and then who is least crowded in it,
as where they are promoted. All of the first front at the highest rung reached are as good; the
incumbent is that of them with the lowest first loss, and of equal ones with the lowest second.
"""

from collections.abc import Iterable
from enum import Enum
from heapq import nsmallest
from itertools import groupby

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.history.attempts import Attempt, pack, unpack_metrics
from hpmpi.history.bounds import check_config
from hpmpi.model.fronts import Fronts, Ranked, TopFront, in_order
from hpmpi.model.records import Assigned, Suggestion
from hpmpi.model.trial import WORST, Config, Losses, Metrics


class Status(Enum):
    """What a trial is doing; COMPLETE is that its scheduler will not go on with it."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


unpack_config = msgspec.msgpack.Decoder(Config).decode


class Standing(msgspec.Struct, gc=False):
    """One trial: what it is, and its result at the highest rung; rung -1 is before any result.

    `reached` is the rung of its newest job, `saved` the resource of its newest checkpoint; `losses`
    are there where several metrics are studied, and all are finite.
    """

    trial: int
    packed_config: bytes
    bracket: int
    suggested_at: float
    reached: int
    status: Status = Status.RUNNING
    rung: int = -1
    resource: int = 0
    loss: float = WORST
    packed: bytes = b""
    arrival: int = 0
    saved: int = 0
    losses: Losses = ()

    @property
    def config(self) -> Config:
        """What it is a trial of."""
        return unpack_config(self.packed_config)

    @property
    def metrics(self) -> Metrics:
        """What its result has."""
        return unpack_metrics(self.packed) if self.packed else {}

    @property
    def place(self) -> tuple[int, float, Losses, int]:
        """What standings are compared by; less is better."""
        return (-self.rung, self.loss, self.losses, self.arrival)


class Standings:
    """The trials, by their numbers, and who is the best of them.

    Of several metrics there is a front: all that nobody beats at the highest rung reached.
    """

    def __init__(self) -> None:
        """Start without trials."""
        self.trials: list[Standing] = []
        self.incumbent: Standing | None = None
        self._front = TopFront()
        self.results = 0
        self._suggested: dict[int, tuple[bytes, float]] = {}

    @property
    def front(self) -> list[Standing]:
        """The front, in the order in which its results came in."""
        return [self.trials[trial] for trial in self._front.members]

    @property
    def best(self) -> list[Standing]:
        """Who is best, if anybody: the incumbent, or all of the front."""
        return self.front or ([] if self.incumbent is None else [self.incumbent])

    def suggest(self, suggestion: Suggestion, at: float) -> None:
        """Learn the configuration that a trial is to have, if there is one."""
        trial, config, _ = suggestion
        if config is not None:
            check_config(config)
            self._suggested[trial] = (pack(config), at)

    def begin(self, assigned: Assigned) -> Standing:
        """Find the trial of a job that is begun, or begin it; raises ReplayError for another."""
        trial, rung, _ = assigned.attempt
        if trial != len(self.trials):
            return self.find(trial)
        if trial not in self._suggested:
            raise lacking(trial)
        packed, at = self._suggested.pop(trial)
        self.trials.append(Standing(trial, packed, assigned.bracket, at, reached=rung))
        return self.trials[-1]

    def find(self, trial: int) -> Standing:
        """Find a trial; raises ReplayError for one that has not begun."""
        if not 0 <= trial < len(self.trials):
            raise lacking(trial)
        return self.trials[trial]

    def finish(self, trials: Iterable[int]) -> None:
        """Learn that the scheduler will not go on with some trials."""
        for trial in trials:
            standing = self.find(trial)
            if standing.status is Status.PAUSED:
                standing.status = Status.COMPLETE

    def compare(
        self, attempt: Attempt, standing: Standing, loss: float, losses: Losses = ()
    ) -> bool:
        """Take a result of a trial; true if it brought another or a better incumbent."""
        self.results += 1
        standing.status = Status.PAUSED
        rung = attempt.id.rung
        if standing.rung >= 0 and (loss == WORST or rung < standing.rung):
            return False
        standing.rung, standing.resource, standing.loss = rung, attempt.resource, loss
        standing.packed, standing.arrival = attempt.packed, self.results
        if losses and loss < WORST:
            standing.losses = losses
            self._front.add(standing.trial, rung, losses)
        if loss == WORST or (self.incumbent and self.incumbent.place < standing.place):
            return False
        self.incumbent = standing
        return True

    def ordered(self) -> list[Standing]:
        """Sort all trials, best first, those without a result last."""
        ordered = sorted(self.trials, key=lambda standing: standing.place)
        if not self.front:
            return ordered
        return [it for _, its in groupby(ordered, lambda it: it.rung) for it in by_fronts([*its])]

    def top(self, count: int) -> list[Standing]:
        """List the best so many trials that have a result, best first."""
        if self.front:
            return self.ranking()[:count]
        ranked = (standing for standing in self.trials if standing.rung >= 0)
        return nsmallest(count, ranked, key=lambda standing: standing.place)

    def fronts(self) -> dict[int, int]:
        """Tell, by trial, on which front of its rung each is that has all losses, from 1 on."""
        found = {}
        for rung in {it.rung for it in self.trials}:
            ranked = [Ranked(it.losses, it.trial) for it in self.trials if is_at(it, rung)]
            for number, front in enumerate(Fronts(ranked).fronts, start=1):
                found.update({it.number: number for it in front})
        return found

    def ranking(self) -> list[Standing]:
        """Sort the trials that have a result, best first."""
        return [standing for standing in self.ordered() if standing.rung >= 0]


def is_at(standing: Standing, rung: int) -> bool:
    """Tell whether a trial stands at a rung with all of its losses."""
    return standing.rung == rung and bool(standing.losses)


def by_fronts(standings: list[Standing]) -> list[Standing]:
    """Sort trials of a rung by fronts; those without losses stay at the end."""
    by_arrival = {it.arrival: it for it in standings if it.losses}
    fronts = Fronts(Ranked(it.losses, it.arrival) for it in by_arrival.values()).fronts
    ranked = [by_arrival[arrival] for front in fronts for arrival in in_order(front)]
    return [*ranked, *(it for it in standings if not it.losses)]


def lacking(trial: int) -> ReplayError:
    """Say that there is no such trial."""
    return ReplayError(f"it lacks the beginning of trial {trial}")
