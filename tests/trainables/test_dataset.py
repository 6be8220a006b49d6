"""The data of the trainables: what is asked for is what is there, or an error says what is not."""

import fcntl
import gzip
import lzma
import socket
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    TimeSeriesSplit,
    train_test_split,
)

from hpmpi.data.mapped import data_in
from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Assign, Point
from hpmpi.model.trial import AttemptId
from hpmpi.trainables import dataset, tree
from hpmpi.trainables.dataset import BUILT_IN, FETCHED, DatasetSource, load, located, spread
from hpmpi.trainables.fashion import FASHION
from hpmpi.trainables.options import read as read_options
from hpmpi.trainables.splits import Layout, part, splits
from hpmpi.worker.handle import open_trial
from hpmpi.worker.objective import check_study
from tests.harness.build import never
from tests.harness.drive import welcome
from tests.harness.trainables import train

ORDER = Assign(AttemptId(7, 0, 1), 1, {}, seed=7)


def study_data(folder: Path, **arrays: object) -> str:
    """Lay down the data of a study."""
    given = folder / "given"
    given.mkdir()
    for name, array in arrays.items():
        np.save(given / f"{name}.npy", np.asarray(array))
    return str(given)


IRIS = datasets.load_iris()
NUMBERS = "".join(
    ",".join(map(str, [*x, y])) + "\n" for x, y in zip(IRIS.data, IRIS.target, strict=True)
)
WORDS = "kind,sepal length,sepal width,petal length,petal width\n" + "".join(
    f'"{IRIS.target_names[y]}",{",".join(map(str, x))}\n'
    for x, y in zip(IRIS.data, IRIS.target, strict=True)
)


def layout(name: str, rows: int | None = None) -> Layout:
    """Lay out a classification set: a quarter held out, features scaled."""
    return Layout(DatasetSource(name, rows=rows), stratified=True, scaled=True)


HERE = BUILT_IN.keys() - {*FETCHED, FASHION}
SMALL = sorted(name for name in HERE if BUILT_IN[name] == "classification")


@pytest.mark.parametrize("name", SMALL)
def test_a_hold_out_is_always_the_same_and_scaled(name: str) -> None:
    one = part(layout(name), 0)
    for cached in (part, splits, load):
        cached.cache_clear()
    other = part(layout(name), 0)
    assert all(np.array_equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))
    assert one.x_train.min() == 0.0
    assert one.x_train.max() <= 1.0 + 1e-12
    assert set(one.y_train) == set(one.y_test)


def test_few_rows_have_the_shares_of_many() -> None:
    y = np.repeat(["rare", "often", "usual"], [10, 40, 50])
    order = spread(y, stratified=True)
    assert sorted(order) == list(range(100))
    for count in (10, 20, 50):
        kinds, counts = np.unique(y[order[:count]], return_counts=True)
        assert dict(zip(kinds, counts, strict=True)) == {
            "rare": count / 10,
            "often": count * 4 / 10,
            "usual": count / 2,
        }
    assert sorted(spread(y, stratified=False)) == list(range(100))


def test_so_many_rows_are_in_their_order() -> None:
    data = load(DatasetSource("iris", None, None, 30))
    assert np.bincount(data.y).tolist() == [10, 10, 10]
    assert (np.diff(data.y) >= 0).all()


@pytest.mark.parametrize(
    ("name", "content", "target"),
    [
        ("iris.csv", NUMBERS.encode(), None),
        ("iris.20k.data.xz", lzma.compress(NUMBERS.encode()), None),
        ("iris.csv.gz", gzip.compress(NUMBERS.encode()), None),
        ("words.csv", WORDS.encode(), "kind"),
    ],
)
def test_a_file_is_what_is_in_it(
    tmp_path: Path, name: str, content: bytes, target: str | None
) -> None:
    (tmp_path / name).write_bytes(content)
    data = load(DatasetSource(str(tmp_path / name), target, None))
    assert np.array_equal(data.x, IRIS.data)
    expected = IRIS.target_names[IRIS.target] if target else IRIS.target
    assert np.array_equal(data.y, expected)
    assert data.task == "classification"


def test_arrays_are_found_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "iris.npz", X=IRIS.data, length=IRIS.data[:, 0], y=IRIS.target)
    file = str(tmp_path / "iris.npz")
    assert load(DatasetSource(file)).task == "classification"
    assert load(DatasetSource(file, "length", None)).task == "regression"
    with pytest.raises(ObjectiveError, match="there is no array 'width', but X, length, y"):
        load(DatasetSource(file, "width", None))


