"""What a study said in Python becomes, and what is refused before anything starts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hpmpi
from hpmpi.api.studies import study_of
from hpmpi.study.methods import space_of

X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that has a function."""
    (tmp_path / "train.py").write_text("def train(config): ...\n")
    monkeypatch.chdir(tmp_path)


def study(**keys: Any) -> Any:
    """Check a study that has all it must."""
    return study_of("train.py:train", {"space": X} | keys, None).settings


def test_values_of_python_become_those_of_a_file() -> None:
    args = {"rows": np.int64(3), "share": np.float32(0.5), "sizes": (1, 2), "path": Path("a/b")}
    kept = study(objective_args=args, seed=np.int64(7), metric=None)
    assert kept.objective_args == {"rows": 3, "share": 0.5, "sizes": [1, 2], "path": "a/b"}
    assert (kept.seed, kept.metric, kept.name) == (7, None, "train")
    assert type(kept.objective_args["rows"]) is int


OWN = {
    "lr": hpmpi.Float(1e-4, 0.1, log=True),
    "depth": hpmpi.OptionalRange(hpmpi.Int(1, 9, step=2)),
    "kind": hpmpi.Choice(["a", "b", None]),
    "size": hpmpi.Ordinal([[8], [8, 8]], names=["small", "deep"]),
}


def test_dimensions_of_ours_are_a_space() -> None:
    assert space_of(study(space=OWN)).dimensions == OWN


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"spce": X}, "spce is not a setting; did you mean space?"),
        ({"stop": {"max_trails": 3}}, "stop.max_trails is not a setting; did you mean"),
        ({"space": {"x": {"type": "choice", "values": [1, object]}}}, r"space.x.values\[1\] = "),
        ({"space": {"x": {"type": "choice", "values": [1, None]}}}, r"space.x.values\[1\] = None"),
        ({"objective_args": {"n": 2**70}}, "more than 64 bits"),
        ({"stop": {"max_trials": 0}}, "stop.max_trials = 0 is not valid"),
        ({"data": {"X": ["a", None]}}, r"data\['X'\] has objects of Python"),
        ({"data": {"source": "nowhere.npz"}}, "there is no file"),
    ],
)
def test_what_a_file_could_not_say_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(hpmpi.SettingsError, match=said):
        hpmpi.run("train.py:train", **{"space": X} | keys)
    assert not Path("results").exists()


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(hpmpi.SettingsError, match=r"there is no file .*tarin\.py"):
        hpmpi.run("tarin.py:train", space=X)
    with pytest.raises(hpmpi.SettingsError, match=r"the study file study\.toml can't be read"):
        hpmpi.run("study.toml")
    with pytest.raises(hpmpi.SettingsError, match="objective is missing"):
        hpmpi.run(space=X)
    with pytest.raises(hpmpi.StoreError, match="there is no run in nowhere"):
        hpmpi.load("nowhere")


def test_arrays_are_told_from_where_to_read_them() -> None:
    np.save("source.npy", np.arange(3))
    assert study(data={"source": "source.npy"}).data.source == "source.npy"
    kept = study(
        data={"source": np.arange(3), "table": pd.DataFrame({"a": [1.0, 2.0]})}
    ).data.source
    with np.load(kept, allow_pickle=False) as arrays:
        assert arrays["source"].tolist() == [0, 1, 2]
        assert arrays["table"].tolist() == [[1.0], [2.0]]


def test_other_arrays_are_another_file_and_the_same_are_the_same() -> None:
    first = {"a": np.arange(4), "b": np.zeros(2)}
    alike = {"b": np.zeros(2), "a": np.arange(4)}
    others = (
        {"a": np.arange(4).reshape(2, 2), "b": np.zeros(2)},
        {"a": np.arange(4.0), "b": np.zeros(2)},
        {"a": np.zeros(2), "b": np.arange(4)},
        {"a": np.arange(4)[::-1], "b": np.zeros(2)},
    )
    file = study(data=first).data.source
    assert study(data=alike).data.source == file
    assert len({file, *(study(data=other).data.source for other in others)}) == 5
