"""Who stands where: the ranking of the trials, and the incumbent.

A trial stands where its highest rung with a real result put it. Trials of a higher rung stand
above those of a lower one, whatever their losses, since losses at different resources do not
compare; within a rung the lower loss is better, and of equal ones the one that came in earlier.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.model.records import Assigned, Curve, Decision, Failure, Result
from hpmpi.model.trial import WORST, Config, Goal, Metrics


class Status(Enum):
    """What a trial is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    GIVEN_UP = "given up"


class Standing(msgspec.Struct, gc=False):
    """One trial: what it is, and its result at the highest rung; rung -1 is before any result."""

    trial: int
    config: Config
    status: Status = Status.RUNNING
    rung: int = -1
    resource: int = 0
    loss: float = WORST
    metrics: Metrics = msgspec.field(default_factory=dict)
    arrival: int = 0

    @property
    def place(self) -> tuple[int, float, int]:
        """What standings are compared by; less is better."""
        return (-self.rung, self.loss, self.arrival)


class Leaderboard:
    """The standings, kept up to date decision by decision."""

    def __init__(self, goal: Goal, top_rung: int) -> None:
        """Start without trials."""
        self.goal = goal
        self.standings: list[Standing] = []
        self.incumbent: Standing | None = None
        self.results = 0
        self._top_rung = top_rung

    def add(self, decision: Decision) -> bool:
        """Take a decision into account; true if it brought another or a better incumbent."""
        match decision:
            case Assigned(trial=trial, config=config):
                if trial == len(self.standings) and config is not None:
                    self.standings.append(Standing(trial, config))
                self._standing(trial).status = Status.RUNNING
            case Failure(trial=trial, final=True):
                self._standing(trial).status = Status.GIVEN_UP
            case Result():
                return self._result(decision)
            case _:
                pass
        return False

    def ordered(self) -> list[Standing]:
        """Sort all trials, best first, those without a result last."""
        return sorted(self.standings, key=lambda standing: standing.place)

    def ranking(self) -> list[Standing]:
        """Sort the trials that have a result, best first."""
        return [standing for standing in self.ordered() if standing.rung >= 0]

    def _standing(self, trial: int) -> Standing:
        if trial >= len(self.standings):
            raise ReplayError(f"the journal is damaged: it lacks the beginning of trial {trial}")
        return self.standings[trial]

    def _result(self, result: Result) -> bool:
        self.results += 1
        standing = self._standing(result.trial)
        loss = self.goal.loss(result.metrics)
        over = result.rung == self._top_rung or loss == WORST
        standing.status = Status.COMPLETE if over else Status.PAUSED
        if loss == WORST and standing.rung >= 0:
            return False
        standing.rung, standing.resource, standing.loss = result.rung, result.resource, loss
        standing.metrics, standing.arrival = result.metrics, self.results
        if loss == WORST or (self.incumbent and self.incumbent.place < standing.place):
            return False
        self.incumbent = standing
        return True


def curves(decisions: Sequence[Decision]) -> dict[tuple[int, int], Metrics]:
    """Collect the learning curves: (trial, resource) to metrics, the last word on each point."""
    points: dict[tuple[int, int], Metrics] = {}
    for decision in decisions:
        if isinstance(decision, Curve):
            points |= {(decision.trial, point.resource): point.metrics for point in decision.points}
    return points
