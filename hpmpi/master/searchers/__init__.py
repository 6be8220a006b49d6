"""Searchers: which configuration next? One algorithm a file, found by name.

A searcher is a class whose constructor takes `space`, `seed`, `first` and, as keywords with types,
the settings of its `[searcher]` table; it raises SettingsError where they do not go together. It is
pure: no clock, no file, no global randomness, and the same calls in the same order give the same
answers.

Nothing of it is stored. A start that goes on with a run builds it anew, and tells it what was:
`adopt` stands for each `ask` that had an answer, `tell` for each `tell`, in order.

One of the user's thinks in a process of its own, so that rank 0 hears and records meanwhile. What
it has not thought of yet comes LATER: rank 0 does what else there is to do, and asks again.

One that comes to an end may say so beforehand, by an attribute `size: int`: how many configurations
it gives in all. A study has no more trials than that, and one without `[stop]` runs until it has
given them, unless an attribute `exhaustive` is false: then 100 will do. Where it takes
`candidates`, a study may name a file that has them.

What it suggests is brought into the types of the space: numpy's numbers, tuples for lists, and
tables in tables for names with dots are welcome. What is not in the space ends the run.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from hpmpi.errors import SpaceError
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics


class Later(Enum):
    """An answer that is still thought about."""

    LATER = "later"


LATER: Final = Later.LATER


class Searcher(Protocol):
    """Choose configurations, and learn from what became of them."""

    def ask(self, trial: int) -> Config | Later | None:
        """Choose the configuration of a trial, the next by number; None when there is no other."""

    def adopt(self, trial: int, config: Config) -> None:
        """Have chosen this configuration for a trial, whatever `ask` would say."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn that a trial reached a loss with a resource.

        There is no loss where it failed until it was given up, or came to what is no number.
        """


class Checked:
    """A searcher by its method, whose suggestions are brought into the space."""

    def __init__(self, searcher: Searcher, space: Space, method: str) -> None:
        """Take any searcher, of ours or the user's."""
        self._searcher = searcher
        self._space = space
        self._method = method
        self.adopt = searcher.adopt
        self.tell = searcher.tell

    @property
    def size(self) -> object:
        """How many configurations it says that it gives."""
        return getattr(self._searcher, "size", None)

    @property
    def exhaustive(self) -> bool:
        """Whether it is to give them all."""
        return bool(getattr(self._searcher, "exhaustive", True))

    def ask(self, trial: int) -> Config | Later | None:
        """Choose a configuration; raises SpaceError for a suggestion that is none of the space."""
        suggestion = self._searcher.ask(trial)
        if suggestion is None or suggestion is LATER:
            return suggestion
        said = f"searcher.method = {self._method!r} suggested what can't be tried"
        if not isinstance(suggestion, Mapping):
            raise SpaceError(f"{said}: {suggestion!r} is no configuration, as a dictionary is")
        try:
            return self._space.whole(suggestion)
        except SpaceError as error:
            raise SpaceError(f"{said}: {error}") from error
