"""What a worker rank promises: it beats whatever its objective does, and leaves nothing behind.

A real rank, started as on a laptop; this process is rank 0.
"""

import os
import signal
import socket
import time
from pathlib import Path

import msgspec
import pytest

from hpmpi.model.messages import (
    Beat,
    Failed,
    FailureKind,
    Finished,
    Goodbye,
    Order,
    Progress,
    Ready,
    Recall,
    Retire,
    Returned,
    Save,
    Stop,
    Suspended,
    Unfit,
)
from hpmpi.model.trial import AttemptId
from hpmpi.transports import framing, local
from hpmpi.transports.framing import Frames
from hpmpi.transports.resources import Share
from hpmpi.worker import agent
from tests.harness.drive import ends, lives, order, state, welcome
from tests.harness.rank import RANK, RankRig

TALK = """
import time

def talk(config, trial):
    for step in range(200):
        trial.report(step, loss=1.0)
        time.sleep(0.01)
    return 0
"""


def test_a_rank_works_and_leaves_when_told(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path))
    rank.tell(order(3, attempt=2, x=3))
    assert rank.until(Finished) == Finished(AttemptId(3, 0, 2), {"loss": 9.0})
    assert rank.stop() == 0
    assert ends(child)
    assert {type(report) for report in rank.left()} <= {Ready, Beat}


def test_what_an_objective_prints_is_in_the_log_of_its_rank(rank: RankRig, tmp_path: Path) -> None:
    rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(how="vanish", code=1))
    assert rank.until(Failed).kind is FailureKind.EXIT
    log = '[hpmpi: trial 0 rung 0 attempt 1, from 0 to 1: {"how":"vanish","code":1}]\nlast words\n'
    assert (tmp_path / "logs" / "rank-1.log").read_text() == log


SLOW_TO_END = """
import atexit, time
from pathlib import Path

HERE = Path(__file__).parent

def end():
    (HERE / "ending").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    (HERE / "ended").touch()

atexit.register(end)

def f(config):
    return 0.0
"""


@pytest.mark.parametrize("word", [Stop(), Retire()])
def test_a_rank_beats_while_its_objective_ends_and_says_goodbye_after_that(
    rank: RankRig, tmp_path: Path, word: Order
) -> None:
    (tmp_path / "it.py").write_text(SLOW_TO_END)
    child = rank.begin(welcome(tmp_path, "it.py:f", beat_s=0.01))
    rank.tell(order())
    rank.until(Finished)
    rank.tell(word)
    while not (tmp_path / "ending").exists():
        rank.until(Beat)
    rank.beats(3)
    assert Goodbye not in {type(report) for report in rank.left()}
    (tmp_path / "go").touch()
    assert rank.stop() == 0
    assert (tmp_path / "ended").exists()
    assert ends(child)


@pytest.mark.parametrize("how", ["wait", "hold_gil"])
def test_a_rank_beats_while_its_objective_computes(rank: RankRig, tmp_path: Path, how: str) -> None:
    rank.begin(welcome(tmp_path, "misbehave", beat_s=0.1))
    rank.tell(order(how=how, s=1000))
    rank.beats(20)
    assert Finished not in {type(report) for report in rank.left()}


def test_a_rank_beats_while_its_objective_loads(rank: RankRig, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1000)")
    rank.tell(welcome(tmp_path, "slow.py:f"))
    rank.beats(3)
    assert rank.left() == []
    assert rank.stop() == 0


def test_a_rank_that_stops_in_the_middle_of_a_job_takes_it_along(
    rank: RankRig, tmp_path: Path
) -> None:
    child = rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(how="start_family"))
    family = int(rank.until(Finished).metrics["loss"])
    rank.tell(order(1, how="resist"))
    assert lives(child)
    assert rank.stop() == 0
    assert ends(child, family)
    assert not {Finished, Failed} & {type(report) for report in rank.left()}


def test_a_rank_that_is_never_welcomed_can_be_stopped(rank: RankRig) -> None:
    rank.tell(Stop())
    assert rank.process.wait() == 0
    assert rank.left() == []


