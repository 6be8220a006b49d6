"""README.md, followed by the letter; and docs/results.md has what lies in its results file."""

import re
from pathlib import Path

import h5py
import pytest

from tests.harness.pages import ROOT, follow

OF_THE_STUDY = {"alpha", "penalty", "accuracy"}
"""Hyperparameters and metrics: columns that the page can't name."""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Do what the README says; return where, and what was printed."""
    folder = tmp_path_factory.mktemp("readme")
    return folder, follow("../README.md", folder)


def test_a_stranger_comes_from_the_readme_to_a_best_configuration(
    followed: tuple[Path, str],
) -> None:
    _, printed = followed
    assert "study: complete; 20 trials" in printed
    assert "place  trial  accuracy  resource      alpha  penalty" in printed
    assert "alpha = " in printed.splitlines()[-2]


def test_the_page_on_results_has_the_tables_of_a_results_file(
    followed: tuple[Path, str],
) -> None:
    folder, _ = followed
    page = (ROOT / "docs" / "results.md").read_text()
    rows = dict(re.findall(r"^\| (?:`(\w+)`|attributes) \| (.*) \|$", page, re.MULTILINE))
    told = {table: {*re.findall(r"`(\w+)`", row)} for table, row in rows.items()}
    with h5py.File(folder / "results" / "study" / "run.h5") as file:
        assert file.attrs.keys() <= told.pop("")
        assert file.keys() == told.keys()
        for table in file.keys() - {"decisions"}:
            assert {*file[table].dtype.names} - OF_THE_STUDY <= told[table]
