"""docs/objective.md does what it says, and has all that a trial is given."""

import inspect
import re
from pathlib import Path

from hpmpi.worker.handle import Trial, open_trial
from tests.harness.build import never
from tests.harness.drive import order, welcome
from tests.harness.pages import ROOT, follow

OURS = {"attempt", "drains", "end", "group", "is_due", "suspend", "working_folder"}
"""What is for who makes the attempts."""


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    printed = follow("objective.md", tmp_path, TMPDIR=str(tmp_path))
    assert "study: train.py:train takes (rate, layers, trial)" in printed
    assert "9 worker ranks: " in printed
    assert printed.count("goes on from the checkpoint: yes: the checkpoint at 1 was read") == 2
    assert "  rate = 0.1\n" in printed
    assert re.search(
        r"^\[hpmpi: rung 0 attempt 1 .*\]\ntrained from 0 to 1\n", printed, re.MULTILINE
    )


def test_the_table_has_all_that_a_trial_has(tmp_path: Path) -> None:
    trial, _ = open_trial(welcome(tmp_path), order(7), lambda _: None, never)
    public = {name for name in dir(trial) if not name.startswith("_")} - OURS
    page = (ROOT / "docs" / "objective.md").read_text()
    rows = re.findall(r"^\| (`trial\.\w+.*?) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`trial\.(\w+)", row)]
    assert sorted(named) == sorted(public)


def test_the_table_says_what_the_methods_take() -> None:
    page = (ROOT / "docs" / "objective.md").read_text()
    told = dict(re.findall(r"^\| `trial\.(\w+)\((.*?)\)` \|", page, re.MULTILINE))
    for name, arguments in told.items():
        _, *parameters = inspect.signature(getattr(Trial, name)).parameters.values()
        assert arguments == ", ".join(
            "**" * (it.kind is it.VAR_KEYWORD) + it.name for it in parameters
        )
    assert told
