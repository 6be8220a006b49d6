"""Top-k against its rule: when all short jobs have come, the best k go on."""

from functools import partial
from typing import Any

import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers.top import Top
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST, Job
from tests.harness.asking import Choice, History, compare
from tests.harness.build import SPACE, Elsewhere


def top(history: History, may_start: bool, k: int, most: int) -> Choice | None:  # noqa: FBT001
    if may_start and history.trials < most:
        return Choice(history.trials, 0)
    results = history.results(0)
    if len(results) < history.trials:
        return None
    best = [trial for loss, _, trial in results[:k] if loss < WORST]
    ahead = [trial for trial in best if not history.was_asked(trial, 1)]
    return Choice(ahead[0], 1) if ahead else None


@pytest.mark.parametrize(("k", "most"), [(1, 10), (3, 20), (5, 200)])
@pytest.mark.parametrize("seed", range(20))
def test_the_best_k_go_on(seed: int, k: int, most: int) -> None:
    scheduler = Top(Random(SPACE, 0, []), max_resource=9, k=k, trials=most)
    compare(scheduler, partial(top, k=k, most=most), seed)


def begun(scheduler: Top, losses: list[float]) -> list[list[int]]:
    """Have trials come to the short rung; return who was over by each."""
    jobs = [scheduler.ask(may_start=True, rungs=2) for _ in losses]
    pairs = zip(jobs, losses, strict=True)
    return [scheduler.tell(job, loss, {}) for job, loss in pairs if job is not None]


def test_who_is_not_among_the_best_is_over_at_once() -> None:
    scheduler = Top(Random(SPACE, 0, []), max_resource=9, k=2)
    assert begun(scheduler, [0.5, 0.3, 0.4, 0.4, WORST, 0.1]) == [[], [], [0], [3], [4], [2]]


def test_who_has_gone_on_is_not_over_when_more_trials_are_better() -> None:
    scheduler = Top(Random(SPACE, 0, []), max_resource=9, k=1)
    begun(scheduler, [0.5])
    job = scheduler.ask(may_start=False, rungs=2)
    assert job is not None
    assert begun(scheduler, [0.1]) == [[]]
    assert scheduler.tell(job, 0.5, {}) == [0]
    following = scheduler.ask(may_start=False, rungs=2)
    assert following == Job(1, 1, 9, following.config if following else {})


def test_nobody_goes_on_while_the_searcher_thinks_of_another() -> None:
    thoughts = iter([False, True])
    scheduler = Top(Elsewhere(0, thinks=lambda: next(thoughts)), max_resource=9)
    begun(scheduler, [0.5])
    assert scheduler.ask(may_start=True, rungs=2) is None
    assert scheduler.awaits


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"min_resource": 9}, "min_resource = 9 must be less than max_resource = 9"),
        ({"k": 5, "trials": 4}, "trials = 4 must be at least k = 5"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Top(Random(SPACE, 0, []), max_resource=9, **settings)
