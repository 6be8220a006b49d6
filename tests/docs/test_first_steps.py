"""docs/first-steps.md, followed by the letter."""

import json
from pathlib import Path

from hpmpi.cli.first_study import KINDS
from hpmpi.history.tables import TABLES
from hpmpi.study import toml
from hpmpi.views.export import FORMATS
from tests.harness import pages

PAGE = "first-steps.md"


def test_a_stranger_comes_to_the_best_configuration(tmp_path: Path) -> None:
    printed = pages.follow(PAGE, tmp_path, PYTHONPATH=str(pages.ROOT))
    assert "line: complete; 9 trials" in printed
    assert "ok      Python" in printed
    best = toml.load((tmp_path / "best.toml").read_text(), "the best")
    assert best.keys() == {"rate", "momentum", "batch_size"}
    assert json.loads((tmp_path / "curves.json").read_text())


def test_the_page_has_all_that_may_be_asked_for() -> None:
    page = (pages.ROOT / "docs" / PAGE).read_text()
    assert all(f"| `hpmpi init --{kind}` |" in page for kind in KINDS)
    assert all(f"| `{form}` |" in page for form in FORMATS)
    assert all(f"`{what}`" in page for what in TABLES)
