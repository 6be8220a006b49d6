"""Laws of the run folder: nothing that was appended is lost, and anybody can read it."""

import errno
import gc
import json
import math
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pandas as pd
import pytest

from hpmpi.errors import DiskError, StoreError
from hpmpi.history import tables
from hpmpi.model.events import Heard
from hpmpi.model.messages import Failed, FailureKind, Ready
from hpmpi.model.records import Assigned, Entry, Failure, Line
from hpmpi.model.trial import AttemptId, Config
from hpmpi.storage import files, lock, results_file, run_folder
from hpmpi.storage.journal import JournalReader, rows_of, text_of
from hpmpi.storage.run_folder import Store, read
from tests.harness import journals
from tests.harness.journals import (
    DISORDERS,
    FIRST,
    assigned,
    damage,
    filled,
    finished,
    lost,
    put,
    resealed,
    rows_in,
    started,
)
from tests.harness.shelf import checkpoint

ROOT = Path(__file__).parents[2]
LINES = journals.run()


def change(path: Path, before: bytes, after: bytes) -> None:
    text = path.read_bytes()
    assert before in text
    path.write_bytes(text.replace(before, after, 1))


def told() -> dict[str, tables.Columns]:
    return journals.told(LINES)


def test_what_is_appended_reads_back(tmp_path: Path) -> None:
    filled(tmp_path)
    assert repr(read(tmp_path).lines) == repr(LINES)  # NaN is not equal to itself


