"""Laws of the disk: a power cut at any instant leaves the old or the new, and never less than told.

Each is tried at every call that changes something, on a disk that loses what was not synced
(crash.py).
"""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpmpi.errors import DiskError, StoreError
from hpmpi.model.records import Line
from hpmpi.storage import files, heartbeat_file, lock, results_file, run_folder
from hpmpi.storage.heartbeat_file import Heartbeat
from hpmpi.storage.run_folder import PREVIOUS, RESULTS, STATUS, Store
from hpmpi.worker.checkpoints import Checkpoints
from tests.harness import journals
from tests.harness.crash import Disk, watched
from tests.harness.journals import FIRST, assigned, damage, filled, finished, lost, rows_in, started
from tests.harness.shelf import checkpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are read by /proc")

LINES: list[Line] = [
    started(),
    assigned(0.5, FIRST),
    finished(2.5, FIRST, {"loss": 1.0}),
    lost(9.0, 2),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Make a disk on which everything is watched."""
    (tmp_path / "disk").mkdir()
    with watched(tmp_path / "disk", tmp_path / "images") as made:
        yield made


def write(folder: Path, text: str) -> None:
    """Write two files, one of them in a folder, without a sync."""
    (folder / "model").write_text(text)
    (folder / "more").mkdir()
    (folder / "more" / "model").write_text(text)


def text_in(folder: Path) -> str:
    """Read them again; they must be the same."""
    text = (folder / "model").read_text()
    assert (folder / "more" / "model").read_text() == text
    return text


def synced(opened: Store) -> None:
    """Have a store sync at once."""
    opened._synced_at = 0.0
    opened.sync()


def test_a_file_is_replaced_by_the_whole_other_one_or_not_at_all(disk: Disk) -> None:
    path = disk.root / "status"
    for text in (b"old", b"new"):
        files.replace(path, text)
        assert [(each / "status").read_bytes() for each in disk.cut()] == [text] * 4
    left = [each / "status" for each in disk.cuts]
    assert {each.read_bytes() for each in left if each.exists()} == {b"old", b"new"}


def test_what_was_synced_of_a_journal_is_there_in_its_order(disk: Disk) -> None:
    folder = disk.root / "results" / "run"
    opened = Store(folder)
    for number, line in enumerate(LINES, start=1):
        opened.append(line)
        for each in disk.cut():
            left = run_folder.read(each / "results" / "run").lines
            assert left in (LINES[: number - 1], LINES[:number])
        synced(opened)
        for each in disk.cut():
            assert run_folder.read(each / "results" / "run").lines == LINES[:number]
    opened.close()


def test_a_journal_that_is_written_anew_loses_nothing_that_was_synced(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Store(disk.root)
    opened.append(*LINES[:3])
    synced(opened)
    before = len(disk.cuts)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: refuse(errno.EIO))
        with pytest.raises(DiskError):
            synced(opened)
    opened.append(LINES[3])
    opened.close()
    for each in disk.cuts[before:]:
        assert run_folder.read(each).lines[:3] == LINES[:3]
    for each in disk.cut():
        assert run_folder.read(each).lines == LINES


def refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("links", [True, False])
def test_there_is_a_whole_results_file_at_any_instant_after_the_first(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: refuse(errno.EPERM))
    opened = Store(disk.root)
    for told, line in enumerate(LINES, start=1):
        opened.append(line)
        before = len(disk.cuts)
        checkpoint(opened)
        for each in disk.cuts[before:]:
            there = [each / name for name in (RESULTS, PREVIOUS) if (each / name).exists()]
            assert (
                max((len(results_file.read_lines(file)) for file in there), default=0) >= told - 1
            )
        for each in disk.cut():
            assert len(results_file.read_lines(each / RESULTS)) == told
            assert run_folder.read(each).lines == LINES[:told]
    opened.close()


def test_the_status_is_there_once_it_is_said(disk: Disk) -> None:
    opened = Store(disk.root)
    for state in ("running", "complete"):
        opened.status("cafe", state)
        assert [run_folder.read_status(each) for each in disk.cut()] == [("cafe", state)] * 4
    opened.close()
    states = {run_folder.read_status(each).state for each in disk.cuts if (each / STATUS).exists()}
    assert states == {"running", "complete"}


@pytest.mark.parametrize("resources", [(3, 4), (3, 3)])
def test_a_trial_always_has_its_old_checkpoint_or_its_new_one(
    disk: Disk, resources: tuple[int, int]
) -> None:
    folder = disk.root / "checkpoints" / "0"
    first = Checkpoints(folder, 0, 1)
    texts = ["old", "new"]
    for number, (resource, text) in enumerate(zip(resources, texts, strict=True)):
        before = len(disk.cuts)
        with first.save(resource) as written:
            write(written, text)
        after = disk.cut()
        for each in disk.cuts[before:]:
            found = claimed(each, rung=0, attempt=2)
            assert found == text or (each not in after and found == (["", "old"][number]))


def test_a_checkpoint_is_taken_over_whole_or_stays_what_it_was(disk: Disk) -> None:
    folder = disk.root / "checkpoints" / "0"
    with Checkpoints(folder, 0, 1).save(3) as written:
        write(written, "old")
    before = len(disk.cuts)
    second = Checkpoints(folder, 1, 1)
    assert second.claim(heard_of=3, limit=9)
    with second.save(9) as written:
        write(written, "new")
    found = {claimed(each, rung=1, attempt=2) for each in disk.cuts[before:]}
    assert found == {"old", "new"}


def claimed(image: Path, rung: int, attempt: int) -> str:
    """Read what the next attempt goes on from; nothing where it has to begin."""
    found = Checkpoints(image / "checkpoints" / "0", rung, attempt).claim(heard_of=0, limit=99)
    return "" if found is None else text_in(found)


def test_a_lock_is_on_the_disk_before_it_is_ours(disk: Disk) -> None:
    held = lock.take(disk.root / "run")
    for each in disk.cut()[:2]:  # nobody has a lock after a power cut: it need not be there
        assert b'"start":' in (each / "run" / lock.NAME).read_bytes()
    held.release()
    for each in disk.cut()[:2]:
        assert b'"released":true' in (each / "run" / lock.NAME).read_bytes()


def test_what_launch_says_is_on_the_disk_once_it_was_said(disk: Disk) -> None:
    heartbeat = Heartbeat(disk.root / "run", "7")
    heartbeat.say(barren=3)
    heartbeat.pass_on("SIGTERM")
    for each in disk.cut()[:2]:  # likewise
        line = heartbeat_file.read(each / "run")
        assert (line.signals, line.barren) == (("SIGTERM",), 3)
    heartbeat.close()
    for each in disk.cut()[:2]:
        assert heartbeat_file.read(each / "run").barren == 3


@pytest.mark.parametrize("own", [True, False])
def test_of_a_journal_whose_lines_are_all_damaged_nothing_is_guessed(
    tmp_path: Path, *, own: bool
) -> None:
    opened = filled(tmp_path / "run")
    checkpoint(opened)
    opened.close()
    if not own:
        other = filled(tmp_path / "other", journals.run("beef"))
        checkpoint(other)
        other.close()
        (tmp_path / "other" / RESULTS).rename(tmp_path / "run" / RESULTS)
    for number in range(1, len(rows_in(tmp_path / "run")) + 1):
        damage(tmp_path / "run", number)
    before = rows_in(tmp_path / "run")
    with pytest.raises(StoreError, match="line 1 of"):
        run_folder.read(tmp_path / "run")
    assert rows_in(tmp_path / "run") == before
