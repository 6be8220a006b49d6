"""docs/coming-from.md: what can be run of it is, and its lines are counted."""

import re
from pathlib import Path

from tests.harness.pages import ROOT, blocks, follow

PAGE = "coming-from.md"
FILES = {
    "hpmpi": ("train.py", "study.toml"),
    "Optuna": ("tune_optuna.py",),
    "scikit-learn": ("tune_sklearn.py",),
    "Ray Tune": ("tune_ray.py",),
    "W&B sweeps": ("sweep.yaml", "train_wandb.py"),
}


def test_the_same_study_is_run_with_the_others_that_are_here(tmp_path: Path) -> None:
    printed = follow(PAGE, tmp_path)
    assert printed.count("'alpha': ") == 2


def test_the_lines_are_as_many_as_the_page_says() -> None:
    page = (ROOT / "docs" / PAGE).read_text()
    texts = {block.title: block.text.splitlines() for block in blocks(PAGE)}
    for name, files in FILES.items():
        lines = [line for file in files for line in texts[file] if line.strip()]
        count = sum(not line.startswith(("import ", "from ")) for line in lines)
        (told,) = re.findall(rf"^\| {name} \| (\d+) \|", page, re.MULTILINE)
        assert (name, int(told)) == (name, count)


def test_hpmpis_files_are_those_of_the_first_page_which_are_run_there() -> None:
    ours = [block for block in blocks(PAGE) if block.title in FILES["hpmpi"]]
    assert ours == [block for block in blocks("../README.md") if block.title]
