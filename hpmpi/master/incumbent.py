"""The best that was reached: the incumbent, or the front, and the least loss of each rung."""

import msgspec

from hpmpi.model.fronts import TopFront
from hpmpi.model.trial import WORST, Goal, JobKey, Losses, Metrics


class Incumbent(msgspec.Struct):
    """The best trial at the highest rung reached; `over` if it will not be asked for again."""

    trial: int
    rung: int
    loss: float
    over: bool = False


def best_by(goal: Goal) -> "Best | BestFront":
    """Begin to look for the best."""
    return BestFront(goal) if goal.others else Best()


class Best:
    """Who is the incumbent, whose checkpoint is kept even when it will not be asked for again."""

    def __init__(self) -> None:
        """Know of no result."""
        self.incumbent: Incumbent | None = None
        self.least: dict[int, float] = {}

    def compare(self, key: JobKey, loss: float, metrics: Metrics, over: list[int]) -> list[int]:
        """Take a result in; return whose checkpoints nobody needs, of the trials over by it."""
        del metrics
        before = self._replaced(key, loss)
        return self.needless(over if before is None else [*over, before])

    def needless(self, over: list[int]) -> list[int]:
        """Return whose checkpoints nobody needs, of trials that are over."""
        if self.incumbent is None or self.incumbent.trial not in over:
            return over
        self.incumbent.over = True
        return [trial for trial in over if trial != self.incumbent.trial]

    def _replaced(self, key: JobKey, loss: float) -> int | None:
        """Make a result the incumbent if it is better; return the one before, if that is over."""
        if loss == WORST:
            return None
        self.least[key.rung] = min(loss, self.least.get(key.rung, WORST))
        before = self.incumbent
        if before is not None and (-key.rung, loss) >= (-before.rung, before.loss):
            return None
        self.incumbent = Incumbent(key.trial, key.rung, loss)
        return before.trial if before is not None and before.over else None


class BestFront:
    """Who is on the front at the highest rung reached; their checkpoints are all kept.

    `least` is empty: which loss is enough can't be said of several.
    """

    def __init__(self, goal: Goal) -> None:
        """Know of no result."""
        self.least: dict[int, float] = {}
        self._front = TopFront()
        self._goal = goal
        self._over: set[int] = set()

    @property
    def members(self) -> dict[int, Losses]:
        """Their losses, by trial."""
        return self._front.members

    def compare(self, key: JobKey, loss: float, metrics: Metrics, over: list[int]) -> list[int]:
        """Take a result in; return whose checkpoints nobody needs, of the trials over by it."""
        if loss == WORST:
            return self.needless(over)
        gone = self._front.add(key.trial, key.rung, self._goal.losses(metrics)) or []
        dropped = [trial for trial in gone if trial in self._over]
        self._over.difference_update(dropped)
        return self.needless([*over, *dropped])

    def needless(self, over: list[int]) -> list[int]:
        """Return whose checkpoints nobody needs, of trials that are over."""
        self._over.update(self.members.keys() & over)
        return [trial for trial in over if trial not in self.members]
