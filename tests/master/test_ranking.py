"""Rungs by several metrics, beside all of their results sorted anew."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.master.incumbent import BestFront
from hpmpi.master.ranking import ByFronts, FrontRung, ranking_by
from hpmpi.master.schedulers.asha import Asha, rung_of
from hpmpi.master.searchers.random import Random
from hpmpi.model.trial import WORST, Goal, JobKey, Metrics
from tests.harness import choices
from tests.harness.build import SPACE

SIZE = Goal("bytes", "min")
GOAL = Goal("score", "max", (SIZE,))

results = st.lists(
    st.tuples(st.integers(0, 4).map(float), st.sampled_from([0.0, 1.0, 2.0, float("nan")])),
    min_size=1,
    max_size=40,
)


def metrics_of(result: tuple[float, float]) -> Metrics:
    """Name what came of a trial."""
    return dict(zip(GOAL.names, result, strict=True))


def by_brute_force(told: Sequence[tuple[float, float]]) -> list[int]:
    """List the trials, best first, without those that are no number."""
    ranked = [(GOAL.losses(metrics_of(it)), trial, trial) for trial, it in enumerate(told)]
    return [trial for _, _, trial in choices.best_of_several([it for it in ranked if real(it)])]


def real(result: choices.Result) -> bool:
    """Tell whether all is a number."""
    return WORST not in result[0]


def told(rung: ByFronts, results: Sequence[tuple[float, float]]) -> None:
    """Rank results, one after the other."""
    for trial, result in enumerate(results):
        rung.add(trial, GOAL.loss(metrics_of(result)), metrics_of(result))


@given(results)
def test_the_best_are_those_of_brute_force(told_of: list[tuple[float, float]]) -> None:
    ranking = ByFronts(GOAL)
    told(ranking, told_of)
    assert ranking.best(len(told_of)) == by_brute_force(told_of)
    assert ranking.cut(1) == []


@given(told_of=results, eta=st.integers(2, 4), delay=st.booleans())
def test_a_rung_promotes_the_best_share_best_first(
    *, told_of: list[tuple[float, float]], eta: int, delay: bool
) -> None:
    rung = FrontRung(GOAL, eta, delay=delay)
    gone: list[int] = []
    for trial, result in enumerate(told_of):
        rung.add(trial, GOAL.loss(metrics_of(result)), metrics_of(result))
        most = (trial + 1) // eta
        best = by_brute_force(told_of[: trial + 1])[:most]
        ahead = [it for it in best if it not in gone]
        expected = ahead[0] if ahead and not (delay and len(gone) >= most) else None
        assert rung.promotable == (expected is not None)
        assert rung.promote() == expected
        gone += [] if expected is None else [expected]


@given(results, st.integers(2, 4))
def test_what_was_promoted_is_promoted_again_in_a_restart(
    told_of: list[tuple[float, float]], eta: int
) -> None:
    one, other = FrontRung(GOAL, eta), FrontRung(GOAL, eta)
    for trial, result in enumerate(told_of):
        for rung in (one, other):
            rung.add(trial, GOAL.loss(metrics_of(result)), metrics_of(result))
        if (promoted := one.promote()) is not None:
            other.adopt(promoted)
    assert vars(other)["_waiting"] == vars(one)["_waiting"]
    assert other.promotable == one.promotable


def test_one_metric_has_what_it_had() -> None:
    assert type(ranking_by(None)) is type(ranking_by(Goal("score", "max")))
    assert not isinstance(rung_of(Goal("score", "max"), 3), FrontRung)
    assert isinstance(rung_of(GOAL, 3), FrontRung)


def test_asha_promotes_what_is_small_and_what_is_good() -> None:
    asha = Asha(Random(SPACE, 0, []), max_resource=3, goal=GOAL)
    jobs = [asha.ask(may_start=True, rungs=2) for _ in range(6)]
    scores = {
        0: (0.5, 5.0),
        1: (0.9, 9.0),
        2: (0.4, 6.0),
        3: (0.1, 1.0),
        4: (0.3, 7.0),
        5: (0.2, 8.0),
    }
    for trial, result in scores.items():
        job = jobs[trial]
        assert job is not None
        asha.tell(job, GOAL.loss(metrics_of(result)), metrics_of(result))
    promoted = [asha.ask(may_start=False, rungs=2) for _ in range(3)]
    assert [job and job.trial for job in promoted] == [1, 3, None]


def best(*results: tuple[int, int, float, float]) -> tuple[set[int], list[int]]:
    """Have trials of rungs come to a score and a size, each being over then; tell who is best."""
    front, dropped = BestFront(GOAL), list[int]()
    for trial, rung, *result in results:
        score, size = result
        metrics = metrics_of((score, size))
        dropped += front.compare(JobKey(trial, rung), GOAL.loss(metrics), metrics, [trial])
    return set(front.members), dropped


@pytest.mark.parametrize(
    ("results", "kept", "dropped"),
    [
        ([(0, 0, 0.5, 5.0), (1, 0, 0.9, 9.0)], {0, 1}, []),
        ([(0, 0, 0.5, 5.0), (1, 0, 0.5, 6.0)], {0}, [1]),
        ([(0, 0, 0.5, 5.0), (1, 0, 0.6, 4.0)], {1}, [0]),
        ([(0, 0, 0.5, 5.0), (1, 0, 0.5, 5.0)], {0, 1}, []),
        ([(0, 0, 0.5, 5.0), (1, 1, 0.1, 9.0)], {1}, [0]),
        ([(0, 1, 0.5, 5.0), (1, 0, 0.9, 1.0)], {0}, [1]),
        ([(0, 0, 0.5, 5.0), (1, 0, 0.9, float("nan"))], {0}, [1]),
        ([(0, 0, 0.5, 5.0), (1, 0, 0.9, 9.0), (2, 0, 0.9, 4.0)], {2}, [0, 1]),
    ],
)
def test_the_checkpoints_of_the_front_are_kept(
    results: list[tuple[int, int, float, float]], kept: set[int], dropped: list[int]
) -> None:
    assert best(*results) == (kept, dropped)
