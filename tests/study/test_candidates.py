"""A file of candidates: each row is a configuration, or is named with what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpmpi.errors import SettingsError
from hpmpi.model.conditions import Condition, OneOf
from hpmpi.model.dimensions import Choice, Float, Int, OptionalRange
from hpmpi.model.space import Space
from hpmpi.storage import results_file
from hpmpi.study import candidates, changes, checks, methods, settings

SPACE = Space(
    {
        "rate": Float(0.0, 1.0),
        "layers": Int(1, 4),
        "solver": Choice(["sgd", "adam, fused", "", "1"]),
        "nesterov": Choice([True, False]),
        "batch": Choice([16, 0.5, 32]),
    }
)

HEAD = "rate,layers,solver,nesterov,batch"
ROW = {"rate": 0.5, "layers": 2, "solver": "sgd", "nesterov": True, "batch": 16}
OTHER = {"rate": 1.0, "layers": 4, "solver": "adam, fused", "nesterov": False, "batch": 0.5}

STUDY = """
objective = "train.py:train"

[space]
rate = { type = "float", low = 0.0, high = 1.0 }
layers = { type = "int", low = 1, high = 4 }

[searcher]
method = "list"
"""


def read(folder: Path, text: str | bytes, name: str = "mine.csv") -> list[dict[str, Any]]:
    """Read candidates from a file with a text."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return candidates.read(folder / name, SPACE)


def refused(folder: Path, text: str | bytes, name: str = "mine.csv") -> list[str]:
    """Tell what is wrong with a file, without the folder's name."""
    with pytest.raises(SettingsError) as caught:
        read(folder, text, name)
    return [each.replace(f"{folder}/", "") for each in caught.value.problems]


def study(folder: Path, searcher: str) -> Path:
    """Write a study that has a list."""
    (folder / "train.py").write_text("def train(config): return 0\n")
    (folder / "study.toml").write_text(STUDY + searcher)
    return folder / "study.toml"


TEXTS = {
    "mine.csv": f'{HEAD}\n0.5,2,sgd,true,16\n1,4,"adam, fused",false,0.5\n',
    "windows.CSV": f'{HEAD}\r\n0.5,2,sgd,true,16\r\n\r\n1,4,"adam, fused",false,0.5',
    "spaced.csv": f'{HEAD.replace(",", " , ")}\n .5 , 2 ,sgd,TRUE,16.\n1,4, "adam, fused",False,.5',
    "order.csv": 'batch,solver,layers,nesterov,rate\n16,sgd,2,true,.5\n.5,"adam, fused",4,false,1',
    "index.csv": f',{HEAD}\n0,0.5,2,sgd,true,16\n7,1,4,"adam, fused",false,0.5\n',
    "semicolons.csv": f"{HEAD.replace(',', ';')}\n.5;2;sgd;true;16\n1;4;adam, fused;false;.5\n",
    "tabs.csv": f"{HEAD.replace(',', chr(9))}\n.5\t2\tsgd\ttrue\t16\n1\t4\tadam, fused\tfalse\t.5",
    "quoted.csv": '"batch";"solver";"layers";"nesterov";"rate"\r\n16;sgd;2;true;.5\r\n'
    '.5;"adam, fused";4;false;1',
    "mine.json": json.dumps([ROW, OTHER]),
    "mine.jsonl": f"{json.dumps(ROW)}\n\n{json.dumps(OTHER)}\n",
    "mine.ndjson": f"{json.dumps(ROW)}\r\n{json.dumps(OTHER)}",
}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", TEXTS)
def test_the_same_candidates_come_out_of_every_format(tmp_path: Path, name: str, mark: str) -> None:
    found = read(tmp_path, mark + TEXTS[name], name)
    assert found == [ROW, OTHER]
    assert [list(map(type, each.values())) for each in found] == [
        [float, int, str, bool, int],
        [float, int, str, bool, float],
    ]


def test_an_empty_cell_is_an_empty_text(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEAD}\n1,1,,true,16")[0]["solver"] == ""


def test_lists_and_tables_are_json_in_a_cell(tmp_path: Path) -> None:
    values: list[Any] = [[64], [64, 0.5], {"name": "sgd"}, "[64]x"]
    space = Space({"model.hidden": Choice(values), "layers": Int(1, 2)})
    file = tmp_path / "mine.csv"
    cells = ["[64]", '"[64, 0.5]"', '"{""name"": ""sgd""}"', "[64]x"]
    file.write_text("model.hidden,layers\n" + "".join(f"{cell},1\n" for cell in cells))
    found = [each["model.hidden"] for each in candidates.read(file, space)]
    assert json.dumps(found) == json.dumps(values)
    file.write_text("model.hidden,layers\n[65],1\n")
    with pytest.raises(
        SettingsError, match=r"row 1 .* model.hidden = '\[65\]' is not in the space"
    ):
        candidates.read(file, space)


