"""Runs of a study whose trials do not all have the same hyperparameters."""

import csv
import io
import json
import math
import signal
import sys
from pathlib import Path

import h5py
import pytest

from hpmpi.leader.run import TRY_AGAIN
from hpmpi.master.searchers.list import checked
from hpmpi.model.records import Entry
from hpmpi.model.space import Space
from hpmpi.model.trial import Config
from hpmpi.study import candidates, toml
from hpmpi.views.replay import replay
from hpmpi.views.run_view import look
from tests.harness.runs import Study, finish, start

NET = """
[space]
x = { type = "float", low = 0.0, high = 1.0 }
optimizer = { type = "choice", values = ["adam", "sgd"] }
momentum = { type = "float", low = 0.0, high = 0.99, when = { optimizer = "sgd" }, prior = 0.9 }
batch = { type = "ordinal", values = [16, 32, 64], optional = true }
hidden = { type = "choice", values = { small = [64], deep = [64, 64] } }
depth = { type = "int", low = 1, high = 30, optional = true, when = { hidden = "deep" } }
constraints = ["batch < 64 or x < 0.5"]
"""

TRAIN = """
def train(config, trial):
    assert ("momentum" in config) == (config["optimizer"] == "sgd"), config
    assert ("depth" in config) == (len(config["hidden"]) == 2), config
    assert config["batch"] in (None, 16, 32, 64)
    if config["batch"] == 64:
        assert config["x"] < 0.5
    return {"loss": config["x"]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study of such trials."""
    study = Study(tmp_path)
    text = study.file.read_text()
    before, _, after = text.partition("[space]")
    study.file.write_text(before + NET + after[after.index("[scheduler]") - 1 :])
    (tmp_path / "train.py").write_text(TRAIN)
    return study


def run(study: Study, *options: str) -> None:
    """Run it to its end."""
    changes = ("--set", "stop.max_trials=24", "--set", "limits.patience_s=30")
    done = study.run(study.command("--workers", "2", *changes, *options))
    assert done.returncode == 0, done.stderr
    assert "given up" not in done.stdout


def told(study: Study, *words: str) -> str:
    """Have it shown or exported."""
    command = [sys.executable, "-m", "hpmpi", words[0], str(study.out), *words[1:]]
    done = finish(start(command, study.folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported_rows(study: Study) -> list[dict[str, str]]:
    """Export it as CSV."""
    return list(csv.DictReader(io.StringIO(told(study, "export", "--format", "csv"))))


def configs(study: Study) -> list[Config]:
    """List the configurations of the trials."""
    return [standing.config for standing in look(study.out).history.trials]


def space_of(study: Study) -> Space:
    """Take its space."""
    return look(study.out).history.space


def test_everything_that_is_told_of_a_trial_has_what_is_active(study: Study) -> None:
    run(study)
    trials, space = configs(study), space_of(study)
    assert all(space.whole(config) == config for config in trials)
    assert {"momentum" in config for config in trials} == {True, False}
    assert None in [config["batch"] for config in trials]
    exported = json.loads(told(study, "export", "--format", "json"))
    assert {each["trial"]: each["config"] for each in exported} == dict(enumerate(trials))
    rows = {int(row["trial"]): row for row in exported_rows(study)}
    with h5py.File(study.out / "run.h5") as file:
        table = file["trials"][:]
    for trial, config in enumerate(trials):
        assert rows[trial]["hidden"] == ("small" if config["hidden"] == [64] else "deep")
        assert table["hidden"][trial].decode() == rows[trial]["hidden"]
        for name in ("momentum", "batch", "depth"):
            value = config.get(name)
            assert rows[trial][name] == ("" if value is None else str(value))
            number = table[name][trial]
            assert math.isnan(number) if value is None else number == value
    shown = told(study, "show", "--top", "24")
    head, *rows_shown = shown.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert {"hidden", "batch"} < {*head.split()}
    assert any("small" in row.split() for row in rows_shown)
    assert any("none" in row.split() for row in rows_shown)
    assert replay(study.out, trust=False).difference is None


def test_what_was_exported_is_a_list_of_candidates(study: Study) -> None:
    run(study)
    trials, space = configs(study), space_of(study)
    rows = exported_rows(study)
    file = study.folder / "again.csv"
    with file.open("w") as out:
        writer = csv.DictWriter(out, list(space.dimensions), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    again = candidates.read(file, space)
    assert again == [trials[int(row["trial"])] for row in rows]
    best = json.loads(told(study, "show", "--json"))["leaderboard"][0]["config"]
    text = told(study, "export", "--format", "toml")
    assert checked([toml.load(text, "the best")], space, str) == [best]


def test_a_run_that_is_gone_on_with_is_the_same(study: Study) -> None:
    slow = TRAIN.replace("    return", "    time.sleep(0.1)\n    return")
    (study.folder / "train.py").write_text(f"import time\n{slow}")
    process = study.start(study.command("--workers", "2", "--set", "stop.max_trials=24"))
    study.until(lambda: len(study.results) > 5, process)
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == TRY_AGAIN
    run(study)
    entries = [line for line in study.lines if isinstance(line, Entry)]
    suggested = [it.config for entry in entries for it in entry.suggested if it.config is not None]
    assert suggested == configs(study)
    assert len(suggested) == 24
    assert replay(study.out, trust=False).difference is None


def test_figures_are_drawn_of_it(study: Study) -> None:
    run(study)
    told(study, "plot", "--format", "png")
    assert list((study.out / "plots").glob("hyperparameters*.png"))
