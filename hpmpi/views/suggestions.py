"""What a searcher suggested, in a replay: as the journal has it, or asked for again."""

import math
from collections.abc import Sequence

from hpmpi.master.searchers import LATER, Later, Searcher
from hpmpi.model.records import Assigned, Decision
from hpmpi.model.trial import Config, Metrics
from hpmpi.model.values import same
from hpmpi.storage.recovery import jobs_of
from hpmpi.study import methods
from hpmpi.study.settings import Settings

CLOSE = 1e-12
"""How far apart numbers may be that agree, relative to their size."""


class Recorded:
    """A searcher that suggests what the journal has, when the journal has it."""

    def __init__(self, journal: Sequence[Decision], *, may_end: bool) -> None:
        """Read which configuration each trial has; `may_end`: whether nobody knows its end."""
        self._may_end = may_end
        begun = [each for each in journal if isinstance(each, Assigned) and each.config is not None]
        self._begun = {each.trial: each for each in begun}
        self.now = 0.0

    def ask(self, trial: int) -> Config | Later | None:
        """Suggest what a trial had, if it began now."""
        begun = self._begun.get(trial)
        if begun is None:
            return None if self._may_end else LATER
        return begun.config if begun.at == self.now else LATER

    def adopt(self, trial: int, config: Config) -> None:
        """Know it."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


def ask_again(study: Settings, journal: Sequence[Decision]) -> tuple[int, int]:
    """Ask the searcher for each trial again; tell how many suggestions agree, and of how many.

    Numbers agree that are the same to 12 digits. Raises SearcherError where it raises.
    """
    asked = AskedAgain(methods.build_searcher(study))
    jobs_of(study, journal, asked)
    return asked.agreed, asked.asked


class AskedAgain:
    """A searcher that is asked for what it is told to have chosen, and told what was."""

    def __init__(self, searcher: Searcher) -> None:
        """Ask a searcher that was asked nothing yet."""
        self._searcher = searcher
        self.ask = searcher.ask
        self.tell = searcher.tell
        self.agreed = 0
        self.asked = 0

    def adopt(self, trial: int, config: Config) -> None:
        """Ask, and compare."""
        suggestion = self._searcher.ask(trial)
        self.asked += 1
        if isinstance(suggestion, dict) and agree(suggestion, config):
            self.agreed += 1
        else:
            self._searcher.adopt(trial, config)


def agree(one: Config, other: Config) -> bool:
    """Tell whether configurations are the same, numbers to 12 digits."""
    return one.keys() == other.keys() and all(
        same(one[name], value)
        or (isinstance(value, float) and math.isclose(one[name], value, rel_tol=CLOSE))
        for name, value in other.items()
    )
