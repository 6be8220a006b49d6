"""Studies that are run from Python, by local processes, and what is refused before any starts."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpmpi

X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}

TRAIN = """
from pathlib import Path


def train(config, trial):
    for epoch in range(trial.start, trial.stop):
        trial.report(epoch + 1, loss=config["x"])
        if trial.should_save(epoch + 1):
            with trial.checkpoint(epoch + 1) as folder:
                (folder / "epochs").write_text(str(epoch + 1))
    return {"loss": config["x"], "kind": 1}


def total(config, trial):
    return float(trial.data["y"].sum() + config["x"])


def fail(config):
    raise ValueError("as told")


class Model:
    def __call__(self, config):
        return config["x"]
"""


@pytest.fixture(autouse=True)
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Work in a folder that has train.py, and import that."""
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "train", raising=False)
    return importlib.import_module("train")


def run(*given: Any, **keys: Any) -> hpmpi.Results:
    """Run a small study in two processes."""
    few = {"stop": {"max_trials": 4}, "workers": 2, "progress": False}
    return hpmpi.run(*given, **few | keys)


def test_a_study_is_what_its_file_says_however_it_is_given(train: Any, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        'objective = "train.py:train"\nmetric = "loss"\n[stop]\nmax_trials = 4\n'
        '[space]\nx = { type = "float", low = 0.0, high = 1.0 }\n'
    )
    study = {"objective": "train.py:train", "metric": "loss", "space": X}
    found = [
        run("study.toml", out="one", stop={}).best.config,
        run(Path("study.toml"), out="two").best.config,
        run(study, out="three").best.config,
        run("train.py:train", space=X, metric="loss", out="four").best.config,
        run(train.train, space=X, metric="loss", out="five").best.config,
    ]
    assert found == [found[0]] * 5


def test_a_class_is_an_objective_too(train: Any) -> None:
    assert run(train.Model, space=X).state == "complete"


def test_keywords_count_over_what_a_study_says_of_the_same_key() -> None:
    study = {"objective": "train.py:train", "space": X, "stop": {"max_trials": 9, "time_s": 60.0}}
    ran = run(study, metric="loss", stop={"max_trials": 3}).study
    assert (ran.stop.max_trials, ran.stop.time_s, ran.name) == (3, 60.0, "train")


def test_the_best_has_a_configuration_and_the_folder_of_its_checkpoint() -> None:
    halving = {"method": "asha", "max_resource": 9}
    best = run("train.py:train", space=X, metric="loss", scheduler=halving).best
    assert best.checkpoint is not None
    assert (best.checkpoint / "epochs").read_text() == str(best.resource)
    assert best.metrics["loss"] == best.config["x"]


def test_arrays_are_data_and_are_kept_without_pickle(train: Any, tmp_path: Path) -> None:
    y = np.arange(10.0)
    best = run(train.total, space=X, data={"y": y, "names": ["a", "b"]}).best
    assert best.metrics["loss"] == pytest.approx(45 + best.config["x"])
    (file,) = (tmp_path / "results" / "train.data").iterdir()
    with np.load(file, allow_pickle=False) as kept:
        assert kept["y"].tolist() == y.tolist()
    again = run(train.total, space=X, data={"y": y, "names": ["a", "b"]})
    assert again.best == best
    with pytest.raises(hpmpi.SettingsError, match=r"data\.source"):
        run(train.total, space=X, data={"y": y + 1, "names": ["a", "b"]})


def test_a_call_that_is_repeated_runs_nothing_anew(train: Any) -> None:
    first = run(train.train, space=X, metric="loss")
    again = run(train.train, space=X, metric="loss")
    assert (again.state, again.best) == ("complete", first.best)
    assert again.results.equals(first.results)
    more = run(train.train, space=X, metric="loss", stop={"max_trials": 6})
    assert len(more.trials) == 6
    assert len(run(train.train, space=X, metric="loss", fresh=True).trials) == 4


def test_what_an_error_names_of_the_command_line_is_said_in_python(train: Any) -> None:
    run(train.train, space=X, metric="loss", stop={"max_trials": 1})
    with pytest.raises(hpmpi.HpmpiError, match="--fresh") as caught:
        run(train.train, space=X, metric="kind")
    assert caught.value.__notes__ == ['(in Python: --fresh is fresh=True, --out is out="...")']


def test_a_program_sees_how_far_its_run_is() -> None:
    seen: list[hpmpi.Results] = []
    slow = "import time\ndef train(config):\n    time.sleep(0.1)\n    return config['x']\n"
    Path("slow.py").write_text(slow)
    many = {"stop": {"max_trials": 40}, "workers": 1}
    run("slow.py:train", space=X, progress=seen.append, **many)
    assert seen[0].state == "running"
    assert any(0 < len(it.trials) < 40 for it in seen)
