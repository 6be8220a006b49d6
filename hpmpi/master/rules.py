"""Stopping criteria: when a study ends, whatever there is left to do.

The time and the target end it at once. When it has had enough, of resource or of a plateau, nothing
is begun any more, and it ends when nothing is in work: what is, may come to something yet.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from hpmpi.master.tally import Tally


class Plateau(NamedTuple):
    """That so many trials have brought nothing that is better by more than `epsilon`."""

    trials: int
    epsilon: float = 0.0


class Sizes(NamedTuple):
    """How many ranks a job takes: rung by rung, the last for those above; or `growth` times more.

    >>> Sizes((1, 1, 4)).of(1), Sizes((1, 1, 4)).of(7), Sizes((2,), growth=3).of(2)
    (1, 4, 18)
    """

    first: tuple[int, ...] = (1,)
    growth: int = 1

    @property
    def are_one(self) -> bool:
        """Whether all jobs take one rank."""
        return self.growth == 1 and max(self.first) == 1

    def of(self, rung: int) -> int:
        """Tell how many ranks a job of a rung takes."""
        return self.first[min(rung, len(self.first) - 1)] * int(self.growth**rung)


class Rules(msgspec.Struct, frozen=True):
    """When a study ends, in seconds since it began; `grace_s` is how long a drain may take.

    `target_resource`: the least that a result must be of for the target to count, the highest rung
    if nothing is said; `max_concurrent`: how many ranks may be busy at once; `max_resource_total`:
    how much resource there is for all trials together; `quarantine`: how many jobs a rank may fail
    in a row before it is put aside, if that ever happens; `sizes`: how many ranks a job takes;
    `short_s`: jobs that take no longer are queued behind others, if any are (dispatcher.py).
    """

    max_trials: int | None = None
    time_s: float | None = None
    target_loss: float | None = None
    grace_s: float = 0.0
    max_concurrent: int | None = None
    target_resource: int | None = None
    max_resource_total: int | None = None
    plateau: Plateau | None = None
    quarantine: int = 0
    sizes: Sizes = Sizes()
    short_s: float = 0.0

    def time_is_up(self, now: float) -> bool:
        """Tell whether the study has lasted for as long as it may."""
        return self.time_s is not None and now >= self.time_s

    def may_start(self, trials: int) -> bool:
        """Tell whether there may be another trial beside so many."""
        return self.max_trials is None or trials < self.max_trials

    def is_full(self, busy: int) -> bool:
        """Tell whether no more ranks may be busy than these."""
        return self.max_concurrent is not None and busy >= self.max_concurrent

    def target_is_reached(self, least: Iterable[tuple[int, float | None]]) -> bool:
        """Tell whether a result is good enough; `least` has the resource and loss of each rung.

        >>> rules = Rules(target_loss=0.1)
        >>> rules.target_is_reached([(1, 0.0), (9, 0.2)]), rules.target_is_reached([(9, 0.1)])
        (False, True)
        """
        if self.target_loss is None:
            return False
        known = list(least)
        counts_from = self.target_resource or known[-1][0]
        return any(
            resource >= counts_from and loss is not None and loss <= self.target_loss
            for resource, loss in known
        )

    def enough(self, tally: Tally, top: int) -> str:
        """Say why nothing more is to be begun, if so; `top` is the highest rung that there is."""
        most = self.max_resource_total
        if most is not None and tally.resource >= most:
            return f"of max_resource_total = {most}, {tally.resource} is spent"
        if self.plateau is not None and is_flat(self.plateau, tally, top):
            trials, epsilon = self.plateau
            return f"the newest {trials} trials have brought nothing better by more than {epsilon}"
        return ""


def is_flat(plateau: Plateau, tally: Tally, top: int) -> bool:
    """Tell whether the best of the highest rung is as good as what it was so many trials ago.

    A rung that had no result before these trials, or has none yet, is not flat.
    """
    before = tally.record_before(plateau.trials)
    if before is None or before.rung != top:
        return False
    newest = tally.records[-1]
    return newest.rung == top and before.loss - newest.loss <= plateau.epsilon
