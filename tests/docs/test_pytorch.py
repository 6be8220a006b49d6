"""docs/pytorch.md: followed by the letter, and what it counts is counted again."""

import difflib
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from tests.harness.pages import ROOT, blocks, follow

PAGE = "pytorch.md"
SPACES = ROOT / "spaces" / "torch"
SCRIPTS = ["with_hpmpi", "with_optuna", "with_ray"]


def lines_of(name: str) -> list[str]:
    """Read the lines of a file in spaces/torch."""
    return (SPACES / name).read_text().splitlines(keepends=True)


def changes(name: str) -> tuple[int, int]:
    """Count the lines added to the script as it was, and taken from it, but for blanks."""
    compared = difflib.ndiff(lines_of("plain.py"), lines_of(f"{name}.py"))
    signs = [line[0] for line in compared if line[2:].strip()]
    return signs.count("+"), signs.count("-")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_lines_that_differ_are_as_many_as_the_page_says(name: str) -> None:
    row = rf"^\| \[{name}\.py\]\(.*?\) \| (\d+) \| (\d+) \| (?:(\d+) lines of TOML)? *\|$"
    found = re.search(row, (ROOT / "docs" / PAGE).read_text(), re.MULTILINE)
    assert found is not None
    assert (int(found[1]), int(found[2])) == changes(name)
    settings = [line for line in lines_of("convnet.toml") if line.strip() and line[0] != "#"]
    assert found[3] in (None, str(len(settings)))


def test_the_page_on_objectives_counts_alike() -> None:
    added, taken = changes("with_hpmpi")
    assert (
        f"({added} lines added, {taken} taken away)" in (ROOT / "docs" / "objective.md").read_text()
    )


def test_the_page_shows_what_differs_and_the_study() -> None:
    shown = {block.language: block.text for block in blocks(PAGE)}
    differs = difflib.unified_diff(lines_of("plain.py"), lines_of("with_hpmpi.py"), n=1)
    hunks = [line for line in list(differs)[2:] if not line.startswith("@@")]
    assert [line for line in shown["diff"].splitlines(keepends=True) if line != " ...\n"] == hunks
    assert shown["toml"] == "".join(lines_of("convnet.toml"))


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: pip install -e '.[torch]'",
)
def test_the_page_can_be_followed(tmp_path: Path) -> None:
    folder = shutil.copytree(SPACES, tmp_path / "torch")
    printed = follow(PAGE, folder)
    assert "convnet: complete; 4 trials" in printed
    assert "convnet: trial 0 is " in printed
    assert (folder / "checkpoints" / "last.pt").exists()
