"""Who stands where."""

import math

import pytest

from hpmpi.history.leaderboard import Leaderboard, Status, curves
from hpmpi.model.messages import FailureKind, Point
from hpmpi.model.records import Assigned, Curve, Decision, Failure, Result
from hpmpi.model.trial import WORST, Goal


def assigned(trial: int, rung: int = 0) -> Assigned:
    """Hand a job out."""
    return Assigned(0.0, trial, rung, 1, 1, 1, None if rung else {"x": trial / 8})


def result(trial: int, loss: float, rung: int = 0) -> Result:
    """Have a result come in."""
    return Result(1.0, trial, rung, 1, 3**rung, 1, {"loss": loss})


def given_up(trial: int, rung: int = 0) -> Failure:
    """Give a job up."""
    return Failure(1.0, trial, rung, 3, 1, FailureKind.CRASH, "", final=True)


def board(*decided: Decision, trials: int = 4) -> Leaderboard:
    """Stand where some trials, and what was decided of them, lead to."""
    standings = Leaderboard(Goal("loss", "min"), top_rung=2)
    for decision in [*map(assigned, range(trials)), *decided]:
        standings.add(decision)
    return standings


def ranks(standings: Leaderboard) -> list[int]:
    """List the trials, best first."""
    return [standing.trial for standing in standings.ranking()]


def test_the_lower_loss_stands_above() -> None:
    assert ranks(board(result(0, 0.5), result(1, 0.3), result(2, 0.4))) == [1, 2, 0]


def test_a_higher_rung_stands_above_whatever_the_loss() -> None:
    assert ranks(board(result(0, 0.1), result(1, 0.2), result(1, 0.9, rung=1))) == [1, 0]


def test_of_equal_losses_the_one_that_came_in_first_stands_above() -> None:
    assert ranks(board(result(2, 0.5), result(0, 0.5), result(1, 0.5))) == [2, 0, 1]


def test_a_trial_without_a_result_is_not_ranked() -> None:
    assert ranks(board(result(1, 0.5), given_up(2))) == [1]


def test_no_number_stands_last_in_its_rung() -> None:
    assert ranks(board(result(0, math.nan), result(1, 0.5), result(2, -math.inf))) == [1, 0, 2]


def test_no_number_at_a_higher_rung_takes_nothing_from_a_lower_one() -> None:
    standings = board(result(0, 0.5), result(0, math.nan, rung=1))
    [standing] = standings.ranking()
    assert (standing.rung, standing.resource, standing.loss) == (0, 1, 0.5)
    assert standings.incumbent is standing


def test_the_ranking_follows_the_mode() -> None:
    standings = Leaderboard(Goal("loss", "max"), top_rung=0)
    for decision in (assigned(0), assigned(1), result(0, 0.5), result(1, 0.6)):
        standings.add(decision)
    assert ranks(standings) == [1, 0]
    assert standings.ranking()[0].metrics == {"loss": 0.6}


@pytest.mark.parametrize(
    ("decided", "status"),
    [
        ([], Status.RUNNING),
        ([result(0, 0.5)], Status.PAUSED),
        ([result(0, 0.5), assigned(0, 1)], Status.RUNNING),
        ([result(0, 0.5), result(0, 0.5, rung=2)], Status.COMPLETE),
        ([given_up(0)], Status.GIVEN_UP),
        ([result(0, 0.5), given_up(0, rung=1)], Status.GIVEN_UP),
    ],
)
def test_a_trial_is_doing_what_was_last_decided(decided: list[Decision], status: Status) -> None:
    assert board(*decided, trials=1).standings[0].status is status


def test_a_failure_that_is_tried_again_changes_nothing() -> None:
    standings = board(trials=1)
    assert not standings.add(Failure(1.0, 0, 0, 1, 1, FailureKind.CRASH, ""))
    assert standings.standings[0].status is Status.RUNNING


def test_there_is_no_incumbent_without_a_number() -> None:
    standings = board(result(0, math.nan), given_up(1))
    assert standings.incumbent is None
    assert standings.ranking()[0].loss == WORST


def test_only_a_better_incumbent_is_news() -> None:
    standings = board()
    news = [
        standings.add(decision)
        for decision in (
            result(0, 0.5),
            result(1, 0.6),
            result(2, 0.5),
            result(3, 0.4),
            result(1, 0.9, rung=1),
            result(1, math.nan, rung=2),
            result(0, 0.95, rung=1),
        )
    ]
    assert news == [True, False, False, True, True, False, False]
    assert standings.incumbent is standings.standings[1]
    assert standings.results == 7


def test_a_better_result_of_the_incumbent_itself_is_news() -> None:
    standings = board(result(0, 0.5))
    assert standings.add(result(0, 0.4, rung=1))
    assert standings.incumbent is not None
    assert standings.incumbent.rung == 1


def test_the_incumbent_stands_first() -> None:
    standings = board(result(3, 0.5), result(1, 0.5), result(2, 0.7), result(2, 0.9, rung=1))
    assert standings.ranking()[0] is standings.incumbent


def test_the_last_word_on_a_point_of_a_curve_counts() -> None:
    before = Curve(1.0, 0, 0, 1, [Point(1, {"loss": 0.9}), Point(2, {"loss": 0.8})])
    again = Curve(2.0, 0, 0, 2, [Point(2, {"loss": 0.7})])
    other = Curve(3.0, 1, 0, 1, [Point(2, {"loss": 0.1})])
    assert curves([before, assigned(1), again, other]) == {
        (0, 1): {"loss": 0.9},
        (0, 2): {"loss": 0.7},
        (1, 2): {"loss": 0.1},
    }
