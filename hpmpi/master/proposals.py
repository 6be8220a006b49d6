"""What searchers have in common that propose something of their own where they can.

Where they propose nothing, as at the beginning or where all that they think of was given, a random
configuration is suggested; those of `first` come first in any case.
"""

import msgspec

from hpmpi.master.searchers import Later, Over
from hpmpi.master.searchers.random import Random
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics


class Proposer:
    """Suggest what `_proposal` comes to; nothing that it proposes is to be given twice.

    Who is asked again for a trial has suggested nothing for it, nor for those after it.
    """

    exhaustive = False

    def __init__(self, space: Space, seed: int, first: list[Config]) -> None:
        """Take configurations to be tried first, whole or in part: the rest of them is drawn."""
        self._space = space
        self._seed = seed
        self._random = Random(space, seed, first)
        self._given: set[bytes] = set()
        self._keys: list[bytes] = []
        self._earlier: dict[bytes, int] = {}

    @property
    def size(self) -> int | None:
        """How many configurations there are; None where there is no end to them."""
        return self._random.size

    def ask(self, trial: int) -> Config | Later | Over:
        """Choose a configuration; OVER when all were given."""
        self._forget(trial)
        proposal = self._proposal(trial)
        suggestion = self._random.ask(trial) if proposal is None else proposal
        if isinstance(suggestion, dict):
            self.adopt(trial, suggestion)
        return suggestion

    def adopt(self, trial: int, config: Config) -> None:
        """Note what is not to be given again."""
        self._forget(trial)
        key = msgspec.json.encode(config)
        self._keys.append(key)
        self._given.add(key)
        self._random.adopt(trial, config)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""

    def _forget(self, trial: int) -> None:
        """Have suggested nothing from a trial on."""
        if len(self._keys) <= trial:
            return
        forgotten, self._keys = self._keys[trial:], self._keys[:trial]
        self._given.difference_update(forgotten)
        self._given.update(self._keys, self._earlier)
        self._random.forget(forgotten, self._keys)

    def _number(self, config: Config) -> int:
        """Give a configuration of earlier runs a number, below 0: it is not new from then on."""
        key = msgspec.json.encode(config)
        self._given.add(key)
        return self._earlier.setdefault(key, -1 - len(self._earlier))

    def _proposal(self, trial: int) -> Config | Later | None:
        """Propose a configuration for a trial, or nothing; LATER: there is none yet."""
        raise NotImplementedError

    def _is_new(self, config: Config) -> bool:
        """Tell whether a configuration may be proposed: it is in the space, and was not given."""
        return self._space.holds(config) and msgspec.json.encode(config) not in self._given
