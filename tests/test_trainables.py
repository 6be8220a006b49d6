"""The built-in objectives: the scores are scikit-learn's, and a promoted trial goes on."""

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.tree import DecisionTreeClassifier

from hpmpi.errors import ObjectiveError
from hpmpi.forms import Table
from hpmpi.trainables import boosting, forest, knn, mlp, sklearn, svm, tree
from hpmpi.trainables.snapshot import TRUSTED
from hpmpi.trainables.training import Trainable
from hpmpi.trial import Config
from tests.trainables import default, saved, train

FOREST = "sklearn.ensemble.RandomForestClassifier"
SGD = "sklearn.linear_model.SGDClassifier"
SVC = ["sklearn.preprocessing.StandardScaler", "sklearn.svm.SVC"]
WOODS = """
from sklearn.ensemble import RandomForestClassifier

class Own(RandomForestClassifier):
    pass

class Inner:
    pass

class Odd(RandomForestClassifier):
    def fit(self, x, y):
        self.odd_ = Inner()
        return super().fit(x, y)
"""
NAMES = ["boosting", "forest", "knn", "logistic", "mlp", "svm", "tree"]


def test_each_score_of_a_grid_is_that_of_grid_search(tmp_path: Path) -> None:
    x, y = datasets.load_wine(return_X_y=True)
    names = ["f1_macro", "accuracy", "neg_log_loss"]
    grid = {"max_depth": [2, None], "n_estimators": [3, 7], "ccp_alpha": [0.0, 0.02]}
    search = GridSearchCV(
        RandomForestClassifier(random_state=5),
        grid,
        scoring=names,
        cv=StratifiedKFold(3),
        refit=False,
    ).fit(x, y)
    for number, params in enumerate(search.cv_results_["params"]):
        config = {name: "None" if value is None else value for name, value in params.items()}
        folder = tmp_path / str(number)
        args = {"dataset": "wine", "resource": "folds", "folds": 3, "scoring": names}
        metrics, _ = train(forest.MODEL, folder, config, 3, {**args, "random_state": 5})
        folds = json.loads(saved(folder, "scores.json").read_text())
        for name in names:
            found = search.cv_results_
            assert metrics[name] == found[f"mean_test_{name}"][number]
            assert metrics[f"{name}_std"] == found[f"std_test_{name}"][number]
            for fold in range(3):
                assert folds[fold][name] == found[f"split{fold}_test_{name}"][number]


def test_numbers_are_predicted_as_grid_search_does(tmp_path: Path) -> None:
    x, y = datasets.load_diabetes(return_X_y=True)
    model = RandomForestRegressor(random_state=5, n_estimators=4)
    search = GridSearchCV(model, {"max_depth": [2, 4]}, cv=3).fit(x, y)
    for number, depth in enumerate([2, 4]):
        args = {"dataset": "diabetes", "folds": 3, "arguments": {"n_estimators": 4}}
        folder = tmp_path / str(number)
        metrics, _ = train(
            forest.MODEL, folder, {"max_depth": depth}, 1, {"random_state": 5, **args}
        )
        assert metrics["r2"] == search.cv_results_["mean_test_score"][number]


def test_a_hold_out_is_scored_as_by_hand(tmp_path: Path) -> None:
    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.4, random_state=0, stratify=y
    )
    model = DecisionTreeClassifier(max_depth=4, random_state=7).fit(x_train, y_train)
    args = {"dataset": "digits", "test_size": 0.4, "scoring": "f1_macro"}
    metrics, _ = train(tree.MODEL, tmp_path, {"max_depth": 4}, 1, args)
    assert metrics["f1_macro"] == f1_score(y_test, model.predict(x_test), average="macro")
    assert metrics["train_rows"] == len(x_train)


def test_a_pipeline_has_the_scores_of_its_own(tmp_path: Path) -> None:
    x, y = datasets.load_wine(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), KNeighborsClassifier()),
        {"kneighborsclassifier__n_neighbors": [3]},
        cv=3,
    ).fit(x, y)
    paths = ["sklearn.preprocessing.MinMaxScaler", "sklearn.neighbors.KNeighborsClassifier"]
    configs: list[Config] = [{"kneighborsclassifier__n_neighbors": 3}, {"n_neighbors": 3}]
    for number, config in enumerate(configs):
        args = {"dataset": "wine", "estimator": paths, "folds": 3}
        metrics, _ = train(sklearn.MODEL, tmp_path / str(number), config, 1, args)
        assert metrics["accuracy"] == search.best_score_
    scaled, _ = train(knn.MODEL, tmp_path, {"n_neighbors": 3}, 1, {"dataset": "wine", "folds": 3})
    assert scaled["accuracy"] == search.best_score_, "the scaler sees the training rows only"


