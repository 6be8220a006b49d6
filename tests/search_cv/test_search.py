"""SearchCV beside GridSearchCV: the same to the last bit, killed or not, in stages or whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import hpmpi
from hpmpi.errors import SettingsError

WAIT_S = 200.0
WORKERS = 2

DIGITS = tuple(each[:300] for each in load_digits(return_X_y=True))


def patients() -> tuple[pd.DataFrame, Any, dict[str, Any]]:
    """Make a table of words and blanks, what is to be predicted, weights and groups."""
    draw = np.random.default_rng(0)
    rows = 150
    table = pd.DataFrame(
        {
            "ward": pd.Categorical(draw.choice(["north", "south", "east"], rows)),
            "drug": draw.choice(np.array(["a", "b", None], dtype=object), rows),
            "age": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(50, 9, rows)),
            "dose": draw.integers(0, 5, rows),
        }
    )
    sick = (table["dose"] + draw.normal(0, 1, rows) > 2).to_numpy(int)
    return table, sick, {"groups": draw.integers(0, 9, rows), "weight": draw.random(rows)}


def forest() -> tuple[Any, Any, dict[str, Any], Any, dict[str, Any]]:
    model = RandomForestClassifier(10, random_state=np.random.RandomState(0))
    return model, {"max_depth": [None, 3], "max_features": ["sqrt", 0.5]}, {}, DIGITS, {}


def pipeline() -> tuple[Any, Any, dict[str, Any], Any, dict[str, Any]]:
    model = make_pipeline(StandardScaler(), SVC())
    space = [
        {"svc__kernel": ["rbf"], "svc__C": [1, 10.0]},
        {"standardscaler": ["passthrough"], "svc__kernel": ["poly"], "svc__degree": [2, 3]},
    ]
    how = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro", "return_train_score": True}
    return model, space, how, DIGITS, {}


def columns() -> tuple[Any, Any, dict[str, Any], Any, dict[str, Any]]:
    table, sick, more = patients()
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    parts = ColumnTransformer(
        [("words", words, ["ward", "drug"]), ("numbers", SimpleImputer(), ["age", "dose"])]
    )
    model = make_pipeline(parts, LogisticRegression(max_iter=200))
    space = {
        "columntransformer__numbers": [SimpleImputer(), SimpleImputer(strategy="median")],
        "logisticregression__C": [0.1, 1.0],
    }
    how = {"cv": GroupKFold(3), "scoring": "roc_auc"}
    fit = {"groups": more["groups"], "logisticregression__sample_weight": more["weight"]}
    return model, space, how, (table, sick), fit


@pytest.mark.parametrize("case", [forest, pipeline, columns])
def test_all_that_a_search_tells_is_grid_search_cvs_bit_by_bit(case: Any) -> None:
    model, space, how, data, fit = case()
    how = {"cv": 3, **how}
    theirs = GridSearchCV(model, space, **how).fit(*data, **fit)
    ours = hpmpi.SearchCV(model, space, workers=WORKERS, **how).fit(*data, **fit)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    assert repr(ours.cv_results_["params"]) == repr(theirs.cv_results_["params"])
    for name, column in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name.startswith("param_"):
            assert repr(found) == repr(column)
        elif "time" in name:
            assert (found > 0).all()
        elif name != "params":
            assert found.dtype == column.dtype
            np.testing.assert_array_equal(found, column)
    assert (ours.best_index_, ours.best_score_) == (theirs.best_index_, theirs.best_score_)
    np.testing.assert_array_equal(ours.predict(data[0]), theirs.predict(data[0]))


# -- in stages -----------------------------------------------------------------------------------

SPACE = {"max_depth": [1, 2, 3, 4, 6, 8, None], "max_features": [0.2, 0.6]}


@pytest.mark.parametrize(
    ("resource", "rungs"), [("folds", {1, 3, 4}), ("rows", {80, 225}), ("n_estimators", {1, 3, 9})]
)
def test_the_better_ones_go_on_and_come_to_what_grid_search_cv_has(
    resource: str, rungs: set[int]
) -> None:
    model = RandomForestClassifier(9, random_state=0)
    search = hpmpi.SearchCV(model, SPACE, cv=4, resource=resource, workers=WORKERS).fit(*DIGITS)
    found = search.cv_results_
    reached = found["n_resources"]
    assert len(reached) == 14
    assert {*reached} <= rungs
    assert {min(rungs), max(rungs)} <= {*reached}
    best = reached == max(rungs)
    assert best.sum() < 7
    assert found["rank_test_score"][best].max() < found["rank_test_score"][~best].min()
    assert best[search.best_index_]
    theirs = GridSearchCV(model, SPACE, cv=4).fit(*DIGITS).cv_results_
    for split in range(4):
        name = f"split{split}_test_score"
        np.testing.assert_array_equal(found[name][best], theirs[name][best])
    if resource == "folds":
        least = reached == 1
        np.testing.assert_array_equal(
            found["mean_test_score"][least], found["split0_test_score"][least]
        )
        assert np.isnan(found["split1_test_score"][least]).all()


def test_a_space_of_distributions_is_drawn_from_and_the_same_again() -> None:
    space = {"C": hpmpi.Float(1e-3, 1e3, log=True), "gamma": ["scale", 0.01]}

    def drawn(seed: int) -> Any:
        search = hpmpi.SearchCV(SVC(), space, cv=2, max_trials=3, seed=seed, workers=1)
        return search.fit(*DIGITS).cv_results_["params"]

    first = drawn(1)
    assert len(first) == 3
    assert drawn(1) == first != drawn(2)


def test_a_resource_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    search = hpmpi.SearchCV(SVC(), {"C": [1]}, resource="epochs", folder=tmp_path)
    with pytest.raises(SettingsError, match="'epochs' must be 'folds', 'rows' or a parameter"):
        search.fit(*DIGITS)
    model = RandomForestClassifier()
    search = hpmpi.SearchCV(model, {"n_estimators": [3]}, resource="n_estimators", folder=tmp_path)
    with pytest.raises(SettingsError, match="'n_estimators' is in space, too"):
        search.fit(*DIGITS)
    assert not (tmp_path / "run").exists()


def test_fits_that_raise_are_warned_of_where_other_folds_follow_them() -> None:
    search = hpmpi.SearchCV(SVC(), {"C": [-1, 1]}, cv=2, resource="folds", workers=1)
    search.set_params(scheduler={"method": "full"})
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search.fit(*DIGITS)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, False]


def test_a_fit_that_takes_its_process_along_has_the_error_score(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(space={"number": [0, 66]}, more=""))
    done = run_script(script)
    assert done.returncode == 0, done.stderr
    assert "[1.0, nan]" in done.stdout
    assert "killed by SIGKILL" in done.stderr  # the warning that scikit-learn gives


# -- killed --------------------------------------------------------------------------------------

OWN = """
import os, pathlib, signal, time
from sklearn.base import BaseEstimator

