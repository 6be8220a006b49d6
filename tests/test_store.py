"""Laws of the run folder: nothing that was appended is lost, and anybody can read it."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pandas as pd
import pytest

from hpmpi import store, tables
from hpmpi.errors import StoreError
from hpmpi.jobs import JobsState
from hpmpi.leaderboard import Leaderboard
from hpmpi.messages import (
    Assigned,
    Curve,
    Decision,
    Failure,
    FailureKind,
    Joined,
    Lost,
    Point,
    Result,
    Started,
)
from hpmpi.store import Store, read
from hpmpi.trial import Config, Goal

STATE = JobsState(
    scheduler={"n": 1},
    trials=1,
    open_jobs=[],
    waiting=[],
    saved={},
    incumbent=None,
    least_loss=None,
)

DECISIONS: list[Decision] = [
    Started(0.0, "0.1", "", "cafe", 2),
    Joined(0.1, 1, "node1", 17),
    Assigned(0.5, 0, 0, 1, 3, 1, {"rate": 0.1, "kind": "a", "deep": True}),
    Curve(1.0, 0, 0, 1, [Point(1, {"loss": math.nan}), Point(2, {"loss": 0.5})]),
    Result(2.5, 0, 0, 1, 3, 1, {"loss": math.inf, "size": 3.0}, saved=3),
    Lost(9.0, 1),
]


def filled(folder: Path) -> Store:
    opened = Store(folder)
    for decision in DECISIONS:
        opened.append(decision)
    return opened


def told() -> dict[str, tables.Columns]:
    board = Leaderboard(Goal("loss", "min"), 0)
    for decision in DECISIONS:
        board.add(decision)
    return tables.tell(DECISIONS, board)


def test_what_is_appended_reads_back(tmp_path: Path) -> None:
    filled(tmp_path)
    assert repr(read(tmp_path).decisions) == repr(DECISIONS)  # NaN is not equal to itself


def test_a_folder_without_a_run_has_no_decisions(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing").decisions == []


def test_every_line_of_the_journal_is_json(tmp_path: Path) -> None:
    filled(tmp_path)
    for line in (tmp_path / store.JOURNAL).read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_torn_last_line_is_dropped_and_cut_off(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / store.JOURNAL
    whole = journal.read_bytes()
    for cut in range(1, len(store.line(DECISIONS[-1]))):
        journal.write_bytes(whole[:-cut])
        saved = read(tmp_path)
        assert len(saved.decisions) == len(DECISIONS) - 1
        Store(tmp_path, saved.decisions).append(DECISIONS[-1])
        assert journal.read_bytes() == whole


def test_a_kill_at_any_instant_loses_no_line(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from hpmpi.store import Store;"
        "from hpmpi.messages import Lost; opened = Store(Path(sys.argv[1]));"
        "[(opened.append(Lost(float(n), n)), print(n, flush=True)) for n in range(10**6)]"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    appended = int([line for line in said if line.endswith("\n")][-1])
    assert len(read(tmp_path).decisions) >= appended + 1


def test_a_damaged_line_is_said_with_its_number(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / store.JOURNAL
    lines = journal.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"{", b"[", 1)
    journal.write_bytes(b"\n".join(lines))
    with pytest.raises(StoreError, match="line 3 of the journal"):
        read(tmp_path)


def test_the_state_comes_with_the_number_of_decisions_in_it(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    opened.checkpoint(STATE)
    opened.append(Lost(10.0, 2))
    saved = read(tmp_path)
    assert (saved.state, saved.counted, len(saved.decisions)) == (STATE, 6, 7)


def test_the_results_file_alone_is_enough(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE)
    (tmp_path / store.JOURNAL).unlink()
    assert repr(read(tmp_path).decisions) == repr(DECISIONS)


def test_the_journal_alone_is_enough(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE)
    (tmp_path / store.RESULTS).unlink()
    saved = read(tmp_path)
    assert (len(saved.decisions), saved.state, saved.counted) == (6, None, 0)


def test_a_damaged_results_file_gives_way_to_the_one_before(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    opened.checkpoint(STATE)
    opened.append(Lost(10.0, 2))
    opened.checkpoint(STATE)
    (tmp_path / store.RESULTS).write_bytes(b"no HDF5 at all")
    saved = read(tmp_path)
    assert (saved.state, saved.counted, len(saved.decisions)) == (STATE, 6, 7)


def test_a_results_file_of_another_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE)
    with h5py.File(tmp_path / store.RESULTS, "r+") as file:
        file.attrs["format"] = 99
    with pytest.raises(StoreError, match="format 99"):
        read(tmp_path)


def test_a_checkpoint_leaves_nothing_beside(tmp_path: Path) -> None:
    opened = filled(tmp_path)
    opened.checkpoint(STATE)
    opened.checkpoint(STATE)
    opened.status("cafe", "running")
    expected = {store.JOURNAL, store.RESULTS, store.PREVIOUS, store.STATUS}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_the_status_names_the_start_and_its_state(tmp_path: Path) -> None:
    assert Store(tmp_path).status("cafe", "running").read_text() == "cafe running\n"


def test_pandas_reads_every_table(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE, told())
    with h5py.File(tmp_path / store.RESULTS) as file:
        frames = {name: pd.DataFrame(file[name][:]) for name in told()}
    assert frames["results"].iloc[0]["started"] == 0.5
    assert frames["results"].iloc[0]["finished"] == 2.5
    assert math.isinf(frames["results"].iloc[0]["metric.loss"])
    assert list(frames["trials"].columns) == ["id", "status", "bracket", "rate", "kind", "deep"]
    assert frames["trials"].iloc[0]["kind"] == b"a"
    assert list(frames["curves"]["resource"]) == [1, 2]
    assert frames["ranks"].iloc[0]["busy_s"] == 2.0
    assert frames["ranks"].iloc[0]["times_lost"] == 1
    assert len(frames["failures"]) == 0


def test_h5dump_reads_the_file(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE, told(), {"state": "running"})
    try:
        dumped = subprocess.run(
            ["h5dump", str(tmp_path / store.RESULTS)], capture_output=True, text=True, check=True
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
    opened.checkpoint(STATE)
    opened.checkpoint(STATE)
    (tmp_path / store.RESULTS).unlink()
    assert read(tmp_path).state == STATE


def test_any_name_and_any_text_can_be_written(tmp_path: Path) -> None:
    opened = Store(tmp_path)
    config: Config = {"": 1, "trial": 2, "config.trial": 3, "a/b": "\0", "ü": True}
    decisions: list[Decision] = [
        Assigned(0.5, 0, 0, 1, 3, 1, config),
        Failure(1.0, 0, 0, 1, 1, FailureKind.CRASH, "died: \0\x01"),
        Assigned(1.5, 0, 0, 2, 3, 1),
        Result(2.5, 0, 0, 2, 3, 1, {"": 1.0, "loss": 2.0, "rank": 3.0}),
    ]
    board = Leaderboard(Goal("loss", "min"), 0)
    for decision in decisions:
        opened.append(decision)
        board.add(decision)
    opened.checkpoint(STATE, tables.tell(decisions, board))
    assert read(tmp_path).decisions == decisions
    with h5py.File(tmp_path / store.RESULTS) as file:
        assert file["failures"][0]["error"] == b"died: \\0\x01"
        names = file["leaderboard"].dtype.names
        assert {"config.", "config.trial", "config.config.trial", "a/b", "ü"} <= set(names)


def test_the_state_of_another_journal_is_not_used(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE)
    for length in (len(DECISIONS), 3):
        other = [Started(0.0, "0.2", "", "beef", 2), *DECISIONS[1:length]]
        (tmp_path / store.JOURNAL).write_bytes(b"".join(map(store.line, other)))
        saved = read(tmp_path)
        assert (repr(saved.decisions), saved.state, saved.counted) == (repr(other), None, 0)


def test_a_study_that_begins_takes_no_older_results_along(tmp_path: Path) -> None:
    filled(tmp_path).checkpoint(STATE)
    Store(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {store.JOURNAL}
