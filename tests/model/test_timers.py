"""Laws of the timers, which are told what time it is."""

from hpmpi.model.timers import Every, Silence, Sparing


def test_what_is_due_every_so_often_is_due_at_once_and_then_after_a_while() -> None:
    every = Every(5.0)
    assert [now for now in range(100, 120) if every.is_due(now)] == [100, 105, 110, 115]


def test_who_comes_late_is_not_due_twice() -> None:
    every = Every(5.0)
    assert [every.is_due(now) for now in (100, 117, 118, 122)] == [True, True, False, True]


def test_what_takes_long_is_due_the_more_seldom() -> None:
    sparing = Sparing(share=0.1, least_s=2.0)
    assert sparing.is_due(0.0)
    sparing.took(0.1, now=5.0)
    assert [now for now in range(5, 9) if sparing.is_due(now)] == [7, 8]
    sparing.took(1.0, now=8.0)
    assert [now for now in range(8, 20) if sparing.is_due(now)] == [18, 19]


def test_a_value_is_silent_from_when_it_was_first_seen() -> None:
    silence = Silence()
    assert [silence.of(value, now) for value, now in ((None, 3), (None, 9), (1, 9), (1, 10))] == [
        *(0, 6),
        *(0, 1),
    ]


def test_who_has_not_looked_for_long_has_seen_no_silence() -> None:
    silence = Silence(held_up_s=5.0)
    assert [silence.of("same", now) for now in (100, 105, 111, 113)] == [0, 5, 0, 2]


def test_long_work_of_the_watcher_is_no_hold_up() -> None:
    silence = Silence(held_up_s=5.0)
    silence.of("same", 100)
    silence.excuse()
    assert [silence.of("same", now) for now in (180, 190)] == [80, 0]