def test_data_of_the_study_are_what_is_trained_on_if_no_data_set_is_said(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    given = study_data(tmp_path, X=x, y=y)
    found = {}
    for args in ({}, {"dataset": "iris"}, {"dataset": "wine"}):
        told = welcome(tmp_path / str(args), args=args, data=given)
        trial, _ = open_trial(told, ORDER, list[Point]().append, never)
        found[args.get("dataset")] = tree.train({"max_depth": 2}, trial)["train_rows"]
    assert found[None] == found["iris"] != found["wine"]


def test_data_of_the_study_without_x_and_y_are_said(tmp_path: Path) -> None:
    told = welcome(tmp_path, metric="accuracy", data=study_data(tmp_path, A=np.ones(3)))
    with pytest.raises(
        ObjectiveError, match=r"\[data\] can't be used: there is no array 'x', but A"
    ):
        check_study(tree.train, told)


def test_folds_of_the_study_data_are_copied_only_where_they_must_be(tmp_path: Path) -> None:
    given = study_data(tmp_path, X=np.arange(60.0).reshape(30, 2), y=np.arange(30.0) / 7)
    layout = Layout(DatasetSource(given), folds=3)
    x = load(layout.source).x
    assert isinstance(x.base, np.memmap)
    for number in range(3):
        found = part(layout, number)
        assert np.shares_memory(found.x_test, x)
        assert np.shares_memory(found.x_train, x) == (number in {0, 2})


def test_validation_data_are_what_is_scored(tmp_path: Path) -> None:
    lines = NUMBERS.splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[::2]))
    (tmp_path / "valid.csv").write_text("".join(lines[1::2]))
    files = {"dataset": str(tmp_path / "train.csv"), "validation": str(tmp_path / "valid.csv")}
    metrics, _ = train(tree.train, tmp_path / "run", {}, 1, files)
    assert metrics["train_rows"] == 75
    data = load(DatasetSource(files["dataset"], None, files["validation"]))
    assert data.held_out == 75
    assert metrics["accuracy"] > 0.9
    with pytest.raises(ObjectiveError, match=r"validation is held out: there are no folds"):
        train(tree.train, tmp_path / "folds", {}, 1, {"folds": 3, **files})


@pytest.mark.parametrize(
    ("content", "target", "said"),
    [
        ("a,b\n1,2\n3,4\n", "c", "can't be read: there is no column 'c': a, b"),
        ("1,2\n3,4\n", "c", "can't be read: there is no column 'c': no header"),
        ("a,b\n1,2\n3,nan\n", None, "the target is not a number in each row"),
        ("1,2\n3\n", None, "can't be read: row 2 has nothing to predict"),
        ("a,b\n1,x\n3, \n", None, "can't be read: row 2 has nothing to predict"),
        (
            "a\n1\n",
            None,
            "must have a feature and a target, with a comma, semicolon or tab between",
        ),
    ],
)
def test_a_file_that_can_not_be_read_is_said(
    tmp_path: Path, content: str, target: str | None, said: str
) -> None:
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(ObjectiveError) as caught:
        load(DatasetSource(str(tmp_path / "data.csv"), target, None))
    assert str(caught.value).startswith(str(tmp_path / "data.csv"))
    assert said in str(caught.value)


