"""Laws of the live view: a page fits the terminal, says what matters, and acts on nothing."""

import pytest

from hpmpi.history.overview import overview
from hpmpi.model.messages import FailureKind, Point
from hpmpi.model.records import Line
from hpmpi.study.settings import Settings, StopTable
from hpmpi.views.live import MOST_FAILURES, page_of
from tests.harness.histories import assigned, failure, history, lost, progress, ready, result

NOW = 1_000_000.0

STUDY = Settings(
    name="mine",
    objective="t:t",
    space={f"x{number}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(30)},
    metric="loss",
    scheduler={"method": "asha", "eta": 3, "max_resource": 9, "unit": "epochs"},
    stop=StopTable(max_trials=100),
)

HOSTILE = "\x1b]0;title\x07\r\n[bold]no[/bold]"


def lines_of(*lines: Line, size: tuple[int, int] = (80, 23), study: Settings = STUDY) -> list[str]:
    """Write a page of a study on 60 ranks."""
    told = history(*lines, ranks=60, settings=study.toml())
    page = page_of(overview(told, 65.0, 20), "running", NOW, size)
    return ["".join(it if isinstance(it, str) else it[0] for it in line) for line in page]


def config(trial: int) -> dict[str, float | str]:
    """Suggest 30 hyperparameters, one of which says what acts on a terminal."""
    return {**{f"x{number}": trial / 7 for number in range(29)}, "x29": HOSTILE}


MANY: list[Line] = [
    *(ready(rank) for rank in range(1, 59)),
    *(assigned(trial, rank=trial + 1, config=config(trial)) for trial in range(50)),
    *(result(trial, 1 / (trial + 1), rank=trial + 1, at=5.0) for trial in range(30)),
    assigned(29, 1, rank=30, at=6.0),
    progress(40, Point(1, {"loss": 0.125}), rank=41),
    *(
        failure(30 + at, kind, HOSTILE, rank=31 + at, at=7.0)
        for at, kind in enumerate(FailureKind)
        if kind is not FailureKind.LOST
    ),
    lost(50, (49, 0, 1), at=8.0),
]


@pytest.mark.parametrize("size", [(80, 23), (120, 39), (40, 10), (20, 3), (200, 90)])
@pytest.mark.parametrize("lines", [[], MANY], ids=["none", "many"])
def test_a_page_is_never_longer_than_the_terminal(lines: list[Line], size: tuple[int, int]) -> None:
    page = lines_of(*lines, size=size)
    assert 0 < len(page) <= size[1]
    assert all(line.isprintable() for line in page)


def test_a_page_says_what_somebody_who_logs_in_wants_to_know() -> None:
    page = lines_of(*MANY, size=(100, 50))
    text = "\n".join(page)
    assert page[0].startswith("mine: running, 1 min ")
    assert page[0].endswith("30 of 100 trials tried")
    assert " % done; ends about " in page[1]
    assert page[2].startswith("ranks: 14 busy, ")
    assert "1 lost (rank 50 on node50)" in page[2]
    assert "one in 3 is promoted" in text
    assert "best: trial 29, loss 0.0333333 at 1 epoch, found 1 min ago" in text
    head = next(line for line in page if line.lstrip().startswith("running"))
    assert head.split()[:6] == ["running", "rank", "for", "epochs", "loss", "x0"]
    running = next(line for line in page if line.lstrip().startswith("trial 40 "))
    assert running.split()[:8] == ["trial", "40", "41", "1", "min", "1", "of", "1"]
    assert running.split()[8] == "0.125"
    assert sum(", the newest: trial 3" in line for line in page) == MOST_FAILURES


def test_before_any_result_the_best_that_was_reported_is_told() -> None:
    assert "no trial has succeeded yet" in lines_of()
    begun: list[Line] = [
        *(assigned(trial, rank=trial + 1, config=config(trial)) for trial in range(3)),
        *(progress(it, Point(1, {"loss": 1 / (it + 1)}), rank=it + 1) for it in range(2)),
    ]
    told = "no trial has come to a rung yet; trial 1 reports loss 0.5 at 1 epoch"
    assert told in lines_of(*begun)
