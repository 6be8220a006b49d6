"""Whole runs of a searcher of the user's, which uses all that it is given."""

import shutil
import sys
from pathlib import Path

import pytest

from hpmpi.leader.remote_searcher import LOG
from tests.harness.runs import Study

CURVE = """
def train(config, trial):
    for epoch in range(trial.start, trial.stop):
        trial.report(epoch + 1, loss=config["x"])
    return {"loss": config["x"]}
"""

BATCHES = """
from hpmpi.master.searchers import LATER, OVER

class Mine:
    '''Suggests three at a time, when all before have had a result; four times.'''

    def __init__(self, space, seed, first, *, rungs, ranks):
        self.space = space
        self.asked, self.told, self.shown = 0, set(), 0
        print("given", rungs, ranks, flush=True)

    def ask(self, trial):
        if len(self.told) < trial // 3 * 3:
            return LATER
        if trial == 12:
            print("over", self.asked, self.shown, flush=True)
            return OVER
        self.asked += 1
        config = self.space.at([(trial + 0.5) / 12])
        assert self.space.at(self.space.unit(config)) == config
        return config

    def adopt(self, trial, config):
        self.asked += 1

    def tell(self, trial, rung, resource, loss, metrics):
        if trial not in self.told:
            print("told", trial, flush=True)
        self.told.add(trial)

    def observe(self, trial, points):
        self.shown += len(points)
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study whose searcher suggests in batches."""
    study = Study(tmp_path)
    (tmp_path / "mine.py").write_text(BATCHES)
    (tmp_path / "train.py").write_text(CURVE)
    study.file.write_text(study.file.read_text().replace("max_trials = 12\n", "time_s = 100\n"))
    return study


def test_a_searcher_that_waits_for_results_gets_them_and_says_when_it_is_over(study: Study) -> None:
    done = study.run(study.command("--set", "searcher.method=mine.py:Mine", "--workers", "2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert {trial for trial, _ in study.results} == set(range(12))
    first, *told, last = (study.out / LOG).read_text().splitlines()
    assert first == "given (1, 3, 9) 2"
    batches = [sorted(int(line.split()[1]) for line in told[at : at + 3]) for at in (0, 3, 6, 9)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    word, asked, shown = last.split()
    assert (word, asked) == ("over", "12")
    assert int(shown) >= 12, "each trial reports a point at least"


LEARNER = """
from hpmpi.master.searchers.random import Random

class Learner(Random):
    '''Begins where the best was that it knows of.'''

    def __init__(self, space, seed, first):
        super().__init__(space, seed, first)
        self.best, self.count = (9.0, None), 0

    def learn(self, config, rung, resource, loss, metrics):
        self.count += 1
        self.best = min(self.best, (loss, config["x"]))

    def ask(self, trial):
        print("asked", trial, self.count, *self.best, flush=True)
        return super().ask(trial) if self.best[1] is None else {"x": self.best[1] / (trial + 1)}
"""


def test_what_was_learnt_from_another_run_is_known_after_a_restart_though_that_is_gone(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(LEARNER)
    old = tmp_path / "old"
    stop = ["--workers", "2", "--set", "stop.time_s=100"]
    done = study.run(study.command(*stop, "--set", "stop.max_trials=5"))
    assert done.returncode == 0, done.stderr
    study.out.rename(old)
    learner = ["--set", "searcher.method=mine.py:Learner", "--set", 'searcher.learn_from=["old"]']
    done = study.run(study.command(*stop, *learner, "--set", "stop.max_trials=2"))
    assert done.returncode == 0, done.stderr
    assert "results are learnt from" in done.stderr
    shutil.rmtree(old)
    done = study.run(study.command(*stop, *learner, "--set", "stop.max_trials=4"))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in (study.out / LOG).read_text().splitlines()]
    assert {int(line[1]) for line in lines} >= {0, 1, 2, 3}
    assert len({tuple(line[2:]) for line in lines}) == 1
    assert int(lines[0][2]) >= 5
    replayed = study.run(
        [sys.executable, "-m", "hpmpi", "replay", str(study.out), "--trust", "--searcher"]
    )
    assert "4 of 4 suggestions of the searcher do" in replayed.stdout, replayed.stderr


def test_a_run_to_learn_from_that_is_not_there_is_said_before_anything_begins(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(LEARNER)
    learner = ["--set", "searcher.method=mine.py:Learner", "--set", 'searcher.learn_from=["old"]']
    done = study.run(study.command(*learner, "--workers", "2"))
    assert done.returncode == 2
    assert f"searcher.learn_from: there is no run in {tmp_path}/old" in done.stderr


WAITS = """
import os, subprocess
from hpmpi.master.searchers.random import Random
from hpmpi.master.searchers import LATER

class Mine(Random):
    def ask(self, trial):
        if trial == 0:
            subprocess.Popen(["sleep", "1000"], cwd=os.environ["HERE"], start_new_session=True)
        return LATER if trial == {after} else super().ask(trial)
"""


@pytest.mark.parametrize("after", [0, 3])
def test_a_searcher_that_waits_for_nothing_ends_the_run_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setenv("HERE", str(tmp_path))
    study = Study(tmp_path, epoch_s=0.0)
    (tmp_path / "mine.py").write_text(WAITS.format(after=after))
    words = ("searcher.method=mine.py:Mine", "baseline=train.py:fail", "scheduler.method=full")
    changes = [word for change in words for word in ("--set", change)]
    done = study.run(study.command("--workers", "2", *changes))
    assert done.returncode == 2, done.stderr
    assert "says LATER, and nothing is in work that it could learn from" in done.stderr
    assert len({trial for trial, _ in study.results}) == after
    assert study.left() == []


@pytest.mark.parametrize("method", ["gp", "optuna:TPESampler"])
def test_a_searcher_that_thinks_ahead_suggests_the_same_when_it_is_asked_again(
    tmp_path: Path, method: str
) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    changes = ("--set", f"searcher.method={method}", "--set", "scheduler.method=asha")
    for trials in (15, 30):
        done = study.run(
            study.command("--workers", "2", *changes, "--set", f"stop.max_trials={trials}")
        )
        assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "hpmpi", "replay", str(study.out), "--searcher", "--trust"]
    done = study.run(command)
    assert "30 of 30 suggestions of the searcher do" in done.stdout
