"""The page on several metrics, done as it says."""

from pathlib import Path

from tests.harness.pages import follow


def test_the_page_is_right(tmp_path: Path) -> None:
    printed = follow("several-metrics.md", tmp_path)
    assert "place  front  trial  accuracy  size_bytes" in printed
    assert "best size_bytes: trial" in printed
    assert "[[front]]" in printed
    assert "decisions agree" in printed
    assert (tmp_path / "run" / "run.h5").is_file()
