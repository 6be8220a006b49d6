"""Asynchronous Hyperband against the table of the paper, and ASHA by sorting in each bracket."""

import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers.hyperband import Hyperband, order
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import Job
from tests.harness.asking import Choice, History, best_of_top, compare
from tests.harness.build import SPACE

ROUNDS = {9: [9, 5, 3], 27: [27, 12, 6, 4]}
"""How many trials the brackets of a round have for a max_resource, by hand, with eta = 3."""


def hyperband(history: History, may_start: bool, top: int, counts: list[int]) -> Choice | None:  # noqa: FBT001
    for rung in reversed(range(top)):
        for bracket in range(rung + 1):
            members = {choice.trial for choice in history.asked if choice.bracket == bracket}
            results = [it for it in history.results(rung) if it[2] in members]
            promoted = {trial for trial in members if history.was_asked(trial, rung + 1)}
            trial = best_of_top(results, 3, promoted)
            if trial is not None:
                return Choice(trial, rung + 1, bracket)
    turns = [bracket for bracket, count in enumerate(counts) for _ in range(count)]
    bracket = turns[history.trials % len(turns)]
    return Choice(history.trials, bracket, bracket) if may_start else None


@pytest.mark.parametrize("most", ROUNDS)
@pytest.mark.parametrize("seed", range(20))
def test_brackets_and_promotions_are_those_of_the_paper(seed: int, most: int) -> None:
    scheduler, counts = Hyperband(Random(SPACE, 0, []), max_resource=most), ROUNDS[most]
    history = compare(
        scheduler,
        lambda history, may_start: hyperband(history, may_start, len(counts) - 1, counts),
        seed,
    )
    assert {choice.bracket for choice in history.asked} == set(range(len(counts)))


def test_a_round_has_the_trials_of_table_1() -> None:
    turns = order(4, 3)
    assert [turns.count(bracket) for bracket in range(5)] == [81, 34, 15, 8, 5]
    assert list(turns) == sorted(turns)


def test_the_first_job_of_a_trial_is_at_the_rung_of_its_bracket() -> None:
    scheduler = Hyperband(Random(SPACE, 0, []), max_resource=4, eta=2)
    jobs = [scheduler.ask(may_start=True, rungs=3) for _ in range(10)]
    begun = [(job.rung, job.resource, job.bracket) for job in jobs if job is not None]
    assert begun == [*[(0, 1, 0)] * 4, *[(1, 2, 1)] * 3, *[(2, 4, 2)] * 3]


def test_where_no_time_is_left_for_a_bracket_the_trial_is_of_a_lower_one() -> None:
    scheduler = Hyperband(Random(SPACE, 0, []), max_resource=4, eta=2)
    for trial in range(9):
        scheduler.adopt(Job(trial, 0, 1, {}))
    job = scheduler.ask(may_start=True, rungs=2)
    assert job is not None
    assert (job.trial, job.rung, job.bracket) == (9, 1, 1)
    assert scheduler.ask(may_start=True, rungs=0) is None


def test_a_lowest_resource_above_the_highest_is_refused() -> None:
    with pytest.raises(SettingsError, match="min_resource = 9 must not be greater than"):
        Hyperband(Random(SPACE, 0, []), min_resource=9, max_resource=8)
