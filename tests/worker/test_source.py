"""What can be laid down comes back as it was; what can't is refused with a word."""

import zipfile
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest

from hpmpi.data import mapped, scratch
from hpmpi.data.mapped import Data
from hpmpi.errors import ObjectiveError
from hpmpi.study.data_table import Source
from hpmpi.worker import source
from hpmpi.worker.handle import open_trial
from hpmpi.worker.source import lay_down, read
from tests.harness.drive import order, welcome

ARRAYS: dict[str, Any] = {
    "C": np.arange(12.0).reshape(3, 4),
    "F": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "strided": np.arange(20)[::3],
    "none": np.zeros((0, 4)),
    "one": np.array(3.5),
    "big endian": np.arange(4, dtype=">i4"),
    "texts": np.array(["a", "größer"]),
    "struct": np.zeros(3, dtype=[("a", "f4"), ("b", "i8", (2,))]),
    "days": np.array(["2020-01-01"], dtype="M8[D]"),
    "yes/no": np.array([True, False]),
}


def laid_down(given: Source, folder: Path) -> Data:
    """Lay a source of a folder down in another."""
    room = folder / "room"
    room.mkdir(exist_ok=True)
    args = {"source": msgspec.to_builtins(given), "rooms": [str(room)]}
    trial, _ = open_trial(
        welcome(folder, "load.py:load", args=args), order(), lambda _: None, lambda: False
    )
    assert lay_down({}, trial) > 0
    return Data(room / mapped.LINK)


def check_same(found: Data, arrays: dict[str, Any]) -> None:
    """See that arrays are as they were, mapped, and can't be changed."""
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert not found[name].flags.writeable
        assert found[name].flags.aligned
        np.testing.assert_array_equal(found[name], array)
        assert isinstance(found[name].base, np.memmap) or array.size == 0


def refusal(given: Source, folder: Path) -> str:
    """Return why a source can't be laid down."""
    with pytest.raises(ObjectiveError) as caught:
        laid_down(given, folder)
    return str(caught.value)


def function(folder: Path, code: str) -> Source:
    """Write a function that returns data."""
    (folder / "load.py").write_text(f"import numpy as np\ndef load():\n    return {code}\n")
    return Source("load.py:load")


def test_arrays_of_a_function_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "load", lambda *_: lambda: ARRAYS)
    check_same(laid_down(Source("load.py:load"), tmp_path), ARRAYS)


def test_arrays_of_an_npz_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {name: each for name, each in ARRAYS.items() if "/" not in name}
    np.savez_compressed(tmp_path / "all.npz", **arrays)
    check_same(laid_down(Source("all.npz"), tmp_path), arrays)


@pytest.mark.parametrize("name", ARRAYS)
def test_the_array_of_an_npy_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "one.npy", ARRAYS[name])
    check_same(laid_down(Source("one.npy"), tmp_path), {"data": ARRAYS[name]})


def test_data_sets_of_an_hdf5_group_come_back_slice_by_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SLICE_BYTES", 100)
    arrays = {"X": np.arange(600.0).reshape(100, 6), "none": np.zeros((0, 3)), "z": np.array(2)}
    with h5py.File(tmp_path / "all.h5", "w") as file:
        for name, array in arrays.items():
            file[f"train/{name}"] = array
        file["train/deeper/y"] = 1
    check_same(laid_down(Source("all.h5", key="train"), tmp_path), arrays)
    only = list(read(Source("all.h5", key="train/X"), tmp_path))
    assert [piece.name for piece in only] == ["X"]


