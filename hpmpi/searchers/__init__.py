"""Searchers: which configuration next? One algorithm a file, found by name.

A searcher is a class whose constructor takes `space`, `seed`, `first` and, as keywords with types,
the settings of its `[searcher]` table; it raises SettingsError where they do not go together. It is
pure: no clock, no file, no global randomness, and the same calls in the same order give the same
answers.

One that comes to an end may say so beforehand: where it has an attribute `size: int`, how many
configurations it gives in all, a study without `[stop]` runs until it has given them. Where it
takes `candidates`, a study may name a file that has them.
"""

from typing import Protocol

from hpmpi.trial import Config


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
