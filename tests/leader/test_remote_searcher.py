"""A searcher in a process of its own, as rank 0 has it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hpmpi.errors import SearcherError
from hpmpi.leader.remote_searcher import LOG, RemoteSearcher
from hpmpi.master.searchers import LATER, OVER
from hpmpi.study import checks
from tests.harness.runs import LIMIT_S

STUDY = """
objective = "train.py:train"
metric = "loss"
[space]
x = { type = "float", low = 0.0, high = 1.0 }
[searcher]
method = "mine.py:Mine"
[scheduler]
method = "asha"
max_resource = 9
"""

DIVIDES = """
from hpmpi.master.searchers import OVER

class Mine:
    def __init__(self, space, seed, first):
        pass

    def ask(self, trial):
        return {"x": 1 / trial} if trial < 3 else OVER

    def adopt(self, trial, config):
        pass

    def tell(self, trial, rung, resource, loss, metrics):
        pass
"""

REMEMBERS = """
from hpmpi.master.searchers import LATER, OVER

class Mine:
    def __init__(self, space, seed, first, *, rungs, ranks):
        self.learnt = [f"{rungs} {ranks}"]

    def ask(self, trial):
        print(trial, self.learnt, flush=True)
        return {"x": 0.5} if trial < len(self.learnt) else LATER

    def adopt(self, trial, config):
        pass

    def tell(self, trial, rung, resource, loss, metrics):
        self.learnt.append(loss)
"""

OBSERVES = (
    REMEMBERS
    + """
    def observe(self, trial, points):
        self.learnt.append(points)
"""
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], RemoteSearcher]]:
    """Start searchers by their code."""
    with ExitStack() as stack:

        def start(code: str) -> RemoteSearcher:
            (tmp_path / "mine.py").write_text(code)
            (tmp_path / "train.py").write_text("def train(config): return 0.0\n")
            (tmp_path / "study.toml").write_text(STUDY)
            study = checks.read(tmp_path / "study.toml", [])
            searcher = RemoteSearcher(study, tmp_path, tmp_path / "out", ranks=7)
            return stack.enter_context(closing(searcher))

        yield start


@pytest.fixture
def searcher(start: Callable[[str], RemoteSearcher]) -> RemoteSearcher:
    """Start one that divides by the trial's number."""
    return start(DIVIDES)


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
    assert searcher.ask(3) is OVER


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


def said(folder: Path) -> list[str]:
    """Read what a searcher has printed."""
    return (folder / "out" / LOG).read_text().splitlines()


def test_a_searcher_is_given_the_rungs_and_the_ranks_that_it_names(
    start: Callable[[str], RemoteSearcher], tmp_path: Path
) -> None:
    searcher = start(REMEMBERS)
    assert searcher.ask(0) is LATER
    until(searcher.poll)
    assert searcher.ask(0) == {"x": 0.5}
    assert said(tmp_path)[0] == "0 ['(1, 3, 9) 7']"


def test_who_says_later_is_asked_again_when_it_has_learnt_more(
    start: Callable[[str], RemoteSearcher], tmp_path: Path
) -> None:
    searcher = start(REMEMBERS)
    assert searcher.ask(0) is LATER
    until(searcher.poll)
    assert searcher.ask(0) == {"x": 0.5}
    until(searcher.poll)
    assert searcher.waits
    assert searcher.ask(1) is LATER
    searcher.observe(0, [(1, {"loss": 0.25})])  # which it does not look at
    assert searcher.waits
    searcher.tell(0, 0, 1, 0.125, {"loss": 0.125})
    assert not searcher.waits
    until(searcher.poll)
    assert searcher.ask(1) == {"x": 0.5}
    assert said(tmp_path)[:3] == [
        "0 ['(1, 3, 9) 7']",
        "1 ['(1, 3, 9) 7']",
        "1 ['(1, 3, 9) 7', 0.125]",
    ]


def test_who_learns_while_it_says_later_is_asked_again(
    start: Callable[[str], RemoteSearcher],
) -> None:
    searcher = start(REMEMBERS)
    assert searcher.ask(1) is LATER
    searcher.tell(0, 0, 1, 0.125, {"loss": 0.125})
    until(lambda: searcher.poll() and searcher.ask(1) is not LATER)


def test_a_searcher_that_observes_is_shown_points_of_learning_curves(
    start: Callable[[str], RemoteSearcher], tmp_path: Path
) -> None:
    searcher = start(OBSERVES)
    searcher.observe(0, [(1, {"loss": 0.5}), (2, {"loss": 0.25})])
    assert searcher.ask(1) is LATER
    until(searcher.poll)
    assert searcher.ask(1) == {"x": 0.5}
    points = [(1, {"loss": 0.5}), (2, {"loss": 0.25})]
    assert said(tmp_path)[0] == f"1 {['(1, 3, 9) 7', points]}"


def test_a_searcher_that_forgets_to_return_is_told_what_to_return(
    start: Callable[[str], RemoteSearcher],
) -> None:
    searcher = start(DIVIDES.replace('return {"x"', '{"x"'))
    assert searcher.ask(1) is LATER
    until(searcher.poll)
    with pytest.raises(SearcherError, match=r"return hpmpi\.master\.searchers\.OVER"):
        searcher.ask(1)
