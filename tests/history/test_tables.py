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
from hpmpi.model.messages import FailureKind, Outcome, Point
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE, Config, Metrics
from hpmpi.storage import results_file
from hpmpi.study import toml
from hpmpi.views import export
from hpmpi.views.run_view import Summary, sum_up
from tests.harness.histories import (
    assigned,
    back,
    ended,
    exported,
    failure,
    history,
    late,
    lost,
    progress,
    ready,
    result,
    suspension,
)

MIXED: list[Any] = [
    {"rate": 1, "layers": [64, 32], "deep": True, "size": 3},
    {"rate": "auto", "layers": [64], "deep": False},
    {"layers": {"name": "sgd", "momentum": [0.9, "auto"]}, "size": 2**53},
    {"rate": 0.5, "layers": "none", "deep": True, "size": 0},
]
"""Configurations whose columns have values of several types, or not always one."""


def run_of(configs: list[Config], metrics: Metrics | None = None) -> list[Line]:
    """Write the lines of a study whose trials all succeed, the first one best."""
    lines: list[Line] = [ready(1)]
    for trial, config in enumerate(configs):
        told = {"loss": float(trial), **(metrics or {})}
        lines.append(assigned(trial, at=trial + 0.5, config=config))
        lines.append(result(trial, told, at=trial + 1.0))
    return [*lines, ended(Outcome.COMPLETE, at=len(configs) + 1.0)]


def summary_of(lines: list[Line]) -> Summary:
    return sum_up(history(*lines))


def rows_of(summary: Summary) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(summary, "csv"))))


def written(folder: Path, lines: list[Line]) -> h5py.File:
    """Write the tables of a run into a file, and open it."""
    results_file.write(folder / "run.h5", [], tables.tell(history(*lines)), {})
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
    rows = json.loads(exported(summary_of(run_of(MIXED)), "json"))
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
    lines = run_of([{"x": 1, "word": "a\0b"}])
    lines[2] = failure(0, FailureKind.CRASH, "died\0 of \0it", final=True)
    text = exported(summary_of(lines), "csv")
    assert "\0" not in text
    assert "died\\0 of \\0it" in text
    assert "a\\0b" in text


def test_a_trial_that_failed_and_then_succeeded_has_no_error() -> None:
    lines = run_of([{"x": 1}, {"x": 2}])
    lines[2:3] = [failure(0), assigned(0, number=2), result(0, 0.0, number=2)]
    summary = summary_of(lines)
    assert [row["error"] for row in rows_of(summary)] == ["", ""]
    assert [row["error"] for row in json.loads(exported(summary, "json"))] == [
        None,
        None,
    ]


def test_the_jobs_of_a_rank_are_all_that_it_has_answered_and_its_busy_seconds_all_that_took() -> (
    None
):
    told = history(
        ready(1),
        ready(2),
        assigned(0, at=1.0),
        result(0, 1.0, at=3.0),  # 2 s
        assigned(1, at=3.0),
        failure(1, at=7.0),  # 4 s
        assigned(1, number=2, rank=2, at=7.0),
        lost(2, (1, 0, 2), at=17.0),  # 10 s, without an answer
        assigned(1, number=3, at=17.0),
        suspension(1, 1, number=3, at=25.0),  # 8 s
        back(2, (1, 0, 2), at=30.0),
        late(1, number=2, rank=2, at=37.0),  # 30 s since it was handed out
        ready(3, at=40.0),
    )
    ranks = tables.ranks(told)
    assert ranks["rank"] == [1, 2, 3]
    assert ranks["host"] == ["node1", "node2", "node3"]
    assert ranks["jobs"] == [3, 1, 0]
    assert ranks["busy_s"] == [14.0, 30.0, 0.0]
    assert ranks["times_lost"] == [0, 1, 0]


def test_a_trial_has_the_bracket_that_it_began_in() -> None:
    begun = assigned(0, 1, config={"x": 1}, bracket=2)
    told = tables.trials(history(begun, result(0, 0.5, 1), assigned(1)))
    assert told["bracket"] == [2, 0]


def test_the_baseline_is_in_the_failures_and_in_no_other_table_of_trials() -> None:
    tried = [ready(1), assigned(BASELINE), failure(BASELINE), assigned(BASELINE, number=2)]
    told = tables.tell(history(*tried, result(BASELINE, 0.5, number=2)))
    assert told["failures"]["trial"] == [BASELINE]
    assert told["ranks"]["jobs"] == [2]
    for name in ("trials", "results", "leaderboard", "curves"):
        assert not any(told[name].values())


def test_every_failure_has_what_it_said_and_where_it_was() -> None:
    told = tables.failures(
        history(
            *(ready(1), ready(2), assigned(0), assigned(1, rank=2)),
            failure(0, FailureKind.CRASH, "killed by SIGSEGV", at=5.0),
            lost(2, (1, 0, 1), at=6.0),
        )
    )
    assert told["kind"] == ["crash", "lost rank"]
    assert told["error"] == ["killed by SIGSEGV", "rank 2 was silent for too long"]
    assert (told["rank"], told["at"], told["final"]) == ([1, 2], [5.0, 6.0], [False, False])


def test_curves_are_listed_by_trial_and_resource() -> None:
    told = tables.curves(
        history(
            *(assigned(0), assigned(1)),
            progress(1, Point(2, {"loss": 0.5}), Point(1, {"loss": 0.6})),
            progress(0, Point(1, {"loss": 0.7, "more": 1.0})),
        )
    )
    assert (told["trial"], told["resource"]) == ([0, 1, 1], [1, 1, 2])
    assert (told["loss"], told["more"]) == ([0.7, 0.6, 0.5], [1.0, None, None])