def test_a_file_of_words_to_predict_needs_no_header(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("1,2, a\n3,4,b\n5,6,a\n")
    data = load(DatasetSource(str(tmp_path / "words.csv")))
    assert data.x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data.y.tolist() == ["a", "b", "a"]


def test_columns_to_validate_with_are_found_by_their_names(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a,b,kind\n1,2,x\n3,4,y\n")
    other.write_text("b,kind,a\n2,x,1\n")
    assert load(DatasetSource(str(one), "kind", str(other))).x.tolist() == [[1, 2], [3, 4], [1, 2]]
    other.write_text("c,kind,a\n2,x,1\n")
    load.cache_clear()
    with pytest.raises(ObjectiveError, match="have other features: b, c"):
        load(DatasetSource(str(one), "kind", str(other)))
    other.write_text("b,kind,a\n2,0,1\n")
    with pytest.raises(ObjectiveError, match="one has words to predict, one numbers"):
        load(DatasetSource(str(one), "kind", str(other)))


def test_words_to_validate_with_are_spelt_as_those_to_train_on(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("city,a,kind\nUlm,1,x\nBonn,2,y\n")
    other.write_text("a,city,kind\n3,Celle,x\n4,Ulm,y\n")
    found = load(DatasetSource(str(one), None, str(other)))
    assert found.words == {0: ["Bonn", "Celle", "Ulm"]}
    assert found.x.tolist() == [[2, 1], [0, 2], [1, 3], [2, 4]]
    other.write_text("a,city,kind\n3,5,x\n4,6,y\n")
    load.cache_clear()
    with pytest.raises(ObjectiveError, match="one has words, one numbers: city"):
        load(DatasetSource(str(one), None, str(other)))


def test_what_is_made_of_features_is_learnt_from_the_rows_trained_on(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("city,a,kind\nUlm,1,x\nBonn,3,y\nUlm,,x\n")
    other.write_text("city,a,kind\nCelle,1000,x\n,,y\n")
    source = DatasetSource(str(one), None, str(other))
    found = part(Layout(source, filled=True), 0)
    assert found.x_train.tolist() == [[1, 0, 1], [3, 1, 0], [2, 0, 1]]
    assert found.x_test.tolist() == [[1000, 0, 0], [2, 0, 0]], "an unknown word is none of theirs"
    scaled = part(Layout(source, filled=True, scaled=True), 0)
    assert scaled.x_train[:, 0].tolist() == [0, 1, 0.5]
    left = part(Layout(source), 0)
    assert np.isnan(left.x_train[2, 0])


def test_a_word_that_is_not_known_is_one_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("city,a,kind\nUlm,1,x\n,2,y\nBonn,3,x\nUlm,4,y\n")
    found = part(Layout(DatasetSource(str(tmp_path / "one.csv")), split="time"), 0)
    assert found.x_train.tolist() == [[1, 0, 1, 0], [2, 0, 0, 1], [3, 1, 0, 0]]


def test_arrays_of_keras_are_trained_on_and_scored_with_as_they_say(tmp_path: Path) -> None:
    x = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    np.savez(tmp_path / "mnist.npz", x_train=x[:3], y_train=[0, 1, 0], x_test=x[3:], y_test=[1, 1])
    found = part(Layout(DatasetSource(str(tmp_path / "mnist.npz")), stratified=True), 0)
    assert np.array_equal(found.x_train, x[:3].reshape(3, 16))
    assert np.array_equal(found.x_test, x[3:].reshape(2, 16))
    assert (found.y_train.tolist(), found.y_test.tolist()) == ([0, 1, 0], [1, 1])
    few = load(DatasetSource(str(tmp_path / "mnist.npz"), rows=2))
    assert (len(few.y), few.held_out) == (4, 2)
    folds = splits(Layout(DatasetSource(str(tmp_path / "mnist.npz")), folds=3))
    assert sorted(np.concatenate([test for _, test in folds])) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_rows_are_read_with_labels_beside(tmp_path: Path, kind: str) -> None:
    dense = np.array([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]])
    sparse.save_npz(tmp_path / "x.npz", sparse.coo_matrix(dense).asformat(kind))
    np.save(tmp_path / "labels.npy", [[1], [0], [1]])
    found = load(DatasetSource(str(tmp_path / "x.npz"), "labels.npy"))
    assert sparse.issparse(found.x)
    assert np.array_equal(found.x.toarray(), dense)
    assert found.y.tolist() == [1, 0, 1]
    with pytest.raises(ObjectiveError, match="a sparse matrix has no labels: name a file beside"):
        load(DatasetSource(str(tmp_path / "x.npz")))


def test_sparse_data_of_the_study_are_mapped(tmp_path: Path) -> None:
    matrix = sparse.random(9, 4, density=0.5, format="csr", random_state=0)
    arrays = {name: getattr(matrix, name) for name in ("data", "indices", "indptr", "shape")}
    given = study_data(tmp_path, format=b"csr", y=np.arange(9) % 2, **arrays)
    found = load(DatasetSource(given))
    assert np.array_equal(found.x.toarray(), matrix.toarray())
    shared = data_in(given)
    assert shared is not None
    assert np.shares_memory(found.x.data, shared["data"])


def test_labels_may_be_several_or_a_column(tmp_path: Path) -> None:
    x, y = np.ones((4, 2)), np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
    np.savez(tmp_path / "several.npz", X=x, y=y)
    np.savez(tmp_path / "column.npz", X=x, y=y[:, :1])
    assert load(DatasetSource(str(tmp_path / "several.npz"))).y.shape == (4, 2)
    assert load(DatasetSource(str(tmp_path / "column.npz"))).y.tolist() == [0, 1, 0, 1]
    assert len(load(DatasetSource(str(tmp_path / "several.npz"), rows=2)).y) == 2
    ((train, test),) = splits(Layout(DatasetSource(str(tmp_path / "several.npz")), stratified=True))
    assert sorted([*train, *test]) == [0, 1, 2, 3]


def test_what_is_alone_of_its_class_is_trained_on(tmp_path: Path) -> None:
    labels = ["x"] * 10 + ["y"] * 10 + ["z"]
    lines = [f"{number},{label}\n" for number, label in enumerate(labels)]
    (tmp_path / "rare.csv").write_text("a,label\n" + "".join(lines))
    ((train, test),) = splits(Layout(DatasetSource(str(tmp_path / "rare.csv")), stratified=True))
    assert 20 in train
    assert np.array_equal(
        test, train_test_split(range(20), stratify=labels[:20], random_state=0)[1]
    )


def test_groups_and_time_are_split_as_scikit_learn_does(tmp_path: Path) -> None:
    groups = np.arange(12) % 4
    np.savez(tmp_path / "data.npz", X=np.ones((12, 1)), y=np.arange(12.0), who=groups)
    source = DatasetSource(str(tmp_path / "data.npz"), groups="who")
    x = np.ones(12)
    expected = {
        Layout(source, folds=3): GroupKFold(3).split(x, x, groups),
        Layout(source): GroupShuffleSplit(1, test_size=0.25, random_state=0).split(x, x, groups),
        Layout(DatasetSource(source.dataset), folds=3, split="time"): TimeSeriesSplit(3).split(x),
        Layout(DatasetSource(source.dataset), split="time"): [(np.arange(9), np.arange(9, 12))],
    }
    for layout, folds in expected.items():
        for found, wanted in zip(splits(layout), folds, strict=True):
            assert [each.tolist() for each in found] == [each.tolist() for each in wanted]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"groups": "who", "split": "time"}, 'groups and split = "time" exclude each other'),
        ({"groups": "who", "validation": "v.csv"}, "groups says nothing then"),
        ({"split": "tim"}, "there is: 'random', 'time'"),
    ],
)
def test_ways_to_split_that_exclude_each_other_are_said(args: dict[str, object], said: str) -> None:
    with pytest.raises(ObjectiveError, match=said):
        read_options(args)


