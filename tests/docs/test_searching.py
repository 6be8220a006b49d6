"""docs/searching.md: each study of it runs as it stands there, to its end."""

from pathlib import Path

import h5py
import pytest

from tests.harness.pages import ROOT, blocks, follow

PAGE = "searching.md"
STUDIES = [block.title for block in blocks(PAGE) if block.title]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what the page says."""
    folder = tmp_path_factory.mktemp("page")
    follow(PAGE, folder, OMP_NUM_THREADS="1")
    return folder


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_of_the_page_comes_to_its_end(folder: Path, study: str) -> None:
    with h5py.File(folder / "results" / Path(study).stem / "run.h5") as file:
        assert file.attrs["state"] == "complete"


def test_whatever_the_page_shows_is_there() -> None:
    page = (ROOT / "docs" / PAGE).read_text()
    links = [link.partition(")")[0] for link in page.split("](")[1:]]
    assert links
    assert [it for it in links if not (ROOT / "docs" / it.partition("#")[0]).exists()] == []
