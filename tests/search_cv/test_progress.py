"""How far a search is: what is told of it while it goes on."""

import io
from pathlib import Path

import pytest

import hpmpi
from hpmpi.search_cv import progress
from hpmpi.search_cv.progress import Progress, left_s, line

OBJECTIVE = "def train(config):\n    return config['x'] / 8\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> hpmpi.Results:
    folder = tmp_path_factory.mktemp("study")
    (folder / "train.py").write_text(OBJECTIVE)
    return hpmpi.run(
        f"{folder}/train.py:train",
        space={"x": {"type": "int", "low": 0, "high": 8}},
        searcher={"method": "grid"},
        scheduler={"method": "asha", "max_resource": 9},
        mode="max",
        out=folder / "out",
        workers=1,
        progress=False,
    )


def test_a_search_that_is_complete_is_done(results: hpmpi.Results) -> None:
    assert results.share_done == 1
    assert line(results, 1.0, 0.0) == "100% done, 9 of 9 candidates begun, best 1, about 0 s left"


def test_a_line_is_written_now_and_then(
    results: hpmpi.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = io.StringIO()
    watch = Progress(told)
    watch(results)
    assert told.getvalue() == ""
    monkeypatch.setattr(progress, "PAUSE_S", 0.0)
    watch(results)
    assert told.getvalue() == "SearchCV: 100% done, 9 of 9 candidates begun, best 1\n"


def test_the_time_left_is_told_by_what_was_done_in_this_call() -> None:
    assert left_s(0.75, 0.5, 10.0) == 10
    assert left_s(0.5, 0.5, 10.0) is None


def test_progress_reads_a_run_that_goes_on(results: hpmpi.Results, tmp_path: Path) -> None:
    lines = (results.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    shares = []
    for count in range(len(lines) // 2, len(lines)):
        (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        shares.append(hpmpi.load(tmp_path).share_done)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1
