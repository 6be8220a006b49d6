"""Runs of studies whose searcher comes to an end."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from hpmpi.decisions import Assigned
from hpmpi.messages import Outcome
from hpmpi.replay import replay
from hpmpi.run import TRY_AGAIN
from hpmpi.summary import look
from tests.runs import Study, finish

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
    assert [each.rung is not None for each in summary.board.standings] == [True] * 21
    rungs = Counter(rung for _, rung in study.results)
    assert list(rungs) == ([0, 1, 2] if method == "asha" else [0])
    # Promotions go on after the last start: nobody who may go on is left behind.
    assert all(rungs[rung + 1] >= rungs[rung] // 3 for rung in list(rungs)[:-1])
    assert replay(study.out, trust=False).difference is None


def test_a_grid_that_is_gone_on_with_has_each_point_once(study: Study) -> None:
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) > 5, process)
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == TRY_AGAIN
    assert study.run(study.command("--workers", "2")).returncode == 0
    configs = [each.config for each in study.decisions if isinstance(each, Assigned)]
    xs = [each["x"] for each in configs if each]
    assert (len(xs), len(set(xs)), xs[0]) == (21, 21, 0.7)
    assert replay(study.out, trust=False).difference is None
