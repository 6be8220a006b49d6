"""Searchers: which configuration next? One algorithm a file, found by name.

A searcher is a class whose constructor takes `space`, `seed`, `first` and, as keywords with types,
the settings of its `[searcher]` table; it raises SettingsError where they do not go together. It is
pure: no clock, no file, no global randomness, and the same calls in the same order give the same
answers.

One that comes to an end may say so beforehand, by an attribute `size: int`: how many configurations
it gives in all. A study has no more trials than that, and one without `[stop]` runs until it has
given them, unless an attribute `exhaustive` is false: then 100 will do. Where it takes
`candidates`, a study may name a file that has them.

What it suggests is brought into the types of the space: numpy's numbers, tuples for lists, and
tables in tables for names with dots are welcome. What is not in the space ends the run.
"""

from collections.abc import Mapping
from typing import Protocol

from hpmpi.errors import SpaceError
from hpmpi.model.space import Space
from hpmpi.model.trial import Config


class Searcher(Protocol):
    """Choose configurations, and learn from what became of them."""

    def ask(self) -> Config | None:
        """Choose the next trial's configuration; None, changing nothing, when there is no other."""

    def tell(self, config: Config, resource: int, loss: float | None) -> None:
        """Learn that a configuration reached a loss with a resource.

        There is no loss where it failed until it was given up, or came to what is no number.
        """

    def state(self) -> object:
        """Return all that changes, as what JSON can hold."""

    def restore(self, state: object) -> None:
        """Go on from what `state` returned, on a searcher built with the same arguments."""


class Checked:
    """A searcher by its method, whose suggestions are brought into the space."""

    def __init__(self, searcher: Searcher, space: Space, method: str) -> None:
        """Take any searcher, of ours or the user's."""
        self._searcher = searcher
        self._space = space
        self._method = method

    @property
    def size(self) -> object:
        """How many configurations it says that it gives."""
        return getattr(self._searcher, "size", None)

    @property
    def exhaustive(self) -> bool:
        """Whether it is to give them all."""
        return bool(getattr(self._searcher, "exhaustive", True))

    def ask(self) -> Config | None:
        """Choose a configuration; raises SpaceError for a suggestion that is none of the space."""
        suggestion = self._searcher.ask()
        said = f"searcher.method = {self._method!r} suggested what can't be tried"
        if suggestion is None:
            return None
        if not isinstance(suggestion, Mapping):
            raise SpaceError(f"{said}: {suggestion!r} is no configuration, as a dictionary is")
        try:
            return self._space.whole(suggestion)
        except SpaceError as error:
            raise SpaceError(f"{said}: {error}") from error

    def tell(self, config: Config, resource: int, loss: float | None) -> None:
        """Pass on what became of a configuration."""
        self._searcher.tell(config, resource, loss)

    def state(self) -> object:
        """Return all that changes."""
        return self._searcher.state()

    def restore(self, state: object) -> None:
        """Go on from a state."""
        self._searcher.restore(state)