class Slow(BaseEstimator):
    def __init__(self, number=0, mark="go"):
        self.number, self.mark = number, mark

    def fit(self, X, y):
        if self.number == 66:
            os.kill(os.getpid(), signal.SIGKILL)
        with open("fits", "a") as file:
            file.write(f"{self.number}\\n")
        while self.number > 3 and not os.path.exists(self.mark):
            time.sleep(0.05)
        return self

    def score(self, X, y):
        return 1.0 / (1 + self.number)
"""

SCRIPT = """
import hpmpi
import numpy as np
from own import Slow
{more}
if __name__ == "__main__":
    search = hpmpi.SearchCV(
        Slow(), {space}, cv=2, folder="search", workers=1, refit=False, verbose=0,
        settings={{"limits": {{"max_failures": 1}}}},
    )
    search.fit(np.arange(8.0).reshape(8, 1), np.arange(8) % 2)
    print(search.cv_results_["mean_test_score"].tolist())
"""


def run_script(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(space={"number": list(range(8))}, more=""))
    process = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path)
    fits = tmp_path / "fits"
    gives_up_at = time.monotonic() + WAIT_S
    while not (fits.exists() and any(int(it) > 3 for it in fits.read_text().split())):
        assert time.monotonic() < gives_up_at
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = hpmpi.load(tmp_path / "search" / "run").results
    (tmp_path / "go").touch()
    done = run_script(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([1.0 / (1 + number) for number in range(8)])
    counts = {number: fits.read_text().split().count(number) for number in map(str, range(8))}
    trials = hpmpi.load(tmp_path / "search" / "run").trials.set_index("trial")
    for trial in before["trial"]:
        assert counts[str(trials["number"][trial])] == 2
    assert sum(counts.values()) <= 2 * 8 + 2


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    def search(**changes: Any) -> Any:
        given = {"estimator": SVC(), "space": {"C": [1, 2]}, "cv": 2, "folder": tmp_path}
        return hpmpi.SearchCV(**{**given, "workers": 1, **changes})

    X, y = make_classification(40, random_state=0)  # noqa: N806 - as scikit-learn has it
    first = search().fit(X, y)
    again = search().fit(X, y)
    assert (
        again.cv_results_["mean_fit_time"].tolist() == first.cv_results_["mean_fit_time"].tolist()
    )
    for changes, what in (
        ({"estimator": SVC(gamma=1)}, "estimator, scorer"),
        ({"space": {"C": [1, 3]}}, "space"),
        ({"scoring": "f1"}, "scorer"),
        ({"cv": 3}, "splits"),
    ):
        with pytest.raises(
            SettingsError, match=f"begun with another {what}: call it with the same"
        ):
            search(**changes).fit(X, y)
    with pytest.raises(SettingsError, match="another X, y: "):
        search().fit(X + 1, 1 - y)


IN_MAIN = """
from sklearn.dummy import DummyClassifier

class Own(Slow):
    pass

def score(model, X, y):
    return model.number + 0.5

Slow = lambda: Own()
"""


def test_what_a_script_defines_goes_to_its_processes_and_not_to_a_disk(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    script = tmp_path / "script.py"
    text = SCRIPT.format(space={"number": [1, 2]}, more=IN_MAIN)
    script.write_text(text.replace("refit=False", "refit=False, scoring=score"))
    done = run_script(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1.5, 2.5]"
    for file in (it for it in (tmp_path / "search").rglob("*") if it.is_file()):
        assert b"cloudpickle" not in file.read_bytes()
