"""A lock is renewed during a thought, and shows the ranks that rank 0 lives."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpmpi.leader.lock_keeper import kept
from hpmpi.storage import lock
from hpmpi.storage.lock import LEASE_S, Lease, Lock
from hpmpi.worker.leader_signs import LeaderSigns

LIMIT_S = 60.0


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lock]:
    """Hold a folder, and renew it often."""
    monkeypatch.setattr(lock, "BEAT_S", 0.02)
    held = lock.take(tmp_path)
    yield held
    held.release()


def await_beats(folder: Path, number: int) -> None:
    """Wait until a lock was renewed so often, as another process would read it."""
    gives_up_at = time.monotonic() + LIMIT_S
    while (sign := lock.sign_of_life(folder)) is None or sign.lease.beats < number:
        assert time.monotonic() < gives_up_at, "the lock is not renewed"
        time.sleep(0.01)


def test_a_lock_is_renewed_while_its_holder_thinks(tmp_path: Path, held: Lock) -> None:
    with kept(held):
        await_beats(tmp_path, 3)


def hold_elsewhere(folder: Path, line: Lease) -> None:
    """Have a host that is elsewhere hold a folder."""
    descriptor = os.open(folder / lock.NAME, os.O_RDWR | os.O_CREAT)
    lock.write(descriptor, line)
    os.close(descriptor)


def test_rank_0_lives_while_its_lock_changes_and_for_a_lease_after_that(tmp_path: Path) -> None:
    there = Lease("elsewhere", "another", 1, "cafe", "today")
    hold_elsewhere(tmp_path, there)
    vitals = LeaderSigns(tmp_path)
    assert vitals.show_life(100.0)
    assert vitals.show_life(100.0 + LEASE_S)
    hold_elsewhere(tmp_path, Lease("elsewhere", "another", 1, "cafe", "today", beats=1))
    assert vitals.show_life(102.0 + LEASE_S)
    assert vitals.show_life(102.0 + 2 * LEASE_S)
    assert not vitals.show_life(104.0 + 2 * LEASE_S)


def test_without_a_lock_nobody_leads(tmp_path: Path) -> None:
    assert not LeaderSigns(tmp_path).show_life(100.0)