def test_what_is_read_has_the_lines_that_were_written_and_the_last_checksum(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    saved = read(tmp_path)
    assert rows_of(saved.lines) == rows_of(LINES) == rows_in(tmp_path)
    assert (saved.length, saved.crc) == (opened.length, opened.crc)
    assert rows_of([lost(10.0, 2)], opened.crc) == rows_of([*LINES, lost(10.0, 2)])[-1:]


def test_a_journal_is_begun_by_its_first_line(tmp_path: Path) -> None:
    opened = Store(tmp_path)
    assert (opened.begun, opened.crc, opened.length) == (False, 0, 0)
    opened.append()
    assert not opened.begun
    opened.append(LINES[0])
    assert opened.begun
    assert Store(tmp_path, read(tmp_path)).begun


def test_lines_appended_at_once_are_as_those_one_by_one(tmp_path: Path) -> None:
    Store(tmp_path / "at once").append(*LINES)
    filled(tmp_path / "one by one")
    assert rows_in(tmp_path / "at once") == rows_in(tmp_path / "one by one")


def test_a_folder_without_a_run_has_no_lines(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing") == run_folder.NOTHING


@pytest.mark.parametrize("name", ["n" * 300, "n\0"])
def test_a_name_that_no_folder_has_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        read(tmp_path / name)


def test_every_line_of_the_journal_is_json(tmp_path: Path) -> None:
    filled(tmp_path)
    for line in (tmp_path / run_folder.JOURNAL).read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_torn_last_line_is_dropped_and_cut_off(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / run_folder.JOURNAL
    whole = journal.read_bytes()
    for cut in range(1, len(rows_in(tmp_path)[-1]) + 1):
        journal.write_bytes(whole[:-cut])
        saved = read(tmp_path)
        assert len(saved.lines) == len(LINES) - 1
        Store(tmp_path, saved).append(LINES[-1])
        assert journal.read_bytes() == whole


def test_a_kill_at_any_instant_loses_no_line(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from hpmpi.storage.run_folder import Store;"
        "from tests.harness.journals import lost; opened = Store(Path(sys.argv[1]));"
        "[(opened.append(lost(float(n), n)), print(n, flush=True)) for n in range(10**6)]"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    appended = int([line for line in said if line.endswith("\n")][-1])
    assert len(read(tmp_path).lines) >= appended + 1


def test_what_is_read_says_how_long_the_journal_is(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / run_folder.JOURNAL
    size = journal.stat().st_size
    journal.write_bytes(journal.read_bytes() + b'{"type":')
    assert read(tmp_path).length == size


def test_a_whole_journal_is_gone_on_with_as_it_stands(tmp_path: Path) -> None:
    filled(tmp_path).close()
    rows = [row.replace(b'"loss":0.5', b'"loss":5e-1') for row in rows_in(tmp_path)]
    put(tmp_path, resealed(rows))
    before = rows_in(tmp_path)
    Store(tmp_path, read(tmp_path)).append(lost(10.0, 1))
    assert rows_in(tmp_path)[:-1] == before != rows_of(LINES)
    assert len(read(tmp_path).lines) == len(LINES) + 1


@pytest.mark.parametrize("line", LINES)
def test_no_line_is_any_business_of_the_garbage_collector(line: Line) -> None:
    assert not gc.is_tracked(line)


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path)
    read(tmp_path)
    assert gc.isenabled()
    gc.disable()
    try:
        read(tmp_path)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_damaged_line_is_said_with_its_number(tmp_path: Path) -> None:
    filled(tmp_path)
    rows = rows_in(tmp_path)
    put(tmp_path, [*rows[:2], rows[2].replace(b"{", b"[", 1), *rows[3:]])
    with pytest.raises(StoreError, match=r"line 3 of .*journal\.jsonl is damaged"):
        read(tmp_path)


@pytest.mark.parametrize("disorder", DISORDERS)
def test_lines_are_read_in_the_order_in_which_they_were_written(
    tmp_path: Path, disorder: Callable[[list[bytes]], Iterator[list[bytes]]]
) -> None:
    whole, other = rows_of(LINES), rows_of(journals.run("beef"))
    for rows in disorder(whole):
        put(tmp_path, rows)
        begun = other if rows[0] == other[0] else whole
        number = next(at for at in range(len(rows)) if rows[at] not in begun[at : at + 1]) + 1
        with pytest.raises(StoreError, match=rf"line {number} of .* damaged: .* missing or moved"):
            read(tmp_path)


def test_a_journal_is_read_on_from_where_it_was_read(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path / run_folder.JOURNAL)
    assert reader.read() == ([], [])
    opened = Store(tmp_path)
    for number, line in enumerate(LINES, start=1):
        opened.append(line)
        rows, lines = reader.read()
        assert (rows, repr(lines)) == (rows_in(tmp_path)[-1:], repr([line]))
        assert (reader.count, reader.length, reader.crc) == (number, opened.length, opened.crc)
    assert reader.read() == ([], [])


def test_a_journal_is_read_as_far_as_is_asked(tmp_path: Path) -> None:
    filled(tmp_path)
    rows = rows_in(tmp_path)
    reader = JournalReader(tmp_path / run_folder.JOURNAL)
    for number in range(len(rows) + 1):
        reader.read(len(text_of(rows[:number])))
        assert reader.count == number
    with pytest.raises(StoreError, match="is too short"):
        reader.read(reader.length + 1)


def test_a_torn_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / run_folder.JOURNAL
    whole = journal.read_bytes()
    reader = JournalReader(journal)
    for length in range(len(whole) + 1):
        journal.write_bytes(whole[:length])
        reader.read()
        assert reader.count == whole[:length].count(b"\n")
    assert reader.length == len(whole)


def test_a_line_that_is_damaged_is_named_however_much_was_read_before(tmp_path: Path) -> None:
    filled(tmp_path)
    rows = rows_in(tmp_path)
    damage(tmp_path, 5)
    reader = JournalReader(tmp_path / run_folder.JOURNAL)
    reader.read(len(text_of(rows[:3])))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"line 5 of .*head -n 4"):
            reader.read()
        assert (reader.count, reader.length) == (3, len(text_of(rows[:3])))


def test_another_journal_is_not_read_on(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path / run_folder.JOURNAL)
    journals.write(tmp_path, LINES[:3])
    reader.read()
    journals.write(tmp_path, journals.run("beef"))
    with pytest.raises(StoreError, match=r"line 4 of .* missing or moved"):
        reader.read()
    journals.write(tmp_path, LINES[:2])
    with pytest.raises(StoreError, match="is too short"):
        reader.read()


def test_a_start_needs_no_results_file(tmp_path: Path) -> None:
    checkpoint(filled(tmp_path))
    before = read(tmp_path)
    (tmp_path / run_folder.RESULTS).write_bytes(b"no HDF5 at all")
    assert repr(read(tmp_path)) == repr(before)
    (tmp_path / run_folder.RESULTS).unlink()
    assert repr(read(tmp_path)) == repr(before)


def test_where_only_the_journal_is_missing_it_is_said_what_to_do(tmp_path: Path) -> None:
    checkpoint(filled(tmp_path))
    (tmp_path / run_folder.JOURNAL).unlink()
    with pytest.raises(StoreError, match=r"no journal in .*hpmpi repair DIR"):
        read(tmp_path)


def test_a_checkpoint_leaves_nothing_beside(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    checkpoint(opened)
    opened.status("cafe", "running")
    expected = {run_folder.JOURNAL, run_folder.RESULTS, run_folder.PREVIOUS, run_folder.STATUS}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_the_status_names_the_start_and_its_state(tmp_path: Path) -> None:
    assert Store(tmp_path).status("cafe", "running").read_text() == "cafe running\n"


def test_pandas_reads_every_table(tmp_path: Path) -> None:
    checkpoint(filled(tmp_path), told())
    with h5py.File(tmp_path / run_folder.RESULTS) as file:
        frames = {name: pd.DataFrame(file[name][:]) for name in told()}
    assert frames["results"].iloc[0]["started"] == 0.5
    assert frames["results"].iloc[0]["finished"] == 2.5
    assert math.isinf(frames["results"].iloc[0]["metric.loss"])
    assert list(frames["trials"].columns) == ["id", "status", "bracket", "rate", "kind", "deep"]
    assert frames["trials"].iloc[0]["kind"] == b"a"
    assert list(frames["curves"]["resource"]) == [1, 2]
    assert frames["ranks"].iloc[0]["busy_s"] == 2.0
    assert list(frames["ranks"]["times_lost"]) == [0, 1]
    assert list(frames["failures"]["kind"]) == [b"lost rank"]


def test_h5dump_reads_the_file(tmp_path: Path) -> None:
    checkpoint(filled(tmp_path), told(), {"state": "running"})
    try:
        dumped = subprocess.run(
            ["h5dump", str(tmp_path / run_folder.RESULTS)],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("h5dump is not here: install hdf5-tools to have it read our file")
    assert "node1" in dumped.stdout
    assert dumped.stderr == ""


def test_a_checkpoint_needs_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    opened = filled(tmp_path)
    checkpoint(opened)
    checkpoint(opened)
    (tmp_path / run_folder.RESULTS).unlink()
    assert results_file.read_lines(tmp_path / run_folder.PREVIOUS)


def test_any_name_and_any_text_can_be_written(tmp_path: Path) -> None:
    config: Config = {"": 1, "trial": 2, "config.trial": 3, "a/b": "\0", "ü": True}
    failed = Failed(FIRST, FailureKind.CRASH, "died: \0\x01")
    again = AttemptId(0, 0, 2)
    lines: list[Line] = [
        started(),
        assigned(0.5, FIRST, 1, config),
        Entry(1.0, Heard(1, failed), (Failure(FIRST, FailureKind.CRASH),)),
        Entry(1.5, Heard(1, Ready("node1", 17)), (Assigned(again, 3, 1),)),
        finished(2.5, again, {"": 1.0, "loss": 2.0, "rank": 3.0}),
    ]
    checkpoint(filled(tmp_path, lines), journals.told(lines))
    assert read(tmp_path).lines == lines
    with h5py.File(tmp_path / run_folder.RESULTS) as file:
        assert file["failures"][0]["error"] == b"died: \\0\x01"
        names = file["leaderboard"].dtype.names
        assert {"config.", "config.trial", "config.config.trial", "a/b", "ü"} <= set(names)


def test_a_study_that_begins_takes_no_older_results_along(tmp_path: Path) -> None:
    checkpoint(filled(tmp_path))
    Store(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {run_folder.JOURNAL}


def test_the_last_key_of_a_line_is_a_checksum_of_what_is_before_in_all_lines(
    tmp_path: Path,
) -> None:
    filled(tmp_path)
    before = b""
    for row in rows_in(tmp_path):
        text, _, rest = row.rpartition(b',"crc":')
        before += text
        assert rest == b'"%08x"}' % zlib.crc32(before)
        assert list(json.loads(row))[-1] == "crc"


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"type":"entry","at":' + b"9" * 10_000, b"\xff", b"", b"null"],
)
def test_what_nobody_can_read_is_damage(tmp_path: Path, text: bytes) -> None:
    put(tmp_path, resealed([*rows_of(LINES[:1]), text]))
    with pytest.raises(StoreError, match="line 2"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"type":"started","at":0.0,"version":"0.0.9","start":"x"}', "format 1, written by hpm"),
        (
            b'{"type":"started","at":0.0,"version":"0.1.0","ranks":2,"format":2,"crc":"12345678"}',
            "format 2, written by hpmpi 0.1.0",
        ),
        (b'{"type":"started","version":"9.0","format":7,"new":[],"sum":4}', "format 7, written by"),
    ],
)
def test_a_journal_of_another_format_is_said_to_be(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / run_folder.JOURNAL).write_bytes(text + b"\n" + b'{"type":"unheard of"}\n')
    with pytest.raises(StoreError, match=f"{said}.* reads format 3: go on with the"):
        read(tmp_path)


@pytest.mark.parametrize("there", [None, 3, [3, 4], "decisions"])
def test_data_that_are_no_results_are_refused_though_their_digest_is_right(
    tmp_path: Path, there: object
) -> None:
    path = tmp_path / run_folder.RESULTS
    with h5py.File(path, "w", userblock_size=results_file.HEAD_BYTES) as file:
        if there == "decisions":
            file.create_group("decisions/of_somebody_else")
        elif there is not None:
            file["decisions"] = there
    results_file.seal(path)
    with pytest.raises(StoreError, match=r"run\.h5 has no results in it"):
        results_file.read_lines(path)


def test_a_results_file_of_the_first_format_is_said_to_be(tmp_path: Path) -> None:
    with h5py.File(tmp_path / run_folder.RESULTS, "w") as file:
        file.attrs["format"] = 1
    with pytest.raises(StoreError, match=r"format 1, written by an early hpmpi.* reads format 3"):
        results_file.read_lines(tmp_path / run_folder.RESULTS)


NAMES = [*run_folder.FILES[:5], *run_folder.FOLDERS, "logs/rank-1.log", "baseline/output.log"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "other"])
def test_what_may_lead_elsewhere_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            (tmp_path / "precious").mkdir()
            path.symlink_to(tmp_path / "precious")
        case "broken link":
            path.symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(path)
        case _ if name in run_folder.FOLDERS:
            path.write_text("")
        case _:
            path.mkdir()
    is_what = "a symbolic link" if "link" in kind else "no f"
    with pytest.raises(StoreError, match=rf"{name} is {is_what}.*move it away"):
        read(tmp_path / "run")
    assert not (tmp_path / "nowhere").exists()


def test_a_run_folder_may_be_reached_through_a_link(tmp_path: Path) -> None:
    filled(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert len(read(tmp_path / "link").lines) == len(LINES)


def test_links_with_the_names_of_partial_files_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = filled(tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in (run_folder.RESULTS, run_folder.PREVIOUS, run_folder.STATUS, run_folder.JOURNAL):
        (tmp_path / f".{name}.{os.getpid()}").symlink_to(precious)
    checkpoint(opened)
    checkpoint(opened)
    opened.status("cafe", "running")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        broken.setattr(run_folder, "SYNC_EVERY_S", 0.0)
        with pytest.raises(DiskError, match="a broken disk"):
            opened.sync()
    opened.append(lost(10.0, 2))  # it writes the journal anew
    assert precious.read_text() == "mine"


FULL_DISK = """
import resource, sys
from pathlib import Path
from hpmpi.errors import DiskError
from hpmpi.storage.run_folder import JOURNAL, Store, read
from tests.harness.journals import lost
folder = Path(sys.argv[1])
opened = Store(folder)
opened.append(lost(0.0, 1))
size = (folder / JOURNAL).stat().st_size
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
for tried in range(3):
    try:
        opened.append(lost(1.0, 1))
    except DiskError as error:
        print(error)
    assert (folder / JOURNAL).stat().st_size == size
    assert read(folder) == ([lost(0.0, 1)], opened.length, opened.crc)
    assert opened.length == size
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
opened.append(lost(1.0, 1))
opened.close()
"""


def test_a_full_disk_leaves_no_half_line_and_may_be_tried_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / run_folder.JOURNAL} can't be written: File too large\n" * 3
    assert read(tmp_path).lines == [lost(0.0, 1), lost(1.0, 1)]


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "a broken disk")


def test_a_line_that_can_not_even_be_cut_off_is_gone_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = filled(tmp_path)
    before = (opened.length, opened.crc)
    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", fail)
        broken.setattr(files, "write", lambda to, text: fail(os.write(to, text[:-9])))
        with pytest.raises(DiskError, match="a broken disk"):
            opened.append(lost(10.0, 2), lost(10.5, 2))
    assert (opened.length, opened.crc) == before
    opened.append(lost(11.0, 2))
    assert rows_in(tmp_path) == rows_of([*LINES, lost(11.0, 2)])


def test_what_could_not_be_synced_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "SYNC_EVERY_S", 0.0)
    opened = filled(tmp_path)
    before = (tmp_path / run_folder.JOURNAL).stat().st_ino
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(DiskError, match="a broken disk"):
            opened.sync()
    opened.sync()
    opened.append(lost(10.0, 2))
    assert (tmp_path / run_folder.JOURNAL).stat().st_ino != before
    assert rows_in(tmp_path) == rows_of([*LINES, lost(10.0, 2)])


@pytest.mark.parametrize("confirmed", [0, 3, len(LINES)])
def test_what_the_disk_forgets_that_it_had_not_confirmed_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confirmed: int
) -> None:
    monkeypatch.setattr(run_folder, "SYNC_EVERY_S", 0.0)
    opened = Store(tmp_path)
    for number, line in enumerate(LINES):
        if number == confirmed:
            opened.sync()
        opened.append(line)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(DiskError, match="a broken disk"):
            opened.sync()
    forgotten = len(rows_in(tmp_path)) - confirmed
    put(tmp_path, [*rows_in(tmp_path)[:confirmed], *[b"\0" * 40] * forgotten])
    opened.append(lost(10.0, 2))
    assert rows_in(tmp_path) == rows_of([*LINES, lost(10.0, 2)])


