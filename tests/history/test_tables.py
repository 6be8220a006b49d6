"""Laws of the tables: each value that people bring is kept, as far as a format has words."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import h5py
import pytest

from hpmpi.history import tables
from hpmpi.history.leaderboard import Leaderboard
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Back,
    Decision,
    Ended,
    Failure,
    Joined,
    Late,
    Lost,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import Config, Goal, Metrics
from hpmpi.storage import results_file
from hpmpi.study import toml
from hpmpi.study.settings import parse
from hpmpi.views import export
from hpmpi.views.run_view import Summary, sum_up

STUDY = """
name = "tables"
objective = "train.py:train"
metric = "loss"
[space]
x = { type = "float", low = 0.0, high = 1.0 }
"""

MIXED: list[Any] = [
    {"rate": 1, "layers": [64, 32], "deep": True, "size": 3},
    {"rate": "auto", "layers": [64], "deep": False},
    {"rate": None, "layers": {"name": "sgd", "momentum": [0.9, None]}, "size": 2**53},
    {"rate": 0.5, "layers": "none", "deep": True, "size": 0},
]
"""Configurations whose columns have values of several types, or not always one."""


def run_of(configs: list[Config], metrics: Metrics | None = None) -> list[Decision]:
    """Write the journal of a study whose trials all succeed, the first one best."""
    decisions: list[Decision] = [
        Started(0.0, "0.1", STUDY, "cafe", 1, (1,)),
        Joined(0.0, 1, "n", 7),
    ]
    for trial, config in enumerate(configs):
        told = {"loss": float(trial), **(metrics or {})}
        decisions += [
            Assigned(trial + 0.5, trial, 0, 1, 1, 1, config),
            Result(trial + 1.0, trial, 0, 1, 1, 1, told),
        ]
    return [*decisions, Ended(len(configs) + 1.0, Outcome.COMPLETE, "complete")]


def summary_of(decisions: list[Decision]) -> Summary:
    return sum_up(parse(STUDY), decisions)


def rows_of(summary: Summary) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export.as_csv(summary))))


def written(folder: Path, decisions: list[Decision]) -> h5py.File:
    """Write the tables of a journal into a file, and open it."""
    board = Leaderboard(Goal("loss", "min"), 0)
    for decision in decisions:
        board.add(decision)
    told = tables.tell(decisions, board)
    results_file.write(folder / "run.h5", [], told, {})
    return h5py.File(folder / "run.h5")


def test_csv_has_each_value_as_it_was_given() -> None:
    rows = rows_of(summary_of(run_of(MIXED)))
    assert [row["rate"] for row in rows] == ["1", "auto", "", "0.5"]
    assert [row["size"] for row in rows] == ["3", "", "9007199254740992", "0"]
    assert [row["deep"] for row in rows] == ["True", "False", "", "True"]
    read = [json.loads(row["layers"]) for row in rows[:3]]
    assert read == [config["layers"] for config in MIXED[:3]]
    assert rows[3]["layers"] == "none"


def test_json_has_each_value_as_itself() -> None:
    rows = json.loads(export.as_json(summary_of(run_of(MIXED))))
    assert [row["config"] for row in rows] == MIXED


def test_toml_has_lists_and_tables_as_themselves() -> None:
    best: Any = {"layers": [64, [1, "a"]], "optimizer": {"name": "sgd", "more": {"deep": [True]}}}
    text = export.as_toml(summary_of(run_of([best])))
    assert toml.load(text, "the best") == best


def test_a_column_of_run_h5_has_the_one_type_that_holds_all(tmp_path: Path) -> None:
    with written(tmp_path, run_of(MIXED)) as file:
        trials = file["trials"][:]
    assert list(trials["rate"]) == [b"1", b"auto", b"", b"0.5"]
    assert [json.loads(each) for each in trials["layers"][:3]] == [it["layers"] for it in MIXED[:3]]
    assert list(trials["deep"]) == [b"True", b"False", b"", b"True"]
    assert math.isnan(trials["size"][1])
    assert list(trials["size"][[0, 2, 3]]) == [3.0, 2.0**53, 0.0]


@pytest.mark.parametrize(
    ("cells", "kind", "held"),
    [
        ([True, False], bool, [True, False]),
        ([1, 2], int, [1, 2]),
        ([1, 2.5], float, [1, 2.5]),
        ([True, 1], str, ["True", "1"]),
        ([2**63, 1], float, [2.0**63, 1]),
        (["a\0b", None], str, ["a\\0b", ""]),
        ([[1], "a"], str, ["[1]", "a"]),
        ([], int, []),
    ],
)
def test_the_type_of_a_column_is_that_of_its_cells(
    cells: list[Any], kind: type, held: list[Any]
) -> None:
    assert results_file.in_one_type(cells, int) == (kind, held)


def test_what_is_nowhere_known_is_of_the_usual_type() -> None:
    kind, held = results_file.in_one_type([None, None], float)
    assert kind is float
    assert all(isinstance(each, float) and math.isnan(each) for each in held)


NAMES = ["a/b", "a|b", "a|b.2", "n\0", "n\\0", ".", "..", "", "x" * 200, "y\n\u2028", "loss/", "é"]
"""Names of metrics that HDF5 can't take as they are, or that become the same."""


