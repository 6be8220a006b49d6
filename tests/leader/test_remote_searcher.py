"""A searcher in a process of its own, as rank 0 has it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hpmpi.errors import SearcherError
from hpmpi.leader.remote_searcher import RemoteSearcher
from hpmpi.master.searchers import LATER
from hpmpi.study import checks
from tests.harness.runs import LIMIT_S

STUDY = """
objective = "train.py:train"
metric = "loss"
[space]
x = { type = "float", low = 0.0, high = 1.0 }
[searcher]
method = "mine.py:Mine"
"""

MINE = """
class Mine:
    def __init__(self, space, seed, first):
        pass

    def ask(self, trial):
        return {"x": 1 / trial} if trial < 3 else None

    def adopt(self, trial, config):
        pass

    def tell(self, trial, rung, resource, loss, metrics):
        pass
"""


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[RemoteSearcher]:
    """Start one that divides by the trial's number."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "train.py").write_text("def train(config): return 0.0\n")
    (tmp_path / "study.toml").write_text(STUDY)
    study = checks.read(tmp_path / "study.toml", [])
    with closing(RemoteSearcher(study, tmp_path, tmp_path / "out")) as searcher:
        yield searcher


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    gives_up_at = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)


def test_what_is_not_thought_of_comes_later_and_the_next_is_thought_of_ahead(
    searcher: RemoteSearcher,
) -> None:
    assert searcher.ask(1) is LATER
    until(searcher.poll)
    assert searcher.ask(1) == {"x": 1.0}
    until(searcher.poll)
    assert searcher.ask(2) == {"x": 0.5}
    until(searcher.poll)
    assert searcher.ask(3) is None


def test_what_a_searcher_raises_is_raised_where_it_is_asked(searcher: RemoteSearcher) -> None:
    assert searcher.ask(0) is LATER
    until(searcher.poll)
    with pytest.raises(SearcherError, match="ZeroDivisionError"):
        searcher.ask(0)


def test_who_has_raised_is_waited_for_no_more_though_its_end_is_to_come(
    searcher: RemoteSearcher,
) -> None:
    assert len(searcher.descriptors()) == 1
    searcher.error = SearcherError("as told")
    assert searcher.descriptors() == [], "its end would wake rank 0 again and again"
    assert not searcher.poll()
