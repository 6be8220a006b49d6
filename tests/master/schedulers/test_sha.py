"""Synchronous successive halving against Algorithm 1 of ASHA's paper, batch by batch."""

from functools import partial

import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers.sha import Sha
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST
from tests.harness.asking import Choice, History, compare
from tests.harness.build import SPACE, Elsewhere


def newest_batch(history: History, size: int) -> list[int]:
    """Find the batch that is in work: a batch that was gone on with takes nobody more."""
    batch: list[int] = []
    gone_on = False
    for choice in history.asked:
        if choice.rung > 0:
            gone_on = True
        elif gone_on or len(batch) == size:
            batch, gone_on = [choice.trial], False
        else:
            batch.append(choice.trial)
    return batch


def sha(history: History, may_start: bool, size: int, eta: int, top: int) -> Choice | None:  # noqa: FBT001
    new = Choice(history.trials, 0) if may_start else None
    members = newest_batch(history, size)
    gone_on = any(history.was_asked(trial, 1) for trial in members)
    if new and len(members) < size and not gone_on:
        return new
    for rung in range(top):
        results = [result for result in history.results(rung) if result[2] in members]
        if len(results) < len(members):
            return None
        best = results[: max(1, len(results) // eta)]
        members = [trial for loss, _, trial in best if loss < WORST]
        for trial in members:
            if not history.was_asked(trial, rung + 1):
                return Choice(trial, rung + 1)
    at_the_top = [trial for _, _, trial in history.results(top)]
    return new if set(members) <= set(at_the_top) else None


@pytest.mark.parametrize(("size", "eta", "top"), [(4, 2, 2), (7, 2, 2), (9, 3, 2), (3, 3, 1)])
@pytest.mark.parametrize("seed", range(20))
def test_batches_are_halved_as_in_the_paper(seed: int, size: int, eta: int, top: int) -> None:
    searcher = Random(SPACE, 0, [])
    scheduler = Sha(searcher, max_resource=eta**top, eta=eta, batch=size)
    history = compare(scheduler, partial(sha, size=size, eta=eta, top=top), seed)
    assert history.results(top)


def test_without_a_size_a_batch_brings_one_trial_to_the_top() -> None:
    scheduler = Sha(Random(SPACE, 0, []), max_resource=9, eta=3)
    jobs = [scheduler.ask(may_start=True, rungs=3) for _ in range(9)]
    assert scheduler.ask(may_start=True, rungs=3) is None
    over = [trial for job in jobs if job for trial in scheduler.tell(job, -job.trial, {})]
    assert sorted(over) == [0, 1, 2, 3, 4, 5]
    assert [job.trial for job in (scheduler.ask(may_start=True, rungs=3),) if job] == [8]


def test_who_is_dropped_by_a_batch_that_was_not_filled_is_over_with_the_next_result() -> None:
    scheduler = Sha(Random(SPACE, 0, []), max_resource=3, eta=3)
    jobs = [scheduler.ask(may_start=True, rungs=2) for _ in range(2)]
    assert [scheduler.tell(job, job.trial, {}) for job in jobs if job] == [[], []]
    assert scheduler.ask(may_start=False, rungs=1) is None
    job = scheduler.ask(may_start=False, rungs=2)
    assert job is not None
    assert sorted(scheduler.tell(job, 0.0, {})) == [0, 1]


def test_nobody_goes_on_while_the_searcher_thinks_of_another() -> None:
    thoughts = iter([False, True, False, False])
    scheduler = Sha(Elsewhere(0, thinks=lambda: next(thoughts)), max_resource=3, eta=3)
    job = scheduler.ask(may_start=True, rungs=2)
    assert job is not None
    scheduler.tell(job, 0.5, {})
    assert scheduler.ask(may_start=True, rungs=2) is None
    assert scheduler.awaits
    following = scheduler.ask(may_start=True, rungs=2)
    assert following is not None
    assert (following.trial, following.rung, scheduler.awaits) == (1, 0, False)


def test_a_batch_of_which_nobody_comes_to_the_top_is_refused() -> None:
    with pytest.raises(SettingsError, match="batch = 8 must be at least 9"):
        Sha(Random(SPACE, 0, []), max_resource=9, eta=3, batch=8)
