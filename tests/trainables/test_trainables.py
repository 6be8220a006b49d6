"""The built-in objectives: the scores are scikit-learn's, and a promoted trial goes on."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
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
from hpmpi.model.messages import Assign, Point
from hpmpi.model.trial import AttemptId, Config
from hpmpi.study.schema import Table
from hpmpi.trainables import boosting, forest, knn, mlp, sklearn, svm, tree
from hpmpi.trainables.snapshot import TRUSTED
from hpmpi.trainables.training import Trainable
from hpmpi.worker.handle import open_trial
from hpmpi.worker.objective import check_study
from tests.harness.build import never
from tests.harness.drive import welcome
from tests.harness.trainables import default, saved, train

FOREST = "sklearn.ensemble.RandomForestClassifier"
SGD = "sklearn.linear_model.SGDClassifier"
SVC = ["sklearn.preprocessing.StandardScaler", "sklearn.svm.SVC"]
WOODS = """
import threading
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

class Never(DecisionTreeClassifier):
    def fit(self, x, y):
        raise RuntimeError("not\\ntoday")

class Locked(DecisionTreeClassifier):
    def fit(self, x, y):
        self.lock_ = threading.Lock()
        return super().fit(x, y)

class Coded(DecisionTreeClassifier):
    def fit(self, x, y):
        assert sorted(set(y)) == list(range(len(set(y)))), "numbers from 0 on"
        return super().fit(x, y)

class Stops(DecisionTreeClassifier):
    def __init__(self, early_stopping_rounds=None):
        super().__init__()
        self.early_stopping_rounds = early_stopping_rounds

    def fit(self, x, y, eval_set=None):
        global SEEN
        (pair,) = eval_set
        SEEN = x, y, pair
        return super().fit(x, y)

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
        metrics, _ = train(forest.train, folder, config, 3, {**args, "random_state": 5})
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
            forest.train, folder, {"max_depth": depth}, 1, {"random_state": 5, **args}
        )
        assert metrics["r2"] == search.cv_results_["mean_test_score"][number]


def test_a_hold_out_is_scored_as_by_hand(tmp_path: Path) -> None:
    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.4, random_state=0, stratify=y
    )
    model = DecisionTreeClassifier(max_depth=4, random_state=7).fit(x_train, y_train)
    args = {"dataset": "digits", "test_size": 0.4, "scoring": "f1_macro"}
    metrics, _ = train(tree.train, tmp_path, {"max_depth": 4}, 1, args)
    assert metrics["f1_macro"] == f1_score(y_test, model.predict(x_test), average="macro")
    assert metrics["train_rows"] == len(x_train)


def test_rows_of_a_final_test_are_in_no_split_and_score_each_model(tmp_path: Path) -> None:
    x, y = datasets.load_digits(return_X_y=True)
    rows, final = train_test_split(np.arange(len(y)), test_size=0.25, random_state=0, stratify=y)
    x_train, x_test, y_train, y_test = train_test_split(
        x[rows], y[rows], test_size=0.25, random_state=0, stratify=y[rows]
    )
    model = DecisionTreeClassifier(max_depth=4, random_state=7).fit(x_train, y_train)
    args = {"dataset": "digits", "final_test_size": 0.25}
    metrics, _ = train(tree.train, tmp_path / "one", {"max_depth": 4}, 1, args)
    assert metrics["accuracy"] == model.score(x_test, y_test)
    assert metrics["test_accuracy"] == model.score(x[final], y[final])
    folds, _ = train(tree.train, tmp_path / "folds", {"max_depth": 4}, 1, {**args, "folds": 3})
    assert folds["train_rows"] == len(rows) * 2 / 3


