"""The page on other people's searchers is followed."""

from pathlib import Path

from tests.harness.pages import follow


def test_the_page_on_other_searchers_can_be_followed(tmp_path: Path) -> None:
    printed = follow("other_searchers.md", tmp_path)
    assert "30 of 30 suggestions of the searcher do" in printed
    assert printed.count("study: complete; 30 trials") == 2
