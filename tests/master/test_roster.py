"""The worker ranks as the master knows them."""

import math

import pytest

from hpmpi.master.roster import Roster
from hpmpi.model.trial import AttemptId

HELD = AttemptId(0, 0, 1)
NEWER = AttemptId(0, 0, 2)


def ready_roster(*ranks: int) -> Roster:
    """Build a roster whose ranks are all ready."""
    roster = Roster(list(ranks), 10.0, 30.0, 0.0)
    for rank in ranks:
        roster.heard(rank, 0.0)
        roster.ready(rank)
    return roster


def lose(roster: Roster, now: float) -> list[int]:
    """Declare lost whoever is overdue."""
    overdue = roster.overdue(now)
    for rank in overdue:
        roster.lose(rank)
    return overdue


def test_a_rank_is_idle_only_once_it_is_ready() -> None:
    roster = Roster([1, 2], 10.0, 30.0, 0.0)
    assert not roster.heard(1, 1.0)
    assert list(roster.idle) == []
    roster.ready(1)
    assert list(roster.idle) == [1]


def test_who_has_been_idle_longest_comes_first() -> None:
    roster = ready_roster(1, 2, 3)
    roster.give(1, HELD, 0.0)
    roster.answered(1, HELD, 0.0)
    roster.heard(2, 1.0)
    assert list(roster.idle) == [2, 3, 1]


def test_only_the_attempt_that_a_rank_holds_can_be_answered() -> None:
    roster = ready_roster(1)
    roster.give(1, NEWER, 0.0)
    roster.answered(1, HELD, 0.0)
    assert list(roster.idle) == []
    roster.answered(1, NEWER, 0.0)
    assert list(roster.idle) == [1]


def test_a_busy_rank_is_given_nothing() -> None:
    roster = ready_roster(1)
    roster.give(1, HELD, 0.0)
    with pytest.raises(AssertionError, match="not idle"):
        roster.give(1, NEWER, 0.0)


def test_an_unfit_rank_is_never_idle_again() -> None:
    roster = ready_roster(1, 2)
    roster.unfit(1)
    roster.ready(1)
    roster.heard(1, 1.0)
    assert list(roster.idle) == [2]
    assert not roster.all_unfit
    roster.unfit(2)
    assert roster.all_unfit


def test_a_rank_is_lost_after_the_patience_and_not_before() -> None:
    roster = ready_roster(1, 2)
    roster.heard(2, 5.0)
    assert lose(roster, 10.0) == []
    assert lose(roster, 10.5) == [1]
    assert list(roster.idle) == [2]
    assert not roster.deserted
    assert lose(roster, 15.5) == [2]
    assert roster.deserted


def test_who_is_overdue_is_so_until_it_is_lost() -> None:
    roster = ready_roster(1)
    assert roster.overdue(11.0) == roster.overdue(11.0) == [1]
    assert list(roster.idle) == [1]
    roster.lose(1)
    assert roster.overdue(11.0) == []
    assert list(roster.idle) == []


def test_a_rank_may_be_lost_that_is_not_overdue_as_a_replay_tells() -> None:
    roster = Roster([1, 2], math.inf, math.inf, 0.0)
    assert roster.overdue(1e9) == []
    roster.lose(1)
    roster.lose(2)
    assert roster.deserted
    assert roster.heard(1, 2e9)


def test_a_rank_is_declared_lost_once() -> None:
    roster = ready_roster(1)
    assert lose(roster, 11.0) == [1]
    assert lose(roster, 30.0) == []


def test_a_rank_that_comes_back_is_what_it_was_before() -> None:
    roster = ready_roster(1, 2)
    roster.give(1, HELD, 0.0)
    assert lose(roster, 11.0) == [1, 2]
    assert roster.heard(1, 12.0)
    assert roster.heard(2, 12.0)
    assert not roster.heard(2, 13.0)
    assert list(roster.idle) == [2]
    assert roster.workers[1].held == HELD


def test_a_rank_that_came_back_can_be_lost_again() -> None:
    roster = ready_roster(1)
    assert lose(roster, 11.0) == [1]
    roster.heard(1, 12.0)
    assert lose(roster, 22.0) == []
    assert lose(roster, 22.5) == [1]


def test_a_rank_has_longer_for_its_first_word() -> None:
    roster = Roster([1, 2], 10.0, 30.0, 0.0)
    roster.heard(2, 15.0)
    assert lose(roster, 25.5) == [2]
    assert lose(roster, 30.0) == []
    assert lose(roster, 30.5) == [1]
    assert lose(roster, 99.0) == []


def test_the_wait_for_first_words_is_excused_too() -> None:
    roster = Roster([1], 10.0, 30.0, 0.0)
    roster.excuse(20.0)
    assert lose(roster, 50.0) == []
    assert lose(roster, 50.5) == [1]


def test_an_excused_silence_begins_anew() -> None:
    roster = ready_roster(1, 2)
    roster.excuse(100.0)
    assert lose(roster, 110.0) == []
    assert lose(roster, 110.5) == [1, 2]


def test_an_excuse_brings_nobody_back() -> None:
    roster = ready_roster(1)
    assert lose(roster, 11.0) == [1]
    roster.excuse(12.0)
    assert roster.workers[1].lost


def test_unfit_and_lost_ranks_together_leave_it_deserted() -> None:
    roster = ready_roster(1, 2)
    roster.unfit(1)
    roster.heard(1, 10.0)
    assert not roster.deserted
    assert lose(roster, 11.0) == [2]
    assert roster.deserted
    assert not roster.all_unfit


def test_able_is_who_is_neither_lost_nor_unfit() -> None:
    roster = ready_roster(1, 2, 3)
    roster.unfit(1)
    roster.heard(3, 9.0)
    assert lose(roster, 11.0) == [1, 2]
    assert roster.able == 1
    roster.heard(1, 12.0)
    roster.heard(2, 12.0)
    assert roster.able == 2


def test_the_next_idle_is_who_has_been_so_for_longest_but_for_some() -> None:
    roster = ready_roster(1, 2)
    assert (roster.next_idle(()), roster.next_idle({1}), roster.next_idle({1, 2})) == (1, 2, None)