@pytest.mark.parametrize("more", [0, 300])
def test_there_is_no_name_that_the_results_cannot_be_written_with(
    tmp_path: Path, more: int
) -> None:
    metrics = {name: float(number) for number, name in enumerate(NAMES)}
    metrics |= {f"m{number}": -1.0 for number in range(more)}
    config: Config = dict(metrics)
    with written(tmp_path, run_of([config], metrics)) as file:
        for name in ("trials", "results", "leaderboard"):
            table = file[name]
            columns = list(table) if more else table.dtype.names
            assert len(columns) == len(set(columns))
            values = [float(table[each][0]) for each in columns if each != "status"]
            for number in range(len(NAMES)):
                assert float(number) in values
            if more:
                told = {table[each].attrs["name"] for each in columns}
                assert {"a/b", "a|b", ".", "..", "n\\0"} <= told


def test_columns_with_long_names_are_a_group_though_they_are_few(tmp_path: Path) -> None:
    metrics = {f"{number:03}{'n' * 197}": 1.0 for number in range(250)}
    with written(tmp_path, run_of([{"x": 1}], metrics)) as file:
        assert isinstance(file["results"], h5py.Group)
        assert isinstance(file["trials"], h5py.Dataset)


def test_a_nul_hides_nothing_of_what_is_told_beside_it() -> None:
    decisions = run_of([{"x": 1, "word": "a\0b"}])
    failed = Failure(9.0, 0, 0, 1, 1, FailureKind.CRASH, "died\0 of \0it", final=True)
    decisions[3:4] = [failed]
    text = export.as_csv(summary_of(decisions))
    assert "\0" not in text
    assert "died\\0 of \\0it" in text
    assert "a\\0b" in text


def test_a_trial_that_failed_and_then_succeeded_has_no_error() -> None:
    decisions = run_of([{"x": 1}, {"x": 2}])
    failed = Failure(0.6, 0, 0, 1, 1, FailureKind.EXCEPTION, "ValueError: no")
    again = Assigned(0.7, 0, 0, 2, 1, 1)
    decisions[3:4] = [failed, again, Result(1.0, 0, 0, 2, 1, 1, {"loss": 0.0})]
    summary = summary_of(decisions)
    assert [row["error"] for row in rows_of(summary)] == ["", ""]
    assert [row["error"] for row in json.loads(export.as_json(summary))] == [None, None]


def test_the_jobs_of_a_rank_are_all_that_it_has_answered_and_its_busy_seconds_all_that_took() -> (
    None
):
    decisions: list[Decision] = [
        Started(0.0, "0.1", STUDY, "cafe", 2, (1,)),
        Joined(0.0, 1, "one", 7),
        Joined(0.0, 2, "two", 8),
        Assigned(1.0, 0, 0, 1, 1, 1, {"x": 1}),
        Result(3.0, 0, 0, 1, 1, 1, {"loss": 1.0}),  # 2 s
        Assigned(3.0, 1, 0, 1, 1, 1, {"x": 2}),
        Failure(7.0, 1, 0, 1, 1, FailureKind.EXCEPTION, "no"),  # 4 s
        Assigned(7.0, 1, 0, 2, 1, 2),
        Lost(17.0, 2),
        Failure(17.0, 1, 0, 2, 2, FailureKind.LOST, "silent"),  # 10 s, without an answer
        Assigned(17.0, 1, 0, 3, 1, 1),
        Suspension(25.0, 1, 0, 3, 1, 1),  # 8 s
        Back(30.0, 2),
        Late(37.0, 1, 0, 2, 2),  # 30 s since it was handed out
    ]
    told = tables.ranks(decisions)
    assert told["jobs"] == [3, 1]
    assert told["busy_s"] == [14.0, 30.0]
    assert told["times_lost"] == [0, 1]
