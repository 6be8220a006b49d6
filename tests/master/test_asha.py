"""ASHA against Algorithm 2 as it stands in the paper, by sorting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.errors import SettingsError
from hpmpi.master.schedulers.asha import Asha, Rung, ladder
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST
from tests.harness.build import SPACE

etas = st.integers(2, 5)
results = st.lists(
    st.one_of(st.sampled_from([-1.0, 0.0, 0.5, WORST]), st.floats(allow_nan=False)).map(
        lambda loss: WORST if abs(loss) == WORST else loss
    ),
    max_size=40,
)


def best(losses: list[float], eta: int, promoted: list[int]) -> int | None:
    """Sort, take the top, and find the best that was not promoted; ties go to the earlier."""
    ranked = sorted(range(len(losses)), key=lambda trial: (losses[trial], trial))
    top = [trial for trial in ranked[: len(losses) // eta] if losses[trial] < WORST]
    return next((trial for trial in top if trial not in promoted), None)


@given(results, etas)
def test_each_promotion_is_the_best_of_the_exact_top(losses: list[float], eta: int) -> None:
    rung = Rung(eta)
    promoted: list[int] = []
    for count, loss in enumerate(losses, start=1):
        rung.add(count - 1, loss, {})
        expected = best(losses[:count], eta, promoted)
        assert rung.promote() == expected
        if expected is not None:
            promoted.append(expected)


@given(results, etas)
def test_promotions_that_have_waited_come_in_order_of_loss(losses: list[float], eta: int) -> None:
    rung = Rung(eta)
    for trial, loss in enumerate(losses):
        rung.add(trial, loss, {})
    promoted: list[int] = []
    while (found := rung.promote()) is not None:
        assert found == best(losses, eta, promoted)
        promoted.append(found)
    assert best(losses, eta, promoted) is None


@given(results, st.lists(st.integers(0, 20)), results, etas)
def test_a_rung_takes_any_promotion_that_was(
    before: list[float], chosen: list[int], after: list[float], eta: int
) -> None:
    rung = Rung(eta)
    for trial, loss in enumerate(before):
        rung.add(trial, loss, {})
    promoted = [trial for trial in dict.fromkeys(chosen) if trial < len(before)]
    for trial in promoted:
        rung.adopt(trial)
    for trial, loss in enumerate(after, start=len(before)):
        rung.add(trial, loss, {})
    losses = before + after
    while (found := rung.promote()) is not None:
        assert found == best(losses, eta, promoted)
        promoted.append(found)
    assert best(losses, eta, promoted) is None


def test_of_equal_losses_the_one_that_came_in_first_is_promoted() -> None:
    rung = Rung(2)
    for trial in (7, 3, 5, 1):
        rung.add(trial, 0.5, {})
    assert [rung.promote(), rung.promote(), rung.promote()] == [7, 3, None]


def test_a_rung_without_numbers_promotes_nobody() -> None:
    rung = Rung(2)
    for trial in range(8):
        rung.add(trial, WORST, {})
    assert rung.promote() is None


def test_what_is_no_number_counts_in_the_rung() -> None:
    rung = Rung(3)
    rung.add(0, 0.5, {})
    rung.add(1, WORST, {})
    assert rung.promote() is None
    rung.add(2, WORST, {})
    assert rung.promote() == 0


def test_a_trial_that_was_promoted_keeps_its_place_in_the_ranking() -> None:
    rung = Rung(2)
    rung.add(0, 0.1, {})
    rung.add(1, 0.5, {})
    assert rung.promote() == 0
    rung.add(2, 0.4, {})
    assert rung.promote() is None, "of three, one is in the top, and it was promoted"
    rung.add(3, 0.6, {})
    assert rung.promote() == 2


def test_higher_rungs_go_first() -> None:
    asha = Asha(Random(SPACE, 0, []), max_resource=4, eta=2)
    jobs = [asha.ask(may_start=True, rungs=3) for _ in range(6)]
    for loss, job in enumerate(jobs):
        assert job is not None
        asha.tell(job, float(loss), {})
    lower = [asha.ask(may_start=True, rungs=3) for _ in range(2)]
    for job in lower:
        assert job is not None
        assert job.rung == 1
        asha.tell(job, float(job.trial), {})
    higher = asha.ask(may_start=True, rungs=3)
    assert higher is not None
    assert (higher.trial, higher.rung, higher.resource) == (0, 2, 4)


@pytest.mark.parametrize(
    ("low", "high", "eta", "rungs"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 100, 3, (1, 3, 9, 27, 100)),
        (1, 1000, 10, (1, 10, 100, 1000)),
        (1, 80, 3, (1, 3, 9, 27, 80)),
        (1, 140, 3, (1, 3, 9, 27, 140)),
        (1, 141, 3, (1, 3, 9, 27, 81, 141)),
        (5, 8, 3, (8,)),
        (5, 9, 3, (5, 9)),
        (5, 15, 3, (5, 15)),
        (10, 20, 4, (20,)),
        (10, 21, 4, (10, 21)),
        (4, 4, 2, (4,)),
    ],
)
def test_rungs_are_exact_and_the_top_one_is_all(
    low: int, high: int, eta: int, rungs: tuple[int, ...]
) -> None:
    assert ladder(low, high, eta) == rungs


@given(st.integers(1, 20), st.integers(1, 10**6), etas)
def test_there_are_as_many_rungs_as_fit_and_no_step_is_much_more_than_eta(
    low: int, more: int, eta: int
) -> None:
    rungs = ladder(low, low + more, eta)
    assert rungs[-1] == low + more
    assert list(rungs[:-1]) == [low * eta**rung for rung in range(len(rungs) - 1)]
    if len(rungs) > 1:
        assert eta < (rungs[-1] / rungs[-2]) ** 2 <= eta**3
    else:
        assert (rungs[-1] / low) ** 2 <= eta


def test_a_lowest_resource_above_the_highest_is_refused() -> None:
    with pytest.raises(SettingsError, match="min_resource = 9 must not be greater than"):
        Asha(Random(SPACE, 0, []), min_resource=9, max_resource=8)
