"""The `[space]` table: what it says, and what is wrong with it."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hpmpi.errors import SettingsError
from hpmpi.history.bounds import check_config
from hpmpi.model.dimensions import Choice, Int, OptionalRange, Ordinal
from hpmpi.model.space import Space
from hpmpi.study import checks, methods, settings
from hpmpi.study.toml import load
from tests.harness.runs import ROOT

NET = """
optimizer = { type = "choice", values = ["adam", "sgd"] }
momentum = { type = "float", low = 0.0, high = 0.99, when = { optimizer = "sgd" }, prior = 0.9 }
layers = { type = "int", low = 1, high = 4 }
batch = { type = "ordinal", values = [16, 32, 64], optional = true }
hidden = { type = "choice", values = { small = [64], deep = [64, 64] } }
depth = { type = "int", low = 1, high = 30, optional = true, when = { hidden = "deep" } }
constraints = ["batch <= 32 * layers", "optimizer == 'adam' or layers > 1"]
"""


def study(space: str, more: str = "") -> settings.Settings:
    """Check a study."""
    text = f'name = "net"\nobjective = "train.py:train"\n{more}\n[space]\n{space}'
    return checks.check(load(text, "a study"))


def problems(space: str, more: str = "") -> list[str]:
    """List what is wrong with a study."""
    with pytest.raises(SettingsError) as caught:
        study(space, more)
    return caught.value.problems


def space_of(text: str) -> Space:
    """Make a space."""
    return methods.space_of(study(text))


def test_a_table_says_what_a_space_is() -> None:
    space = space_of(NET)
    assert list(space.dimensions) == ["optimizer", "momentum", "layers", "batch", "hidden", "depth"]
    assert space.dimensions["batch"] == Ordinal([None, 16, 32, 64])
    assert space.dimensions["hidden"] == Choice([[64], [64, 64]], ["small", "deep"])
    assert space.dimensions["depth"] == OptionalRange(Int(1, 30))
    assert list(space.conditions) == ["momentum", "depth"]
    assert [it.text for it in space.constraints] == [
        "batch <= 32 * layers",
        "optimizer == 'adam' or layers > 1",
    ]
    assert space.priors["momentum"].value == 0.9
    assert space.priors["momentum"].unit == pytest.approx(0.9 / 0.99)


def test_a_study_that_is_stored_has_the_same_space() -> None:
    before = study(NET)
    after = settings.parse(before.toml())
    assert after.space == before.space
    assert methods.space_of(after) == methods.space_of(before)


def test_a_hyperparameter_may_be_called_constraints() -> None:
    assert list(space_of('constraints = { type = "int", low = 1, high = 2 }').dimensions) == [
        "constraints"
    ]


A = 'a = { type = "int", low = 1, high = 9 }\n'
ORDER = 'o = { type = "ordinal", values = ["s", "m", "l"] }\n'
NESTED = '[space.model]\nkind = { type = "choice", values = ["cnn", "mlp"] }\n'
CNN, MLP = {"model.kind": "cnn"}, {"model": {"kind": "mlp"}}
LISTS = "l = { type = 'choice', values = [[1], [2]] }\n"
X = "x = { type = 'int', low = 1, high = 2"


@pytest.mark.parametrize(
    ("text", "active", "inactive"),
    [
        (A + X + ", when = { a = 3 } }", {"a": 3}, {"a": 4}),
        (A + X + ", when = { a = [3, 5] } }", {"a": 5}, {"a": 4}),
        (A + X + ", when = { a = { min = 3 } } }", {"a": 9}, {"a": 2}),
        (A + X + ", when = { a = { min = 3, max = 5.5 } } }", {"a": 5}, {"a": 6}),
        (ORDER + X + ", when = { o = { min = 'm' } } }", {"o": "l"}, {"o": "s"}),
        (ORDER + X + ", when = { o = { max = 'm' } } }", {"o": "m"}, {"o": "l"}),
        (
            X + ", when = { 'model.kind' = 'cnn' } }\n" + NESTED,
            {"model.kind": "cnn"},
            {"model": {"kind": "mlp"}},
        ),
        (
            X + ", when = { model = { kind = 'cnn' } } }\n" + NESTED,
            {"model.kind": "cnn"},
            {"model": {"kind": "mlp"}},
        ),
        (
            "l = { type = 'choice', values = [[1], [2]] }\n" + X + ", when = { l = [1] } }",
            {"l": [1]},
            {"l": [2]},
        ),
        (
            "l = { type = 'choice', values = [[1], [2]] }\n" + X + ", when = { l = [[1]] } }",
            {"l": [1]},
            {"l": [2]},
        ),
    ],
)
def test_a_condition_may_say_a_value_some_or_a_range(
    text: str, active: dict[str, Any], inactive: dict[str, Any]
) -> None:
    space = space_of(text)
    assert space.whole({**active, "x": 1})["x"] == 1
    assert "x" not in space.whole(inactive)


def test_all_conditions_must_hold() -> None:
    space = space_of(A + ORDER + X + ", when = { a = 1, o = 's' } }")
    assert space.whole({"a": 1, "o": "s", "x": 1})
    assert space.whole({"a": 1, "o": "m"})
    assert space.whole({"a": 2, "o": "s"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (X + ", when = { b = 1 } }", "space.x.when: 'b' is not in [space], which has: x"),
        (X + ", when = {} }", "space.x.when is empty; say of what it depends"),
        (X + ", when = 3 }", "space.x.when = 3 is not valid: expected table"),
        (
            A + X + ", when = { a = 10 } }",
            "space.x.when.a = 10: it takes a whole number from 1",
        ),
        (A + X + ", when = { a = [1, 10] } }", "space.x.when.a = [1, 10]: it takes a whole number"),
        (A + X + ", when = { a = [] } }", "space.x.when.a = []: it lists no value"),
        (A + X + ", when = { a = { min = 10 } } }", "it can be none of that: it takes a whole"),
        (A + X + ", when = { a = { min = 5, max = 2 } } }", "it can be none of that"),
        (A + X + ", when = { a = { min = 'x' } } }", "min and max must be numbers"),
        (ORDER + X + ", when = { o = { min = 'l', max = 's' } } }", "it can be none of that"),
        (X + ", when = { x = 1 } }", "space: when: x needs x: no configuration"),
        (
            X + ", when = { y = 1 } }\ny = { type = 'int', low = 1, high = 2, when = { x = 1 } }",
            "space: when: x needs y needs x: no configuration can begin with one",
        ),
        (X + ", optional = 1 }", "space.x.optional = 1 is not valid: expected bool"),
        (X + ", prior = 3 }", "space.x.prior = 3 is not in the space: it takes a whole number"),
        (X + ", prior_strength = 0.5 }", "space.x.prior_strength = 0.5 needs a prior"),
        (X + ", prior = 1, prior_strength = 2 }", "space.x.prior_strength = 2 is not valid"),
        (
            A + "x = { low = 1, high = 2, when = { a = 1 } }",
            "space.x = {'low': 1, 'high': 2, 'when': {'a': 1}} must be a table with a type, one",
        ),
        (X + ", hihg = 3 }", "space.x.hihg is not a setting; did you mean high?"),
        ("x = { type = 'choice', values = {} }", "space.x.values = {} is not valid"),
        ("x = { type = 'choice', values = { a = 1, b = 1 } }", "the value 1 stands twice"),
        ("x = { type = 'choice', values = { a = 'b', b = 'a' } }", "the name 'a' is that of 'b'"),
        ("x = { type = 'choice', values = { '1' = [1], one = 1 } }", "the name '1' is that of [1]"),
        ("constraints = ['a < 1']", "[space] is empty"),
        (A + "constraints = [3]", "space.constraints[0] = 3 must be a text, such as"),
        (A + "constraints = ['a <']", "space.constraints[0] = 'a <': it can't be read as an expr"),
        (A + "constraints = ['a < b']", "b is not in [space], which has: a"),
        (A + "constraints = ['1 < 2']", "nothing that it names is not in [space]"),
        (A + "constraints = ['f(a) < 2']", "'f(a)' is not known here; there is: names, space"),
        (A + "constraints = ['a + 1']", "can't be computed: "),
        (
            A + "constraints = ['a < 1']",
            "no configuration fulfils space.constraints, of all 9",
        ),
        (
            "a = { type = 'float', low = 0.0, high = 1.0 }\nconstraints = ['a > 2']",
            "space.constraints seem to leave nothing: of 10000 random configurations none ful",
        ),
    ],
)
def test_a_mistake_is_said_once(text: str, said: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("{ optimizer = 'adam', momentum = 0.9 }", "momentum is inactive here, leave it out"),
        ("{ layers = 1, batch = 64 }", "'batch <= 32 * layers' does not hold"),
        ("{ layers = 1, optimizer = 'sgd' }", "does not hold"),
        ("{ layers = 1, momentum = 0.5 }", "of 10000 random configurations none fulfils"),
    ],
)
def test_what_is_to_come_first_must_be_possible(first: str, said: str) -> None:
    found = problems(NET, f"[searcher]\nfirst = [{first}]")
    assert len(found) == 1
    assert "searcher.first[0]: " in found[0]
    assert said in found[0]


def test_a_name_stands_for_its_value() -> None:
    space = space_of(NET)
    assert space.part({"hidden": "small"}) == {"hidden": [64]}
    assert space.shown({"hidden": [64, 64], "layers": 1}) == {"hidden": "deep", "layers": 1}


def test_what_is_optional_may_be_left_out() -> None:
    space = space_of(NET)
    config = space.whole({"optimizer": "adam", "layers": 2, "hidden": "deep"})
    assert config == {
        "optimizer": "adam",
        "layers": 2,
        "batch": None,
        "hidden": [64, 64],
        "depth": None,
    }
    check_config(config)


def test_each_strength_is_the_share_of_draws_near_a_prior() -> None:
    text = "a = { type = 'float', low = 0.0, high = 1.0, prior = 0.0, prior_strength = 0.5 }"
    drawn = draws(space_of(text), 2000)
    assert sum(config["a"] < 0.3 for config in drawn) == pytest.approx(2000 * 0.65, rel=0.06)
    choice = "a = { type = 'choice', values = [1, 2, 3, 4], prior = 3, prior_strength = 1.0 }"
    assert {config["a"] for config in draws(space_of(choice), 20)} == {3}


def test_the_pages_show_spaces_that_are_whole() -> None:
    text = (ROOT / "docs" / "study-file.md").read_text()
    shown = text.partition("\n[space]\n")[2].partition("\n[searcher]\n")[0]
    assert space_of(shown).constraints
    text = (ROOT / "docs" / "space.md").read_text()
    conditions = text.partition("configuration holds only what is active.")[2]
    rest = conditions.partition("```toml\n")[2].partition("```")[0]
    kind = "kind = { type = 'choice', values = ['mlp', 'cnn'] }\n"
    lines = [
        line for line in shown.splitlines() if not line.startswith(("momentum", "constraints"))
    ]
    assert list(space_of(kind + "\n".join(lines) + "\n" + rest).conditions) == [
        "momentum",
        "nesterov",
        "third",
    ]


def draws(space: Space, count: int) -> list[dict[str, Any]]:
    """Draw some configurations."""
    random = Random(0).random  # noqa: S311
    return [space.draw(random) for _ in range(count)]


OLD = {
    "hyperparameters": [
        {"name": "svm", "type": "categorical", "choices": ["rbf", "poly"], "default": "rbf"},
        {
            "name": "C",
            "type": "uniform_float",
            "lower": 1e-3,
            "upper": 1e3,
            "log": True,
            "default": 1,
        },
        {
            "name": "degree",
            "type": "uniform_int",
            "lower": 2,
            "upper": 5,
            "log": False,
            "default": 3,
        },
        {"name": "steps", "type": "uniform_int", "lower": 2, "upper": 8, "q": 2, "default": 2},
        {"name": "kind", "type": "constant", "value": "svc"},
        {"name": "size", "type": "ordinal", "sequence": ["s", "m", "l"], "default": "s"},
    ],
    "conditions": [
        {"child": "degree", "parent": "svm", "type": "EQ", "value": "poly"},
        {
            "child": "steps",
            "type": "AND",
            "conditions": [
                {"child": "steps", "parent": "svm", "type": "IN", "values": ["poly"]},
                {"child": "steps", "parent": "C", "type": "GT", "value": 1.0},
            ],
        },
    ],
    "forbiddens": [
        {
            "type": "AND",
            "clauses": [
                {"name": "svm", "type": "EQUALS", "value": "rbf"},
                {"name": "size", "type": "IN", "values": ["m", "l"]},
            ],
        },
        {"type": "RELATION", "left": "degree", "right": "steps", "lambda": "GT"},
    ],
}

NEW = {
    "name": "space",
    "hyperparameters": [
        {"type": "uniform_float", "name": "a", "lower": 0.0, "upper": 1.0, "log": False},
        {"type": "normal_int", "name": "b", "mu": 3.2, "sigma": 1.0, "lower": 1, "upper": 9},
        {"type": "categorical", "name": "c", "choices": [1, None], "weights": None},
    ],
    "conditions": [
        {"type": "LT", "child": "c", "parent": "b", "value": 5},
        {"type": "GT", "child": "c", "parent": "b", "value": 1},
    ],
    "forbiddens": [{"type": "RELATION_LT", "left": "b", "right": "a"}],
    "python_module_version": "1.2.0",
    "format_version": 0.4,
}  # fmt: skip


WEIGHED = {"name": "a", "type": "categorical", "choices": [1, 2], "weights": [1, 2]}


def from_json(folder: Path, content: object) -> settings.Settings:
    """Check a study whose space is a file of ConfigSpace's."""
    (folder / "space.json").write_text(json.dumps(content))
    (folder / "train.py").write_text("def train(config): return 0\n")
    (folder / "study.toml").write_text('objective = "train.py:train"\nspace = "space.json"\n')
    return checks.read(folder / "study.toml", [])


