"""Laws of the lock: two runs never share a folder, and the dead hold none."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hpmpi.errors import DiskError, StoreError
from hpmpi.storage import lock
from hpmpi.storage.lock import (
    BEAT_S,
    LEASE_S,
    SERVER_S,
    Guarded,
    Lease,
    LeaseVerdict,
    LeaseWatch,
    Lock,
)
from tests.harness.runs import ROOT

HERE = Lease("here", "k1", 17, "cafe", "noon")
THERE = Lease("there", "k2", 17, "beef", "noon")
MINE, ANOTHERS, UNKNOWN = Guarded.MINE, Guarded.ANOTHERS, Guarded.UNKNOWN
TAKE, WAIT, REFUSE = LeaseVerdict.TAKE, LeaseVerdict.WAIT, LeaseVerdict.REFUSE


def released(lease: Lease) -> Lease:
    return msgspec.structs.replace(lease, released=True)


def beaten(lease: Lease) -> Lease:
    return msgspec.structs.replace(lease, beats=lease.beats + 1)


@pytest.mark.parametrize(
    ("guarded", "lease", "verdict"),
    [
        (MINE, None, TAKE),
        (MINE, HERE, TAKE),
        (MINE, released(THERE), TAKE),
        (MINE, THERE, WAIT),
        (ANOTHERS, None, WAIT),
        (ANOTHERS, HERE, REFUSE),
        (ANOTHERS, released(HERE), WAIT),
        (ANOTHERS, THERE, WAIT),
        (UNKNOWN, None, TAKE),
        (UNKNOWN, HERE, WAIT),
        (UNKNOWN, released(THERE), TAKE),
        (UNKNOWN, THERE, WAIT),
    ],
)
def test_the_first_look_says_what_can_be_known_at_once(
    guarded: Guarded, lease: Lease | None, verdict: LeaseVerdict
) -> None:
    assert LeaseWatch("k1", 5.0).judge(guarded, lease, 5.0) is verdict


@pytest.mark.parametrize("guarded", [MINE, UNKNOWN])
def test_a_lease_that_does_not_change_runs_out(guarded: Guarded) -> None:
    watch = LeaseWatch("k1", 5.0)
    verdicts = [watch.judge(guarded, THERE, 5.0 + late) for late in (0, LEASE_S - 0.1, LEASE_S)]
    assert verdicts == [WAIT, WAIT, TAKE]


@pytest.mark.parametrize("guarded", [MINE, ANOTHERS, UNKNOWN])
def test_a_lease_that_changes_is_somebodys(guarded: Guarded) -> None:
    watch = LeaseWatch("k1", 5.0)
    verdicts = [watch.judge(guarded, lease, 6.0) for lease in (THERE, beaten(THERE))]
    assert verdicts == [WAIT, REFUSE]


def test_a_file_server_may_hold_a_dead_nodes_lock_for_a_while() -> None:
    watch = LeaseWatch("k1", 5.0)
    assert watch.judge(ANOTHERS, THERE, 5.0) is WAIT
    assert watch.judge(ANOTHERS, THERE, 5.0 + LEASE_S) is WAIT
    assert watch.judge(MINE, THERE, 5.0 + LEASE_S + 1) is TAKE
    assert watch.judge(ANOTHERS, THERE, 5.0 + SERVER_S) is REFUSE


def test_a_locker_that_says_nothing_is_refused_in_the_end() -> None:
    watch = LeaseWatch("k1", 5.0)
    assert watch.judge(ANOTHERS, None, 5.0 + LEASE_S - 0.1) is WAIT
    assert watch.judge(ANOTHERS, None, 5.0 + LEASE_S) is REFUSE


HOLD = """
import sys, time
from pathlib import Path
from hpmpi.storage import lock
held = lock.take(Path(sys.argv[1]))
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold the lock of a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def lease_in(folder: Path) -> Lease:
    return msgspec.json.decode((folder / lock.NAME).read_bytes(), type=Lease)


