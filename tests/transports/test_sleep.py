"""How long a rank sleeps: a pure object, told the time."""

import math

import pytest

from hpmpi.transports.sleep import (
    BUSY_S,
    LEADER_PACE,
    LEAST_S,
    UNDERWAY_S,
    WORKER_PACE,
    Pace,
    Sleep,
)


@pytest.mark.parametrize("is_rung", [True, False])
def test_nobody_sleeps_while_a_large_message_goes_on(*, is_rung: bool) -> None:
    sleep = Sleep(WORKER_PACE, is_rung=is_rung, now=0.0)
    sleep.talk(1.0)
    assert sleep.limit_s(1.0 + BUSY_S / 2, is_underway=True, is_woken=True) == 0.0
    assert sleep.limit_s(1.0 + 2 * BUSY_S, is_underway=True, is_woken=True) == UNDERWAY_S


def test_who_is_rung_by_all_sleeps_until_then_and_looks_the_less_often_the_longer_in_vain() -> None:
    sleep = Sleep(WORKER_PACE, is_rung=True, now=0.0)
    assert sleep.limit_s(5.0, is_underway=False, is_woken=False) == math.inf
    sleep.ring(5.0)
    assert sleep.limit_s(5.0, is_underway=False, is_woken=False) == LEAST_S
    assert sleep.limit_s(6.0, is_underway=False, is_woken=False) == 3.0
    sleep.hear(6.0)
    assert sleep.limit_s(6.0, is_underway=False, is_woken=False) == math.inf


@pytest.mark.parametrize("pace", [LEADER_PACE, WORKER_PACE])
def test_who_is_not_rung_looks_the_less_often_the_quieter_it_is_but_always_again(
    pace: Pace,
) -> None:
    sleep = Sleep(pace, is_rung=False, now=0.0)
    limits = [sleep.limit_s(at, is_underway=False, is_woken=False) for at in (0.0, 0.1, 1e6)]
    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (pace.least_s, pace.most_s)
    assert sleep.limit_s(0.0, is_underway=False, is_woken=True) == pace.most_s
