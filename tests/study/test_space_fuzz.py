"""Whatever stands in `[space]`, or in a file of ConfigSpace's: a space, or what is wrong."""

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.study import config_space
from hpmpi.study.space_table import make_space, of_space
from hpmpi.study.toml import load
from tests.study.test_space_table import NET, NEW, OLD

words = st.sampled_from(
    ["sgd", "optimizer", "layers", "deep", "float", "int", "choice", "ordinal", "min", "type", ""]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats()
    | words
    | st.text(max_size=3)
    | st.sampled_from(["layers > 1", "batch < hidden", "1", "layers ** layers > 3 * momentum"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
KEYS = [
    "when",
    "optional",
    "prior",
    "prior_strength",
    "values",
    "low",
    "high",
    "log",
    "step",
    "type",
]


def places(table: Any) -> list[tuple[Any, Any]]:
    """List all places in lists and tables."""
    if not isinstance(table, dict | list):
        return []
    keys = list(table) if isinstance(table, dict) else list(range(len(table)))
    return [(table, key) for key in keys] + [it for key in keys for it in places(table[key])]


@st.composite
def changed(draw: st.DrawFn, table: Any) -> Any:
    """Change a place or two of a table, or add a key."""
    table = copy.deepcopy(table)
    for _ in range(draw(st.integers(1, 3))):
        where, key = draw(st.sampled_from(places(table)))
        if isinstance(where[key], dict) and draw(st.booleans()):
            where, key = where[key], draw(st.sampled_from(KEYS))
        where[key] = draw(values)
    return table


@given(changed(load(NET, "a study")) | values)
def test_any_table_is_a_space_or_says_what_is_wrong(table: Any) -> None:
    problems: list[str] = []
    space = make_space(table, problems)
    assert (space is None) == bool(problems) or not isinstance(table, dict)
    if space is None or list(of_space(space)):
        return
    random = Random(0).random  # noqa: S311
    for _ in range(5):
        try:
            config = space.draw(random)
        except SpaceError:  # it is as good as empty
            return
        assert space.whole(config) == config
        assert space.at(space.unit(config)) == config
    assert space.examples()


@given(st.one_of(changed(OLD), changed(NEW), values))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_a_table_or_says_what_is_wrong(tmp_path: Path, content: Any) -> None:
    (tmp_path / "space.json").write_text(json.dumps(content))
    try:
        table = config_space.read(tmp_path / "space.json")
    except SettingsError as error:
        assert len(error.problems) == 1  # noqa: PT017 - it need not be raised
        return
    problems: list[str] = []
    make_space(table, problems)
