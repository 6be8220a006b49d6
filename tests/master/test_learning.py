"""Results of earlier runs are told to a searcher that learns, first, and the same ever after."""

from typing import Any

import pytest

from hpmpi.master.incumbent import Best
from hpmpi.master.master import Master
from hpmpi.master.restart import redo
from hpmpi.master.searchers.random import Random
from hpmpi.master.shield import RAISED
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.events import Drain, Event, Heard, Learnt, Observation
from hpmpi.model.messages import Outcome, Ready
from hpmpi.model.records import AT_ONCE, Ended, Entry, Started, Suggestion
from hpmpi.model.trial import Config, Metrics
from tests.harness.build import SPACE, Study
from tests.harness.insides import insides

OLD = tuple(
    Observation(SPACE.at([0.2 * it] * 5), 0, 1, 0.5 - it / 10, {"loss": 0.5}) for it in range(3)
)


class Learner(Random):
    """Tries the best of what it has learnt first, a little better each time."""

    def __init__(self, *, raises: bool = False) -> None:
        """Know nothing."""
        super().__init__(SPACE, 0, [])
        self.calls: list[str] = []
        self.best: Config | None = None
        self.least = 1.0
        self._will_raise = raises

    def learn(
        self, config: Config, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Keep the best."""
        del rung, resource, metrics
        self.calls.append("learn")
        if self._will_raise:
            raise LookupError("as told")
        if loss is not None and loss < self.least:
            self.best, self.least = config, loss

    def ask(self, trial: int) -> Any:
        """Try the best."""
        self.calls.append("ask")
        answer = super().ask(trial)
        return {**self.best, "x": 0.5 / (trial + 1)} if self.best is not None else answer


def begun(searcher: Learner) -> tuple[Master, list[Entry]]:
    """Start a study that learns, and has its first jobs in work."""
    master = Study(ranks=2).master(searcher=searcher)
    events: list[Event] = [Learnt(OLD), Heard(1, Ready("host", 1)), Heard(2, Ready("host", 2))]
    entries = [master.handle(event, 0.0).entry for event in events]
    return master, [it for it in entries if it is not None]


def test_what_is_learnt_comes_before_the_first_question_and_is_no_trial() -> None:
    searcher = Learner()
    master, entries = begun(searcher)
    assert searcher.calls == ["learn"] * 3 + ["ask"] * 2
    assert master.jobs.trials == 2
    assert master.jobs.configs[0] == {**OLD[2].config, "x": 0.5}
    assert master.jobs.tally.resource == 0
    assert isinstance(master.jobs.best, Best)
    assert master.jobs.best.incumbent is None
    assert entries[0] == Entry(0.0, Learnt(OLD))


def test_a_restart_learns_the_same_from_the_journal() -> None:
    master, entries = begun(Learner())
    again = Learner()
    jobs = Study(ranks=2).jobs(again)
    redo(jobs, Started(0.0, "", "", "", 2))
    for entry in entries:
        redo(jobs, entry)
    assert (again.best, again.least) == (OLD[2].config, 0.3)
    assert insides(jobs.tally) == insides(master.jobs.tally)
    assert again.ask(2) == {**OLD[2].config, "x": 0.5 / 3}


def test_a_searcher_that_does_not_learn_is_not_disturbed() -> None:
    master = Study(ranks=1).master()
    entry = master.handle(Learnt(OLD), 0.0).entry
    assert entry == Entry(0.0, Learnt(OLD))


def test_a_searcher_that_raises_when_it_learns_drains_the_run() -> None:
    master = Study(ranks=1).master(searcher=Learner(raises=True))
    entry = master.handle(Learnt(OLD), 0.0).entry
    assert entry is not None
    assert entry.raised is not None
    assert entry.raised.why.startswith(RAISED)
    assert isinstance(entry.decisions[-1], Ended)
    assert entry.decisions[-1].outcome is Outcome.UNFIT


def test_what_raised_in_learning_is_derived_again_without_the_searcher() -> None:
    entry = Study(ranks=1).master(searcher=Learner(raises=True)).handle(Learnt(OLD), 0.0).entry
    assert entry is not None
    again = Study(ranks=1).master().handle(entry.event, entry.at, entry.raised).entry
    assert again == entry


@pytest.mark.parametrize("observations", [(), OLD])
def test_what_is_learnt_hands_nothing_out(observations: tuple[Observation, ...]) -> None:
    master = Study(ranks=1).master(searcher=Learner())
    entry = master.handle(Learnt(observations), 0.0).entry
    assert entry is not None
    assert entry.decisions == ()
    assert isinstance(master.handle(Heard(1, Ready("", 1)), 0.0).entry, Entry)
    assert master.handle(Drain("signal"), 0.0).entry is not None


class Listener(Random):
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        super().__init__(SPACE, 0, [])
        self.calls: list[tuple[str, int]] = []

    def adopt(self, trial: int, config: Config) -> None:
        """Keep it."""
        super().adopt(trial, config)
        self.calls.append(("adopt", trial))

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Keep it."""
        del rung, resource, loss, metrics
        self.calls.append(("tell", trial))


def test_what_was_thought_of_ahead_is_adopted_between_the_results_that_it_was_asked_between() -> (
    None
):
    listener = Listener()
    suggestions = Suggestions(listener)
    configs = [SPACE.at([0.1 * it] * 5) for it in range(4)]
    afters = [0, 0, 1, AT_ONCE]
    suggestions.expect(
        [Suggestion(it, configs[it], afters[it]) for it in range(4)] + [Suggestion(4, None, 1)]
    )
    suggestions.adopt(0, configs[0])
    suggestions.tell(0, 0, 1, 0.5, {})
    suggestions.tell(0, 1, 3, 0.5, {})
    for trial in (1, 2, 3):
        suggestions.adopt(trial, configs[trial])
    adopts, tell = [("adopt", it) for it in range(4)], ("tell", 0)
    assert listener.calls == [*adopts[:2], tell, adopts[2], tell, adopts[3]]
