"""docs/program.md, followed by the letter; what it says of lines is counted."""

import re
from pathlib import Path

from tests.harness.pages import ROOT, blocks, follow
from tests.harness.programs import needs_cc

PAGE = "program.md"


@needs_cc
def test_a_stranger_comes_to_the_end_of_the_page(tmp_path: Path) -> None:
    printed = follow(PAGE, tmp_path, PYTHONPATH=str(ROOT))
    assert "fit: complete; 30 trials" in printed
    assert "lr = " in printed
    assert [*(tmp_path / "results" / "fit" / "checkpoints").glob("*/27-*/state")]


def test_its_table_counts_the_lines_of_the_page() -> None:
    page = (ROOT / "docs" / PAGE).read_text()
    told = dict(re.findall(r"^\| .*`(\w+\.\w+)` \w+ \| (\d+) \|", page, re.MULTILINE))
    counted = {
        block.title: str(sum(bool(line.strip()) and not line.startswith("#") for line in lines))
        for block in blocks(PAGE)
        if block.title in told and (lines := block.text.splitlines())
    }
    assert told == counted
    assert len(told) == 3


def test_what_it_shows_of_others_is_python() -> None:
    for block in blocks(PAGE):
        if block.title.endswith(".py"):
            compile(block.text, block.title, "exec")
