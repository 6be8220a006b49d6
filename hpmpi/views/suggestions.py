"""What a searcher suggested, in a replay: as the journal has it, or asked for again."""

import math
from collections.abc import Sequence

from hpmpi.master.searchers import LATER, OVER, Later, Over, Searcher
from hpmpi.model.records import Line, Started
from hpmpi.model.trial import Config, Metrics
from hpmpi.model.values import same
from hpmpi.storage.resume import jobs_of
from hpmpi.study import methods
from hpmpi.study.settings import Settings

CLOSE = 1e-12
"""How far apart numbers may be that agree, relative to their size."""


class Recorded:
    """A searcher that is not asked: what it suggested is in the journal, and learnt from there.

    `is_over`: whether it had no other then.
    """

    is_over = False

    def ask(self, trial: int) -> Later | Over:
        """Have no answer to what the journal has none for."""
        del trial
        return OVER if self.is_over else LATER

    def adopt(self, trial: int, config: Config) -> None:
        """Know it."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


def ask_again(study: Settings, lines: Sequence[Line]) -> tuple[int, int]:
    """Ask the searcher for each trial again; tell how many suggestions agree, and of how many.

    Numbers agree that are the same to 12 digits. Raises SearcherError where it raises.
    """
    started = next(line for line in reversed(lines) if isinstance(line, Started))
    asked = AskedAgain(methods.build_searcher(study, ranks=started.ranks))
    jobs_of(study, lines, asked)
    return asked.agreed, asked.asked


class AskedAgain:
    """A searcher that is asked for what it is told to have chosen, and told what was."""

    def __init__(self, searcher: Searcher) -> None:
        """Ask a searcher that was asked nothing yet."""
        self._searcher = searcher
        self.ask = searcher.ask
        self.tell = searcher.tell
        self.observe = getattr(searcher, "observe", None)
        self.learn = getattr(searcher, "learn", None)
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
