"""Bells wake ranks, and harm nobody who does not answer."""

import contextlib
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpmpi.transports import wakeup
from hpmpi.transports.wakeup import Wakeup


@pytest.fixture
def hang() -> Iterator[Callable[[], Wakeup]]:
    """Hang up bells that are taken down in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Wakeup()))


@pytest.fixture
def pair(hang: Callable[[], Wakeup]) -> tuple[Wakeup, Wakeup]:
    """Hang up the bells of ranks 0 and 1, who know of each other."""
    zero, one = hang(), hang()
    zero.learn({1: one.address})
    one.learn({0: zero.address})
    return zero, one


def is_rung(bell: Wakeup) -> bool:
    """Tell whether who waits for a bell would wake."""
    return bool(select.select([bell], [], [], 0)[0])


def test_a_ring_wakes_who_waits_until_it_is_hushed(pair: tuple[Wakeup, Wakeup]) -> None:
    zero, one = pair
    assert not is_rung(one)
    zero.ring(1)
    assert is_rung(one)
    assert not is_rung(zero)
    one.hush()
    assert not is_rung(one)
    zero.ring(1)
    assert is_rung(one)


def test_a_bell_can_be_rung_a_thousand_times_and_hushed_once(pair: tuple[Wakeup, Wakeup]) -> None:
    zero, one = pair
    for _ in range(1000):
        zero.ring(1)
    one.hush()
    assert not is_rung(one)


def test_who_is_gone_or_unknown_is_rung_in_vain(pair: tuple[Wakeup, Wakeup]) -> None:
    zero, one = pair
    zero.ring(7)
    one.close()
    zero.ring(1)


def test_ranks_reach_each_other_in_one_network_namespace_only(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pair: tuple[Wakeup, Wakeup],
    hang: Callable[[], Wakeup],
) -> None:
    zero, _ = pair
    assert zero.reaches(1)
    assert not zero.reaches(2)
    monkeypatch.setattr(wakeup, "NAMESPACE", str(tmp_path))
    elsewhere = hang()
    zero.learn({2: elsewhere.address})
    elsewhere.learn({0: zero.address})
    assert not zero.reaches(2)
    assert not elsewhere.reaches(0)


def test_where_nobody_can_be_reached_no_bell_rings(
    monkeypatch: pytest.MonkeyPatch, hang: Callable[[], Wakeup]
) -> None:
    monkeypatch.setattr(wakeup, "NAMESPACE", "/nowhere")
    zero, one = hang(), hang()
    zero.learn({1: one.address})
    assert not zero.reaches(1)
    zero.ring(1)
    assert not is_rung(one)
