"""The baseline: one call, beside the leader; whatever it does, it is over once."""

import select
import time
from pathlib import Path

import pytest

from hpmpi.leader.baseline import BaselineRun
from hpmpi.model.messages import Welcome
from tests.harness.drive import LIMIT_S, ends, pid_of, welcome


def over(run: BaselineRun) -> BaselineRun:
    """Poll until it is over."""
    gives_up_at = time.monotonic() + LIMIT_S
    while not run.over:
        assert time.monotonic() < gives_up_at
        select.select(run._child.descriptors(), [], [], 0.05)
        run.poll(time.monotonic())
    return run


def begin(told: Welcome) -> BaselineRun:
    return BaselineRun(told.objective, told, resource=9, seed=0)


def test_a_baseline_has_metrics(tmp_path: Path) -> None:
    run = begin(welcome(tmp_path, "count"))
    assert not run.over
    assert over(run).metrics == {"loss": -9, "start": 0}
    assert run.error is None


@pytest.mark.parametrize(
    ("reference", "code", "said"),
    [
        ("bad.py:f", "def f(config): return config['x']", "KeyError"),
        ("bad.py:f", "import os\ndef f(config): os.abort()", "SIGABRT"),
        ("bad.py:f", "import os\nos.abort()", "SIGABRT"),
        ("bad.py:g", "", "has no 'g'"),
        ("bad.py:f", "def f(config): return 'good'", "must be a number"),
    ],
)
def test_a_baseline_that_fails_has_an_error(
    tmp_path: Path, reference: str, code: str, said: str
) -> None:
    (tmp_path / "bad.py").write_text(code)
    run = over(begin(welcome(tmp_path, reference)))
    assert run.metrics is None
    assert run.error is not None
    assert said in run.error


@pytest.mark.parametrize("code", ["def f(_): return 0", "import os\ndef f(_): os.abort()"])
def test_a_baseline_that_is_over_wakes_nobody(tmp_path: Path, code: str) -> None:
    (tmp_path / "base.py").write_text(code)
    run = begin(welcome(tmp_path, "base.py:f"))
    run.poll(time.monotonic())
    pid = pid_of(run._child)
    over(run)
    assert ends(pid)
    assert run._child.descriptors() == []
    run.close()
