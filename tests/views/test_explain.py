"""Laws of `hpmpi explain`: what it says follows from what happened, in sentences."""

from pathlib import Path

import msgspec
import pytest

from hpmpi.cli.main import main
from hpmpi.errors import StoreError
from hpmpi.master.drain import NO_TIME
from hpmpi.model.events import Tick
from hpmpi.model.messages import FailureKind, Outcome, Point
from hpmpi.model.records import Line, Quarantined
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.storage.lock import Lease, Sign
from hpmpi.study.settings import RunTable, Settings, StopTable
from hpmpi.views import explain
from hpmpi.views.run_view import Summary, sum_up
from tests.harness.histories import (
    assigned,
    back,
    draining,
    ended,
    entry,
    failure,
    history,
    lost,
    progress,
    ready,
    result,
    started,
    stopped,
    suspension,
    unfit,
)

STUDY = Settings(
    name="mine",
    objective="t:t",
    space={},
    scheduler={"method": "asha", "eta": 3, "max_resource": 9, "unit": "epochs"},
    stop=StopTable(max_trials=7),
)

ALIVE = Sign(Lease("node3", "another kernel", 17, "cafe", "noon"), 1.5, gone=False)

TRIALS: list[Line] = [
    *(ready(rank) for rank in (1, 2, 3)),
    *(line for it in range(6) for line in (assigned(it), result(it, 0.1 * (it + 1)))),
]


def summary(*lines: Line, study: Settings = STUDY, goes_on: bool = True) -> Summary:
    """Sum up a study on four ranks, 60 s after it began."""
    told = sum_up(history(*lines, settings=study.toml()))
    return msgspec.structs.replace(told, sign=ALIVE if goes_on else None, seen=None)


@pytest.mark.parametrize(
    ("lines", "trial", "says"),
    [
        ([], 0, "So it goes on as soon as a rank is free"),
        ([], 1, "So it goes on as soon as a rank is free"),
        ([], 4, "the best 2 may go on (one in 3); it has place 5."),
        ([], 4, "It would have to beat trial 1, which has loss 0.2."),
        ([], 4, "It goes on if 9 more results there come in that are all worse."),
        ([ended(Outcome.COMPLETE)], 4, "It is complete: "),
        ([assigned(6), result(6, float("nan"), over=[6])], 6, "no number, which is the worst"),
        ([assigned(0, 1), result(0, 0.5, 1)], 0, "the best 0 may go on (one in 3); it has place 1"),
        ([assigned(0, 2), result(0, 0.5, 2, over=[0])], 0, "to 9 epochs, and there is no rung abo"),
        ([assigned(6, rank=2), progress(6, Point(1, {"loss": 2.0}))], 6, "Rank 2 trains it from 0"),
        ([assigned(6, rank=2), progress(6, Point(1, {"loss": 2.0}))], 6, "reported loss 2 at 1 ep"),
        ([assigned(6), failure(6, error="KeyError: a")], 6, "was failed: KeyError: a."),
        ([assigned(6), failure(6, final=True)], 6, "It failed 1 time, on ranks 1 "),
        ([assigned(6), suspension(6, 1)], 6, "waits to be handed out again: rung 0 attempt 1"),
        ([assigned(6), stopped(6, Point(1, {"loss": 2.0}))], 6, "ended it at 1 epoch with loss 2"),
    ],
)
def test_why_a_trial_does_not_go_on(lines: list[Line], trial: int, says: str) -> None:
    assert says in explain.of_trial(summary(*TRIALS, *lines), trial)


