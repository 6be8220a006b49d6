"""Which allocation is ours, what Slurm says of it, and what not: squeue may be anything."""

import os
import random
import shlex
import signal
import time
from pathlib import Path

import pytest

from hpmpi.errors import SlurmError
from hpmpi.slurm import allocation, squeue
from hpmpi.slurm.allocation import ASK_EVERY_S, EndTime, claim, ours
from hpmpi.slurm.squeue import ANSWER_S, COLUMNS, Allocation, parsed

ME, OTHER = 1000, 1001

RUNNING = {
    "JobID": "17",
    "UserID": str(ME),
    "State": "RUNNING",
    "Reason": "None",
    "RestartCnt": "0",
    "BatchFlag": "1",
    "EndTime": "1000",
    "NumTasks": "4",
    "cpus-per-task": "1",
    "threads": "*",
}
"""What squeue says of a batch allocation; N/A in all other columns."""

SCRIPT = ["/bin/bash /spool/job17/slurm_script ", "slurmstepd: [17.batch] "]
"""What a process comes from that a batch script has started."""


def line(**columns: str) -> str:
    """Write a line of squeue's; `columns` differ from those of allocation 17, a batch job's."""
    dashed = {name.replace("_", "-"): value for name, value in columns.items()}
    words = RUNNING | columns | dashed
    return "".join(words.get(name, "N/A").ljust(width) for name, width in COLUMNS.items())


def allocated(**columns: str) -> Allocation:
    """Return what such a line says."""
    (allocation,) = parsed([line(**columns)])
    return allocation


