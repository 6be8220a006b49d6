"""What becomes of a job that is cancelled: it ends whatever it does, and that is its one answer.

The laws of a child's life hold with this as well (test_lifecycle.py); these are real processes.
"""

from pathlib import Path

import pytest

from hpmpi.model.messages import (
    Beat,
    Cancel,
    Cancelled,
    Failed,
    Finished,
    Progress,
    Ready,
    Report,
    Save,
    Suspended,
    Unfit,
)
from tests.harness.drive import child_of, ends, nobody_lives, order, welcome
from tests.harness.rank import RankRig

OTHER_ANSWERS = {Finished, Failed, Suspended, Unfit}

TALK = """
import time
from pathlib import Path

def talk(config, trial):
    while not Path(config["file"]).exists():
        trial.report(trial.number, loss=1.0)
        time.sleep(0.01)
    return 0
"""


def kinds(reports: list[Report]) -> set[type[Report]]:
    """Tell what was said."""
    return {type(report) for report in reports}


@pytest.mark.parametrize("how", ["wait", "round_off", "resist", "freeze"])
def test_a_job_in_work_ends_whatever_it_does_when_it_is_told_to(tmp_path: Path, how: str) -> None:
    with child_of(welcome(tmp_path, "misbehave")) as rig:
        job = order(how=how)
        rig.assign(job)
        rig.await_output("ready")
        pid = rig.pid
        rig.child.cancel(Cancel(job.attempt), rig.now)
        assert rig.until(Cancelled) == Cancelled(job.attempt)
        assert ends(pid), "there is room for the next"
        rig.assign(order(1))
        assert rig.until(Finished).metrics["loss"] != pid
        assert kinds(rig.left()) == {Ready}


def test_all_that_a_cancelled_job_has_started_ends(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave")) as rig:
        job, pids = order(how="breed", then="wait", file=str(tmp_path / "pids")), tmp_path / "pids"
        rig.assign(job)
        rig.await_output("ready")
        rig.child.cancel(Cancel(job.attempt), rig.now)
        rig.until(Cancelled)
        assert len(pids.read_text().split()) == 4
        assert nobody_lives(pids)


def test_a_job_is_cancelled_while_its_objective_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\n\n"
        "while not (Path(__file__).parent / 'go').exists():\n    time.sleep(0.01)\n\n"
        "def f(config):\n    return 0.0\n"
    )
    with child_of(welcome(tmp_path, "slow.py:f")) as rig:
        job = order()
        rig.assign(job)
        rig.child.cancel(Cancel(job.attempt), rig.now)
        assert rig.until(Cancelled) == Cancelled(job.attempt)
        (tmp_path / "go").touch()
        rig.assign(order(1))
        assert rig.until(Finished).attempt == order(1).attempt
        assert kinds(rig.left()) == {Ready}


def test_it_is_too_late_to_cancel_what_was_answered(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "own_pid")) as rig:
        first = rig.succeed()
        rig.child.cancel(Cancel(first.attempt), rig.now)
        assert rig.succeed().metrics == first.metrics
        assert kinds(rig.left()) == {Ready}


def test_a_cancelled_trial_may_be_tried_again_from_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "save.py").write_text(
        "import time\n\n"
        "def save(config, trial):\n"
        "    start = trial.start\n"
        "    with trial.checkpoint(start + 1):\n        pass\n"
        "    print('ready', flush=True)\n"
        "    while not start:\n        time.sleep(0.01)\n"
        "    return start\n"
    )
    with child_of(welcome(tmp_path, "save.py:save")) as rig:
        rig.assign(order(resource=9))
        rig.await_output("ready")
        rig.child.cancel(Cancel(order().attempt), rig.now)
        rig.until(Cancelled)
        rig.assign(order(resource=9, attempt=2))
        assert rig.until(Finished).metrics == {"loss": 1.0}


def test_a_rank_takes_out_of_its_line_what_is_cancelled(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path, "misbehave"))
    first, second, third = order(0, how="wait"), order(1), order(2)
    rank.tell(first, second, third, Cancel(second.attempt))
    assert rank.until(Cancelled) == Cancelled(second.attempt)
    rank.tell(Cancel(first.attempt))
    assert rank.until(Cancelled) == Cancelled(first.attempt)
    done = rank.until(Finished)
    assert done.attempt == third.attempt
    assert done.metrics["loss"] != child
    assert rank.stop() == 0
    assert kinds(rank.left()) <= {Ready, Beat}


def test_a_rank_does_not_know_what_it_never_had(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path), Cancel(order(9).attempt), order(3, x=3))
    rank.tell(Cancel(order(3, attempt=2).attempt))
    assert rank.until(Finished).metrics == {"loss": 9.0}
    rank.tell(Cancel(order(3).attempt))
    rank.beats(2)
    assert kinds(rank.left()) <= {Ready, Beat}


def test_a_job_that_drains_can_be_cancelled(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path, "misbehave"), order(how="wait"), Save(), Cancel(order().attempt))
    assert rank.until(Cancelled) == Cancelled(order().attempt)
    assert not OTHER_ANSWERS & kinds(rank.left())


def test_without_isolation_a_cancelled_job_goes_on_to_its_end(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    pid = rank.begin(welcome(tmp_path, "talk.py:talk", beat_s=0.05, isolated=False))
    jobs = [order(number, file=str(tmp_path / "go")) for number in range(3)]
    rank.tell(*jobs)
    rank.until(Progress)
    rank.tell(Cancel(jobs[1].attempt), Cancel(jobs[0].attempt))
    assert rank.until(Cancelled) == Cancelled(jobs[1].attempt)
    rank.passed.clear()
    rank.beats(5)
    rank.passed.clear()  # points that were on their way
    rank.beats(5)
    assert kinds(rank.left()) == set()
    (tmp_path / "go").touch()
    assert rank.until(Cancelled) == Cancelled(jobs[0].attempt)
    assert rank.until(Finished).attempt == jobs[2].attempt
    assert rank.process.pid == pid
    assert not {Progress, *OTHER_ANSWERS} & kinds(rank.left())
