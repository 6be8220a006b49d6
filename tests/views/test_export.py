"""What is exported is what Python has of a run, and what Optuna makes of it."""

import io
import json
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from hpmpi.errors import SettingsError
from hpmpi.history.tables import TABLES
from hpmpi.model.messages import Outcome, Point
from hpmpi.model.records import Line
from hpmpi.study.settings import Settings
from hpmpi.views import export
from hpmpi.views.frames import frame_of
from hpmpi.views.run_view import Summary, sum_up
from tests.harness.histories import (
    assigned,
    ended,
    exported,
    failure,
    history,
    progress,
    ready,
    result,
)

SPACE: Any = {
    "x": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
    "n": {"type": "int", "low": 1, "high": 9, "step": 2},
    "layers": {"type": "choice", "values": [[8], [8, 8]]},
    "drop": {"type": "float", "low": 0.0, "high": 0.5, "optional": True},
}

ROWS: list[Any] = [
    {"x": 0.5, "n": 3, "layers": [8], "drop": 0.25},
    {"x": 0.25, "n": 9, "layers": [8, 8], "drop": None},
    {"x": 0.125, "n": 1, "layers": [8], "drop": 0.5},
    {"x": 0.0625, "n": 5, "layers": [8], "drop": 0.0},
]

LINES: list[Line] = [
    ready(1),
    *(assigned(trial, config=config, at=trial + 1.0) for trial, config in enumerate(ROWS)),
    progress(0, Point(1, {"loss": 0.75}), at=4.5),
    result(0, 0.5, at=5.0),
    result(1, {"loss": 0.25, "size": 7.0}, at=6.0),
    failure(2, error="ValueError: no", final=True, at=7.0),
    assigned(1, 1, resource=3, at=8.0),
    result(1, {"loss": 0.125, "size": 9.0}, rung=1, at=9.0),
]


def settings_of(**keys: Any) -> str:
    """Write the settings of a study that has these keys."""
    return Settings(
        **{"name": "mine", "objective": "train.py:train", "space": {}, "metric": "loss"} | keys
    ).toml()


def summary(*more: Line) -> Summary:
    """Sum up a run of four trials, one of them promoted, one given up, one in work."""
    return sum_up(history(*LINES, *more, rungs=(1, 3), settings=settings_of(space=SPACE)))


@pytest.mark.parametrize("what", TABLES)
def test_parquet_and_csv_are_the_tables_that_python_has(what: str) -> None:
    frame = frame_of(TABLES[what](summary().history))
    data = export.export(summary(), "parquet", what)
    assert isinstance(data, bytes)
    read = pd.read_parquet(io.BytesIO(data))
    assert (list(read), len(read)) == (list(frame), len(frame))
    exact = [name for name in frame if frame[name].dtype != object]
    pd.testing.assert_frame_equal(read[exact], frame[exact])
    told = pd.read_csv(io.StringIO(exported(summary(), "csv", what)))
    assert (list(told), len(told)) == (list(frame), len(frame))


def test_other_tables_are_objects_in_json() -> None:
    (failed,) = json.loads(exported(summary(), "json", "failures"))
    assert (failed["trial"], failed["final"], failed["error"]) == (2, True, "ValueError: no")
    assert json.loads(exported(summary(), "json", "curves")) == [
        {"trial": 0, "resource": 1, "loss": 0.75}
    ]


@pytest.mark.parametrize("form", ["toml", "optuna"])
def test_what_is_of_the_trials_has_no_other_table(form: str) -> None:
    with pytest.raises(SettingsError, match=f"--format {form} is of the trials, and has no curves"):
        export.export(summary(), form, "curves")


def study_of(folder: Path, told: Summary) -> optuna.Study:
    """Load what is exported as Optuna does."""
    (folder / "study.log").write_text(exported(told, "optuna"))
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.load_study(study_name=told.study.name, storage=storage)


def test_optuna_loads_each_trial_as_what_it_came_to(tmp_path: Path) -> None:
    study = study_of(tmp_path, summary(ended(Outcome.COMPLETE, at=10.0)))
    states = [TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in study.trials] == states
    assert (study.best_trial.number, study.best_value) == (1, 0.125)
    assert study.metric_names == ["loss"]
    first, best, *_ = study.trials
    assert first.params == {
        "x": 0.5,
        "n": 3,
        "layers": "[8]",
        "drop is none": False,
        "drop": 0.25,
    }
    assert best.params == {"x": 0.25, "n": 9, "layers": "[8,8]", "drop is none": True}
    assert first.intermediate_values == {1: 0.5}
    assert best.intermediate_values == {1: 0.25, 3: 0.125}
    assert best.user_attrs == {"resource": 3, "loss": 0.125, "size": 9.0}
    assert best.duration is not None
    assert best.duration.total_seconds() == pytest.approx(7.0)


def test_a_study_of_several_metrics_has_as_many_directions(tmp_path: Path) -> None:
    lines = [ready(1), assigned(0), result(0, {"loss": 0.5, "size": 3.0})]
    said = settings_of(metric=["loss", "size"], mode=["min", "max"])
    study = study_of(tmp_path, sum_up(history(*lines, settings=said)))
    assert [it.name for it in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [list(trial.values) for trial in study.best_trials] == [[0.5, 3.0]]