def test_in_json_a_table_stands_for_a_name_with_a_dot(tmp_path: Path) -> None:
    space = Space({"model.hidden": Choice([[64], [64, 32]]), "model.rate": Float(0.0, 1.0)})
    file = tmp_path / "mine.json"
    file.write_text('[{"model": {"rate": 1, "hidden": [64, 32]}}]')
    assert candidates.read(file, space) == [{"model.hidden": [64, 32], "model.rate": 1.0}]


SOME = Space(
    {
        "kind": Choice(["cnn", "mlp"]),
        "layers": Int(1, 4),
        "depth": OptionalRange(Int(1, 9)),
        "size": Choice([[64], [64, 64]], ["small", "deep"]),
    },
    {"layers": Condition({"kind": OneOf(["mlp"], ["mlp"])})},
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("kind,layers,depth,size\ncnn,,,small", {"kind": "cnn", "depth": None, "size": [64]}),
        ("kind,size\ncnn,[64]", {"kind": "cnn", "depth": None, "size": [64]}),
        (
            "kind,size,layers,depth\nmlp,deep,2,3",
            {"kind": "mlp", "layers": 2, "depth": 3, "size": [64, 64]},
        ),
    ],
)
def test_an_empty_cell_is_what_is_inactive_or_no_value(
    tmp_path: Path, text: str, row: dict[str, Any]
) -> None:
    (tmp_path / "mine.csv").write_text(text)
    assert candidates.read(tmp_path / "mine.csv", SOME) == [row]


