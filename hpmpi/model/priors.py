"""Where somebody who knows expects the best: `prior = 1e-3`, with `prior_strength`.

A prior is a place on the axis of a hyperparameter. A share of the draws, its strength, lies near
it, and the others all over the space: so one that is right is a gain, and one that is wrong costs
no more than this share. Near is a normal distribution around it, cut off at the ends of [0, 1), of
deviation `WIDTH`; in a choice, whose values have no order, it is the value itself. The draws that
are near a weaker prior are near all stronger ones, too, so that these are tried together.
"""

from collections.abc import Callable
from typing import Any

import msgspec

STRENGTH = 0.125
"""How strong a prior is where nothing is said: one that is wrong costs one draw in eight."""

WIDTH = 0.1
"""How far from the prior is near, as a share of the range."""


class Prior(msgspec.Struct, frozen=True):
    """What is expected of one: `value`, at `unit`; with `width` 0 nothing else is near it."""

    value: Any
    unit: float
    strength: float = STRENGTH
    width: float = WIDTH
    low: float = 0.0

    def near(self, random: Callable[[], float]) -> float:
        """Draw a coordinate near it.

        The sum of twelve uniform numbers is as good as normal, and the same on every machine.
        """
        while self.width:
            unit = self.unit + self.width * (sum(random() for _ in range(12)) - 6)
            if self.low <= unit < 1:
                return unit
        return self.unit
