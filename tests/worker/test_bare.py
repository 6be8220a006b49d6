"""What a rank promises whose study wants no isolation: all that it can without a child.

A real rank, started as on a laptop; this process is rank 0.
"""

from pathlib import Path

import pytest

from hpmpi.errors import SettingsError
from hpmpi.model.messages import (
    Beat,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Progress,
    Ready,
    Save,
    Stop,
    Suspended,
    Unfit,
)
from hpmpi.model.trial import AttemptId
from hpmpi.study import checks
from hpmpi.worker import agent
from tests.harness.drive import order, welcome
from tests.harness.rank import RankRig
from tests.harness.runs import Study
from tests.worker.test_agent import TALK

SAVE = """
import time

def save(config, trial):
    for step in range(100_000):
        time.sleep(0.01)
        if trial.should_save(step + 1):
            with trial.checkpoint(step + 1):
                pass
    return 0
"""


def test_a_rank_without_isolation_does_its_jobs_itself(rank: RankRig, tmp_path: Path) -> None:
    assert rank.begin(welcome(tmp_path, "own_pid", isolated=False)) == rank.process.pid
    rank.tell(order())
    assert rank.until(Finished).metrics == {"loss": rank.process.pid}
    assert rank.stop() == 0


def test_jobs_wait_in_line_without_isolation(rank: RankRig, tmp_path: Path) -> None:
    jobs = [order(number, x=number) for number in range(5)]
    rank.tell(welcome(tmp_path, isolated=False), *jobs)
    answers = [rank.until(Finished) for _ in range(5)]
    assert answers == [
        Finished(AttemptId(each, 0, 1), {"loss": float(each**2)}) for each in range(5)
    ]


@pytest.mark.parametrize(
    ("how", "kind"), [("fail", FailureKind.EXCEPTION), ("leave", FailureKind.EXIT)]
)
def test_an_error_is_an_answer_without_isolation(
    rank: RankRig, tmp_path: Path, how: str, kind: FailureKind
) -> None:
    rank.begin(welcome(tmp_path, "misbehave", isolated=False))
    rank.tell(order(0, how=how), order(1))
    assert rank.until(Failed).kind is kind
    assert rank.until(Finished).metrics == {"loss": rank.process.pid}


def test_what_is_printed_without_isolation_is_in_the_log_of_the_rank(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "say.py").write_text("def say(config):\n    print('hello')\n    return 0")
    rank.begin(welcome(tmp_path, "say.py:say", isolated=False))
    rank.tell(order())
    rank.until(Finished)
    log = "[hpmpi: trial 0 rung 0 attempt 1, from 0 to 1: {}]\nhello\n"
    assert (tmp_path / "logs" / "rank-1.log").read_text() == log


def test_a_rank_without_isolation_beats_where_its_objective_reports(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    rank.begin(welcome(tmp_path, "talk.py:talk", beat_s=0.3, isolated=False))
    rank.tell(order())
    rank.until(Finished)
    curves = [report for report in rank.passed if isinstance(report, Progress)]
    assert [point.resource for each in curves for point in each.points] == list(range(200))
    assert len([report for report in rank.passed if isinstance(report, Beat)]) >= 3


def test_a_job_without_isolation_ends_with_the_checkpoint_it_is_asked_for(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "save.py").write_text(SAVE)
    rank.begin(welcome(tmp_path, "save.py:save", beat_s=0.1, isolated=False))
    rank.tell(order(resource=100_000))
    rank.beats(3)
    rank.tell(Save())
    assert 0 < rank.until(Suspended).saved < 100_000
    assert rank.stop() == 0


def test_a_rank_without_isolation_can_leave_in_the_middle_of_a_job(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "save.py").write_text(SAVE)
    rank.begin(welcome(tmp_path, "save.py:save", beat_s=0.1, isolated=False))
    rank.tell(order(resource=100_000))
    rank.beats(3)
    rank.tell(Stop())
    rank.until(Goodbye)
    assert rank.process.wait() == 0
    assert not {Finished, Failed} & {type(report) for report in rank.left()}


def test_a_rank_that_was_held_up_by_a_job_does_not_take_rank_0_for_dead(
    rank: RankRig, tmp_path: Path
) -> None:
    told = welcome(tmp_path, "misbehave", patience_s=0.1, beat_s=0.01, isolated=False)
    rank.beating = True
    rank.begin(told)
    rank.beating = False
    rank.tell(order(0, how="hold_gil", s=2 * agent.SILENCES * told.patience_s))
    rank.until(Finished)
    rank.until(Beat)  # it has looked at the silence by now, and no order has ended that
    rank.tell(order(1))
    assert rank.until(Finished).attempt.trial == 1


def test_a_rank_without_isolation_that_can_not_load_is_unfit(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path, "nothing.py:f", isolated=False))
    assert "there is no file " in rank.until(Unfit).error
    assert rank.stop() == 0
    assert Ready not in {type(report) for report in rank.left()}


def test_limits_need_a_process_to_hold_to_them(tmp_path: Path) -> None:
    file = Study(tmp_path).file
    unlimited = checks.read(file, ['run.isolation="none"'])
    assert unlimited.run.isolation == "none"
    limits = ["limits.trial_time_s=5", "limits.trial_memory_mb=100"]
    with pytest.raises(SettingsError) as raised:
        checks.read(file, ["run.isolation=none", *limits])
    assert raised.value.problems == [
        'limits.trial_time_s needs run.isolation = "process"',
        'limits.trial_memory_mb needs run.isolation = "process"',
    ]


def test_a_study_without_isolation_trains_nothing_twice(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = study.run(study.command("--workers", "3", "--set", "run.isolation=none"))
    assert done.returncode == 0, done.stderr
    epochs = study.log.read_text().splitlines()
    assert len(set(epochs)) == len(epochs)
    assert study.left() == []


def test_what_an_objective_does_to_the_standard_streams_harms_nobody(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "o.py").write_text(
        "import sys\n\n\ndef streams(config):\n"
        "    typed, sys.stdout = sys.stdin.read(), None\n"
        "    return len(typed)\n"
    )
    rank.begin(welcome(tmp_path, "o.py:streams", isolated=False))
    for number in range(2):
        rank.tell(order(number))
        assert rank.until(Finished).metrics == {"loss": 0.0}
    assert rank.stop() == 0