def test_many_whole_numbers_are_classes_only_if_a_study_says_so(tmp_path: Path) -> None:
    file = tmp_path / "ages.csv"
    file.write_text("".join(f"{number},{number % 30}\n" for number in range(300)))
    assert load(DatasetSource(str(file))).task is None
    with pytest.raises(ObjectiveError, match=r"set objective_args\.task to"):
        train(tree.train, tmp_path / "unsaid", {}, 1, {"dataset": str(file)})
    for task, metric in (("regression", "r2"), ("classification", "accuracy")):
        args = {"dataset": str(file), "task": task}
        assert metric in train(tree.train, tmp_path / task, {}, 1, args)[0]


def test_arrays_of_other_lengths_are_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 2)), y=np.zeros(5))
    with pytest.raises(ObjectiveError, match="x has 6 rows, and y 5"):
        load(DatasetSource(str(tmp_path / "data.npz")))


@pytest.mark.parametrize("name", ["data.npz", "data.csv.xz", "data.csv.gz"])
def test_a_file_that_is_not_what_its_name_says_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(NUMBERS)
    with pytest.raises(ObjectiveError, match="can't be read"):
        load(DatasetSource(str(tmp_path / name)))


def test_a_data_set_that_is_not_known_is_said() -> None:
    with pytest.raises(ObjectiveError) as caught:
        load(DatasetSource(located("mnist", Path("/nowhere"))))
    assert str(caught.value) == (
        "the data set 'mnist' is not known; there is: breast_cancer, california_housing, covtype, "
        "diabetes, digits, fashion_mnist, iris, wine; or a file, and /nowhere/mnist is none"
    )


@pytest.mark.parametrize("name", sorted(FETCHED))
def test_nothing_stands_in_for_what_can_not_be_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))

    def refuse(**_: object) -> None:
        assert socket.getdefaulttimeout() == dataset.FETCH_S
        raise URLError("no route")

    monkeypatch.setattr(datasets, f"fetch_{name}", refuse)
    with pytest.raises(ObjectiveError) as caught:
        load(DatasetSource(name))
    assert str(caught.value) == (
        f"{FETCHED[name]} are not here, and can't be fetched (<urlopen error no route>); "
        "give a file: --set objective_args.dataset=PATH"
    )
    assert socket.getdefaulttimeout() is None


def test_one_process_at_a_time_fetches(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as another:
        with dataset.alone(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with dataset.alone(tmp_path / "nowhere"):
        pass