def test_an_hdf5_key_that_is_not_there_is_told_with_what_there_is(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["train/X"] = 1
    assert "no 'test'; there is: train" in refusal(Source("all.h5", key="test"), tmp_path)


def test_the_target_of_a_csv_is_y_and_the_rest_is_x(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("a,label,b\n1,cat,2.5\n3,dog,nan\n")
    found = laid_down(Source("all.csv", target="label"), tmp_path)
    check_same(found, {"y": np.array(["cat", "dog"]), "X": np.array([[1, 2.5], [3, np.nan]])})


def test_a_csv_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("a,b\n1,2\n")
    assert "there is no column 'c'" in refusal(Source("all.csv", target="c"), tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("[1, 2]", "'data' is a list"),
        ("{'X': 3}", "'X' is a int"),
        ("{3: np.ones(2)}", "must return a numpy array, or a dictionary of them by name; 3"),
        ("np.array([{}, 'a'], dtype=object)", "Object arrays cannot be saved"),
        ("np.ma.masked_array([1, 2])", "'data' is a MaskedArray"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, code: str, said: str) -> None:
    assert said in refusal(function(tmp_path, code), tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("evil.npy", "Object arrays cannot be loaded"),
        ("evil.npz", "Object arrays cannot be loaded"),
        ("rubbish.npy", "can't be shared"),
        ("rubbish.npz", "can't be read"),
    ],
)
def test_nothing_is_unpickled(tmp_path: Path, name: str, said: str) -> None:
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", X=np.array([{}], dtype=object))
    for rubbish in ("rubbish.npy", "rubbish.npz"):
        (tmp_path / rubbish).write_bytes(b"rubbish")
    assert said in refusal(Source(name), tmp_path)


def test_data_that_find_no_room_are_refused_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "one.npy", np.ones(1000))
    monkeypatch.setattr(scratch, "free_bytes", lambda _: 9000)
    with pytest.raises(ObjectiveError, match=r"the data are 0.0122 MB, and .* has room for 0.009"):
        laid_down(Source("one.npy"), tmp_path)


def test_what_a_killed_reader_has_left_takes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "room" / f"{mapped.READ}1" / "data.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(8000))
    monkeypatch.setattr(
        scratch,
        "free_bytes",
        lambda room: 16000 - sum(path.stat().st_size for path in room.rglob("*.npy")),
    )
    np.save(tmp_path / "one.npy", np.ones(1000))
    check_same(laid_down(Source("one.npy"), tmp_path), {"data": np.ones(1000)})


def test_an_unknown_name_says_which_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", X=np.ones(2), y=np.ones(2))
    with pytest.raises(KeyError, match=r"is not in \[data\]; there is: X, y"):
        laid_down(Source("all.npz"), tmp_path)["Z"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Source(key="a"), "data.source is missing"),
        (Source("no.npy"), "there is no file"),
        (Source("m:f", key="a"), "data.key is for .h5 or .hdf5"),
        (Source("a.npy", target="y"), "data.target is for .csv"),
        (Source("m:f", folder="near"), "must begin with / or a variable"),
    ],
)
def test_mistakes_in_the_study_are_said(tmp_path: Path, given: Source, said: str) -> None:
    assert said in "\n".join(given.problems(tmp_path))


def test_no_data_are_no_mistake(tmp_path: Path) -> None:
    assert Source().problems(tmp_path) == []


def test_what_is_no_array_in_an_archive_is_passed_over(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", X=np.arange(3))
    with zipfile.ZipFile(tmp_path / "all.npz", "a") as archive:
        archive.writestr("readme.txt", "three numbers")
    assert [piece.name for piece in read(Source("all.npz"), tmp_path)] == ["X"]


def test_what_is_done_to_the_shape_of_an_array_is_not_done_to_anothers(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((2, 3)))
    found = Data(tmp_path)
    found["X"].shape = (3, 2)
    assert found["X"].shape == (2, 3)


def test_a_table_is_numbers_with_its_words_groups_and_notes_beside(tmp_path: Path) -> None:
    rows = ",who,city,label\n0,ann,Ulm,x\n1,bob,Bonn,y\n"
    (tmp_path / "all.tsv").write_text(rows.replace(",", "\t"))
    found = laid_down(Source("all.tsv", target="label", groups="who"), tmp_path)
    arrays = {name: found[name].tolist() for name in found}
    assert arrays == {
        "X": [[1.0], [0.0]],
        "y": ["x", "y"],
        "groups": [0.0, 1.0],
        "names": ["city"],
        "words/0": ["Bonn", "Ulm"],
    }
    assert found.notes == [
        "all.tsv: a column without a name, as an index has none: left out",
        "all.tsv: words are encoded, a feature for each: city",
    ]


@pytest.mark.parametrize("target", ["kind", None])
def test_a_table_with_two_columns_of_the_name_of_the_target_is_refused(
    tmp_path: Path, target: str | None
) -> None:
    (tmp_path / "all.csv").write_text("noise,kind,kind\n1,0,0\n2,1,1\n")
    said = refusal(Source("all.csv", target=target), tmp_path)
    assert "columns 2, 3 have the same name, 'kind'" in said


def test_data_without_notes_have_none(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(2))
    assert laid_down(Source("one.npy"), tmp_path).notes == []


@pytest.mark.parametrize("name", ["all.csv.gz", "all.PARQUET", "all.tsv"])
def test_a_table_is_no_function_and_may_have_a_target(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert Source(name, target="y", groups="z").problems(tmp_path) == []
    assert not Source(name).is_function
