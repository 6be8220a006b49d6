"""What a run can tell by itself, and when it does not."""

from typing import Any

import pytest

from hpmpi.history.advice import FEWEST, TooFew, shortage, too_few
from hpmpi.history.history import History
from hpmpi.model.records import Line
from hpmpi.study.settings import RunTable, Settings, StopTable
from tests.harness.histories import assigned, deadline, history, lost, ready, result

RUNGS = (1, 3, 9, 27, 81)


def study(scheduler: dict[str, Any] | None = None, **stop: Any) -> Settings:
    """Have a study that stops."""
    return Settings(
        name="mine",
        objective="train.py:train",
        space={},
        searcher={"method": "grid"},
        scheduler=scheduler or {"method": "full"},
        stop=StopTable(**stop),
    )


@pytest.mark.parametrize(
    ("trials", "says"),
    [
        (81, None),
        (80, TooFew(80, 81, 3)),
        (27, TooFew(27, 81, 3)),
        (26, TooFew(26, 81, 9)),
        (1, TooFew(1, 81, 81)),
    ],
)
def test_too_few_trials_are_those_of_which_none_is_brought_to_the_top(
    trials: int, says: TooFew | None
) -> None:
    asha = {"method": "asha", "eta": 3}
    assert too_few(study(asha, max_trials=trials), RUNGS) == says


@pytest.mark.parametrize(
    "scheduler",
    [
        {"method": "full", "max_resource": 81},
        {"method": "sha", "eta": 3},
        {"method": "pasha", "eta": 3},
        {"method": "mine.py:Mine", "eta": 3},
        {},
    ],
)
def test_schedulers_that_bring_some_to_the_top_anyhow_are_not_warned_of(
    scheduler: dict[str, Any],
) -> None:
    assert too_few(study(scheduler, max_trials=2), RUNGS) is None


def test_a_study_without_an_end_has_trials_enough() -> None:
    assert too_few(study({"method": "asha", "eta": 3}, time_s=60.0), RUNGS) is None


def test_one_rung_takes_one_trial() -> None:
    assert too_few(study({"method": "asha", "eta": 3}, max_trials=1), (9,)) is None


def trials_of(seconds: float, count: int, rank: int = 1) -> list[Line]:
    """Have trials come one after the other."""
    return [
        line
        for trial in range(count)
        for line in (
            assigned(trial, rank=rank, at=trial * seconds),
            result(trial, 0.5, rank=rank, at=(trial + 1) * seconds),
        )
    ]


def grid(*lines: Line, ranks: int = 1, **changes: Any) -> History:
    """Have a grid that has come so far, on a rank."""
    return history(*lines, ranks=ranks, rungs=(1,), settings=study(**changes).toml())


def test_a_grid_that_takes_longer_than_the_study_may_is_too_large() -> None:
    short = shortage(grid(*trials_of(10.0, 8), max_trials=20, time_s=199.0))
    assert short is not None
    assert (short.trials, short.total, short.until_deadline) == (12, 20, False)
    assert (short.needs_s, short.left_s) == (120.0, 119.0)
    assert shortage(grid(*trials_of(10.0, 8), max_trials=20, time_s=200.0)) is None


def test_all_ranks_that_can_work_share_the_rest() -> None:
    lines = trials_of(10.0, 8)
    stop: dict[str, Any] = {"max_trials": 20, "time_s": 110.0}
    assert shortage(grid(*lines, ranks=4, **stop)) is None
    gone = [line for rank in (2, 3, 4) for line in (ready(rank), lost(rank))]
    short = shortage(grid(*gone, *lines, ranks=4, **stop))
    assert short is not None
    assert short.needs_s == 120.0


def test_no_more_ranks_work_than_may() -> None:
    few = Settings(
        name="mine",
        objective="train.py:train",
        space={},
        searcher={"method": "list"},
        stop=StopTable(max_trials=20, time_s=110.0),
        run=RunTable(max_concurrent=2),
    )
    told = history(*trials_of(10.0, 8), ranks=4, rungs=(1,), settings=few.toml())
    short = shortage(told)
    assert short is not None
    assert short.needs_s == 60.0


def test_the_end_of_the_allocation_counts_where_it_comes_first() -> None:
    known = deadline(130.0, 1.7e9, 100.0, at=0.0)
    short = shortage(grid(known, *trials_of(10.0, 8), max_trials=20, time_s=150.0))
    assert short is not None
    assert (short.left_s, short.until_deadline) == (20.0, True)


@pytest.mark.parametrize(
    "stop", [{"max_trials": 20}, {"time_s": 1.0}, {"max_trials": 8, "time_s": 1.0}]
)
def test_what_has_time_or_no_more_to_begin_is_not_too_large(stop: dict[str, Any]) -> None:
    assert shortage(grid(*trials_of(10.0, 8), **stop)) is None


def test_a_few_results_do_not_say_how_long_others_take() -> None:
    stop: dict[str, Any] = {"max_trials": 1000, "time_s": 100.0}
    assert shortage(grid(*trials_of(10.0, FEWEST - 1), **stop)) is None
    assert shortage(grid(*trials_of(10.0, FEWEST), **stop)) is not None
