"""A list of candidates: these configurations, in this order, each once, and no others."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.searchers import OVER, Over
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics

MOST_TOLD = 10
"""How many candidates that can't be are told one by one."""


class List:
    """Give the candidates; in a study file, `candidates` may name a file that has them."""

    def __init__(
        self, space: Space, seed: int, first: list[Config], *, candidates: list[dict[str, Any]]
    ) -> None:
        """Raise SettingsError where a candidate is none, or stands twice."""
        del seed  # nothing is drawn
        if first:
            raise SettingsError(
                ["searcher.first is not for a list: put those candidates first in it"]
            )
        if not candidates:
            raise SettingsError(["searcher.candidates is empty; there must be one at least"])
        self._candidates = checked(candidates, space, "searcher.candidates[{}]".format)

    @property
    def size(self) -> int:
        """How many candidates there are."""
        return len(self._candidates)

    def ask(self, trial: int) -> Config | Over:
        """Give the candidate with the trial's number."""
        return dict(self._candidates[trial]) if trial < len(self._candidates) else OVER

    def adopt(self, trial: int, config: Config) -> None:
        """Go by the trials' numbers alone."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


def checked(
    candidates: Sequence[dict[str, Any] | SpaceError], space: Space, name: Callable[[int], str]
) -> list[Config]:
    """Make configurations of candidates; raises SettingsError with those that can't be.

    An error in place of a candidate is told with the others. `name` says which has an index.
    """
    problems: list[str] = []
    found: dict[bytes, tuple[int, Config]] = {}
    for index, candidate in enumerate(candidates):
        config = fitted(candidate, space)
        if isinstance(config, SpaceError):
            problems.append(f"{name(index)}: {config}")
            continue
        before, _ = found.setdefault(msgspec.json.encode(config), (index, config))
        if before != index:
            problems.append(f"{name(index)} is {name(before)} again; each must stand once")
    if len(problems) > MOST_TOLD:
        more = len(problems) - MOST_TOLD
        problems[MOST_TOLD:] = [f"... and {more} more candidates that can't be"]
    if problems:
        raise SettingsError(problems)
    return [config for _, config in found.values()]


def fitted(candidate: dict[str, Any] | SpaceError, space: Space) -> Config | SpaceError:
    """Make a configuration of a candidate, or say why that can't be.

    None, which is nothing in a file, may stand for what is inactive.
    """
    if isinstance(candidate, SpaceError):
        return candidate
    given = space.flat(candidate)
    for name in space.conditions:
        if given.get(name, name) is None:
            del given[name]
    try:
        return space.whole(given)
    except SpaceError as error:
        return error