def test_what_is_said_with_the_welcome_is_heard(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path), Stop())
    rank.until(Goodbye)
    assert rank.process.wait() == 0


def test_jobs_wait_in_line(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path), *(order(number, x=number) for number in range(5)))
    answers = [rank.until(Finished) for _ in range(5)]
    assert answers == [
        Finished(AttemptId(each, 0, 1), {"loss": float(each**2)}) for each in range(5)
    ]


def test_what_is_in_line_can_be_recalled_and_what_has_begun_can_not(
    rank: RankRig, tmp_path: Path
) -> None:
    rank.begin(welcome(tmp_path))
    first, second, third = (order(number, x=number) for number in range(3))
    rank.tell(first, second, third, Recall(second.attempt))
    assert rank.until(Returned) == Returned(second.attempt)
    done = [rank.until(Finished).attempt for _ in range(2)]
    assert done == [first.attempt, third.attempt]
    rank.tell(Recall(third.attempt), order(3, x=3))
    assert rank.until(Finished).attempt.trial == 3
    assert Returned not in {type(report) for report in rank.left()}


def test_a_job_that_waits_behind_a_crash_is_done(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(0, how="segfault"), order(1))
    assert rank.until(Failed).attempt.trial == 0
    done = rank.until(Finished)
    assert done.attempt.trial == 1
    assert done.metrics["loss"] != child


def test_a_rank_is_ready_once_however_often_its_child_starts(rank: RankRig, tmp_path: Path) -> None:
    rank.begin(welcome(tmp_path, "misbehave"))
    for number in range(2):
        rank.tell(order(number, how="segfault"))
        rank.until(Failed)
    rank.tell(order(2))
    rank.until(Finished)
    assert {type(report) for report in rank.left()} <= {Beat}


def test_an_unfit_rank_says_so_once_and_beats_on(rank: RankRig, tmp_path: Path) -> None:
    rank.tell(welcome(tmp_path, "nothing.py:f"))
    assert "there is no file " in rank.until(Unfit).error
    rank.beats(3)
    assert rank.stop() == 0
    assert {type(report) for report in rank.left()} <= {Beat}


def test_a_rank_leaves_when_rank_0_is_silent_for_long(rank: RankRig, tmp_path: Path) -> None:
    rank.beating = True
    child = rank.begin(welcome(tmp_path, "misbehave", patience_s=0.1, beat_s=0.05))
    rank.tell(order(how="resist"))
    assert lives(child)
    assert rank.process.wait() == 0
    assert ends(child)


def test_a_rank_stays_while_rank_0_is_heard(rank: RankRig, tmp_path: Path) -> None:
    rank.beating = True
    rank.begin(welcome(tmp_path, patience_s=0.2, beat_s=0.05))
    stays_until = time.monotonic() + 1.5 * agent.SILENCES * 0.2
    while time.monotonic() < stays_until:
        rank.until(Beat)
    assert rank.stop() == 0


def test_a_child_dies_with_its_rank(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(how="hold_gil", s=1000))
    rank.beats(2)
    rank.process.kill()
    assert rank.process.wait() == -signal.SIGKILL
    assert ends(child)


def test_a_rank_leaves_when_rank_0_has_died(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(how="start_family"))
    family = int(rank.until(Finished).metrics["loss"])
    rank.tell(order(1, how="resist"))
    rank.transport.close()
    assert rank.process.wait() == 1
    assert ends(child, family)


def test_local_ranks_see_nothing_of_a_launcher_that_started_rank_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher = {"PMI_RANK": "0", "PMI_SIZE": "1", "PMI_FD": "98", "MPI_LOCALRANKID": "0"}
    for name, value in {**launcher, "HPMPI_GUARD": "99"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(agent.__file__).parents[2]))
    rank = RankRig(local.lead(1))
    rank.begin(welcome(tmp_path))
    assert rank.stop() == 0
    rank.transport.close()


