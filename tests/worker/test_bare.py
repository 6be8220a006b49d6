"""What a rank promises whose study wants no isolation: all that it can without a child.

A real rank, started as on a laptop; this process is rank 0.
"""

from collections.abc import Iterator
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
from hpmpi.study import checks
from hpmpi.transports import local
from hpmpi.worker import agent
from tests.harness.drive import order, welcome
from tests.harness.runs import Study
from tests.worker.test_agent import TALK, RankRig

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


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[RankRig]:
    """Start a rank."""
    monkeypatch.setenv("PYTHONPATH", str(Path(agent.__file__).parents[2]))
    transport = local.lead(1)
    yield RankRig(transport)
    transport.leave(0.0)
    transport.close()


def test_a_rank_without_isolation_does_its_jobs_itself(rig: RankRig, tmp_path: Path) -> None:
    assert rig.begin(welcome(tmp_path, "own_pid", isolated=False)) == rig.process.pid
    rig.tell(order())
    assert rig.until(Finished).metrics == {"loss": rig.process.pid}
    assert rig.stop() == 0


def test_jobs_wait_in_line_without_isolation(rig: RankRig, tmp_path: Path) -> None:
    jobs = [order(number, x=number) for number in range(5)]
    rig.tell(welcome(tmp_path, isolated=False), *jobs)
    answers = [rig.until(Finished) for _ in range(5)]
    assert answers == [Finished(each, 0, 1, {"loss": float(each**2)}) for each in range(5)]


@pytest.mark.parametrize(
    ("how", "kind"), [("fail", FailureKind.EXCEPTION), ("leave", FailureKind.EXIT)]
)
def test_an_error_is_an_answer_without_isolation(
    rig: RankRig, tmp_path: Path, how: str, kind: FailureKind
) -> None:
    rig.begin(welcome(tmp_path, "misbehave", isolated=False))
    rig.tell(order(0, how=how), order(1))
    assert rig.until(Failed).kind is kind
    assert rig.until(Finished).metrics == {"loss": rig.process.pid}


def test_what_is_printed_without_isolation_is_in_the_log_of_the_rank(
    rig: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "say.py").write_text("def say(config):\n    print('hello')\n    return 0")
    rig.begin(welcome(tmp_path, "say.py:say", isolated=False))
    rig.tell(order())
    rig.until(Finished)
    assert (tmp_path / "logs" / "rank-1.log").read_text() == "hello\n"


def test_a_rank_without_isolation_beats_where_its_objective_reports(
    rig: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    rig.begin(welcome(tmp_path, "talk.py:talk", beat_s=0.3, isolated=False))
    rig.tell(order())
    rig.until(Finished)
    curves = [report for report in rig.passed if isinstance(report, Progress)]
    assert [point.resource for each in curves for point in each.points] == list(range(200))
    assert len([report for report in rig.passed if isinstance(report, Beat)]) >= 3


def test_a_job_without_isolation_ends_with_the_checkpoint_it_is_asked_for(
    rig: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "save.py").write_text(SAVE)
    rig.begin(welcome(tmp_path, "save.py:save", beat_s=0.1, isolated=False))
    rig.tell(order(resource=100_000))
    rig.beats(3)
    rig.tell(Save())
    assert 0 < rig.until(Suspended).saved < 100_000
    assert rig.stop() == 0


def test_a_rank_without_isolation_can_leave_in_the_middle_of_a_job(
    rig: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "save.py").write_text(SAVE)
    rig.begin(welcome(tmp_path, "save.py:save", beat_s=0.1, isolated=False))
    rig.tell(order(resource=100_000))
    rig.beats(3)
    rig.tell(Stop())
    rig.until(Goodbye)
    assert rig.process.wait() == 0
    assert not {Finished, Failed} & {type(report) for report in rig.left()}


def test_a_rank_that_was_held_up_by_a_job_does_not_take_rank_0_for_dead(
    rig: RankRig, tmp_path: Path
) -> None:
    told = welcome(tmp_path, "misbehave", patience_s=0.1, beat_s=0.01, isolated=False)
    rig.beating = True
    rig.begin(told)
    rig.beating = False
    rig.tell(order(0, how="hold_gil", s=2 * agent.SILENCES * told.patience_s))
    rig.until(Finished)
    rig.until(Beat)  # it has looked at the silence by now, and no order has ended that
    rig.tell(order(1))
    assert rig.until(Finished).trial == 1


def test_a_rank_without_isolation_that_can_not_load_is_unfit(rig: RankRig, tmp_path: Path) -> None:
    rig.tell(welcome(tmp_path, "nothing.py:f", isolated=False))
    assert "there is no file " in rig.until(Unfit).error
    assert rig.stop() == 0
    assert Ready not in {type(report) for report in rig.left()}


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
    rig: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "o.py").write_text(
        "import sys\n\n\ndef streams(config):\n"
        "    typed, sys.stdout = sys.stdin.read(), None\n"
        "    return len(typed)\n"
    )
    rig.begin(welcome(tmp_path, "o.py:streams", isolated=False))
    for number in range(2):
        rig.tell(order(number))
        assert rig.until(Finished).metrics == {"loss": 0.0}
    assert rig.stop() == 0