OURS = allocated(BatchFlag="0")
"""An allocation that salloc was given, for tests of what is done in one."""


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
    for name in [name for name in os.environ if name.startswith(("SLURM", "SQUEUE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(allocation, "lineage", lambda: SCRIPT)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Fake(tmp_path / "bin")


def told(deadline: EndTime, now: float) -> float | None:
    """Have a deadline ask and be answered, by when its answer is there."""
    found = deadline.poll(now)
    assert found is None
    assert deadline._question is not None
    deadline._question.wait(60)
    return deadline.poll(now)


def says(*lines: str) -> str:
    """Write a program that says this."""
    return "; ".join(f"echo {shlex.quote(each)}" for each in lines)


def ends(epoch_s: float | str) -> str:
    """Write a program that says when the allocation ends."""
    return says(line(EndTime=str(epoch_s)))


# -- which allocation is ours ----------------------------------------------------------------------


def test_a_batch_script_is_in_its_own_allocation_and_may_requeue_it() -> None:
    mine = ours({}, SCRIPT, parsed([line()]), ME)
    assert mine is not None
    assert (mine.number, mine.step, mine.is_ours_to_requeue) == ("17", "batch", True)


@pytest.mark.parametrize("step", ["0", "interactive", "3"])
def test_another_step_is_in_its_allocation_and_requeues_nothing(step: str) -> None:
    """The script goes on beside it, with work that is nobody else's to end."""
    for lineage in (["-bash ", f"slurmstepd: [17.{step}] "], [f"0::/slurm/job_17/step_{step}/x"]):
        mine = ours({"SLURM_JOB_ID": "4"}, lineage, parsed([line()]), ME)
        assert mine is not None
        assert (mine.number, mine.is_ours_to_requeue) == ("17", False)


def test_a_shell_of_salloc_is_in_an_allocation_that_is_never_requeued() -> None:
    said = parsed([line(BatchFlag="0")])
    for lineage in (
        ["-bash ", "salloc -n4 ", "sshd: me "],
        ["/usr/bin/salloc ", "slurmstepd: [16.batch] "],
    ):
        mine = ours({"SLURM_JOB_ID": "17"}, lineage, said, ME)
        assert mine is not None
        assert (mine.number, mine.is_ours_to_requeue) == ("17", False)


@pytest.mark.parametrize(
    "columns",
    [
        {"BatchFlag": "1"},
        {"BatchFlag": "0", "State": "COMPLETED"},
        {"BatchFlag": "0", "UserID": str(OTHER)},
        {"BatchFlag": "0", "JobID": "18"},
    ],
    ids=["of-a-script", "over", "of-another-user", "unknown"],
)
def test_a_variable_alone_makes_no_allocation_ours(columns: dict[str, str]) -> None:
    """As in tmux, or where somebody has set it by hand."""
    lineage = ["-bash ", "tmux: server ", "/sbin/init "]
    assert ours({"SLURM_JOB_ID": "17"}, lineage, parsed([line(**columns)]), ME) is None


def test_who_comes_by_ssh_is_in_no_step() -> None:
    lineage = ["-bash ", "sshd: me ", "0::/slurm/job_17/step_extern"]
    assert claim({}, lineage) == ("", "")


def test_a_task_of_an_array_is_not_its_array() -> None:
    """The last task's number is the array's: what is done to it is done to all tasks."""
    lines = [line(JobID=str(17 + task), ArrayJobID="17", ArrayTaskID=str(task)) for task in (1, 0)]
    mine = ours({}, SCRIPT, parsed(lines), ME)
    assert mine is not None
    assert (mine.name, mine.task, mine.number) == ("17_0", 0, "17")
    assert allocated().name == "17"
    assert allocated().task is None


class World:
    """Allocations that come from each other, and a process in one of them, or in none."""

    def __init__(self, seed: int) -> None:
        """Draw one; the environment is a mixture of what any of them has set."""
        draw = random.Random(seed)  # noqa: S311 - for tests
        self.said = [self._allocation(number, draw) for number in range(17, 17 + 4)]
        self.own = draw.choice([*self.said, None])
        step = "" if self.own is None else draw.choice(["batch", "0"])
        shells = ["-bash "] * draw.randrange(3)
        last = "/sbin/init " if self.own is None else f"slurmstepd: [{self.own.number}.{step}] "
        self.lineage = [*shells, last]
        self.environment = {
            name: draw.choice(["", "17", "18", "19", "20", "21", "none"])
            for name in (
                *("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
                *("SLURM_RESTART_COUNT", "SLURM_JOB_END_TIME", "SLURM_STEP_ID", "SLURM_PROCID"),
            )
            if draw.random() < 0.7
        }

    def _allocation(self, number: int, draw: random.Random) -> Allocation:
        task = draw.choice(["N/A", str(draw.randrange(9))])
        return allocated(
            JobID=str(number),
            ArrayJobID="N/A" if task == "N/A" else str(draw.choice([number, 99])),
            ArrayTaskID=task,
            UserID=str(draw.choice([ME, OTHER])),
            State=draw.choice(["RUNNING", "COMPLETED", "COMPLETING"]),
            BatchFlag=draw.choice("01"),
            RestartCnt=draw.choice("012"),
        )


@pytest.mark.parametrize("seeds", [range(first, first + 500) for first in (0, 500)])
def test_whatever_the_environment_says_what_is_ours_is_our_own_or_nothing(seeds: range) -> None:
    for world in map(World, seeds):
        mine = ours(world.environment, world.lineage, world.said, ME)
        if world.own is not None:
            assert mine is not None
            assert mine._replace(step="") == world.own
            assert mine.is_ours_to_requeue <= world.own.is_batch
        elif mine is not None:
            assert mine.number == world.environment["SLURM_JOB_ID"]
            assert (mine.user, mine.state, mine.is_batch) == (ME, "RUNNING", False)
            assert not mine.is_ours_to_requeue


def test_this_process_comes_from_those_that_started_it() -> None:
    above = allocation.lineage()
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    parent = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode().replace("\0", " ")
    assert above[0] == parent


def test_slurm_is_asked_for_ours_once(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm.program("squeue", says(line(RestartCnt="2")))
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "7")
    mine = allocation.find()
    assert mine is not None
    assert (mine.number, mine.restarts, mine.step) == ("17", 2, "batch")
    (asked,) = slurm.asked("squeue")
    assert "--jobs=17 " in asked


def test_who_is_in_an_allocation_does_without_no_answer(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "AGAIN_S", 0.0)
    slurm.program("squeue", "exit 1")
    with pytest.raises(SlurmError, match="this is in allocation 17"):
        allocation.find()
    assert len(slurm.asked("squeue")) == allocation.TRIES


def test_who_only_has_a_variable_does_without(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "lineage", lambda: ["-bash "])
    slurm.program("squeue", "exit 1")
    assert allocation.find() is None
    assert slurm.asked("squeue") == []
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert allocation.find() is None
    assert len(slurm.asked("squeue")) == 1


# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["", "slurm_load_jobs error: Invalid job id", "CLUSTER: x", "JobState=RUNNING"]
)
def test_what_is_no_answer_says_nothing(said: str) -> None:
    assert parsed([said]) == []


@pytest.mark.parametrize("said", ["Unknown", "N/A", "", "None", "2026-11-22T08:12:45", "-5", "1e9"])
def test_an_end_that_is_no_number_is_not_known(said: str) -> None:
    assert (allocated(EndTime=said).ends_at, allocated(RestartCnt=said).restarts) == (None, 0)


def test_what_an_older_squeue_does_not_know_hides_no_more_than_that() -> None:
    names, widths = list(COLUMNS), list(COLUMNS.values())
    known = line()[: sum(widths[: names.index("HetJobID")])]
    (found,) = parsed([known])
    assert found == allocated(cpus_per_task="N/A", threads="N/A")


def test_nothing_is_asked_for_in_which_a_user_may_have_written() -> None:
    written = {"Name", "Comment", "AdminComment", "Command", "WorkDir", "Feature", "WCKey"}
    assert not COLUMNS.keys() & written


def test_users_habits_change_no_answer(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm.program("squeue", "env -0")
    habits = {"SQUEUE_PARTITION": "x", "SCANCEL_INTERACTIVE": "1", "SLURM_TIME_FORMAT": "relative"}
    for name, value in habits.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    said = "\n".join(squeue.answer(["squeue"]) or [])
    seen = dict(each.split("=", 1) for each in said.split("\0") if each)
    assert habits.keys() & seen.keys() == {"SLURM_TIME_FORMAT"}
    assert (seen["SLURM_TIME_FORMAT"], seen["SLURM_CONF"]) == ("%s", "/etc/slurm.conf")


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
    assert allocated(State=state, Reason=reason).is_ending is ending


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "echo; kill -9 $$", ":"])
def test_a_slurm_that_fails_says_nothing(slurm: Fake, script: str) -> None:
    slurm.program("squeue", script)
    assert allocation.look(allocated()) is None
    deadline = EndTime()
    assert told(deadline, 0.0) is None


def test_without_slurm_nothing_is_known(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(slurm.folder))
    assert allocation.look(allocated()) is None
    assert "scontrol" in (allocation.requeue("17") or "")
    deadline = EndTime()
    assert [deadline.poll(now) for now in (0.0, ASK_EVERY_S, 10 * ASK_EVERY_S)] == [None] * 3


def test_a_refused_requeue_says_why(slurm: Fake) -> None:
    slurm.program("scontrol", "echo 'Requested operation is presently disabled' >&2; exit 1")
    assert allocation.requeue("17") == "Requested operation is presently disabled"
    slurm.program("scontrol", "exit 1")
    assert allocation.requeue("17") == "no reason given"
    slurm.program("scontrol", "exit 0")
    assert allocation.requeue("17") is None
    assert slurm.asked("scontrol") == ["requeue 17"] * 3


def test_the_parts_of_a_heterogeneous_allocation_are_counted(slurm: Fake) -> None:
    part = allocated(HetJobID="17")
    slurm.program("squeue", says(line(HetJobID="17"), line(HetJobID="17", JobID="18")))
    assert [allocation.components(each) for each in (allocated(), part)] == [1, 2]


# -- the deadline ---------------------------------------------------------------------------------


def test_without_an_allocation_nobody_is_asked(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "lineage", lambda: ["-bash "])
    slurm.program("squeue", ends(1000))
    assert EndTime().poll(0.0) is None
    assert slurm.asked("squeue") == []


def test_the_end_is_told_once_and_again_when_it_moves(slurm: Fake) -> None:
    slurm.program("squeue", ends(1000))
    deadline = EndTime()
    assert told(deadline, 0.0) == 1000
    assert deadline.poll(1.0) is None
    assert told(deadline, ASK_EVERY_S) is None  # it is the same
    slurm.program("squeue", ends(1500))
    assert told(deadline, 2 * ASK_EVERY_S) == 1500
    assert len(slurm.asked("squeue")) == 3


def test_what_was_known_stays_when_slurm_falls_silent(slurm: Fake) -> None:
    slurm.program("squeue", ends(1000))
    deadline = EndTime()
    assert told(deadline, 0.0) == 1000
    for turn, script in enumerate([ends("Unknown"), "exit 1", "echo nonsense"], start=1):
        slurm.program("squeue", script)
        assert told(deadline, turn * ASK_EVERY_S) is None
    slurm.program("squeue", ends(900))
    assert told(deadline, 4 * ASK_EVERY_S) == 900


def test_the_end_of_another_allocation_is_not_ours(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.program("squeue", says(line(JobID="16", EndTime="500"), line(EndTime="2000")))
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    monkeypatch.setenv("SLURM_JOB_ID", "16")
    assert told(EndTime(), 0.0) == 2000


def test_a_squeue_that_hangs_is_given_up_and_asked_again(slurm: Fake) -> None:
    """A site's own squeue may be a script: what that has started outlives it for a while."""
    slurm.program("squeue", 'sleep 600 & echo $! > "$0.pid"; wait')
    deadline = EndTime()
    assert deadline.poll(0.0) is None
    hung = deadline._question
    assert hung is not None
    pid = int(eventually(slurm.folder / "squeue.pid"))
    assert deadline.poll(ANSWER_S / 2) is None
    assert hung.poll() is None
    assert deadline.poll(ANSWER_S) is None
    assert hung.poll() is not None
    os.kill(pid, signal.SIGKILL)  # it is there: nobody has waited for it
    slurm.program("squeue", ends(1000))
    assert told(deadline, 2 * ASK_EVERY_S) == 1000


def test_an_answer_is_heard_though_its_script_left_something_behind(slurm: Fake) -> None:
    slurm.program("squeue", f'{ends(1000)}; sleep 600 & echo $! > "$0.pid"')
    deadline = EndTime()
    assert told(deadline, 0.0) == 1000
    os.kill(int((slurm.folder / "squeue.pid").read_text()), signal.SIGKILL)


def eventually(path: Path) -> str:
    """Read a file as soon as it says something."""
    gives_up_at = time.monotonic() + 60
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)
    return path.read_text()


# -- steps ---------------------------------------------------------------------------------------


def test_only_our_steps_of_this_allocation_are_killed(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another launch may have some there, and the environment may be about another allocation."""
    monkeypatch.setenv("SLURM_JOB_ID", "16")
    slurm.program("scancel", ":")
    slurm.program(
        "squeue",
        'case $(wc -l < "$0.log") in 1) echo "17.0 hpmpi-a\n17.batch batch\n17.1 hpmpi-b";; esac',
    )
    allocation.cancel_steps(allocated(), "hpmpi-a")
    assert slurm.asked("scancel") == ["--signal=KILL 17.0"]
    assert slurm.asked("squeue") == ["--noheader --steps --jobs 17 --format=%i %j"] * 2


def test_steps_that_stay_are_not_waited_for_long(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "KILL_S", 0.2)
    slurm.program("squeue", "echo 17.0 hpmpi")
    slurm.program("scancel", "exit 1")
    allocation.cancel_steps(allocated(), "hpmpi")
    assert slurm.asked("scancel") != []
