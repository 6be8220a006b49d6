"""Who stands where."""

import math
from collections.abc import Iterable

import pytest

from hpmpi.errors import ReplayError
from hpmpi.history.history import History
from hpmpi.history.standings import Status
from hpmpi.model.messages import Point
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE, WORST
from hpmpi.study.settings import Settings
from tests.harness.histories import assigned, failure, history, progress, result, stopped


def told(*lines: Line, trials: int = 4) -> History:
    """Come to where some trials, and what came of them, lead to; the top rung is 2."""
    return history(*map(assigned, range(trials)), *lines)


def ranked(*lines: Line) -> list[int]:
    """List the trials, best first."""
    return [standing.trial for standing in told(*lines).standings.ranking()]


def at_rung(trial: int, loss: float, rung: int) -> list[Line]:
    """Have a trial be promoted, and come to a result."""
    return [assigned(trial, rung), result(trial, loss, rung)]


def test_the_lower_loss_stands_above() -> None:
    assert ranked(result(0, 0.5), result(1, 0.3), result(2, 0.4)) == [1, 2, 0]


def test_a_higher_rung_stands_above_whatever_the_loss() -> None:
    assert ranked(result(0, 0.1), result(1, 0.2), *at_rung(1, 0.9, 1)) == [1, 0]


def test_of_equal_losses_the_one_that_came_in_first_stands_above() -> None:
    assert ranked(result(2, 0.5), result(0, 0.5), result(1, 0.5)) == [2, 0, 1]


def test_a_trial_without_a_result_is_not_ranked() -> None:
    assert ranked(result(1, 0.5), failure(2, final=True)) == [1]


def test_no_number_stands_last_in_its_rung() -> None:
    assert ranked(result(0, math.nan), result(1, 0.5), result(2, -math.inf)) == [1, 0, 2]


def test_no_number_at_a_higher_rung_takes_nothing_from_a_lower_one() -> None:
    run = told(result(0, 0.5), *at_rung(0, math.nan, 1))
    [standing] = run.standings.ranking()
    assert (standing.rung, standing.resource, standing.loss) == (0, 1, 0.5)
    assert run.incumbent is standing


def test_the_ranking_follows_the_mode() -> None:
    study = Settings("mine", {}, "train.py:train", mode="max").toml()
    jobs = (assigned(0), assigned(1), result(0, 0.5), result(1, 0.6))
    ranking = history(*jobs, settings=study).standings.ranking()
    assert [standing.trial for standing in ranking] == [1, 0]
    assert ranking[0].metrics == {"loss": 0.6}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], Status.RUNNING),
        ([result(0, 0.5)], Status.PAUSED),
        ([result(0, 0.5), assigned(0, 1)], Status.RUNNING),
        ([result(0, 0.5), assigned(0, 2), result(0, 0.5, 2, over=[0])], Status.COMPLETE),
        ([failure(0, final=True)], Status.GIVEN_UP),
        ([result(0, 0.5), assigned(0, 1), failure(0, rung=1, final=True)], Status.GIVEN_UP),
        ([stopped(0, Point(1, {"loss": 0.5}))], Status.STOPPED),
    ],
)
def test_a_trial_is_doing_what_was_last_decided(lines: list[Line], status: Status) -> None:
    assert told(*lines, trials=1).trials[0].status is status


def test_a_trial_that_its_scheduler_will_not_go_on_with_is_complete() -> None:
    run = told(result(0, 0.5), result(1, 0.4, over=[0]), trials=2)
    assert [standing.status for standing in run.trials] == [Status.COMPLETE, Status.PAUSED]


def test_a_failure_that_is_tried_again_changes_nothing() -> None:
    run = told(failure(0), trials=1)
    assert (run.best, run.trials[0].status) == ([], Status.RUNNING)


def test_there_is_no_incumbent_without_a_number() -> None:
    run = told(result(0, math.nan), failure(1, final=True))
    assert run.incumbent is None
    assert run.standings.ranking()[0].loss == WORST


def test_only_a_better_incumbent_is_news() -> None:
    run, news = told(), []
    for line in (
        *(result(0, 0.5), result(1, 0.6), result(2, 0.5), result(3, 0.4)),
        *at_rung(1, 0.9, 1),
        *at_rung(1, math.nan, 2),
        *at_rung(0, 0.95, 1),
    ):
        before, results = len(run.best), run.results
        run.add(line)
        news += [len(run.best) > before] if run.results > results else []
    assert news == [True, False, False, True, True, False, False]
    assert run.incumbent is run.trials[1]
    assert run.results == 7