@pytest.mark.parametrize(
    ("lines", "rank", "says"),
    [
        ([], 0, "rank 0 leads"),
        ([], 1, "rank 1 on node1 has brought 6 results.\nIt is idle: "),
        ([], 1, "the searcher has no other trial by now, and none may be promoted until one of 0"),
        ([assigned(6, rank=2)], 1, "all 7 trials are begun, and none may be promoted until one of"),
        ([assigned(6, rank=2)], 2, "It is busy: it trains trial 6 from 0 to 1 epoch, for "),
        ([draining(NO_TIME)], 1, "the run drains (the end of the allocation is near)"),
        ([assigned(6), failure(6)], 1, "jobs wait (1), but have failed on it, or"),
        ([], 4, "It has not said yet that it can work"),
        ([unfit(4, "no module train")], 4, "gets no work: no module train"),
        ([assigned(6, rank=2), lost(2, (6, 0, 1))], 2, "trial 6 rung 0, waits to be handed out"),
        (
            [assigned(6, rank=2), lost(2, (6, 0, 1)), assigned(6, 0, 2, 3)],
            2,
            "trial 6 rung 0, went to rank 3: in work.",
        ),
        ([lost(2), back(2)], 2, "and was lost 1 time.\nIt is idle"),
        ([entry(9.0, Tick(), Quarantined(2))], 2, "It has been put aside for "),
        ([ended(Outcome.DRAINED, why="SIGTERM")], 1, "It was drained: somebody, or Slurm"),
    ],
)
def test_why_a_rank_has_no_work(lines: list[Line], rank: int, says: str) -> None:
    assert says in explain.of_rank(summary(*TRIALS, *lines), rank)


def test_that_few_ranks_may_be_busy_is_why_others_are_not() -> None:
    study = msgspec.structs.replace(STUDY, run=RunTable(max_concurrent=1))
    told = explain.of_rank(summary(*TRIALS, assigned(6, rank=2), study=study), 1)
    assert "no more than run.max_concurrent = 1 ranks may be busy at once" in told


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ([], "3 ranks idle: the searcher has no other trial by now"),
        ([draining("SIGINT")], "It drains: somebody pressed Ctrl-C, or sent SIGINT."),
        ([ended(Outcome.DESERTED)], "No rank is left to work"),
        ([unfit(1, "no module"), ended(Outcome.UNFIT)], "no rank can work: no module"),
        ([ended(Outcome.COMPLETE, why="all is spent")], "It is complete: all is spent."),
        ([ended(Outcome.COMPLETE)], "It is complete: there is nothing left to do."),
        (
            [
                assigned(6),
                failure(6, FailureKind.EXCEPTION, "KeyError: a", final=True),
                ended(Outcome.FAILED),
            ],
            "All trials fail alike: KeyError: a",
        ),
    ],
)
def test_why_a_run_came_to_its_end(end: list[Line], says: str) -> None:
    told = explain.of_run(summary(*TRIALS, *end))
    assert says in told
    assert "trials: 6 paused" in told


def test_who_was_given_up_did_not_come_as_far_as_promoted() -> None:
    few = msgspec.structs.replace(STUDY, stop=StopTable(max_trials=7))
    end = [assigned(6), failure(6, final=True), ended(Outcome.COMPLETE)]
    told = explain.of_run(summary(*TRIALS, *end, study=few))
    assert (
        "all 7 trials (stop.max_trials) came as far as they were promoted, but for 1 given" in told
    )


def test_a_run_that_nobody_leads_was_interrupted() -> None:
    cut = summary(*TRIALS, assigned(6), goes_on=False)
    assert "It was interrupted: nobody has" in explain.of_run(cut)
    assert "6 paused, 1 cut off" in explain.of_run(cut)


def test_there_is_no_such_trial_or_rank() -> None:
    with pytest.raises(StoreError, match="its trials are 0 to 5"):
        explain.of_trial(summary(*TRIALS), 6)
    with pytest.raises(StoreError, match="its worker ranks are 1 to 4"):
        explain.of_rank(summary(*TRIALS), 5)


def test_the_command_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [started(settings=STUDY.toml()), *TRIALS]
    (tmp_path / run_folder.JOURNAL).write_bytes(text_of(rows_of(lines)))
    for words, says in (
        ([], "mine: interrupted"),
        (["--trial", "4"], "place 5"),
        (["--rank", "1"], "6 results"),
    ):
        assert main(["explain", str(tmp_path), *words]) == 0
        assert says in capsys.readouterr().out
