"""When a study ends, whatever there is left to do."""

from collections.abc import Iterable

import msgspec


class Rules(msgspec.Struct, frozen=True):
    """When a study ends, in seconds since it began; `grace_s` is how long a drain may take.

    `target_resource`: the least that a result must be of for the target to count, the highest rung
    if nothing is said; `max_concurrent`: how many ranks may be busy at once.
    """

    max_trials: int | None = None
    time_s: float | None = None
    target_loss: float | None = None
    grace_s: float = 0.0
    max_concurrent: int | None = None
    target_resource: int | None = None

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