@pytest.mark.parametrize(
    ("model", "config", "args"),
    [
        (mlp.MODEL, {"hidden": 8}, {}),
        (mlp.MODEL, {"hidden": 8}, {"folds": 3}),
        (mlp.MODEL, {"hidden": 8}, {"dataset": "diabetes", "rows": 100}),
        (sklearn.MODEL, {"alpha": 1e-3}, {"estimator": SGD, "resource": "epochs", "scale": True}),
        (forest.MODEL, {"max_depth": 3}, {}),
        (forest.MODEL, {"max_depth": 3}, {"folds": 3, "dataset": "diabetes"}),
        (boosting.MODEL, {"max_features": 0.5}, {}),
        (
            sklearn.MODEL,
            {"subsample": 0.7},
            {"estimator": "sklearn.ensemble.GradientBoostingClassifier", "resource": "trees"},
        ),
        (
            sklearn.MODEL,
            {"pca__n_components": 2, "max_depth": 2},
            {"estimator": ["sklearn.decomposition.PCA", FOREST], "resource": "trees"},
        ),
        (tree.MODEL, {"max_depth": 2}, {"resource": "folds", "folds": 7}),
    ],
)
def test_going_on_is_as_good_as_one_go(
    tmp_path: Path, model: Trainable, config: Config, args: Table
) -> None:
    at_once, _ = train(model, tmp_path / "at once", config, 7, args)
    train(model, tmp_path / "in parts", config, 3, args)
    in_parts, points = train(model, tmp_path / "in parts", config, 7, args, attempt=2)
    assert in_parts == at_once
    assert [point.resource for point in points] in ([4, 5, 6, 7], [7]), "it went on"
    again, points = train(model, tmp_path / "in parts", config, 7, args, attempt=3)
    assert (again, points) == (at_once, []), "what is done is not done again"


def test_trees_that_are_there_stay_and_predict_the_same(tmp_path: Path) -> None:
    for folder, resources in (("at once", [9]), ("in parts", [2, 9])):
        for attempt, resource in enumerate(resources, 1):
            train(forest.MODEL, tmp_path / folder, {}, resource, attempt=attempt)
    files = [saved(tmp_path / folder, "model.skops") for folder in ("at once", "in parts")]
    one, other = (skops.io.load(file, trusted=TRUSTED) for file in files)
    x, _ = datasets.load_iris(return_X_y=True)
    assert len(other.estimators_) == 9
    assert np.array_equal(one.predict_proba(x), other.predict_proba(x))


def test_a_rung_of_rows_trains_on_so_many_of_those_that_there_are(tmp_path: Path) -> None:
    rows = []
    for attempt, rung in enumerate([6, 60, 600], 1):
        metrics, curve = train(
            knn.MODEL, tmp_path, {"n_neighbors": 1}, rung, {"resource": "rows"}, attempt=attempt
        )
        rows.append(metrics["train_rows"])
        assert [point.resource for point in curve] == [rung]
    assert rows == [6, 60, 112]


def test_the_kept_model_takes_features_as_they_are(tmp_path: Path) -> None:
    metrics, _ = train(svm.MODEL, tmp_path, {"C": 10.0})
    model = skops.io.load(saved(tmp_path, "model.skops"), trusted=TRUSTED)
    x, y = datasets.load_iris(return_X_y=True)
    _, x_test, _, y_test = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    assert model.score(x_test, y_test) == metrics["accuracy"]


@pytest.fixture
def woods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module of estimators of a user's own; returns a folder for runs."""
    (tmp_path / "woods.py").write_text(WOODS)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "run"


def test_the_class_that_a_study_names_is_kept_and_trusted(woods: Path) -> None:
    args = {"estimator": "woods.Own", "resource": "trees"}
    train(sklearn.MODEL, woods, {}, 20, args)
    _, points = train(sklearn.MODEL, woods, {}, 40, args, attempt=2)
    assert [point.resource for point in points] == [32, 40], "it went on from 20"


def test_what_can_not_be_read_safely_is_not_kept(woods: Path) -> None:
    args = {"estimator": "woods.Odd", "resource": "trees"}
    with pytest.warns(match="Odd is not kept: .*Inner") as warned:
        metrics, _ = train(sklearn.MODEL, woods, {}, 20, args)
    assert len(warned) == 1
    assert metrics["accuracy"] > 0.8
    assert [path for path in woods.rglob("*") if path.is_file()] == []