def test_a_metric_of_the_final_test_is_for_no_choice(tmp_path: Path) -> None:
    args: dict[str, object] = {"dataset": "digits", "final_test_size": 0.25}
    tree.train.check_study(args, tmp_path, "accuracy", None)
    with pytest.raises(ObjectiveError, match="metric = 'test_accuracy' is none"):
        tree.train.check_study(args, tmp_path, "test_accuracy", None)
    with pytest.raises(ObjectiveError, match="final_test_size is drawn: no groups, no time"):
        tree.train.check_study({**args, "split": "time"}, tmp_path, "accuracy", None)


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
        metrics, _ = train(sklearn.train, tmp_path / str(number), config, 1, args)
        assert metrics["accuracy"] == search.best_score_
    scaled, _ = train(knn.train, tmp_path, {"n_neighbors": 3}, 1, {"dataset": "wine", "folds": 3})
    assert scaled["accuracy"] == search.best_score_, "the scaler sees the training rows only"


@pytest.mark.parametrize(
    ("model", "config", "args"),
    [
        (mlp.train, {"hidden": 8}, {}),
        (mlp.train, {"hidden": 8}, {"folds": 3}),
        (mlp.train, {"hidden": 8}, {"dataset": "diabetes", "rows": 100}),
        (sklearn.train, {"alpha": 1e-3}, {"estimator": SGD, "resource": "epochs", "scale": True}),
        (forest.train, {"max_depth": 3}, {}),
        (forest.train, {"max_depth": 3}, {"folds": 3, "dataset": "diabetes"}),
        (boosting.train, {"max_features": 0.5}, {}),
        (
            sklearn.train,
            {"subsample": 0.7},
            {"estimator": "sklearn.ensemble.GradientBoostingClassifier", "resource": "trees"},
        ),
        (
            sklearn.train,
            {"pca__n_components": 2, "max_depth": 2},
            {"estimator": ["sklearn.decomposition.PCA", FOREST], "resource": "trees"},
        ),
        (tree.train, {"max_depth": 2}, {"resource": "folds", "folds": 7}),
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
            train(forest.train, tmp_path / folder, {}, resource, attempt=attempt)
    files = [saved(tmp_path / folder, "model.skops") for folder in ("at once", "in parts")]
    one, other = (skops.io.load(file, trusted=TRUSTED) for file in files)
    x, _ = datasets.load_iris(return_X_y=True)
    assert len(other.estimators_) == 9
    assert np.array_equal(one.predict_proba(x), other.predict_proba(x))


def test_a_rung_of_rows_trains_on_so_many_of_those_that_there_are(tmp_path: Path) -> None:
    rows = []
    for attempt, rung in enumerate([6, 60, 600], 1):
        metrics, curve = train(
            knn.train, tmp_path, {"n_neighbors": 1}, rung, {"resource": "rows"}, attempt=attempt
        )
        rows.append(metrics["train_rows"])
        assert [point.resource for point in curve] == [rung]
    assert rows == [6, 60, 112]


def test_the_kept_model_takes_features_as_they_are(tmp_path: Path) -> None:
    metrics, _ = train(svm.train, tmp_path, {"C": 10.0})
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
    train(sklearn.train, woods, {}, 20, args)
    _, points = train(sklearn.train, woods, {}, 40, args, attempt=2)
    assert [point.resource for point in points] == [32, 40], "it went on from 20"


def test_what_can_not_be_read_safely_is_not_kept(woods: Path) -> None:
    args = {"estimator": "woods.Odd", "resource": "trees"}
    with pytest.warns(match="Odd is not kept: .*Inner") as warned:
        metrics, _ = train(sklearn.train, woods, {}, 20, args)
    assert len(warned) == 1
    assert metrics["accuracy"] > 0.8
    assert [path for path in woods.rglob("*") if path.is_file()] == []


def test_a_checkpoint_of_somebody_else_runs_nothing(tmp_path: Path) -> None:
    train(forest.train, tmp_path, {}, 2)
    file = saved(tmp_path, "model.skops")
    harm = FunctionTransformer(func=os.mkdir).fit([[1.0]])
    skops.io.dump(harm, file)
    with pytest.raises(ObjectiveError, match=r"is none of ours: Untrusted types .*posix\.mkdir"):
        train(forest.train, tmp_path, {}, 9, attempt=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", ["iris", "diabetes"])
def test_each_model_does_classes_and_numbers(tmp_path: Path, name: str, dataset: str) -> None:
    model = importlib.import_module(f"hpmpi.trainables.{name}").train
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
    model = sklearn.train if "estimator" in args else forest.train
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
        ({}, {"estimator": "sklearn.ensemble.VotingClassifier"}, "must be given `estimators`"),
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
        train(sklearn.train, tmp_path, {})


def test_trees_that_are_tuned_are_no_resource(tmp_path: Path) -> None:
    train(forest.train, tmp_path, {"n_estimators": 3}, 9)
    assert len(skops.io.load(saved(tmp_path, "model.skops"), trusted=TRUSTED).estimators_) == 3


def test_the_default_has_nothing_tuned_and_all_folds(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    usual = RandomForestClassifier(random_state=5, min_samples_leaf=9)
    search = GridSearchCV(usual, {}, cv=3).fit(x, y)
    args = {"folds": 3, "random_state": 5, "arguments": {"min_samples_leaf": 9}}
    metrics = default(forest.train, tmp_path, args)
    assert metrics["accuracy"] == search.best_score_
    assert not list(tmp_path.rglob("*.skops"))


@pytest.mark.parametrize(
    ("args", "metric", "said"),
    [
        ({"dataset": "irs"}, "accuracy", "the data set 'irs' is not known"),
        (
            {"folds": "three"},
            "accuracy",
            "objective_args.folds = 'three' is not valid: expected int",
        ),
        ({"resource": "epoch"}, "accuracy", "there is: 'epochs', 'trees', 'rows', 'folds', 'none'"),
        ({"resource": "epochs"}, "accuracy", "'epochs' is nothing for RandomForestClassifier"),
        ({}, None, "the study has no metric; set `metric` to one of: accuracy, fit_s, score_s, "),
        ({}, "acuracy", "metric = 'acuracy' is none; there is: accuracy, fit_s, score_s, "),
    ],
)
def test_what_is_wrong_with_a_study_is_found_before_its_first_job(
    tmp_path: Path, args: Table, metric: str, said: str
) -> None:
    told = welcome(tmp_path, "x:y", metric=metric, args={"dataset": "iris", **args})
    with pytest.raises(ObjectiveError) as caught:
        check_study(forest.train, told)
    assert said in str(caught.value)


def test_a_study_that_is_right_passes(tmp_path: Path) -> None:
    for metric in ("f1_macro", "f1_macro_std", "fit_s", "size_bytes"):
        args = {"dataset": "iris", "scoring": "f1_macro", "folds": 3}
        check_study(forest.train, welcome(tmp_path, "x:y", metric=metric, args=args))
    check_study(len, welcome(tmp_path, "x:y"))


def test_boosting_by_trees_grows_as_many_as_are_asked_for(tmp_path: Path) -> None:
    """Of more than 10,000 rows it would stop early by itself, and after fewer if it goes on."""
    draw = np.random.default_rng(0)
    y = draw.integers(2, size=14_000)
    np.savez(tmp_path / "noise.npz", x=draw.standard_normal((len(y), 2)), y=y)
    args = {"dataset": str(tmp_path / "noise.npz"), "scoring": "neg_log_loss"}
    config: Config = {"learning_rate": 1.0, "max_leaf_nodes": 3}
    at_once, _ = train(boosting.train, tmp_path / "at once", config, 20, args)
    train(boosting.train, tmp_path / "in parts", config, 9, args)
    in_parts, _ = train(boosting.train, tmp_path / "in parts", config, 20, args, attempt=2)
    assert in_parts == at_once
    model = skops.io.load(saved(tmp_path / "at once", "model.skops"), trusted=TRUSTED)
    assert model.n_iter_ == 20


def checked(
    folder: Path, args: Table, examples: Sequence[Config] = (), metric: str = "accuracy"
) -> list[str]:
    """Have a trainable look at a study; returns what it says of it."""
    told = welcome(folder, "x:y", metric=metric, args={"dataset": "iris", **args})
    told = msgspec.structs.replace(told, examples=tuple(examples))
    return check_study((sklearn if "estimator" in args else tree).train, told)


@pytest.mark.parametrize(
    ("args", "metric", "said"),
    [
        ({"scoring": "f1"}, "f1", "Target is multiclass but average='binary'"),
        ({"scoring": "roc_auc"}, "roc_auc", "multi_class must be in"),
        (
            {"arguments": {"min_samples_leaf": -3}},
            "accuracy",
            "The 'min_samples_leaf' parameter of",
        ),
        ({"test_size": 0.001}, "accuracy", "iris can't be split: The test_size = 1 should be"),
        ({}, "train_loss", "metric = 'train_loss' is none; there is: accuracy, fit_s, score_s"),
        ({"estimator": "woods.Locked"}, "size_bytes", "metric = 'size_bytes' is none"),
        ({"estimator": "woods.Never"}, "accuracy", "Never can't be trained and scored on these "),
    ],
)
def test_what_fails_in_each_trial_is_found_before_the_first(
    woods: Path, args: Table, metric: str, said: str
) -> None:
    with pytest.raises(ObjectiveError) as caught:
        checked(woods, args, [{"max_depth": 2}] if "estimator" not in args else [], metric)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "examples"),
    [
        ({"estimator": SVC[1], "arguments": {"kernel": "precomputed"}}, [{"kernel": "rbf"}]),
        (
            {
                "estimator": "sklearn.neighbors.KNeighborsClassifier",
                "arguments": {"n_neighbors": 90},
            },
            [],
        ),
        ({"arguments": {"min_samples_leaf": 40}}, []),
        ({}, [{"max_depth": 2}, {"dep": 3}]),
    ],
)
def test_what_works_for_some_configuration_or_with_all_rows_is_not_refused(
    tmp_path: Path, args: Table, examples: list[Config]
) -> None:
    assert checked(tmp_path, args, examples) == []


def test_a_hyperparameter_that_there_is_not_is_found_before_the_first_trial(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="DecisionTreeClassifier has no hyperparameter 'dep'"):
        checked(tmp_path, {}, [{"dep": 3}])


def test_a_cost_that_can_not_be_measured_is_left_out(woods: Path) -> None:
    points: list[Point] = []
    told = welcome(woods, args={"dataset": "iris", "estimator": "woods.Locked"})
    trial, _ = open_trial(told, Assign(AttemptId(7, 0, 1), 1, {}, seed=7), points.append, never)
    with pytest.warns(match="Locked is not kept"):
        metrics = sklearn.train({}, trial)
    assert metrics["accuracy"] > 0.8
    assert "size_bytes" not in metrics


def test_classes_are_numbers_where_an_estimator_wants_them(woods: Path) -> None:
    lines = [f"{x},{'yes' if x > 19 else 'no'}\n" for x in range(80)]
    (woods.parent / "words.csv").write_text("a,label\n" + "".join(lines))
    args = {"dataset": str(woods.parent / "words.csv"), "scoring": ["f1", "accuracy"]}
    metrics, _ = train(sklearn.train, woods, {}, 1, {**args, "estimator": "woods.Coded"})
    assert metrics["f1"] > 0.9, "1 is the second in the alphabet"
    assert metrics["accuracy"] > 0.9
    said = checked(woods, {**args, "estimator": "woods.Coded"}, metric="f1")
    assert said == ["Coded wants numbers for classes: no = 0, yes = 1"]
    with pytest.raises(ObjectiveError, match="pos_label=1 is not a valid label"):
        checked(woods, args, metric="f1")


@pytest.mark.parametrize("scaled", [False, True])
def test_what_stops_early_has_rows_of_its_own_for_that(woods: Path, scaled: bool) -> None:  # noqa: FBT001
    steps = ["sklearn.preprocessing.MinMaxScaler"] if scaled else []
    args: Table = {"estimator": [*steps, "woods.Stops"], "arguments": {"early_stopping_rounds": 3}}
    train(sklearn.train, woods, {}, 1, {**args, "dataset": "wine"})
    x, y, (more_x, more_y) = sys.modules["woods"].SEEN
    assert (len(y), len(more_y)) == (120, 13)
    assert set(y) == set(more_y) == {0, 1, 2}
    assert (x.max() <= 1) == (more_x.max() <= 1.5) == scaled
    (note,) = checked(woods, args)
    assert note == "Stops stops early by a tenth of the rows to train on, held out for that"


def test_weights_of_classes_are_found_by_what_the_classes_are(tmp_path: Path) -> None:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
    weights = {0: 9.0, 1: 1.0}
    model = DecisionTreeClassifier(max_depth=2, class_weight=weights, random_state=7)
    args = {"dataset": "breast_cancer", "arguments": {"class_weight": {"0": 9.0, "1": 1.0}}}
    metrics, _ = train(tree.train, tmp_path, {"max_depth": 2}, 1, args)
    assert metrics["accuracy"] == model.fit(x_train, y_train).score(x_test, y_test)


def test_a_list_is_a_tuple_where_the_default_is_one(tmp_path: Path) -> None:
    paths = ["sklearn.preprocessing.MinMaxScaler", "sklearn.neighbors.KNeighborsClassifier"]
    args = {"estimator": paths, "arguments": {"minmaxscaler__feature_range": [0, 2]}}
    assert train(sklearn.train, tmp_path, {}, 1, args)[0]["accuracy"] > 0.8


@pytest.mark.filterwarnings("ignore:VotingClassifier is not kept")
def test_an_estimator_may_have_another_in_it(tmp_path: Path) -> None:
    one = {"estimator": "sklearn.multiclass.OneVsRestClassifier"}
    svc = {**one, "arguments": {"estimator": "sklearn.svm.SVC"}}
    vote = {
        "estimator": "sklearn.ensemble.VotingClassifier",
        "arguments": {"estimators": ["sklearn.svm.SVC", FOREST]},
    }
    configs: list[tuple[Table, Config]] = [
        (one, {"estimator__C": 2.0}),
        (svc, {"estimator__gamma": 0.1}),
        (vote, {"svc__C": 2.0}),
    ]
    for number, (args, config) in enumerate(configs):
        metrics, _ = train(sklearn.train, tmp_path / str(number), config, 1, args)
        assert metrics["accuracy"] > 0.9
    assert checked(tmp_path, svc, [{"estimator__C": 2.0}]) == []
    (note,) = checked(tmp_path, one)
    assert note.startswith("OneVsRestClassifier is one of LogisticRegression, as objective_args")


def test_trees_that_can_not_be_added_to_are_grown_anew(tmp_path: Path) -> None:
    args = {"estimator": "sklearn.ensemble.AdaBoostClassifier", "resource": "trees"}
    at_once, _ = train(sklearn.train, tmp_path / "at once", {}, 7, args)
    train(sklearn.train, tmp_path / "in parts", {}, 3, args)
    in_parts, points = train(sklearn.train, tmp_path / "in parts", {}, 7, args, attempt=2)
    assert in_parts == at_once
    assert [point.resource for point in points] == [7]


@pytest.mark.filterwarnings("ignore:.* is not kept")
@pytest.mark.parametrize("path", ["xgboost.XGBClassifier", "lightgbm.LGBMClassifier"])
def test_boosters_of_others_have_trees_words_and_seeds(tmp_path: Path, path: str) -> None:
    pytest.importorskip(path.partition(".")[0])
    lines = [f"{x % 7},{x % 5},{'yes' if x % 4 else 'no'}\n" for x in range(80)]
    (tmp_path / "words.csv").write_text("a,b,label\n" + "".join(lines))
    args: Table = {"estimator": path, "resource": "trees", "dataset": str(tmp_path / "words.csv")}
    if path.startswith("lightgbm"):
        args["arguments"] = {"verbose": -1}
    both = [
        train(sklearn.train, tmp_path / name, {"subsample": 0.5}, 4, args)[0] for name in ("a", "b")
    ]
    assert both[0] == both[1]