def test_null_is_what_is_inactive_or_no_value(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(
        '[{"kind": "cnn", "layers": null, "depth": null, "size": "small"}]'
    )
    expected = [{"kind": "cnn", "depth": None, "size": [64]}]
    assert candidates.read(tmp_path / "mine.json", SOME) == expected


def test_what_all_have_must_have_a_column(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("kind,layers\nmlp,2")
    with pytest.raises(SettingsError, match="lacks the columns: size; its first line"):
        candidates.read(tmp_path / "mine.csv", SOME)


def test_a_text_that_is_a_number_stays_a_text(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEAD}\n1,1,1,true,16")[0]["solver"] == "1"


IN_LIST = [json.dumps(ROW), json.dumps(OTHER)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "", "a.txt must end in one of these: .csv, .json, .jsonl, .ndjson"),
        ("a.csv", "", "a.csv has no candidates; there must be one at least"),
        ("a.csv", HEAD, "a.csv has no candidates; there must be one at least"),
        ("a.json", "[]", "a.json has no candidates; there must be one at least"),
        ("a.jsonl", "\n", "a.jsonl has no candidates; there must be one at least"),
        (
            "a.csv",
            "rate,layers,id,rate",
            (
                "a.csv lacks the columns: solver, nesterov, batch; has columns that are not in "
                "[space]: id; has columns twice: rate; its first line must name: rate, layers, "
                "solver, nesterov, batch"
            ),
        ),
        ("a.csv", f'{HEAD}\n1,"2\n', "a.csv is not CSV: unexpected end of data (line 2)"),
        (
            "a.csv",
            f"{HEAD}\n1,2,sgd,true\n",
            "a.csv row 1 (line 2): it has 4 cells, and the first line 5",
        ),
        (
            "a.csv",
            f'{HEAD}\n1,1,"sgd\n",true,16\n\nmuch,2,sgd,true,16\n',
            (
                "a.csv row 2 (line 5): rate = 'much' is not in the space: it takes a number from "
                "0.0 to 1.0"
            ),
        ),
        (
            "a.csv",
            f"{HEAD}\n1,2.5,sgd,true,16\n",
            (
                "a.csv row 1 (line 2): layers = 2.5 is not in the space: it takes a whole number "
                "from 1 to 4"
            ),
        ),
        (
            "a.csv",
            f"{HEAD}\n1,2,sgd,yes,16\n",
            (
                "a.csv row 1 (line 2): nesterov = 'yes' is not in the space: it takes one of True, "
                "False"
            ),
        ),
        (
            "a.csv",
            f"{HEAD}\n1,2,sgd,true,16\n1.0, 2,sgd,True,16\n",
            "a.csv row 2 (line 3) is a.csv row 1 (line 2) again; each must stand once",
        ),
        (
            "a.json",
            '[\n  {"rate": 1,}\n]',
            "a.json is not JSON: ",
        ),
        ("a.json", "{}", "a.json must have a list of objects: [{...}, {...}]"),
        (
            "a.json",
            f'\n[\n{IN_LIST[0]},\n\n{IN_LIST[1]}, {{\n"rate": 1}}, 5]',
            (
                "a.json row 3 (line 5): there is no layers, solver, nesterov, batch; each of "
                "[space] must have a value"
            ),
        ),
        ("a.json", f"[{IN_LIST[0]},\n5]", "a.json row 2 (line 2): 5 is not an object: {...}"),
        (
            "a.jsonl",
            f'\n{IN_LIST[0]}\n{{"rate": }}\n',
            "a.jsonl row 2 (line 3): it is not JSON: Expecting value: line 1 column 10 (char 9)",
        ),
        (
            "a.jsonl",
            json.dumps(ROW | {"rate": float("nan")}),
            (
                "a.jsonl row 1 (line 1): rate = nan is not in the space: it takes a number from "
                "0.0 to 1.0"
            ),
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    problems = refused(tmp_path, text, name)
    if said.endswith(": "):  # the rest is Python's, and differs from one to the next
        assert problems[0].startswith(said)
        assert "line 2" in problems[0]
    else:
        assert problems[0] == said


def test_all_that_is_wrong_is_said_but_not_without_end(tmp_path: Path) -> None:
    problems = refused(tmp_path, HEAD + "\n2,1,sgd,true,16" * 1000)
    assert len(problems) == 11
    assert problems[9].startswith("mine.csv row 10 (line 11): rate = 2.0 is not in the space")
    assert problems[10] == "... and 990 more candidates that can't be"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        candidates.read(tmp_path / "no.csv", SPACE)
    said = f"{tmp_path}/no.csv can't be read: No such file or directory"
    assert caught.value.problems == [said]


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path: Path) -> None:
    said = "mine.csv is no text in UTF-8: 'utf-8' codec can't decode byte 0xe9 in position 0: "
    assert refused(tmp_path, b"\xe9t\xe9") == [said + "invalid continuation byte"]


def test_a_cell_that_may_be_two_values_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("value\n1\n")
    with pytest.raises(SettingsError) as caught:
        candidates.read(tmp_path / "mine.csv", Space({"value": Choice([1, "1"])}))
    said = f"{tmp_path}/mine.csv row 1 (line 2): '1' may be 1 or '1'; JSON can tell them apart"
    assert caught.value.problems == [said]


# -- in a study ------------------------------------------------------------------------------------


def test_a_study_holds_the_candidates_and_no_more_needs_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("layers,rate\n2,0.5\n3,1\n")
    read_once = checks.read(study(tmp_path, 'candidates = "mine.csv"'), [])
    (tmp_path / "mine.csv").unlink()
    assert read_once.searcher["candidates"] == [
        {"rate": 0.5, "layers": 2},
        {"rate": 1.0, "layers": 3},
    ]
    assert settings.parse(read_once.toml()) == read_once
    assert methods.build(settings.parse(read_once.toml())).ask(may_start=True, rungs=1)


def test_candidates_may_stand_in_the_study(tmp_path: Path) -> None:
    inline = "candidates = [{ rate = 1, layers = 2 }, { rate = 0.5, layers = 2 }]"
    assert len(checks.read(study(tmp_path, inline), []).searcher["candidates"]) == 2


def test_what_is_wrong_with_a_file_is_said_with_all_else(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("layers,rate\n2,5\n")
    with pytest.raises(SettingsError) as caught:
        checks.read(study(tmp_path, 'candidates = "mine.csv"'), ["mode=best", "stop.max=3"])
    assert [each.partition(" is not ")[0] for each in caught.value.problems] == [
        "mode = 'best'",
        "stop.max",
        f"{tmp_path}/mine.csv row 1 (line 2): rate = 5.0",
    ]


def test_without_a_space_no_candidates_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        checks.read(study(tmp_path, 'candidates = "no.csv"'), ["space.rate.type=real"])
    said = "space.rate.type = 'real' is not known; there is: float, int, choice, ordinal"
    assert caught.value.problems == [said]


def test_of_other_candidates_the_first_is_named(tmp_path: Path) -> None:
    rows = [f"{row % 4 + 1},{row / 1000}\n" for row in range(1000)]
    file = study(tmp_path, 'candidates = "mine.csv"')
    (tmp_path / "mine.csv").write_text("layers,rate\n" + "".join(rows))
    before = checks.read(file, [])
    (tmp_path / "mine.csv").write_text("layers,rate\n" + "".join(rows[:7] + rows[8:]))
    assert changes.differences(checks.read(file, []), before) == [
        "searcher.candidates[7].rate = 0.008, and 0.007 in the run that is there",
    ]


def test_candidates_that_became_fewer_are_named(tmp_path: Path) -> None:
    file = study(tmp_path, "candidates = [{ rate = 1, layers = 2 }, { rate = 0.5, layers = 2 }]")
    now = checks.read(file, ["searcher.candidates=[{ rate = 1, layers = 2 }]"])
    said = (
        "searcher.candidates[1] = nothing, and {'rate': 0.5, 'layers': 2} in the run that is there"
    )
    assert changes.differences(now, checks.read(file, [])) == [said]


def test_settings_of_any_length_are_kept_in_the_results(tmp_path: Path) -> None:
    import h5py  # noqa: PLC0415 - as the product does

    long = "x = 1\n" * 100_000
    results_file.write(tmp_path / "run.h5", [], {}, {"settings": long})
    with h5py.File(tmp_path / "run.h5") as file:
        assert file.attrs["settings"] == long