def test_a_checkpoint_of_somebody_else_runs_nothing(tmp_path: Path) -> None:
    train(forest.MODEL, tmp_path, {}, 2)
    file = saved(tmp_path, "model.skops")
    harm = FunctionTransformer(func=os.mkdir).fit([[1.0]])
    skops.io.dump(harm, file)
    with pytest.raises(ObjectiveError, match=r"is none of ours: Untrusted types .*posix\.mkdir"):
        train(forest.MODEL, tmp_path, {}, 9, attempt=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", ["iris", "diabetes"])
def test_each_model_does_classes_and_numbers(tmp_path: Path, name: str, dataset: str) -> None:
    model = importlib.import_module(f"hpmpi.trainables.{name}").MODEL
    metrics, curve = train(model, tmp_path, {}, 2, {"dataset": dataset})
    score = "accuracy" if dataset == "iris" else "r2"
    assert metrics.keys() >= {score, "train_rows"}
    assert curve[-1].resource == 2
    assert curve[-1].metrics[score] == metrics[score]
    assert default(model, tmp_path / "baseline", {"dataset": dataset})[score] > (
        -1 if score == "r2" else 0.8
    )


def refusal(folder: Path, config: Config, stop: int, args: Table) -> str:
    """Train what can't be; return what is said, in one line."""
    model = sklearn.MODEL if "estimator" in args else forest.MODEL
    with pytest.raises(ObjectiveError) as caught:
        train(model, folder, config, stop, args)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("config", "args", "said"),
    [
        (
            {"depth": 3},
            {},
            "RandomForestClassifier has no hyperparameter 'depth'; it has: bootstrap",
        ),
        (
            {"C": 3},
            {"estimator": [*SVC[:1], FOREST]},
            "it has: randomforestclassifier__bootstrap, ",
        ),
        (
            {},
            {"estimator": "sklearn.ensemble.Wood"},
            "sklearn.ensemble has no estimator 'Wood'; it has",
        ),
        (
            {},
            {"estimator": "wood.Forest"},
            "'wood.Forest' can't be imported: No module named 'wood'",
        ),
        ({}, {"estimator": "Forest"}, "'Forest' can't be imported: "),
        ({}, {"estimator": "sklearn.ensemble.VotingClassifier"}, "missing 1 required"),
        (
            {},
            {"estimator": "sklearn.cluster.KMeans"},
            "is for classes or numbers does not show; set",
        ),
        ({}, {"estimator": FOREST, "dataset": "diabetes"}, "diabetes has numbers to predict, and"),
        (
            {},
            {"scoring": "f1_macr"},
            "'f1_macr' is not known; did you mean f1_macro? there is: acc",
        ),
        ({}, {"scoring": ["accuracy", "f2"]}, "objective_args.scoring: 'f2' is not known; "),
        ({}, {"resource": "time"}, "objective_args.resource = 'time' is not valid: "),
        (
            {},
            {"resource": "epochs"},
            "nothing for RandomForestClassifier; there is: rows, folds, none, t",
        ),
        (
            {},
            {"estimator": SVC, "resource": "trees"},
            "nothing for StandardScaler, SVC; there is: rows",
        ),
        (
            {"n_estimators": 3},
            {"resource": "trees"},
            "whose n_estimators is set; there is: rows, fol",
        ),
        (
            {},
            {"resource": "folds", "folds": 3},
            "5 folds are asked for by [scheduler], and there are 3",
        ),
        (
            {},
            {"estimater": FOREST},
            "objective_args.estimater is not a setting; did you mean estimator",
        ),
        (
            {},
            {"dataset": "wine", "test_size": 0.001},
            "wine can't be split: The test_size = 1 should",
        ),
    ],
)
def test_what_can_not_be_is_said_with_what_can(
    tmp_path: Path, config: Config, args: Table, said: str
) -> None:
    assert said in refusal(tmp_path, config, 5, args)


def test_an_estimator_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(
        ObjectiveError, match=r"objective_args.estimator is missing: an import path"
    ):
        train(sklearn.MODEL, tmp_path, {})


def test_trees_that_are_tuned_are_no_resource(tmp_path: Path) -> None:
    train(forest.MODEL, tmp_path, {"n_estimators": 3}, 9)
    assert len(skops.io.load(saved(tmp_path, "model.skops"), trusted=TRUSTED).estimators_) == 3


def test_the_default_has_nothing_tuned_and_all_folds(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    usual = RandomForestClassifier(random_state=5, min_samples_leaf=9)
    search = GridSearchCV(usual, {}, cv=3).fit(x, y)
    args = {"folds": 3, "random_state": 5, "arguments": {"min_samples_leaf": 9}}
    metrics = default(forest.MODEL, tmp_path, args)
    assert metrics["accuracy"] == search.best_score_
    assert not list(tmp_path.rglob("*.skops"))