def test_a_rank_that_was_stopped_goes_on(rank: RankRig, tmp_path: Path) -> None:
    rank.begin(welcome(tmp_path))
    os.kill(rank.process.pid, signal.SIGSTOP)
    while state(rank.process.pid) != "T":
        time.sleep(0.01)
    rank.tell(order(x=3))
    while rank.hear():
        pass
    os.kill(rank.process.pid, signal.SIGCONT)
    assert rank.until(Finished) == Finished(AttemptId(0, 0, 1), {"loss": 9.0})
    assert rank.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_rank_0_alone_decides_when_to_leave(rank: RankRig, tmp_path: Path, number: int) -> None:
    rank.begin(welcome(tmp_path, "misbehave"))
    rank.process.send_signal(number)
    rank.tell(order(how="shrug", signal=number))
    rank.until(Finished)
    assert rank.stop() == 0


def test_points_of_a_curve_travel_with_the_beats_and_not_in_their_place(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    rank.begin(welcome(tmp_path, "talk.py:talk", beat_s=0.3))
    rank.tell(order())
    rank.until(Finished)
    curves = [report for report in rank.passed if isinstance(report, Progress)]
    beats = [report for report in rank.passed if isinstance(report, Beat)]
    assert [point.resource for each in curves for point in each.points] == list(range(200))
    assert len(beats) >= 3
    assert len(curves) <= len(beats) + 1


def test_half_a_message_is_a_sign_of_life(rank: RankRig, tmp_path: Path) -> None:
    rank.begin(welcome(tmp_path, beat_s=0.01, patience_s=0.05))
    peer = rank.transport._peers[RANK]
    peer._socket.send(framing.LENGTH.pack(1000))
    stays_until = time.monotonic() + 2 * agent.SILENCES * 0.05
    while time.monotonic() < stays_until:
        peer._socket.send(b"?")
        rank.beats(1)
    assert rank.process.poll() is None, "it has left, as rank 0 was silent for it"


def test_a_part_of_what_a_rank_says_is_a_sign_of_life() -> None:
    ours, theirs = socket.socketpair()
    transport = local.LocalTransport(0, 2, Share(), {RANK: Frames(ours)})
    theirs.sendall(framing.LENGTH.pack(7) + b"half")
    assert transport.poll(0.0) == []
    assert transport.underway == {RANK}
    assert transport.poll(0.0) == []
    assert transport.underway == set()
    theirs.close()
    transport.close()


def test_a_rank_that_was_held_up_itself_stays(rank: RankRig, tmp_path: Path) -> None:
    told = welcome(tmp_path, beat_s=0.01, patience_s=0.1)
    rank.begin(told)
    rank.process.send_signal(signal.SIGSTOP)
    held_until = time.monotonic() + 1.5 * agent.SILENCES * told.patience_s
    while state(rank.process.pid) != "T" or time.monotonic() < held_until:
        rank.hear()
    rank.process.send_signal(signal.SIGCONT)
    rank.beats(3)
    assert rank.stop() == 0


def test_the_second_child_dies_with_its_rank_too(rank: RankRig, tmp_path: Path) -> None:
    first = rank.begin(welcome(tmp_path, "misbehave"))
    rank.tell(order(how="die", signal=signal.SIGKILL))
    rank.until(Failed)
    rank.tell(order(1, attempt=2))
    second = int(rank.until(Finished).metrics["loss"])
    assert first != second
    rank.tell(order(2, how="wait"))  # or it would see for itself that its rank is gone
    while "ready" not in (tmp_path / "logs" / "rank-1.log").read_text():
        rank.hear()
    rank.process.kill()
    assert ends(second)


LEAVE_TALKING = """
import os
import threading
import time

handles = []

def talk_on(trial):
    while True:
        trial.report(trial.number, loss=1.0)
        trial.should_save(0)
        time.sleep(0.001)

def leave_talking(config, trial):
    handles.append(trial)
    trial.report(trial.number, loss=1.0)
    if config["how"] == "thread":
        threading.Thread(target=talk_on, args=[trial], daemon=True).start()
    elif config["how"] == "process" and os.fork() == 0:
        talk_on(trial)
    time.sleep(0.2)
    return 0
"""


@pytest.mark.parametrize("how", ["thread", "process"])
def test_points_are_of_the_attempt_in_work_whatever_others_have_left_running(
    rank: RankRig, tmp_path: Path, how: str
) -> None:
    (tmp_path / "talk.py").write_text(LEAVE_TALKING)
    rank.begin(welcome(tmp_path, "talk.py:leave_talking", beat_s=0.05))
    jobs = [order(0, how=how), order(1, how="not"), order(0, attempt=2, how="not")]
    rank.tell(*jobs)
    for job in jobs:
        done = rank.until(Finished)
        assert done.attempt == job.attempt
        said = [report for report in rank.passed if isinstance(report, Progress)]
        assert {each.attempt for each in said} == {job.attempt}
        assert {point.resource for each in said for point in each.points} == {job.attempt.trial}
        rank.passed.clear()
    rank.beats(2)
    assert {type(report) for report in rank.left()} <= {Ready, Beat}


def test_a_job_that_wants_a_fresh_process_has_one(rank: RankRig, tmp_path: Path) -> None:
    child = rank.begin(welcome(tmp_path, "own_pid"))
    jobs = [order(0), order(1), order(2), order(3), order(4)]
    fresh = {0, 2, 4}
    rank.tell(*(msgspec.structs.replace(job, fresh=job.attempt.trial in fresh) for job in jobs))
    pids = [int(rank.until(Finished).metrics["loss"]) for _ in jobs]
    assert pids[:2] == [child, child], "one that has done nothing is fresh"
    assert pids[2] == pids[3]
    assert len(set(pids)) == 3
    assert ends(*set(pids[:4]))
    assert not {Failed, Unfit} & {type(report) for report in rank.left()}


STAY = """
import os
import threading
import time

def stay(config):
    threading.Thread(target=time.sleep, args=[1000]).start()
    return os.getpid()
"""


def test_a_process_that_can_not_end_is_no_obstacle_to_a_fresh_one(
    rank: RankRig, tmp_path: Path
) -> None:
    (tmp_path / "stay.py").write_text(STAY)
    child = rank.begin(welcome(tmp_path, "stay.py:stay"))
    rank.tell(order(0), msgspec.structs.replace(order(1), fresh=True))
    assert rank.until(Finished).metrics == {"loss": child}
    assert rank.until(Finished).metrics["loss"] != child
    assert ends(child)


SWALLOW = """
import time

def swallow(config, trial):
    try:
        for step in range(trial.start, 100_000):
            time.sleep(0.01)
            if trial.should_save(step + 1):
                with trial.checkpoint(step + 1):
                    pass
    except:
        return 1e9
"""


@pytest.mark.parametrize("isolated", [True, False])
def test_a_drain_that_an_objective_catches_suspends_its_job(
    rank: RankRig, tmp_path: Path, *, isolated: bool
) -> None:
    (tmp_path / "swallow.py").write_text(SWALLOW)
    told = welcome(tmp_path, "swallow.py:swallow", beat_s=0.1, isolated=isolated)
    rank.begin(told)
    rank.tell(order(resource=100_000))
    rank.beats(3)
    rank.tell(Save())
    assert 0 < rank.until(Suspended).saved < 100_000
    assert rank.stop() == 0
    assert Finished not in {type(report) for report in rank.left()}


def test_a_drain_right_behind_a_job_is_not_missed(rank: RankRig, tmp_path: Path) -> None:
    (tmp_path / "swallow.py").write_text(SWALLOW)
    rank.tell(welcome(tmp_path, "swallow.py:swallow"), order(0, resource=100_000), Save())
    assert rank.until(Suspended) == Suspended(AttemptId(0, 0, 1), 1)
    rank.tell(msgspec.structs.replace(order(1, resource=100_000), fresh=True), Save())
    assert rank.until(Suspended) == Suspended(AttemptId(1, 0, 1), 1)
