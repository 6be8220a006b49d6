"""The results of a run in Python: tables whose columns have the types of what is in them."""

from pathlib import Path

import pandas as pd
import pytest

import hpmpi
from hpmpi.history import tables
from hpmpi.history.tables import Cell
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import Line
from hpmpi.storage import run_folder
from hpmpi.views.frames import frame_of
from tests.harness.histories import assigned, ended, failure, history, ready, result, started


@pytest.mark.parametrize(
    ("cells", "kind", "missing"),
    [
        ([1, 2], "int64", 0),
        ([1, None], "Int64", 1),
        ([1, 2.5], "float64", 0),
        ([1.0, None], "float64", 1),
        ([True, False], "bool", 0),
        ([True, None], "boolean", 1),
        ([1, True], "object", 0),
        ([[1], {"a": 1}, None], "object", 1),
    ],
)
def test_a_column_has_the_type_of_its_cells(cells: list[Cell], kind: str, missing: int) -> None:
    column = frame_of({"x": cells})["x"]
    assert str(column.dtype) == kind
    assert column.isna().sum() == missing
    assert column.dropna().tolist() == [cell for cell in cells if cell is not None]


def test_texts_are_texts_and_missing_ones_are_missing() -> None:
    column = frame_of({"kernel": ["rbf", None, "größer"]})["kernel"]
    assert pd.api.types.is_string_dtype(column.dropna())
    assert column.isna().tolist() == [False, True, False]
    assert column[2] == "größer"


def test_empty_tables_have_their_columns_and_types() -> None:
    told = {name: frame_of(columns) for name, columns in tables.tell(history()).items()}
    assert told["failures"].empty
    assert told["results"].dtypes.astype(str)[["trial", "loss"]].tolist() == ["int64", "float64"]
    assert str(told["failures"]["final"].dtype) == "bool"


def test_a_folder_says_what_its_run_came_to(tmp_path: Path) -> None:
    lines: list[Line] = [
        started(rungs=(1,)),
        ready(1),
        assigned(0, config={"x": 0.5, "kernel": "rbf"}),
        result(0, 0.5),
        assigned(1, config={"x": 0.25}, at=2.0),
        failure(1, FailureKind.EXCEPTION, "ValueError: no", final=True, at=3.0),
    ]
    store = run_folder.Store(tmp_path)
    store.append(*lines)
    found = hpmpi.load(tmp_path)
    assert (found.state, found.best.config) == ("interrupted", {"x": 0.5, "kernel": "rbf"})
    assert found.best.checkpoint is None
    for name in ("20-0.1", "3-0.1", ".30-0.2"):
        (tmp_path / "checkpoints" / "0" / name).mkdir(parents=True)
    assert found.best.checkpoint == tmp_path / "checkpoints" / "0" / "20-0.1"
    assert found.trials["kernel"].isna().tolist() == [False, True]
    assert found.trials["error"].tolist() == ["", "ValueError: no"]
    assert found.failures["kind"].tolist() == ["exception"]
    assert found.results["loss"].tolist() == [0.5]
    assert repr(found).startswith("mine: interrupted; 2 trials")
    store.append(ended(Outcome.COMPLETE, at=4.0))
    assert (found.state, hpmpi.load(tmp_path).state) == ("interrupted", "complete")
    store.close()


def test_where_no_trial_has_succeeded_there_is_no_best(tmp_path: Path) -> None:
    store = run_folder.Store(tmp_path)
    store.append(started(rungs=(1,)), ready(1), assigned(0), ended(Outcome.COMPLETE))
    store.close()
    found = hpmpi.load(tmp_path)
    assert (len(found.trials), len(found.results)) == (1, 0)
    with pytest.raises(hpmpi.StoreError, match="no trial of mine has succeeded"):
        _ = found.best
