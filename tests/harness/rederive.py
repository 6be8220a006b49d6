"""All that was decided in a run, decided once more, from what its journal says has happened."""

import math
from collections.abc import Iterable, Sequence

from hpmpi.master.master import Master
from hpmpi.master.restart import redo
from hpmpi.master.roster import Roster
from hpmpi.master.searchers import LATER, OVER, Later, Over
from hpmpi.model.records import Line, Started, Suggestion
from hpmpi.model.trial import Config, Metrics
from tests.harness.build import Study


class Recorded:
    """A searcher that suggests what it has suggested, and has no other answer."""

    def __init__(self) -> None:
        """Suggest nothing."""
        self._answers: dict[int, Config | None] = {}

    def recall(self, suggested: Iterable[Suggestion]) -> None:
        """Suggest this from now on."""
        self._answers = {it.trial: it.config for it in suggested}

    def ask(self, trial: int) -> Config | Later | Over:
        """Suggest what was, or nothing yet."""
        if trial not in self._answers:
            return LATER
        config = self._answers[trial]
        return OVER if config is None else config

    def adopt(self, trial: int, config: Config) -> None:
        """Learn nothing."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn nothing."""


def rederive(study: Study, lines: Sequence[Line]) -> None:
    """Assert that each line comes out as it is, given its event and all lines before."""
    searcher = Recorded()
    master = start(study, [], Started(0.0, "", "", "", study.ranks), searcher)
    for number, line in enumerate(lines):
        if isinstance(line, Started):
            searcher = Recorded()
            master = start(study, lines[:number], line, searcher)
            continue
        searcher.recall(line.suggested)
        entry = master.handle(line.event, line.at, line.raised).entry
        assert repr(entry) == repr(line), f"line {number + 1}"


def start(study: Study, before: Iterable[Line], started: Started, searcher: Recorded) -> Master:
    """Start a master, whose ranks are lost only when it is told so."""
    jobs = study.jobs(searcher)
    for line in (*before, started):
        redo(jobs, line)
    ranks = list(range(1, started.ranks + 1))
    roster = Roster(ranks, math.inf, math.inf, started.at)
    return Master(jobs, roster, study.rules(), study.seed)