def test_a_second_run_is_told_who_has_the_folder_and_touches_nothing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    before = (tmp_path / lock.NAME).read_bytes()
    said = rf"going on in .*process {holder.pid} on {os.uname().nodename} since 20.*use --out"
    with pytest.raises(StoreError, match=said):
        lock.take(tmp_path)
    assert (tmp_path / lock.NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [lock.NAME]


def test_a_stopped_holder_still_holds(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(StoreError, match="going on"):
        lock.take(tmp_path)


def test_a_sign_of_life_tells_who_has_a_folder_and_touches_nothing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    before = (tmp_path / lock.NAME).stat()
    sign = lock.sign_of_life(tmp_path)
    assert sign is not None
    assert sign.alive
    assert (sign.lease.pid, sign.gone) == (holder.pid, False)
    after = (tmp_path / lock.NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with pytest.raises(StoreError, match="going on"):
        lock.take(tmp_path)


def test_a_killed_holder_is_seen_to_be_gone(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    sign = lock.sign_of_life(tmp_path)
    assert sign is not None
    assert sign.gone
    assert not sign.alive


def test_a_holder_of_another_host_shows_its_life_by_the_age_of_its_lease(tmp_path: Path) -> None:
    path = tmp_path / lock.NAME
    path.write_bytes(msgspec.json.encode(THERE))
    sign = lock.sign_of_life(tmp_path)
    assert sign is not None
    assert sign.alive
    os.utime(path, (1e9, 1e9))
    sign = lock.sign_of_life(tmp_path)
    assert sign is not None
    assert not sign.alive
    assert not sign.gone
    os.utime(path, (4e9, 4e9))  # a clock that is ahead
    sign = lock.sign_of_life(tmp_path)
    assert sign is not None
    assert sign.age_s == 0.0


def test_where_there_are_no_locks_a_holder_of_this_host_is_not_known_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = msgspec.structs.replace(THERE, kernel=lock.this_kernel())
    (tmp_path / lock.NAME).write_bytes(msgspec.json.encode(here))
    gone = lock.sign_of_life(tmp_path)
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: refuse(errno.ENOLCK))
    unknown = lock.sign_of_life(tmp_path)
    assert gone is not None
    assert unknown is not None
    assert (gone.alive, unknown.alive) == (False, True)


def test_there_is_no_sign_of_life_where_nobody_has_the_folder(tmp_path: Path) -> None:
    assert lock.sign_of_life(tmp_path) is None
    lock.take(tmp_path).release()
    assert lock.sign_of_life(tmp_path) is None
    (tmp_path / lock.NAME).write_bytes(b"")
    assert lock.sign_of_life(tmp_path) is None


def test_a_killed_holder_leaves_the_folder_at_once(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    held = lock.take(tmp_path)
    assert lease_in(tmp_path).pid == os.getpid()
    held.release()


def test_a_released_lock_is_taken_at_once_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.take(tmp_path).release()
    monkeypatch.setattr(lock, "this_kernel", lambda: "another")
    monkeypatch.setattr(lock, "LEASE_S", 1e6)
    lock.take(tmp_path).release()


@pytest.mark.parametrize("content", [msgspec.json.encode(THERE), b"no lease", b"[" * 512])
def test_what_a_dead_node_or_nobody_wrote_is_taken_after_a_lease(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LEASE_S", 0.2)
    monkeypatch.setattr(lock, "LOOK_S", 0.1)
    (tmp_path / lock.NAME).write_bytes(content)
    held = lock.take(tmp_path)
    assert lease_in(tmp_path).pid == os.getpid()
    held.release()


def refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_a_file_system_without_locks_has_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "lockf", lambda *_: refuse(errno.ENOLCK))
    monkeypatch.setattr(lock, "LEASE_S", 0.2)
    monkeypatch.setattr(lock, "BEAT_S", 0.1)
    lock.take(tmp_path).release()
    (tmp_path / lock.NAME).write_bytes(msgspec.json.encode(THERE))
    lock.take(tmp_path).release()


def test_of_two_that_take_a_dead_lease_at_once_where_there_are_no_locks_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "lockf", lambda *_: refuse(errno.ENOLCK))
    monkeypatch.setattr(lock, "LEASE_S", 0.0)
    path = tmp_path / lock.NAME
    path.write_bytes(msgspec.json.encode(THERE))
    others: list[Lock] = []

    def let_another_be_faster(_seconds: float) -> None:
        if not others:  # it has seen the same lease, and writes its own while this one waits
            others.append(Lock(path, -1, HERE, 0.0))
            others[0] = lock.taken(path, os.open(path, os.O_RDWR), "k2", UNKNOWN)

    monkeypatch.setattr(time, "sleep", let_another_be_faster)
    with pytest.raises(StoreError, match="taken over"):
        lock.take(tmp_path)
    before = path.read_bytes()
    others[0].beat(1e9)
    assert path.read_bytes() != before
    others[0].release()


def beat(held: Lock, now: float) -> float:
    """Let a lock beat that has not done so for long; return the time of the next."""
    held.beat(now)
    return now + BEAT_S


def test_a_beat_changes_the_lease_and_is_not_too_frequent(tmp_path: Path) -> None:
    held = lock.take(tmp_path)
    due = beat(held, 1e9)
    first = lease_in(tmp_path)
    held.beat(due - 0.1)
    assert lease_in(tmp_path) == first
    held.beat(due)
    assert lease_in(tmp_path) == beaten(first)
    held.release()


def test_who_was_taken_for_dead_is_told_at_the_next_beat_and_changes_nothing(
    tmp_path: Path,
) -> None:
    held = lock.take(tmp_path)
    with (tmp_path / lock.NAME).open("r+b") as file:  # as from another node: no kernel lock drops
        file.write(msgspec.json.encode(THERE).ljust(lock.LINE_BYTES))
    with pytest.raises(StoreError, match="taken over by process 17 on there"):
        held.beat(1e9)
    held.release()
    assert lease_in(tmp_path) == THERE


def test_a_lock_that_was_removed_is_no_lock_any_more(tmp_path: Path) -> None:
    held = lock.take(tmp_path)
    (tmp_path / lock.NAME).unlink()
    with pytest.raises(StoreError, match="was removed"):
        held.beat(1e9)
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_a_beat_that_the_disk_does_not_take_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = lock.take(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", lambda *_: refuse(errno.EIO))
        with pytest.raises(DiskError, match="Input/output error"):
            held.beat(1e9)
    held.beat(1e9)
    held.release()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / lock.NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="can't be written"):
        lock.take(tmp_path / "run")
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_holders_name_can_not_play_with_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / lock.NAME
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(THERE, host="\x1b[2J")))
    monkeypatch.setattr(fcntl, "lockf", lambda *_: refuse(errno.EAGAIN))
    monkeypatch.setattr(lock, "SERVER_S", 0.0)
    with pytest.raises(StoreError, match="an unknown host"):
        lock.take(tmp_path)
