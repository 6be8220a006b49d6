"""The cut-off for a promotion: who has come to a rung, in order, and how many of them go on.

Of schedulers that promote one in eta as results come in that is known, and of no others.
"""

import msgspec

from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.history.standings import Standing
from hpmpi.model.fronts import Fronts, Ranked, in_order
from hpmpi.model.trial import WORST, Goal

PROMOTING = ("asha", "hyperband", "pasha")
"""The schedulers that bring one in eta from a rung to the next, as soon as it is among the best."""


class Contest(msgspec.Struct, frozen=True):
    """The results of a rung, in a bracket: `ranked`, best first; the first `winners` may go on.

    `count`: how many there are, with what was given up, or is no number.
    """

    ranked: list[Attempt]
    count: int
    eta: int

    @property
    def winners(self) -> int:
        """How many may go on by now."""
        return self.count // self.eta

    @property
    def last(self) -> Attempt | None:
        """Who is the last of those, if anybody."""
        return self.ranked[: self.winners][-1] if self.ranked[: self.winners] else None

    def place(self, trial: int) -> int | None:
        """Tell the place of a trial, from 1 on; None where its result is no number."""
        return next((at for at, it in enumerate(self.ranked, 1) if it.id.trial == trial), None)

    def enough(self, place: int) -> int:
        """Tell with how many results a place is among those that go on."""
        return place * self.eta


def contest_of(history: History, standing: Standing) -> Contest | None:
    """Rank the results at the rung that a trial has come to; None of other schedulers."""
    scheduler = history.study.scheduler
    eta = scheduler.get("eta")
    if scheduler.get("method") not in PROMOTING or not isinstance(eta, int) or eta < 1:
        return None
    at_rung = [
        it
        for it in history.answers
        if it.fate is Fate.RESULT and is_beside(history, standing, it.id.trial, it.id.rung)
    ]
    given_up = sum(
        it.final and is_beside(history, standing, it.attempt.trial, it.attempt.rung)
        for it in history.failures
    )
    return Contest(ranked(at_rung, history.goal), len(at_rung) + given_up, eta)


def is_beside(history: History, standing: Standing, trial: int, rung: int) -> bool:
    """Tell whether a job is compared with what a trial has come to."""
    is_trial = 0 <= trial < len(history.trials)
    return is_trial and rung == standing.rung and history.trials[trial].bracket == standing.bracket


def ranked(results: list[Attempt], goal: Goal) -> list[Attempt]:
    """Rank results that came in in this order, best first, as schedulers do."""
    numbers = [it for it in results if goal.loss(it.metrics) < WORST]
    if not goal.others:
        return sorted(numbers, key=lambda it: goal.loss(it.metrics))
    fronts = Fronts(Ranked(goal.losses(it.metrics), at) for at, it in enumerate(numbers)).fronts
    return [numbers[at] for front in fronts for at in in_order(front)]