def test_a_file_of_config_space_is_a_space(tmp_path: Path) -> None:
    study = from_json(tmp_path, OLD)
    space = methods.space_of(study)
    assert settings.parse(study.toml()).space == study.space
    base = {"svm": "poly", "C": 2, "kind": "svc", "size": "l"}
    assert space.whole({**base, "degree": 3, "steps": 4})
    assert space.whole({**base, "degree": 3, "C": 1.0})
    assert space.whole({**base, "svm": "rbf", "size": "s"})
    assert not space.holds({**base, "svm": "rbf"})
    assert not space.holds({**base, "degree": 5, "steps": 4})


def test_a_file_of_its_version_1_is_a_space(tmp_path: Path) -> None:
    space = methods.space_of(from_json(tmp_path, NEW))
    assert space.priors["b"].value == 3
    assert space.whole({"a": 0.5, "b": 4}) == {"a": 0.5, "b": 4, "c": None}
    assert space.whole({"a": 0.5, "b": 5}) == {"a": 0.5, "b": 5}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "is no file of ConfigSpace's"),
        ({"hyperparameters": [{"type": "uniform_int"}]}, "there is no 'name'"),
        (
            {"hyperparameters": [{"name": "a", "type": "beta_int"}]},
            "a is of type 'beta_int'",
        ),
        (
            {"hyperparameters": [{"name": "a", "type": "normal_float", "mu": 0, "sigma": 1}]},
            "a has no lower and upper bound",
        ),
        (
            {
                "hyperparameters": [
                    {"name": "a", "type": "categorical", "choices": [1, 2], "weights": [1, 2]}
                ]
            },
            "a has weights",
        ),
        ({**OLD, "conditions": [{"type": "OR", "child": "C", "conditions": []}]}, "space: "),
        ({**OLD, "forbiddens": [{"type": "MAGIC"}]}, "forbidden clause of type 'MAGIC'"),
    ],
)
def test_what_config_space_says_and_nobody_knows_here_is_told(
    tmp_path: Path, content: object, said: str
) -> None:
    with pytest.raises(SettingsError, match=r"space: .*space\.json") as caught:
        from_json(tmp_path, content)
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('objective = "train.py:train"\nspace = "none.json"\n')
    with pytest.raises(SettingsError, match=r"none.json can't be read: No such file"):
        checks.read(tmp_path / "study.toml", [])
