"""How far neighbouring rungs agree on who is better: Spearman's rank correlation.

1 is that all who went on stand in the rung above as they did below, 0 that it might as well be
chance. Who went on was chosen for being good below, and so differs less there than all do: that
alone lowers it. Of several metrics, each has its own.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.model.trial import Goal

FEWEST = 8
"""Of fewer trials, a correlation says nothing."""

LOW = 0.5
"""A correlation below it says that who is promoted is all but drawn by lot."""


class Agreement(msgspec.Struct, frozen=True):
    """The correlation of a rung with the one above, over the trials that have results of both."""

    rung: int
    resource: int
    above: int
    trials: int
    correlation: float

    @property
    def is_low(self) -> bool:
        """Whether promotions from here are hardly better than chance."""
        return self.correlation < LOW


def agreements(history: History, goal: Goal | None = None) -> list[Agreement]:
    """Compare each rung with the next, lowest first, where there are trials enough.

    `goal`: by which metric; by the first that is studied, if none is said.
    """
    resources = {counts.rung: counts.resource for counts in history.rungs()}
    losses = losses_by_rung(history, goal or history.goal) if len(resources) > 1 else {}
    compared = []
    for rung, below in sorted(losses.items()):
        above = losses.get(rung + 1, {})
        trials = [trial for trial in above if trial in below]
        pairs = [below[trial] for trial in trials], [above[trial] for trial in trials]
        correlation = spearman(*pairs) if len(trials) >= FEWEST else None
        if correlation is not None:
            between = resources[rung], resources[rung + 1]
            compared.append(Agreement(rung, *between, len(trials), correlation))
    return compared


def losses_by_rung(history: History, goal: Goal) -> dict[int, dict[int, float]]:
    """Find the loss of each trial at each rung."""
    losses: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for attempt in history.answers:
        if attempt.fate is Fate.RESULT:
            trial, rung, _ = attempt.id
            losses[rung][trial] = goal.loss(attempt.metrics)
    return losses


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Correlate two rankings; None where all are the same in one of them.

    >>> spearman([0.1, 0.2, 0.3], [5.0, 6.0, 9.0]), spearman([1.0, 2.0], [2.0, 1.0])
    (1.0, -1.0)
    """
    pairs = list(zip(places(one), places(other), strict=True))
    count = len(pairs)
    firsts, seconds = sum(first for first, _ in pairs), sum(second for _, second in pairs)
    both = count * sum(first * second for first, second in pairs) - firsts * seconds
    spread = count * sum(first * first for first, _ in pairs) - firsts**2
    other_spread = count * sum(second * second for _, second in pairs) - seconds**2
    return both / math.sqrt(spread * other_spread) if spread and other_spread else None


def places(values: Sequence[float]) -> list[int]:
    """Rank values; ties share the mean of their places, and all is doubled, to be whole.

    >>> places([0.5, 0.1, 0.5, 0.9])
    [5, 2, 5, 8]
    """
    ascending = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ascending, start=1)))}
    last = {value: place for place, value in enumerate(ascending, start=1)}
    return [first[value] + last[value] for value in values]
