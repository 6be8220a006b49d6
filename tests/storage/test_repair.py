"""A damaged journal is mended from the copy in a results file, where somebody asks for that."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpmpi.errors import StoreError
from hpmpi.storage import files, run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.storage.repair import DAMAGED, Repaired, repair
from hpmpi.storage.run_folder import read
from tests.harness import journals
from tests.harness.journals import (
    DISORDERS,
    SECOND,
    damage,
    filled,
    finished,
    joined,
    lost,
    put,
    rows_in,
)
from tests.harness.shelf import checkpoint
from tests.storage.test_lock import HOLD
from tests.storage.test_run_folder import LINES, change, told


def kept(folder: Path) -> list[str]:
    """List what lies beside for people to look at."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(DAMAGED))


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_a_damaged_line_is_taken_from_the_results_file(tmp_path: Path, number: int) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(lost(10.0, 2))
    opened.close()
    before = rows_in(tmp_path)
    damage(tmp_path, number)
    damaged = rows_in(tmp_path)
    with pytest.raises(StoreError, match=rf"line {number} .*hpmpi repair DIR"):
        read(tmp_path)
    assert repair(tmp_path) == Repaired(len(before), 1, tmp_path / DAMAGED)
    assert rows_in(tmp_path) == before
    assert (tmp_path / DAMAGED).read_bytes() == text_of(damaged)


def test_a_journal_that_is_missing_or_short_is_made_whole(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    before = rows_in(tmp_path)
    put(tmp_path, before[:-2])
    assert repair(tmp_path) == Repaired(len(before), 2, tmp_path / DAMAGED)
    assert rows_in(tmp_path) == before
    (tmp_path / run_folder.JOURNAL).unlink()
    assert repair(tmp_path) == Repaired(len(before), len(before))
    assert rows_in(tmp_path) == before
    assert kept(tmp_path) == [DAMAGED], "there was nothing to keep the second time"


@pytest.mark.parametrize("at", range(1, len(LINES)))
def test_lines_that_damage_has_made_fewer_or_more_are_those_of_the_results_file(
    tmp_path: Path, at: int
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(lost(10.0, 2))
    opened.close()
    whole = rows_in(tmp_path)
    merged = [*whole[: at - 1], whole[at - 1] + b" " + whole[at], *whole[at + 1 :]]
    half = len(whole[at]) // 2
    parted = [*whole[:at], whole[at][:half], whole[at][half:], *whole[at + 1 :]]
    for rows in (merged, parted):
        put(tmp_path, rows)
        repair(tmp_path)
        assert rows_in(tmp_path) == whole


@pytest.mark.parametrize("disorder", DISORDERS)
def test_lines_get_the_order_that_the_results_file_and_their_checksums_say(
    tmp_path: Path, disorder: Callable[[list[bytes]], Iterator[list[bytes]]]
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    after = len(rows_in(tmp_path))
    opened.append(joined(10.0, 2), joined(11.0, 2))
    opened.close()
    whole, other = rows_in(tmp_path), rows_of(journals.run("beef"))
    for rows in disorder(whole):
        put(tmp_path, rows)
        has_all_that_came_later = set(whole[after:]) <= set(rows) and rows[-1] in whole
        if has_all_that_came_later and (rows[0] != other[0] or whole[0] in rows):
            repair(tmp_path)
            assert rows_in(tmp_path) == whole
        else:
            with pytest.raises(StoreError, match=r"would be damaged still|is of another run"):
                repair(tmp_path)
            assert rows_in(tmp_path) == rows


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
    assert repair(tmp_path) == Repaired(len(LINES), 0)
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
    assert repr(read(tmp_path).lines) == repr(LINES)


def test_a_line_damaged_after_the_results_file_was_written_is_said(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(lost(10.0, 2))
    opened.append(lost(11.0, 2))
    opened.close()
    damage(tmp_path, 7)
    before = rows_in(tmp_path)
    for use in (read, repair):
        with pytest.raises(
            StoreError, match=r"(?i)line 7 .* damaged.*nothing was changed.*head -n 6"
        ):
            use(tmp_path)
    assert rows_in(tmp_path) == before
    assert kept(tmp_path) == []


@pytest.mark.parametrize("since", range(2, len(LINES) + 1))
def test_what_is_damaged_at_the_end_is_mended_unless_the_results_file_does_not_have_it(
    tmp_path: Path, since: int
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(joined(10.0, 2))
    opened.close()
    whole = rows_in(tmp_path)
    for number in range(since, len(whole) + 1):
        damage(tmp_path, number)
    damaged = rows_in(tmp_path)
    with pytest.raises(StoreError, match=r"line 7 .*would be damaged still.*head -n 6"):
        repair(tmp_path)
    assert rows_in(tmp_path) == damaged
    put(tmp_path, damaged[:-1])
    repair(tmp_path)
    assert rows_in(tmp_path) == whole[:-1]


def test_a_copy_in_which_lines_are_missing_is_not_taken(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    rows = rows_in(tmp_path)
    checkpoint(opened, rows=[*rows[:2], *rows[3:]])
    opened.close()
    damage(tmp_path, 2)
    before = rows_in(tmp_path)
    with pytest.raises(StoreError, match=r"run\.h5 has a copy that is damaged"):
        repair(tmp_path)
    assert rows_in(tmp_path) == before


def test_a_journal_that_says_what_can_not_be_is_not_mended(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.append(finished(10.0, SECOND._replace(trial=7), {"loss": 1.0}))
    opened.close()
    damage(tmp_path, 3)
    before = rows_in(tmp_path)
    with pytest.raises(StoreError, match=r"can't be mended: .*line 7.*nothing was changed"):
        repair(tmp_path)
    assert rows_in(tmp_path) == before


def test_a_damaged_line_is_not_taken_from_another_run(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    journals.write(tmp_path, journals.run("beef"))
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
    for number in range(1, len(LINES) + 1):
        damage(tmp_path, number)
    before = rows_in(tmp_path)
    with pytest.raises(StoreError, match="is of another run"):
        repair(tmp_path)
    assert rows_in(tmp_path) == before


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
    change(file, b"format 3, by hpmpi 0.2.0,", b"format 99, by hpmpi 8.1, ")
    with pytest.raises(StoreError, match=r"format 99, written by hpmpi 8\.1.* reads format 3"):
        repair(tmp_path)


def test_a_whole_journal_beside_the_results_of_another_run_is_not_taken_for_repaired(
    tmp_path: Path,
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    other = rows_of(journals.run("beef"))
    put(tmp_path, other)
    with pytest.raises(StoreError, match="is of another run"):
        repair(tmp_path)
    assert rows_in(tmp_path) == other


def test_a_disk_without_room_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    damage(tmp_path, 2)
    before, names = rows_in(tmp_path), sorted(path.name for path in tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(StoreError, match="can't be written: No space left"):
        repair(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "lock")
    assert (rows_in(tmp_path), left) == (before, [name for name in names if name != "lock"])
