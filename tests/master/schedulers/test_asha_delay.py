"""D-ASHA against its rule: of n results and m promoted ones, (m + 1) / n <= 1 / eta."""

from fractions import Fraction

import pytest

from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.searchers.random import Random
from tests.harness.asking import Choice, History, best_of_top, compare
from tests.harness.build import SPACE

RUNGS = 4


def delayed(history: History, may_start: bool, eta: int, delay: bool) -> Choice | None:  # noqa: FBT001
    for rung in reversed(range(RUNGS - 1)):
        results = history.results(rung)
        promoted = {choice.trial for choice in history.asked if choice.rung == rung + 1}
        if delay and results and Fraction(len(promoted) + 1, len(results)) > Fraction(1, eta):
            continue
        trial = best_of_top(results, eta, promoted)
        if trial is not None:
            return Choice(trial, rung + 1)
    return Choice(history.trials, 0) if may_start else None


@pytest.mark.parametrize("delay", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_promotions_are_those_of_the_rule(seed: int, delay: bool) -> None:  # noqa: FBT001
    eta = 2 + seed % 2
    asha = Asha(Random(SPACE, 0, []), max_resource=eta ** (RUNGS - 1), eta=eta, delay=delay)
    compare(asha, lambda history, may_start: delayed(history, may_start, eta, delay), seed)


def promotions(delay: bool) -> int:  # noqa: FBT001
    """Count who is promoted of 30 trials each of which is better than those before."""
    asha = Asha(Random(SPACE, 0, []), max_resource=3, eta=3, delay=delay)
    promoted = 0
    for done in range(30):
        job = asha.ask(may_start=True, rungs=2)
        assert job is not None
        asha.tell(job, -done, {})
        while asha.ask(may_start=False, rungs=2) is not None:
            promoted += 1
    return promoted


def test_where_each_is_better_than_those_before_only_the_delay_keeps_to_one_in_eta() -> None:
    assert promotions(delay=True) == 10
    assert promotions(delay=False) == 28
