"""A damaged journal is mended from the copy in a results file, where somebody asks for that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.errors import StoreError
from hpmpi.model.records import Lost, Started
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.storage.repair import DAMAGED, Repaired, repair
from hpmpi.storage.run_folder import read
from tests.harness.shelf import checkpoint
from tests.storage.test_lock import HOLD
from tests.storage.test_run_folder import DECISIONS, change, damage, filled, lines_of, told


def kept(folder: Path) -> list[str]:
    """List what lies beside for people to look at."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(DAMAGED))


@pytest.mark.parametrize("number", range(1, len(DECISIONS) + 1))
def test_a_damaged_line_is_taken_from_the_results_file(tmp_path: Path, number: int) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(Lost(10.0, 2))
    opened.close()
    before = lines_of(tmp_path)
    damage(tmp_path, number)
    damaged = lines_of(tmp_path)
    with pytest.raises(StoreError, match=rf"line {number} .*hpmpi repair DIR"):
        read(tmp_path)
    assert repair(tmp_path) == Repaired(len(before), 1, tmp_path / DAMAGED)
    assert lines_of(tmp_path) == before
    assert (tmp_path / DAMAGED).read_bytes() == b"".join(damaged)


def test_a_journal_that_is_missing_or_short_is_made_whole(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    before = lines_of(tmp_path)
    journal = tmp_path / run_folder.JOURNAL
    journal.write_bytes(b"".join(before[:-2]))
    assert repair(tmp_path) == Repaired(len(before), 2, tmp_path / DAMAGED)
    assert lines_of(tmp_path) == before
    journal.unlink()
    assert repair(tmp_path) == Repaired(len(before), len(before))
    assert lines_of(tmp_path) == before
    assert kept(tmp_path) == [DAMAGED], "there was nothing to keep the second time"


@pytest.mark.parametrize("at", range(1, len(DECISIONS)))
def test_lines_that_damage_has_made_fewer_or_more_are_those_of_the_results_file(
    tmp_path: Path, at: int
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(Lost(10.0, 2))
    opened.close()
    whole = lines_of(tmp_path)
    journal = tmp_path / run_folder.JOURNAL
    joined = [*whole[: at - 1], whole[at - 1][:-1] + b" " + whole[at], *whole[at + 1 :]]
    half = len(whole[at]) // 2
    parted = [*whole[:at], whole[at][:half] + b"\n", whole[at][half:], *whole[at + 1 :]]
    missing = [*whole[:at], *whole[at + 1 :]]
    swapped = [*whole[: at - 1], whole[at], whole[at - 1], *whole[at + 1 :]]
    for lines in (joined, parted, missing, *([swapped] if at > 1 else [])):
        journal.write_bytes(b"".join(lines))
        repair(tmp_path)
        assert lines_of(tmp_path) == whole


def test_what_was_damaged_before_is_not_overwritten(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    for number in (2, 3):
        damage(tmp_path, number)
        repair(tmp_path)
    assert kept(tmp_path) == [DAMAGED, f"{DAMAGED}.2"]


def test_what_is_whole_is_left_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path).close()
    before = (tmp_path / run_folder.JOURNAL).stat()
    assert repair(tmp_path) == Repaired(len(DECISIONS), 0)
    after = (tmp_path / run_folder.JOURNAL).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert kept(tmp_path) == []


def test_a_damaged_line_is_taken_from_the_results_file_before_if_need_be(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    checkpoint(opened)
    opened.close()
    (tmp_path / run_folder.RESULTS).write_bytes(b"damaged")
    damage(tmp_path, 3)
    assert repair(tmp_path).taken == 1
    assert repr(read(tmp_path).decisions) == repr(DECISIONS)


def test_a_line_damaged_after_the_results_file_was_written_is_said(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(Lost(10.0, 2))
    opened.append(Lost(11.0, 2))
    opened.close()
    damage(tmp_path, 7)
    before = lines_of(tmp_path)
    for use in (read, repair):
        with pytest.raises(
            StoreError, match=r"(?i)line 7 .* damaged.*nothing was changed.*head -n 6"
        ):
            use(tmp_path)
    assert lines_of(tmp_path) == before
    assert kept(tmp_path) == []


def test_a_damaged_line_is_not_taken_from_another_run(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    other = [Started(0.0, "0.2", "", "beef", 2), *DECISIONS[1:]]
    (tmp_path / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, other)))
    damage(tmp_path, 3)
    with pytest.raises(StoreError, match="is of another run"):
        repair(tmp_path)


@pytest.mark.parametrize("own", [True, False])
def test_where_all_lines_are_damaged_nothing_says_of_which_run_they_are(
    tmp_path: Path,
    own: bool,  # noqa: FBT001 - a parameter
) -> None:
    opened = filled(tmp_path)
    if own:
        checkpoint(opened)
    opened.close()
    if not own:
        other = filled(tmp_path / "other")
        checkpoint(other)
        other.close()
        (tmp_path / "other" / run_folder.RESULTS).rename(tmp_path / run_folder.RESULTS)
    for number in range(1, len(DECISIONS) + 1):
        damage(tmp_path, number)
    before = lines_of(tmp_path)
    with pytest.raises(StoreError, match="is of another run"):
        repair(tmp_path)
    assert lines_of(tmp_path) == before


def test_a_folder_that_a_run_has_is_not_repaired(tmp_path: Path) -> None:
    filled(tmp_path).close()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(StoreError, match="a run is going on in"):
            repair(tmp_path)
        holder.communicate()


def test_where_there_is_no_run_nothing_is_made(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="there is no run in"):
            repair(folder)
    assert list(tmp_path.iterdir()) == []


def test_every_bit_of_the_results_file_is_watched(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened, told())
    opened.close()
    (tmp_path / run_folder.JOURNAL).unlink()
    file = tmp_path / run_folder.RESULTS
    whole = file.read_bytes()
    for place in [*range(600), *range(600, len(whole), 97)]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=r"run\.h5 (is damaged|has format)"):
            repair(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 2000])
def test_a_cut_results_file_is_said(tmp_path: Path, length: int) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    (tmp_path / run_folder.JOURNAL).unlink()
    os.truncate(tmp_path / run_folder.RESULTS, length)
    with pytest.raises(StoreError, match=r"run\.h5 is damaged"):
        repair(tmp_path)


def test_a_results_file_of_another_format_is_refused(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    (tmp_path / run_folder.JOURNAL).unlink()
    file = tmp_path / run_folder.RESULTS
    change(file, b"format 2, by hpmpi 0.1.0,", b"format 99, by hpmpi 8.1, ")
    with pytest.raises(StoreError, match=r"format 99, written by hpmpi 8\.1.* reads format 2"):
        repair(tmp_path)
