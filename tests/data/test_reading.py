"""Tables as people have them: what is in the file is in the arrays, whoever has written it."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpmpi.data.reading import read_table
from hpmpi.data.sheets import Table

PLAIN = "a,b,label\n1.5,2,x\n-3,4e2,y\n"
NUMBERS = [[1.5, 2.0], [-3.0, 400.0]]


def read(folder: Path, text: str | bytes, target: str | None = None, **more: Any) -> Table:
    """Read what is in a file."""
    file = folder / more.pop("name", "table.csv")
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(file, target, **more)


def refusal(folder: Path, text: str | bytes, **more: Any) -> str:
    """Return why a file can't be read."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is looked at
        read(folder, text, **more)
    return str(caught.value)


def zipped(text: bytes) -> bytes:
    """Put a file into an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("table.csv", text)
    return packed.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", "  "),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", ";").replace(".", ","),
        '"a","b","label"\n"1.5","2","x"\n"-3","4e2","y"\n',
        "\n" + PLAIN + "\n\n",
    ],
)
def test_whatever_stands_between_the_cells_they_are_the_same(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert found.x.tolist() == NUMBERS
    assert found.y.tolist() == ["x", "y"]
    assert found.names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_whatever_the_encoding_words_are_the_same(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, "größe,art\n1,weiß\n2,blau\n".encode(encoding))
    assert (found.names, found.y.tolist()) == (["größe"], ["weiß", "blau"])
    assert bool(found.notes) == (encoding == "cp1252")
    text = "größe,art\n1,weiß\n2,blau\n".encode(encoding)
    assert read(tmp_path, gzip.compress(text), name="table.csv.gz").names == ["größe"]


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zip", zipped),
    ],
)
def test_what_is_compressed_is_read_as_it_is(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    found = read(tmp_path, pack(PLAIN.encode()), name=f"table.csv.{ending}")
    assert found.x.tolist() == NUMBERS


def test_numbers_are_those_that_are_written_to_the_last_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((500, 3)) * 10.0 ** draw.integers(-300, 300, (500, 3))
    text = "a,b,c,y\n" + "".join(f"{','.join(map(repr, row))},1\n" for row in x.tolist())
    assert np.array_equal(read(tmp_path, text).x, x)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",a,label\n0,1,x\n1,2,y\n", ["a"]),
        (",a,label\n17,1,x\n3,2,y\n", ["a"]),
        (",a,label\nr1,1,x\nr2,2,y\n", ["a"]),
        (",Unnamed: 0,a,label\n5,0,1,x\n7,1,2,y\n", ["a"]),
        ("Unnamed: 0,a,label\n17,1,x\n3,2,y\n", ["a"]),
        ("index,a,label\n0,1,x\n1,2,y\n", ["a"]),
        ("a,label\n1,x,\n2,y,\n", ["a"]),
        ('"a","label"\n"r1",1,"x"\n"r2",2,"y"\n', ["a"]),
        ("Unnamed: 0,a,label\n1.5,1,x\n2.5,2,y\n", ["Unnamed: 0", "a"]),
        ("index,a,label\n3,1,x\n1,2,y\n", ["index", "a"]),
        ("id,a,label\n0,1,x\n1,2,y\n", ["id", "a"]),
    ],
)
def test_what_counts_the_rows_is_no_feature_and_is_said(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    found = read(tmp_path, text)
    assert found.names == names
    assert found.x[:, -1].tolist() == [1, 2]
    assert any("left out" in note for note in found.notes) == (len(names) == 1)


def test_words_are_places_in_their_alphabet_and_blanks_stay(tmp_path: Path) -> None:
    text = "city,n,label\nUlm,1,x\n,?,y\nBonn,NA,None\nCelle,4,x\nUlm,5,x\n"
    found = read(tmp_path, text)
    assert found.words == {0: ["Bonn", "Celle", "Ulm"]}
    np.testing.assert_array_equal(found.x[:, 0], [2, np.nan, 0, 1, 2])
    np.testing.assert_array_equal(found.x[:, 1], [1, np.nan, np.nan, 4, 5])
    assert found.y.tolist() == ["x", "y", "None", "x", "x"], "what is to be predicted is as it is"
    assert list(found.notes) == ["words are encoded, a feature for each: city"]


def test_beside_commas_a_comma_is_in_no_number(tmp_path: Path) -> None:
    found = read(tmp_path, 'a,b,label\n"1,500",2.5,x\n"2,500",3.5,y\n')
    assert found.words == {0: ["1,500", "2,500"]}
    assert found.x[:, 1].tolist() == [2.5, 3.5]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["2020-01-01", "2020-01-03 12:00"], [18262, 18264.5]),
        (["01.02.2020", ""], [18293, np.nan]),
        (["12/31/1969", "01/02/1970"], [-1, 1]),
        (["31/12/1969", "02/01/1970"], [-1, 1]),
        (["True", "False"], [1, 0]),
        (["true", ""], [np.nan, np.nan]),
    ],
)
def test_dates_and_truth_values_are_numbers(
    tmp_path: Path, cells: list[str], numbers: list[float]
) -> None:
    found = read(tmp_path, "when,a,label\n" + "".join(f"{cell},1,x\n" for cell in cells))
    if not found.words:
        np.testing.assert_array_equal(found.x[:, 0], numbers)
    assert bool(found.words) == (cells[0] == "true"), "a single word says nothing"


def test_a_word_far_below_numbers_makes_words_of_all(tmp_path: Path) -> None:
    rows = [*(["01", "1", "", "2"] * 3000), "x"]  # more than pandas reads at a time
    more = ",7" * 98
    text = f"a{more},label\n" + "".join(f"{cell}{more},x\n" for cell in rows)
    found = read(tmp_path, text, "label")
    assert found.words == {0: ["01", "1", "2", "x"]}
    expected = [*([0, 1, np.nan, 2] * 3000), 3]
    np.testing.assert_array_equal(found.x[:, 0], expected)


def test_what_is_to_be_predicted_may_have_a_decimal_comma(tmp_path: Path) -> None:
    assert read(tmp_path, "a;b\n1;2,5\n3;4\n").y.tolist() == [2.5, 4.0]


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("39,gov,x\n50,self,y\n", [], [39, 0]),
        ("0,1,label\n.5,.2,x\n.4,.1,y\n", ["0", "1"], [0.5, 0.2]),
        ("0,1,x\n2,3,x\n", [], [0, 1]),
        ("2019,2020,label\n1,2,3\n4,5,6\n", ["2019", "2020"], [1, 2]),
        ("a,a,label\n1,2,x\n3,4,y\n", ["a", "a.1"], [1, 2]),
    ],
)
def test_names_are_told_from_the_first_row(
    tmp_path: Path, text: str, names: list[str], first: list[float]
) -> None:
    found = read(tmp_path, text)
    assert found.names == names
    assert found.x[0].tolist() == first


@pytest.mark.parametrize(
    ("header", "said", "more"),
    [
        ("noise,n2,kind,kind", "columns 3, 4 have the same name, 'kind'", {"target": "kind"}),
        ("noise,n2,kind,kind", "columns 3, 4 have the same name, 'kind'", {}),
        ("kind,n2,who, kind ", "columns 1, 4 have the same name, 'kind'", {}),
        ("who,n2,who,kind", "columns 1, 3 have the same name, 'who'", {"groups": "who"}),
    ],
)
def test_no_column_of_the_name_of_the_target_or_the_groups_is_a_feature(
    tmp_path: Path, header: str, said: str, more: dict[str, str]
) -> None:
    assert said in refusal(tmp_path, f"{header}\n1,2,3,4\n5,6,7,8\n", **more)


def test_features_of_the_same_name_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b,a,kind\n1,2,3,x\n4,5,6,y\n")
    assert found.names == ["a", "b", "a.1"]
    assert list(found.notes) == ["columns 1, 3 have the same name, and are a feature each: a"]


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (["01", "1", "2", "-2"], ["01", "1"]),
        (["-01", "-1", "01", "2"], ["-01", "-1"]),
        (["9007199254740993", "9007199254740992", "1", "2"], ["9007199254740992", "...3"]),
    ],
)
def test_labels_that_would_be_one_number_stay_words_and_that_is_said(
    tmp_path: Path, labels: list[str], kept: list[str]
) -> None:
    found = read(tmp_path, "a,kind\n" + "".join(f"7,{label}\n" for label in labels))
    assert found.y.tolist() == labels
    (note,) = found.notes
    assert note.startswith("what is to be predicted is words, as some would be one number: ")
    assert kept[0] in note


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [(["1", "1.0", "1e0", "2"], [1, 1, 1, 2]), (["01", "02", "10"], [1, 2, 10])],
)
def test_spellings_of_a_number_are_that_number(
    tmp_path: Path, labels: list[str], numbers: list[float]
) -> None:
    found = read(tmp_path, "a,kind\n" + "".join(f"7,{label}\n" for label in labels))
    assert (found.y.tolist(), list(found.notes)) == (numbers, [])


def test_a_code_of_digits_with_a_line_below_is_a_word(tmp_path: Path) -> None:
    found = read(tmp_path, "a,kind\n1_0,1_0\n10,10\n")
    assert (found.words, found.y.tolist()) == ({0: ["10", "1_0"]}, ["1_0", "10"])


def test_what_is_written_is_read_from_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "ok": [True, None, False],
            "city": pd.Categorical(["Ulm", None, "Bonn"]),
            "label": ["x", "y", "x"],
        },
        index=pd.Index([5, 6, 7], name="id"),
    )
    frame.to_parquet(tmp_path / "table.parquet")
    found = read_table(tmp_path / "table.parquet", None)
    expected = [[1, 18262, 1, 1], [np.nan] * 4, [3, 18264, 0, 0]]
    np.testing.assert_array_equal(found.x, expected)
    assert (found.names, found.words) == (["n", "when", "ok", "city"], {3: ["Bonn", "Ulm"]})
    assert found.y.tolist() == ["x", "y", "x"]
    assert found.notes[0] == "the index is left out: id"


def test_what_parquet_needs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", missing)
    said = refusal(tmp_path, b"", name="table.parquet")
    assert said == "parquet needs pyarrow: pip install 'hpmpi[parquet]'"


def test_groups_are_a_column_that_is_no_feature(tmp_path: Path) -> None:
    found = read(tmp_path, "who,a,label\nann,1,x\nbob,2,y\nann,3,x\n", groups="who")
    assert found.names == ["a"]
    assert found.groups is not None
    assert found.groups.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No columns to parse from file"),
        ("a\n1\n", "its first row must have a feature and a target"),
        ("a,b\n", "it has no rows"),
        (",label\n0,x\n1,y\n", "there must be a feature beside the target"),
        ("a,b\n1,x\n3, \n", "row 2 has nothing to predict"),
        ("a,b\n1,\n3, \n", "the column 'b' has nothing to predict in any row"),
        ("1,2\n3,4,5\n", "Expected 2 fields in line 2, saw 3"),
        ("a,b\n3,4\n5,6,7,8\n", "Expected 2 fields in line 3, saw 4"),
        ("a;b\n1,5;2\n1.5;2\n", "some of its numbers have a decimal comma, and some a point"),
        ("a,b\0\n1,2\n", "it is no text"),
    ],
)
def test_what_can_not_be_read_is_said(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)
