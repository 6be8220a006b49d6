"""What Slurm says of an allocation, and what it does not: scontrol may be anything."""

import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from hpmpi import allocation
from hpmpi.allocation import ANSWER_S, ASK_EVERY_S, Allocation, Deadline, parsed

SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_END_TIME")


class Fake:
    """Programs of Slurm's that say what they are told to."""

    def __init__(self, folder: Path) -> None:
        """Have none yet."""
        self.folder = folder
        folder.mkdir()

    def program(self, name: str, script: str) -> None:
        """Make one, or make it anew."""
        partial = self.folder / f".{name}"
        partial.write_text(
            f'#!/bin/sh\necho "$*" >> {shlex.quote(str(self.log(name)))}\n{script}\n'
        )
        partial.chmod(0o700)
        partial.rename(self.folder / name)

    def log(self, name: str) -> Path:
        """Name the file of what a program was asked."""
        return self.folder / f"{name}.log"

    def asked(self, name: str) -> list[str]:
        """List what a program was asked."""
        return self.log(name).read_text().splitlines() if self.log(name).exists() else []


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Be in allocation 17, with programs first on PATH."""
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Fake(tmp_path / "bin")


def told(deadline: Deadline, now: float) -> float | None:
    """Have a deadline ask and be answered, by when its answer is there."""
    found = deadline.poll(now)
    assert found is None
    assert deadline._question is not None
    deadline._question.wait(60)
    return deadline.poll(now)


def ends(epoch_s: float | str) -> str:
    """Write a program that says when the allocation ends."""
    return f"echo JobId=17 JobState=RUNNING EndTime={epoch_s} NodeList=n1"


# -- which allocation -----------------------------------------------------------------------------


def test_a_task_of_an_array_is_not_its_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last task's SLURM_JOB_ID is the array's: what is done to it is done to all tasks."""
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)
    assert allocation.here() is None
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert allocation.here() == "17"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert allocation.here() == "17_0"


@pytest.mark.parametrize(("said", "times"), [(None, 0), ("3", 3), ("", 0), ("many", 0), ("-1", 0)])
def test_an_allocation_that_was_not_requeued_has_no_count(
    monkeypatch: pytest.MonkeyPatch, said: str | None, times: int
) -> None:
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    if said is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", said)
    assert allocation.restarts() == times


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["", "\n", "slurm_load_jobs error: Invalid job id", "JobState", "=RUNNING", "a=b=c"]
)
def test_what_is_no_answer_says_nothing(said: str) -> None:
    assert parsed(said) is None


@pytest.mark.parametrize("said", ["Unknown", "N/A", "", "None", "2026-11-22T08:12:45", "-5", "1e9"])
def test_an_end_that_is_no_number_is_not_known(said: str) -> None:
    found = parsed(f"JobState=RUNNING Reason=None Restarts={said} EndTime={said}")
    assert found == Allocation("RUNNING", "None", 0, is_batch=False, nodes="", ends_at=None)


@pytest.mark.parametrize(
    ("state", "reason", "ending"),
    [
        ("RUNNING", "None", False),
        ("COMPLETING", "TimeLimit", False),
        ("COMPLETING", "None", True),
        ("CANCELLED", "None", True),
        ("PREEMPTED", "None", True),
    ],
)
def test_what_slurm_has_decided_is_its_own(state: str, reason: str, ending: bool) -> None:  # noqa: FBT001
    found = parsed(f"JobState={state} Reason={reason}")
    assert found is not None
    assert found.is_ending is ending


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "echo; kill -9 $$", ":"])
def test_a_scontrol_that_fails_says_nothing(slurm: Fake, script: str) -> None:
    slurm.program("scontrol", script)
    assert allocation.look("17") is None
    deadline = Deadline("17")
    assert told(deadline, 0.0) is None


def test_without_scontrol_nothing_is_known(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(slurm.folder))
    assert allocation.look("17") is None
    assert "scontrol" in (allocation.requeue("17") or "")
    deadline = Deadline("17")
    assert [deadline.poll(now) for now in (0.0, ASK_EVERY_S, 10 * ASK_EVERY_S)] == [None] * 3


def test_a_refused_requeue_says_why(slurm: Fake) -> None:
    slurm.program("scontrol", "echo 'Requested operation is presently disabled' >&2; exit 1")
    assert allocation.requeue("17") == "Requested operation is presently disabled"
    slurm.program("scontrol", "exit 1")
    assert allocation.requeue("17") == "no reason given"
    slurm.program("scontrol", "exit 0")
    assert allocation.requeue("17") is None
    assert slurm.asked("scontrol") == ["requeue 17"] * 3