def test_a_better_result_of_the_incumbent_itself_is_news() -> None:
    run = told(result(0, 0.5), *at_rung(0, 0.4, 1))
    assert [attempt.id for attempt in run.best] == [(0, 0, 1), (0, 1, 1)]
    assert run.incumbent is not None
    assert run.incumbent.rung == 1


def test_the_incumbent_stands_first() -> None:
    run = told(result(3, 0.5), result(1, 0.5), result(2, 0.7), *at_rung(2, 0.9, 1))
    assert run.standings.ranking()[0] is run.incumbent


def test_a_trial_may_begin_at_any_rung_and_stands_there() -> None:
    begun = assigned(0, 2, config={"x": 1}, bracket=2)
    [standing] = history(begun, result(0, 0.5, 2)).standings.ranking()
    assert (standing.rung, standing.resource, standing.bracket) == (2, 9, 2)


def test_the_baseline_is_no_trial() -> None:
    run = told(assigned(BASELINE, rank=2), result(BASELINE, 0.1, rank=2), result(0, 0.5))
    assert (run.baseline, run.results, len(run.trials)) == ({"loss": 0.1}, 1, 4)
    assert run.incumbent is run.trials[0]
    assert sum(rung.results for rung in run.rungs()) == 1


def test_the_last_word_on_a_point_of_a_curve_counts() -> None:
    run = told(
        progress(0, Point(1, {"loss": 0.9}), Point(2, {"loss": 0.8})),
        failure(0),
        assigned(0, number=2),
        progress(0, Point(2, {"loss": 0.7}), number=2),
        progress(1, Point(2, {"loss": 0.1})),
    )
    assert list(run.curves) == [0, 1]
    assert run.curves.of(0) == {1: {"loss": 0.9}, 2: {"loss": 0.7}}
    assert run.curves.of(1) == {2: {"loss": 0.1}}
    assert run.curves.of(2) == {}


# -- several metrics -------------------------------------------------------------------------------

SEVERAL = Settings(
    "mine", {}, "train.py:train", metric=["score", "size"], mode=["max", "min"]
).toml()


def of_several(*results: tuple[float, float], more: Iterable[Line] = ()) -> History:
    """Have trials come to a score and a size, and to what more lines say."""
    lines = [
        line
        for trial, (score, size) in enumerate(results)
        for line in (assigned(trial), result(trial, {"score": score, "size": size}))
    ]
    return history(*lines, *more, settings=SEVERAL)


def test_of_several_metrics_the_front_stands_first_and_its_ends_before_all() -> None:
    run = of_several((0.5, 5.0), (0.1, 1.0), (0.4, 9.0), (0.9, 9.0), (0.6, 5.5), (0.0, 8.0))
    assert [it.trial for it in run.standings.ranking()] == [1, 3, 0, 4, 2, 5]
    assert run.standings.fronts() == {0: 1, 1: 1, 3: 1, 4: 1, 2: 2, 5: 2}
    assert {it.trial for it in run.standings.front} == {0, 1, 3, 4}


def test_the_incumbent_of_several_metrics_is_the_end_of_the_front_in_the_first() -> None:
    run = of_several((0.9, 9.0), (0.5, 1.0), (0.9, 8.0), (0.9, 8.0))
    assert run.incumbent is run.trials[2]
    assert run.standings.best == [run.trials[1], run.trials[2], run.trials[3]]


def test_a_higher_rung_has_a_front_of_its_own() -> None:
    climbed = [assigned(1, 1), result(1, {"score": 0.0, "size": 9.0}, 1)]
    run = of_several((0.9, 1.0), (0.5, 2.0), more=climbed)
    assert [it.trial for it in run.standings.front] == [1]
    assert [it.trial for it in run.standings.ranking()] == [1, 0]
    assert run.standings.fronts() == {0: 1, 1: 1}


@pytest.mark.parametrize("lacking", [(math.nan, 1.0), (0.9, math.inf)])
def test_a_metric_that_is_no_number_makes_a_failed_result(lacking: tuple[float, float]) -> None:
    run = of_several(lacking, (0.1, 9.0))
    assert [it.trial for it in run.standings.ranking()] == [1, 0]
    assert run.standings.fronts() == {1: 1}
    assert run.trials[0].loss == WORST


def test_a_result_that_lacks_one_of_several_metrics_is_nonsense() -> None:
    with pytest.raises(ReplayError, match="lacks the metric 'size'"):
        history(assigned(0), result(0, {"score": 1.0}), settings=SEVERAL)