def test_a_disk_that_has_lost_what_it_confirmed_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "SYNC_EVERY_S", 0.0)
    opened = filled(tmp_path)
    opened.sync()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(DiskError, match="a broken disk"):
            opened.sync()
    put(tmp_path, rows_in(tmp_path)[:-1])
    with pytest.raises(DiskError, match="lost what it had confirmed"):
        opened.append(lost(10.0, 2))
    assert rows_in(tmp_path) == rows_of(LINES[:-1])


def test_a_status_that_the_disk_does_not_take_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = filled(tmp_path)
    opened.status("cafe", "running")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match="status can't be written"):
        opened.status("cafe", "complete")
    assert (tmp_path / run_folder.STATUS).read_text() == "cafe running\n"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_lock_is_kept_by_what_is_written_and_left_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Store(tmp_path, lock=lock.take(tmp_path))
    monkeypatch.setattr(run_folder, "SYNC_EVERY_S", 0.0)
    leases = [(tmp_path / lock.NAME).read_bytes()]
    now = time.monotonic()
    for late, act in enumerate([lambda: opened.append(lost(0.0, 1)), opened.sync], start=1):
        monkeypatch.setattr(time, "monotonic", lambda late=late: now + late * lock.BEAT_S)
        act()
        leases.append((tmp_path / lock.NAME).read_bytes())
    opened.close()
    assert len(set(leases)) == 3
    assert b'"released":true' in (tmp_path / lock.NAME).read_bytes()


