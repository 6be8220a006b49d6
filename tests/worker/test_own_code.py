"""Whole runs of the user's own code: searchers that raise or think, objectives without hope."""

from pathlib import Path

import pytest
from msgspec import structs

from hpmpi.model.messages import Outcome
from hpmpi.model.records import Assigned, Ended, Failure, Started
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.views.replay import replay
from hpmpi.worker.agent import SILENCES
from tests.harness.runs import Study

SEARCHER = """
import time

class Mine:
    def __init__(self, space, seed, first):
        self.asked = self.told = 0
        {init}

    def ask(self, trial):
        {ask}
        self.asked += 1
        return {{"x": self.asked / 100}}

    def adopt(self, trial, config):
        self.asked += 1

    def tell(self, trial, rung, resource, loss, metrics):
        {tell}
        self.told += 1
"""

RAISE = "raise LookupError('as told')"
OWN = ("--set", "searcher.method=mine.py:Mine", "--workers", "1")

MISSPELT = """
def train(config):
    return {"loss": undefined}
"""


def searching(study: Study, *options: str, **bodies: str) -> list[str]:
    """Write a searcher, and say how to run the study with it."""
    bodies = {"init": "pass", "ask": "pass", "tell": "pass"} | bodies
    (study.folder / "mine.py").write_text(SEARCHER.format(**bodies))
    return study.command(*OWN, *options)


@pytest.mark.parametrize(
    "bodies",
    [{"ask": f"if self.asked == 5: {RAISE}"}, {"tell": f"if self.told == 5: {RAISE}"}],
    ids=["ask", "tell"],
)
def test_a_searcher_that_raises_ends_the_run_in_order_and_loses_nothing(
    tmp_path: Path, bodies: dict[str, str]
) -> None:
    study = Study(tmp_path)
    done = study.run(searching(study, **bodies))
    assert (done.returncode, study.left()) == (2, []), done.stderr
    assert "LookupError: as told" in done.stderr
    assert 'mine.py", line ' in done.stderr
    assert "Traceback" not in done.stderr
    assert [it.outcome for it in study.decided(Ended)] == [Outcome.UNFIT]
    results = study.results
    assert len(results) >= 5
    done = study.run(searching(study, **bodies))
    assert (done.returncode, study.left()) == (2, []), done.stderr
    assert "Traceback" not in done.stderr
    assert study.results == results
    done = study.run(searching(study))
    assert done.returncode == 0, done.stderr
    assert study.results[: len(results)] == results
    assert len(set(study.results)) == len(study.results)
    assert study.decided(Failure) == []


def test_a_searcher_that_can_not_be_made_says_where(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = study.run(searching(study, init=RAISE))
    assert done.returncode == 2
    method = f"{tmp_path}/mine.py:Mine"
    assert f"searcher.method = {method!r} can't be made; it raised LookupError" in done.stderr
    assert "mine.py, line " in done.stderr
    assert "Traceback" not in done.stderr


def test_who_waits_for_a_long_thought_stays(tmp_path: Path) -> None:
    patience_s = 0.3
    thinks_s = 2.5 * SILENCES * patience_s
    study = Study(tmp_path)
    options = ("--set", f"limits.patience_s={patience_s}", "--set", "stop.max_trials=4")
    done = study.run(searching(study, *options, ask=f"if self.asked == 2: time.sleep({thinks_s})"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.lost == []
    assert study.decided(Failure) == []
    assert len(study.starts) == 1


def test_while_a_searcher_thinks_trials_are_promoted_and_all_stay(tmp_path: Path) -> None:
    patience_s = 0.5
    study = Study(tmp_path)
    words = ("scheduler.method=asha", "scheduler.max_resource=9", "stop.max_trials=4")
    options = [word for each in words for word in ("--set", each)]
    options += ["--set", f"limits.patience_s={patience_s}"]
    slow = "if self.asked == 3: time.sleep(4.0)"
    done = study.run(searching(study, *options, ask=slow))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.lost == []
    assert study.decided(Failure) == []
    given = [
        (entry.at, decided.attempt)
        for entry in study.entries
        for decided in entry.decisions
        if isinstance(decided, Assigned)
    ]
    begun = {attempt.trial: at for at, attempt in given if attempt.rung == 0}
    promoted = [at for at, attempt in given if attempt.rung > 0]
    assert begun[3] - begun[2] > 3.0
    assert [at for at in promoted if at < begun[3]], "rank 0 went on"
    assert replay(study.out, trust=False).difference is None


def test_a_searcher_whose_process_dies_ends_the_run_in_order(tmp_path: Path) -> None:
    study = Study(tmp_path)
    die = "if self.asked == 5: import os; print('no more', flush=True); os.abort()"
    done = study.run(searching(study, ask=die))
    assert (done.returncode, study.left()) == (2, []), done.stderr
    assert "the searcher's process was killed by SIGABRT: no more" in done.stderr
    assert [it.outcome for it in study.decided(Ended)] == [Outcome.UNFIT]
    assert len(study.results) >= 4


def test_three_trials_that_fail_alike_end_a_study_that_goes_on_when_it_is_mended(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    sound = (tmp_path / "train.py").read_text()
    (tmp_path / "train.py").write_text(MISSPELT)
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, study.left()) == (3, []), done.stderr
    assert "NameError: name 'undefined' is not defined" in done.stderr
    assert "the same command goes on with the other trials" in done.stderr
    assert len(study.decided(Assigned)) < 12
    (tmp_path / "train.py").write_text(sound)
    done = study.run(study.command("--workers", "2"))
    assert done.returncode == 0, done.stderr
    given_up = {it.attempt.trial for it in study.decided(Failure) if it.final}
    tried = {trial for trial, _ in study.results}
    assert len(given_up) in (3, 4)  # the other rank may have had the last try of one in work
    assert given_up | tried == set(range(12))


def test_a_run_with_other_rungs_is_refused_and_untouched(tmp_path: Path) -> None:
    study = Study(tmp_path)
    options = ("--set", "scheduler.max_resource=8", "--workers", "1")
    assert study.run(study.command(*options, "--set", "stop.max_trials=2")).returncode == 0
    journal = study.out / "journal.jsonl"
    # As an earlier version had them, though the settings are the same.
    before = text_of(
        rows_of(
            structs.replace(it, rungs=(1, 8)) if isinstance(it, Started) else it
            for it in study.lines
        )
    )
    journal.write_bytes(before)
    (study.out / "run.h5").unlink()
    done = study.run(study.command(*options, "--set", "stop.max_trials=3"))
    assert done.returncode == 2
    assert "has its rungs at 1, 8, and this version has them at 1, 3, 8" in done.stderr
    assert journal.read_bytes() == before
