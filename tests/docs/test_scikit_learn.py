"""docs/scikit-learn.md, followed by the letter; and its count of lines."""

import ast
import difflib
import re
from pathlib import Path

from tests.harness.pages import ROOT, blocks, follow

PAGE = "scikit-learn.md"

SCRIPTS = {
    "hpmpi": "search.py",
    "scikit-learn (`n_jobs=-1`)": "joblib_search.py",
    "Optuna (`OptunaSearchCV`)": "optuna_search.py",
    "Ray Tune": "ray_search.py",
}


def test_a_killed_search_comes_to_what_grid_search_cv_comes_to(tmp_path: Path) -> None:
    printed = follow(PAGE, tmp_path)
    lines = printed.splitlines()
    best = [line for line in lines if line.startswith("{'svc__C': ")]
    assert len(best) >= 2
    assert len({*best}) == 1
    assert "complete; 6 trials" in printed
    reached = ast.literal_eval(lines[-1])
    assert (len(reached), reached[0], reached[-1]) == (27, 3, 81)


def test_the_lines_that_differ_are_counted_right() -> None:
    text = {block.title: block.text.splitlines() for block in blocks(PAGE) if block.title}
    page = (ROOT / "docs" / PAGE).read_text()
    for name, script in SCRIPTS.items():
        diff = difflib.ndiff(text["grid.py"], text[script])
        changed = [line for line in diff if line.startswith("+ ") and line[2:].strip()]
        (told,) = re.findall(rf"^\| {re.escape(name)} \| (\d+) \|", page, re.MULTILINE)
        assert (name, len(changed)) == (name, int(told))
