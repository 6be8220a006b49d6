"""docs/watching.md, followed by the letter."""

from pathlib import Path

from tests.harness.pages import ROOT, follow


def test_a_run_is_watched_and_explained_as_the_page_says(tmp_path: Path) -> None:
    printed = follow("watching.md", tmp_path, PYTHONPATH=str(ROOT))
    assert "mine: complete; 27 trials" in printed
    assert "It is complete: all 27 trials (stop.max_trials)" in printed
    assert "\ntrial 0 is " in printed
    assert "\nrank 1 on " in printed
    assert "next: hpmpi report results/mine; " in printed