# -- the deadline ---------------------------------------------------------------------------------


def test_without_an_allocation_nobody_is_asked(slurm: Fake) -> None:
    slurm.program("scontrol", ends(1000))
    assert Deadline(None).poll(0.0) is None
    assert slurm.asked("scontrol") == []


def test_the_end_is_told_once_and_again_when_it_moves(slurm: Fake) -> None:
    slurm.program("scontrol", ends(1000))
    deadline = Deadline("17")
    assert told(deadline, 0.0) == 1000
    assert deadline.poll(1.0) is None
    assert told(deadline, ASK_EVERY_S) is None  # it is the same
    slurm.program("scontrol", ends(1500))
    assert told(deadline, 2 * ASK_EVERY_S) == 1500
    assert slurm.asked("scontrol") == ["show job --oneliner 17"] * 3


def test_what_was_known_stays_when_slurm_falls_silent(slurm: Fake) -> None:
    slurm.program("scontrol", ends(1000))
    deadline = Deadline("17")
    assert told(deadline, 0.0) == 1000
    for turn, script in enumerate([ends("Unknown"), "exit 1", "echo nonsense"], start=1):
        slurm.program("scontrol", script)
        assert told(deadline, turn * ASK_EVERY_S) is None
    slurm.program("scontrol", ends(900))
    assert told(deadline, 4 * ASK_EVERY_S) == 900


def test_what_slurm_has_told_all_processes_is_known_at_once(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.program("scontrol", ends(2000))
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    deadline = Deadline("17")
    assert deadline.poll(0.0) == 1000
    assert told_later(deadline, 0.0) == 2000


def told_later(deadline: Deadline, now: float) -> float | None:
    """Be answered."""
    assert deadline._question is not None
    deadline._question.wait(60)
    return deadline.poll(now)


def test_a_scontrol_that_hangs_is_given_up_and_asked_again(slurm: Fake) -> None:
    """A site's own scontrol may be a script: what that has started outlives it for a while."""
    slurm.program("scontrol", 'sleep 600 & echo $! > "$0.pid"; wait')
    deadline = Deadline("17")
    assert deadline.poll(0.0) is None
    hung = deadline._question
    assert hung is not None
    pid = int(eventually(slurm.folder / "scontrol.pid"))
    assert deadline.poll(ANSWER_S / 2) is None
    assert hung.poll() is None
    assert deadline.poll(ANSWER_S) is None
    assert hung.poll() is not None
    os.kill(pid, signal.SIGKILL)  # it is there: nobody has waited for it
    slurm.program("scontrol", ends(1000))
    assert told(deadline, 2 * ASK_EVERY_S) == 1000


def test_an_answer_is_heard_though_its_script_left_something_behind(slurm: Fake) -> None:
    slurm.program("scontrol", f'{ends(1000)}; sleep 600 & echo $! > "$0.pid"')
    deadline = Deadline("17")
    assert told(deadline, 0.0) == 1000
    os.kill(int((slurm.folder / "scontrol.pid").read_text()), signal.SIGKILL)


def eventually(path: Path) -> str:
    """Read a file as soon as it says something."""
    gives_up_at = time.monotonic() + 60
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)
    return path.read_text()


# -- steps ---------------------------------------------------------------------------------------


def test_only_our_steps_of_this_allocation_are_killed(slurm: Fake) -> None:
    slurm.program("scancel", ":")
    slurm.program(
        "squeue",
        'case $(wc -l < "$0.log") in 1) echo "17.0 hpmpi\n17.batch batch\n17.1 my hpmpi";; esac',
    )
    allocation.cancel_steps({"hpmpi", "prted"})
    assert slurm.asked("scancel") == ["--signal=KILL 17.0"]
    assert len(slurm.asked("squeue")) == 2


def test_no_step_is_killed_where_there_is_no_allocation(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.program("squeue", "echo 17.0 hpmpi")
    monkeypatch.delenv("SLURM_JOB_ID")
    allocation.cancel_steps({"hpmpi"})
    assert slurm.asked("squeue") == []


def test_steps_that_stay_are_not_waited_for_long(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "KILL_S", 0.2)
    slurm.program("squeue", "echo 17.0 hpmpi")
    slurm.program("scancel", "exit 1")
    allocation.cancel_steps({"hpmpi"})
    assert slurm.asked("scancel") != []