def test_who_was_taken_for_dead_writes_nothing(tmp_path: Path) -> None:
    opened = Store(tmp_path, lock=lock.take(tmp_path))
    (tmp_path / lock.NAME).unlink()
    other = lock.take(tmp_path)
    with pytest.raises(StoreError, match="was removed"):
        opened.append(lost(0.0, 1))
    assert read(tmp_path).lines == []
    other.release()


def test_a_journal_that_somebody_replaces_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "SYNC_EVERY_S", 0.0)
    opened = filled(tmp_path)
    for replace in (True, False):
        other = tmp_path / "other"
        other.write_bytes(b"edited by hand")
        if replace:
            other.rename(tmp_path / run_folder.JOURNAL)
        else:
            (tmp_path / run_folder.JOURNAL).unlink()
        opened.append(lost(10.0, 2))
        opened.sync()
    assert rows_in(tmp_path) == rows_of([*LINES, lost(10.0, 2), lost(10.0, 2)])


@pytest.mark.parametrize(
    "lines", [LINES[:2], journals.run("beef"), [*journals.run("beef"), lost(9.0, 1)]]
)
def test_a_journal_that_lacks_what_the_results_were_made_of_is_refused(
    tmp_path: Path, lines: list[Line]
) -> None:
    opened = filled(tmp_path)
    checkpoint(opened)
    opened.close()
    put(tmp_path, rows_of(lines))
    with pytest.raises(StoreError, match=r"was made of 6: `hpmpi repair|is of another run than"):
        read(tmp_path)
