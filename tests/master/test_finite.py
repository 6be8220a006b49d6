"""Runs of studies whose searcher comes to an end."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from hpmpi.leader.run import TRY_AGAIN
from hpmpi.model.messages import Outcome
from hpmpi.model.records import Entry
from hpmpi.model.trial import Config
from hpmpi.views.replay import replay
from hpmpi.views.run_view import look
from tests.harness.runs import Study, finish

GRID = '[searcher]\nmethod = "grid"\nresolution = 20\nfirst = [{ x = 0.7 }]\n'


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study of 21 configurations that says nothing of its end."""
    study = Study(tmp_path)
    study.file.write_text(study.file.read_text().replace("[stop]\nmax_trials = 12\n", GRID))
    return study


@pytest.mark.parametrize("method", ["asha", "full"])
def test_a_study_is_complete_when_its_searcher_has_no_other(study: Study, method: str) -> None:
    done = study.run(study.command("--workers", "3", "--set", f"scheduler.method={method}"))
    assert done.returncode == 0, done.stderr
    assert "grid: up to 21 trials" in done.stderr
    summary = look(study.out)
    assert summary.outcome is Outcome.COMPLETE
    assert [each.rung >= 0 for each in summary.history.standings.trials] == [True] * 21
    rungs = Counter(rung for _, rung in study.results)
    assert list(rungs) == ([0, 1, 2] if method == "asha" else [0])
    # Promotions go on after the last start: nobody who may go on is left behind.
    assert all(rungs[rung + 1] >= rungs[rung] // 3 for rung in list(rungs)[:-1])
    assert replay(study.out, trust=False).difference is None


def suggested(study: Study) -> list[Config]:
    """List the configurations that the journal has, in order."""
    entries = [line for line in study.lines if isinstance(line, Entry)]
    return [it.config for entry in entries for it in entry.suggested if it.config is not None]


def test_a_grid_that_is_gone_on_with_has_each_point_once(study: Study) -> None:
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) > 5, process)
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == TRY_AGAIN
    assert study.run(study.command("--workers", "2")).returncode == 0
    xs = [config["x"] for config in suggested(study)]
    assert (len(xs), len(set(xs)), xs[0]) == (21, 21, 0.7)
    assert replay(study.out, trust=False).difference is None


FEW = """
[space.x]
type = "choice"
values = [[0], [0, 1.0], { at = 0 }]
[space.layers]
type = "int"
low = 2
high = 6
step = 4
[space.model.width]
type = "float"
low = 1
high = 1
"""

PRINTING = """
def train(config):
    with open("configs.log", "a") as file:
        file.write(repr(config) + "\\n")
    return len(config["x"]) + config["layers"]
"""


def test_a_random_search_of_a_finite_space_ends_when_all_was_tried_once(tmp_path: Path) -> None:
    study = Study(tmp_path)
    text = study.file.read_text()
    asha, stop = text.index("[scheduler]"), text.index("[stop]")
    study.file.write_text(text[: text.index("[space]")] + FEW + text[stop:])
    assert asha < stop
    (tmp_path / "train.py").write_text(PRINTING)
    done = study.run(study.command("--workers", "2", "--set", "stop.max_trials=4"))
    assert done.returncode == 0, done.stderr
    done = study.run(study.command("--workers", "2", "--set", "searcher.method=random"))
    assert done.returncode == 0, done.stderr
    assert "random: up to 6 trials" in done.stderr
    configs = [str(each.config) for each in look(study.out).history.standings.trials]
    assert sorted(configs) == sorted(
        f"{{'x': {x}, 'layers': {layers}, 'model.width': 1.0}}"
        for x in ("[0]", "[0, 1.0]", "{'at': 0}")
        for layers in (2, 6)
    )
    assert sorted(configs) == sorted((tmp_path / "configs.log").read_text().splitlines())
    assert replay(study.out, trust=False).difference is None


SUGGESTING = """
class Whole:
    def __init__(self, space, seed, first):
        pass

    def ask(self, trial):
        return {"x": 1 if trial < 2 else 2}

    def adopt(self, trial, config):
        pass

    def tell(self, trial, rung, resource, loss, metrics):
        pass
"""


def test_what_a_users_searcher_suggests_has_the_types_of_the_space_or_ends_the_run(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    (tmp_path / "mine.py").write_text(SUGGESTING)
    done = study.run(study.command("--workers", "1", "--set", "searcher.method=mine:Whole"))
    assert (done.returncode, done.stdout, study.left()) == (2, "", [])
    said = "searcher.method = 'mine:Whole' suggested what can't be tried: x = 2 is not in the space"
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert repr(suggested(study)) == "[{'x': 1.0}, {'x': 1.0}]"
