"""What a child promises: whatever an objective does is a report, and the next job works."""

import math
import os
import select
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from hpmpi.guard import oom
from hpmpi.model.messages import OUTPUT, Failed, FailureKind, Finished, Progress, Ready, Save, Unfit
from hpmpi.model.trial import AttemptId
from hpmpi.transports import PREFIXES
from hpmpi.transports.resources import CUDA, HIDDEN, THREADS, Share
from hpmpi.worker import lifecycle, limits, log_file, supervisor
from hpmpi.worker.child_events import Send
from tests.harness.drive import (
    LIMIT_S,
    ChildRig,
    child_of,
    ends,
    lives,
    memory_cgroup,
    nobody_lives,
    order,
    pids_in,
    state,
    welcome,
)
from tests.harness.runs import parent_of


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ChildRig]:
    """Start a child that misbehaves on request; it must be in order again after all."""
    with child_of(welcome(tmp_path, "misbehave")) as it:
        yield it


TIME_S = 1000.0
"""Of a job; the tests skip it."""


def recovers(rig: ChildRig, pid: int) -> bool:
    """Tell whether the next job works, in a child of its own, and nothing else is said."""
    done = rig.succeed()
    others = [report for report in rig.left() if not isinstance(report, Ready)]
    return ends(pid) and done.metrics["loss"] not in {pid, 0.0} and others == []


# -- what works ------------------------------------------------------------------------------------


def test_a_result_comes(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, metric="error")) as rig:
        assert rig.do(x=3) == Finished(AttemptId(0, 0, 1), {"error": 9.0})
        assert [type(report) for report in rig.left()] == [Ready]


def test_a_child_says_who_it_is_when_it_has_loaded(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path)) as rig:
        ready = rig.until(Ready)
        assert ready == Ready(os.uname().nodename, rig.pid, has=ready.has)
        assert rig.left() == []


def test_a_child_stays_for_the_next_job(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "own_pid")) as rig:
        pids = {rig.succeed().metrics["loss"] for _ in range(3)}
        assert pids == {rig.pid}


def test_a_child_stays_after_an_exception(rig: ChildRig) -> None:
    assert rig.fail(how="fail").kind is FailureKind.EXCEPTION
    assert rig.succeed().metrics["loss"] == rig.pid


def test_a_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "count")) as rig:
        assert rig.do() == Finished(AttemptId(0, 0, 1), {"loss": -1, "start": 0}, saved=1)
        rig.assign(order(resource=3, attempt=2))
        assert rig.until(Finished) == Finished(
            AttemptId(0, 0, 2), {"loss": -3, "start": 1}, saved=3
        )
        points = [each for each in rig.left() if isinstance(each, Progress)]
        assert [(each.attempt.number, *each.points[0].metrics.values()) for each in points] == [
            (1, 1.0),
            (2, 2.0),
            (2, 3.0),
        ]


def test_a_trial_that_is_killed_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "count")) as rig:
        rig.assign(order(resource=5, die_at=3))
        assert rig.until(Failed).kind is FailureKind.CRASH
        rig.assign(order(resource=5, attempt=2, die_at=3))
        assert rig.until(Finished) == Finished(
            AttemptId(0, 0, 2), {"loss": -5, "start": 3}, saved=5
        )


def test_a_large_order_goes_in_parts_and_says_that_there_is_more(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "own_pid")) as rig:
        assert not rig.child.unsent
        rig.assign(order(text="x" * (1 << 23)))
        assert rig.child.unsent
        assert rig.until(Finished).metrics["loss"] == rig.pid
        assert not rig.child.unsent


# -- what fails ------------------------------------------------------------------------------------


def test_an_exception_is_told_with_the_users_lines_only(rig: ChildRig) -> None:
    failed = rig.fail(how="fail", text="no luck today")
    assert failed.kind is FailureKind.EXCEPTION
    assert failed.error.splitlines()[-1] == "ValueError: no luck today"
    assert "in fail_deeply" in failed.error
    assert os.path.dirname(supervisor.__file__) not in failed.error  # noqa: PTH120


def test_an_exception_of_megabytes_is_cut(rig: ChildRig) -> None:
    failed = rig.fail(how="fail", text="x" * (1 << 20))
    assert failed.kind is FailureKind.EXCEPTION
    assert len(failed.error) < 10_000


def test_an_exception_that_is_no_text_is_told(rig: ChildRig) -> None:
    failed = rig.fail(how="fail_with_bytes")
    assert failed.kind is FailureKind.EXCEPTION
    assert "ValueError: caf" in failed.error
    assert rig.succeed().metrics["loss"] == rig.pid


def test_rubbish_is_a_bad_value(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, metric="accuracy", objective="surroundings")) as rig:
        failed = rig.fail()
        assert failed.kind is FailureKind.BAD_VALUE
        assert failed.error.startswith("the objective returned no 'accuracy' but 'loss'")


def test_a_polite_exit_is_told(rig: ChildRig) -> None:
    failed = rig.fail(how="leave", code="I am done")
    assert (failed.kind, failed.error) == (
        FailureKind.EXIT,
        "the objective called exit('I am done')",
    )


@pytest.mark.parametrize("code", [0, 3])
def test_a_sudden_exit_is_told_with_its_last_output(rig: ChildRig, code: int) -> None:
    pid = rig.pid
    failed = rig.fail(how="vanish", code=code)
    assert failed.kind is FailureKind.EXIT
    assert failed.error == f"the process ended with exit code {code}; its last output:\nlast words"
    assert recovers(rig, pid)


def test_only_the_output_of_the_job_is_told(rig: ChildRig) -> None:
    rig.fail(how="vanish", code=1)
    rig.succeed(how="not")
    failed = rig.fail(how="segfault")
    assert "last words" not in failed.error


def test_a_segfault_is_a_report_and_no_dead_rank(rig: ChildRig) -> None:
    pid = rig.pid
    failed = rig.fail(how="segfault")
    assert failed.kind is FailureKind.CRASH
    assert failed.error.startswith("killed by SIGSEGV")
    assert recovers(rig, pid)


def test_what_a_failure_has_spoilt_spoils_no_other_job(rig: ChildRig) -> None:
    assert rig.fail(how="sulk", hurt=1).kind is FailureKind.EXCEPTION
    first = rig.succeed(how="sulk").metrics["loss"]
    assert rig.succeed(how="sulk").metrics["loss"] == first


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
)
def test_signals_to_all_processes_of_a_run_end_no_job(rig: ChildRig, number: int) -> None:
    assert rig.succeed(how="shrug", signal=number).metrics == {"loss": 1.0}


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "SIGKILL"), (signal.SIGXCPU, "SIGXCPU"), (signal.SIGRTMIN + 6, "signal 40")],
)
def test_a_signal_is_named(rig: ChildRig, number: int, name: str) -> None:
    pid = rig.pid
    failed = rig.fail(how="die", signal=number)
    assert failed.kind is FailureKind.CRASH
    assert failed.error.startswith(f"killed by {name}")
    assert recovers(rig, pid)


def test_megabytes_of_output_block_nobody(rig: ChildRig, tmp_path: Path) -> None:
    assert rig.succeed(how="chatter").metrics["loss"] == rig.pid
    pid = rig.pid
    failed = rig.fail(how="chatter", then="vanish", code=1)
    assert failed.error.endswith("\nlast words")
    assert len(failed.error) < 3000
    assert recovers(rig, pid)
    assert (tmp_path / "logs" / "rank-1.log").stat().st_size > 6 << 20


def test_output_that_is_no_text_is_told(rig: ChildRig) -> None:
    pid = rig.pid
    failed = rig.fail(how="babble")
    assert failed.kind is FailureKind.EXIT
    assert "ABCDEFG" in failed.error
    assert failed.error.encode()
    assert recovers(rig, pid)


def test_a_child_that_hangs_up_is_ended(rig: ChildRig) -> None:
    pid = rig.pid
    failed = rig.fail(how="hang_up")
    assert failed.kind is FailureKind.CRASH
    assert failed.error.startswith("closed its connection with its rank")
    assert recovers(rig, pid)


@pytest.mark.parametrize("how", ["talk_rubbish", "claim_much", "babble_on"])
def test_a_child_that_talks_rubbish_is_ended(rig: ChildRig, how: str) -> None:
    pid = rig.pid
    failed = rig.fail(how=how)
    assert failed.kind is FailureKind.CRASH
    assert failed.error.startswith("wrote rubbish into its connection with its rank")
    assert recovers(rig, pid)


def test_a_child_without_stdout_and_stderr_works(rig: ChildRig) -> None:
    pid = rig.pid
    assert rig.succeed(how="close_output").metrics["loss"] == pid
    assert rig.succeed().metrics["loss"] == pid


def test_a_flood_of_output_is_cut_while_the_job_runs(
    rig: ChildRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(log_file, "KEPT_BYTES", 1 << 16)
    log, enough = tmp_path / "logs" / "rank-1.log", tmp_path / "enough"
    rig.assign(order(how="flood", then="vanish", code=1, file=str(enough)))
    rig.await_output("hpmpi has cut")
    enough.touch()
    assert rig.until(Failed).error.endswith("last words")
    rig.until(Ready)
    while log.stat().st_size > 1 << 20:
        assert rig.hear() == []


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ("nothing", "the metric 'loss' must be a number and is None of type NoneType"),
        ("text", "must be a number and is 'xxx"),
        ("array", "the metric 'loss' must be a number and is array([0., 0., 0."),
        ("nested", "must be a number and is {'loss': 1.0} of type dict"),
        ("complex", "of type complex"),
        ("no metric", "the objective returned no 'loss' but 1"),
        ("many", "1000001 metrics are too many: return 10000 at most"),
        ("many others", "the objective returned no 'loss' but 0, 1, 2,"),
        ("itself", "must be a number and is {'loss': {...}} of type dict"),
    ],
)
def test_what_is_no_metric_is_told_in_a_few_words(rig: ChildRig, odd: str, said: str) -> None:
    pid = rig.pid
    failed = rig.fail(how="return_odd", odd=odd)
    assert failed.kind is FailureKind.BAD_VALUE
    assert said in failed.error
    assert len(failed.error) < 1000
    assert rig.succeed().metrics["loss"] == pid


@pytest.mark.parametrize(
    ("odd", "metrics"),
    [
        ("number of numpy", {"loss": 0.5}),
        ("array of one", {"loss": 0.5}),
        ("decimal", {"loss": 0.5}),
        ("key no text", {"loss": 1.0, "7": 2.0, "None": 3.0}),
        ("huge", {"loss": math.inf}),
        ("long name", {"loss": 0.0}),
        ("name no text", {"loss": 0.0, r"caf\udce9": 1.0}),
    ],
)
def test_what_can_be_a_metric_is_one(rig: ChildRig, odd: str, metrics: dict[str, float]) -> None:
    assert rig.succeed(how="return_odd", odd=odd).metrics == metrics


def test_a_loss_that_is_not_a_number_is_a_result(rig: ChildRig) -> None:
    assert math.isnan(rig.succeed(how="return_odd", odd="nan").metrics["loss"])


def test_an_objective_may_report_from_threads(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "report_together")) as rig:
        rig.succeed()
        assert sum(isinstance(each, Progress) for each in rig.left()) == 8 * 500


def test_a_child_that_comes_back_twice_answers_once(rig: ChildRig) -> None:
    pid = rig.pid
    assert rig.succeed(how="fork").metrics["loss"] == pid
    assert rig.succeed().metrics["loss"] == pid
    assert [type(report) for report in rig.left()] == [Ready]


def test_a_child_that_dies_between_jobs_is_replaced(rig: ChildRig) -> None:
    rig.succeed()
    pid = rig.pid
    os.kill(pid, signal.SIGKILL)
    rig.until(Ready)
    assert recovers(rig, pid)


# -- limits ----------------------------------------------------------------------------------------


def overrun(rig: ChildRig, how: str) -> int:
    """Have a job in work when its time is over; return the pid of the child."""
    rig.assign(order(how=how))
    rig.await_output("ready")
    rig.hear()
    rig.skipped_s += TIME_S + 1
    return rig.pid


def test_a_job_over_its_time_is_ended(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = overrun(rig, "wait")
        failed = rig.until(Failed)
        assert failed.kind is FailureKind.TIME
        assert failed.error.startswith("ran for more than trial_time_s = 1000;")
        assert recovers(rig, pid)


def test_a_job_that_has_no_ear_for_term_is_killed(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = overrun(rig, "resist")
        assert rig.hear() == []
        assert lives(pid)
        rig.skipped_s += limits.END_S
        assert rig.until(Failed).kind is FailureKind.TIME
        assert recovers(rig, pid)


def test_what_an_objective_says_while_it_is_ended_is_not_the_cause(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "late.py:raise_late", time_s=TIME_S)) as rig:
        (tmp_path / "late.py").write_text(LATE)
        pid = overrun(rig, "")
        failed = rig.until(Failed)
        assert failed.kind is FailureKind.TIME
        assert failed.error.partition(OUTPUT)[0] == (
            "ran for more than trial_time_s = 1000; it said: ValueError: told to end"
        )
        assert ends(pid)
        assert [each for each in rig.left() if not isinstance(each, Ready)] == []


def test_a_result_that_comes_of_ending_an_objective_is_none(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = overrun(rig, "round_off")
        assert rig.until(Failed).kind is FailureKind.TIME
        assert recovers(rig, pid)


def test_a_result_that_was_there_before_the_limit_was_noticed_counts(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = rig.pid
        rig.assign(order(how="await_file", file=str(tmp_path / "go")))
        rig.await_output("ready")
        rig.hear()
        (tmp_path / "go").touch()
        select.select(rig.child.descriptors(), [], [], LIMIT_S)
        rig.skipped_s += TIME_S + 1
        assert rig.until(Finished).metrics["loss"] == pid
        assert rig.succeed().metrics["loss"] == pid


def test_what_is_raised_for_want_of_a_worker_that_the_kernel_took_is_for_memory(
    rig: ChildRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oom, "taken_by_kernel", count(1 << 40).__next__)
    text = "BrokenProcessPool: a process was terminated abruptly"
    failed = rig.fail(how="fail", text=text)
    assert failed.kind is FailureKind.MEMORY
    assert failed.error.endswith(f"it said: ValueError: {text}")
    assert rig.fail(how="fail", text="no luck").kind is FailureKind.EXCEPTION


# -- ends in order ---------------------------------------------------------------------------------

LATE = """
import signal

def raise_late(config):
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    print("ready")
    while not told:
        signal.pause()
    raise ValueError("told to end")
"""

ORDERLY = """
import atexit, os, threading, time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

HERE = Path(__file__).parent
FILE = (HERE / "buffered").open("w")
atexit.register(lambda: (HERE / "at exit").write_text("ran"))

def write(config):
    FILE.write("all of it")
    if config.get("stays"):
        threading.Thread(target=time.sleep, args=[1000]).start()
    if config.get("waits"):
        print("ready")
        try:
            time.sleep(1000)
        finally:
            (HERE / "finally").touch()
    return 0.0

def share(config):
    SHARED.append(SharedMemory(create=True, size=1000))
    (HERE / "name").write_text(SHARED[0].name)
    print("ready")
    os.kill(os.getpid(), config["signal"])
    time.sleep(1000)

SHARED = []
"""


def ends_in_order(folder: Path) -> bool:
    """Tell whether a child flushed its files and ran its hooks."""
    return [(folder / name).read_text() for name in ("buffered", "at exit")] == ["all of it", "ran"]


@pytest.fixture
def orderly(tmp_path: Path) -> Iterator[ChildRig]:
    """Start a child that has something to do when it ends."""
    (tmp_path / "it.py").write_text(ORDERLY)
    with child_of(welcome(tmp_path, "it.py:write", time_s=TIME_S)) as it:
        yield it


def test_a_child_that_is_let_go_ends_as_any_program_does(orderly: ChildRig, tmp_path: Path) -> None:
    orderly.succeed()
    pid = orderly.pid
    orderly.child.leave()
    assert ends(pid)
    assert ends_in_order(tmp_path)
    assert [type(report) for report in orderly.left()] == [Ready]


def test_a_job_in_work_leaves_in_order_at_the_end(orderly: ChildRig, tmp_path: Path) -> None:
    orderly.assign(order(waits=True))
    orderly.await_output("ready")
    orderly.child.leave()
    assert (tmp_path / "finally").exists()
    assert ends_in_order(tmp_path)


def test_a_job_over_its_time_leaves_in_order(orderly: ChildRig, tmp_path: Path) -> None:
    orderly.assign(order(waits=True))
    orderly.await_output("ready")
    orderly.hear()
    orderly.skipped_s += TIME_S + 1
    failed = orderly.until(Failed)
    assert failed.kind is FailureKind.TIME
    assert failed.error.partition(OUTPUT)[0] == "ran for more than trial_time_s = 1000"
    assert (tmp_path / "finally").exists()
    assert ends_in_order(tmp_path)


def test_a_thread_that_stays_holds_up_the_end_for_some_seconds_only(
    orderly: ChildRig, tmp_path: Path
) -> None:
    orderly.succeed(stays=True)
    orderly.child.retire(orderly.now)
    while not orderly.child.ended:
        orderly.skipped_s += 0.5 * limits.ORDER_S
        assert orderly.hear() == []
    assert ends_in_order(tmp_path)


def test_term_is_for_all_of_a_family_and_kill_comes_later(tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(SLOW_END)
    with child_of(welcome(tmp_path, "it.py:wait", time_s=TIME_S)) as rig:
        rig.assign(order())
        rig.await_output("ready")
        rig.hear()
        rig.skipped_s += TIME_S + 1
        rig.hear()
        rig.skipped_s += limits.ORDER_S
        assert rig.until(Failed).kind is FailureKind.TIME
    assert (tmp_path / "ended by itself").exists()


SLOW_END = """
import os, signal, time
from pathlib import Path

def end(*_):
    time.sleep(0.5)
    Path(__file__).with_name("ended by itself").touch()
    os._exit(0)

def wait(config):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, end)
        print("ready")
        while True:
            signal.pause()
    os.wait()
    os._exit(0)
"""


SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason=f"there is no {SHARED_MEMORY}")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_nothing_is_left_in_shared_memory_of_a_child_that_is_killed(
    tmp_path: Path, number: int
) -> None:
    (tmp_path / "it.py").write_text(ORDERLY)
    with child_of(welcome(tmp_path, "it.py:share", time_s=TIME_S)) as rig:
        rig.assign(order(signal=number))
        rig.await_output("ready")
        if number == signal.SIGSTOP:
            rig.hear()
            rig.skipped_s += TIME_S + 1
            rig.hear()
            rig.skipped_s += limits.END_S
        rig.until(Failed)
    assert not (SHARED_MEMORY / (tmp_path / "name").read_text()).exists()


# -- how long it loads -----------------------------------------------------------------------------

SLOW = """
import pathlib, time
print("ready")
while not pathlib.Path(__file__).with_name("go").exists(): time.sleep(0.01)
def f(_): return 0
"""
SLOW_JOB = SLOW.replace(
    "return 0",
    "\n while not pathlib.Path(__file__).with_name('done').exists(): time.sleep(0.01)\n return 0",
)


def test_the_time_of_a_job_begins_when_the_objective_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_JOB)
    with child_of(welcome(tmp_path, "slow.py:f", time_s=limits.START_S / 2)) as rig:
        rig.assign(order())
        rig.await_output("ready")
        rig.hear()
        rig.skipped_s += limits.START_S * 0.75
        assert rig.hear() == []
        (tmp_path / "go").touch()
        rig.until(Ready)
        for _ in range(3):  # it is at work, and its limits are looked at
            rig.child._check_at = 0.0
            assert rig.hear() == []
        (tmp_path / "done").touch()
        rig.until(Finished)


def test_an_objective_that_takes_for_ever_to_load_is_not_tried_for_ever(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with child_of(welcome(tmp_path, "slow.py:f", time_s=1.0)) as rig:
        rig.assign(order())
        for number in range(lifecycle.MAX_CRASHES):
            rig.await_output("ready\n" * (number + 1))
            rig.hear()
            rig.skipped_s += limits.START_S + 1
        assert "while the objective was loaded: was loading" in rig.until(Unfit).error
        (failed,) = rig.left()
        assert isinstance(failed, Failed)
        assert failed.kind is FailureKind.TIME
        assert failed.error.startswith("was loading for more than 60 s; trial_time_s = 1")


def test_an_objective_without_a_limit_may_take_for_ever_to_load(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with child_of(welcome(tmp_path, "slow.py:f")) as rig:
        rig.await_output("ready")
        rig.hear()
        rig.skipped_s += 1000 * limits.START_S
        assert rig.hear() == []
        (tmp_path / "go").touch()
        rig.until(Ready)


def test_a_job_that_has_stopped_itself_is_killed(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = overrun(rig, "freeze")
        while state(pid) != "T":
            assert rig.hear() == []
        rig.skipped_s += limits.END_S
        assert rig.until(Failed).kind is FailureKind.TIME
        assert recovers(rig, pid)


def test_a_job_that_holds_the_lock_of_python_is_ended(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        pid = overrun(rig, "spin")
        assert rig.until(Failed).kind is FailureKind.TIME
        assert recovers(rig, pid)


def test_each_job_has_the_whole_time(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        for name in ("one", "two"):
            rig.assign(order(how="await_file", file=str(tmp_path / name)))
            rig.await_output("ready")
            rig.hear()
            rig.skipped_s += TIME_S - LIMIT_S
            rig.hear()
            (tmp_path / name).touch()
            assert rig.until(Finished).metrics["loss"] == rig.pid


def test_a_job_over_its_memory_is_ended(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", memory_mb=120)) as rig:
        rig.succeed()
        pid = rig.pid
        failed = rig.fail(how="eat", mb=160)
        assert failed.kind is FailureKind.MEMORY
        assert failed.error.endswith("MB, more than trial_memory_mb = 120")
        assert recovers(rig, pid)


def test_the_memory_of_its_daemons_counts(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", memory_mb=150)) as rig:
        pid = rig.pid
        assert rig.fail(how="eat_in_hiding", mb=200).kind is FailureKind.MEMORY
        assert recovers(rig, pid)


def test_what_the_kernel_kills_for_memory_is_told_from_other_kills(tmp_path: Path) -> None:
    with memory_cgroup(100) as group, child_of(welcome(tmp_path, "misbehave")) as rig:
        rig.succeed()
        pid = rig.pid
        (group / "cgroup.procs").write_text(str(pid))
        failed = rig.fail(how="eat", mb=300)
        assert (failed.kind, failed.error) == (FailureKind.MEMORY, limits.TAKEN)
        assert recovers(rig, pid)
        assert rig.fail(how="die", signal=signal.SIGKILL).kind is FailureKind.CRASH


def test_the_kernel_takes_a_child_before_its_rank(rig: ChildRig) -> None:
    rig.succeed()
    ours, its = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in ("self", rig.pid))
    assert its == min(1000, ours + oom.EXPENDABLE)


def test_the_memory_of_its_children_counts(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave", memory_mb=120)) as rig:
        pid = rig.pid
        assert rig.fail(how="eat_together", mb=160).kind is FailureKind.MEMORY
        assert recovers(rig, pid)


# -- loading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nothing.py:f", "there is no file "),
        ("fine.py:g", "fine.py has no 'g'"),
        ("package_nowhere:f", "no module 'package_nowhere'"),
        ("syntax.py:f", "SyntaxError"),
        ("needy.py:f", "No module named 'package_nowhere'"),
        ("exits.py:f", "SystemExit: 3"),
        ("broken.py:f", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_objective_that_can_not_be_loaded_is_told_once(
    tmp_path: Path, reference: str, said: str
) -> None:
    for name, code in {
        "fine": "def f(_): return 0",
        "syntax": "def f(_) return 0",
        "needy": "import package_nowhere",
        "exits": "import sys\nsys.exit(3)",
        "broken": "def f(_): return 0\n1 / 0",
    }.items():
        (tmp_path / f"{name}.py").write_text(code)
    with child_of(welcome(tmp_path, reference)) as rig:
        pid = rig.pid
        unfit = rig.until(Unfit)
        assert unfit.host == os.uname().nodename
        assert said in unfit.error
        assert os.path.dirname(supervisor.__file__) not in unfit.error  # noqa: PTH120
        assert ends(pid)
        assert rig.hear() == []
        assert rig.child.descriptors() == [], "another child would say the same"
        assert rig.left() == []


def test_a_crash_while_loading_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "moody.py").write_text(
        "import os, pathlib\n"
        "tries = pathlib.Path(__file__).with_name('tries')\n"
        "tries.touch()\n"
        "tries.write_text(tries.read_text() + '.')\n"
        "if len(tries.read_text()) < 3: os.abort()\n"
        "def f(config): return len(tries.read_text())\n"
    )
    with child_of(welcome(tmp_path, "moody.py:f")) as rig:
        rig.until(Ready)
        assert rig.succeed().metrics == {"loss": 3.0}
        assert rig.left() == []


def test_a_crash_while_loading_is_not_tried_for_ever(tmp_path: Path) -> None:
    (tmp_path / "crash.py").write_text("import os\nprint('here')\nos.abort()")
    with child_of(welcome(tmp_path, "crash.py:f")) as rig:
        unfit = rig.until(Unfit)
        assert unfit.error == (
            "while the objective was loaded: killed by SIGABRT; its last output:\nhere"
        )
        assert rig.left() == []
        assert rig.hear() == []
        assert rig.child.descriptors() == []


# -- surroundings ----------------------------------------------------------------------------------


def test_a_child_does_not_see_the_launcher_but_its_share_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    for prefix in PREFIXES:
        monkeypatch.setenv(f"{prefix}RANK", "3")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-9]")
    monkeypatch.setenv("KEPT", "7")
    with child_of(welcome(tmp_path, "surroundings"), Share(threads=3)) as rig:
        assert rig.succeed().metrics == {"loss": 0.0, "threads": 3.0, "kept": 7.0}


def test_an_objective_sees_nothing_of_an_allocation_but_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURMD_NODENAME", "SLURM_CONF"):
        monkeypatch.setenv(name, "7")
    (tmp_path / "it.py").write_text(
        "import os\ndef f(c): return sum(each.startswith('SLURM') for each in os.environ) "
        "+ 10 * int(os.environ['HPMPI_ALLOCATION'])"
    )
    with child_of(welcome(tmp_path, "it.py:f")) as rig:
        assert rig.succeed().metrics["loss"] == 71.0  # SLURM_CONF is of the site


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_what_an_objective_starts_ignores_no_signal(tmp_path: Path, number: int) -> None:
    (tmp_path / "it.py").write_text(
        "import subprocess, sys\ndef f(c): return -subprocess.run([sys.executable, '-c', "
        "f'import os; os.kill(os.getpid(), {int(c[\"signal\"])})']).returncode"
    )
    before = signal.signal(number, signal.SIG_DFL)  # nohup has tests ignore one
    try:
        with child_of(welcome(tmp_path, "it.py:f")) as rig:
            assert rig.succeed(signal=number).metrics["loss"] == number
    finally:
        signal.signal(number, before)


def test_what_the_user_says_of_threads_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREADS:
        monkeypatch.setenv(name, "5")
    with child_of(welcome(tmp_path, "surroundings")) as rig:
        assert rig.succeed().metrics["threads"] == 5.0


@pytest.mark.parametrize(("gpus_per_trial", "seen"), [(None, "6,7"), (1, "5"), (0, HIDDEN)])
def test_a_child_sees_the_gpus_of_its_rank_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus_per_trial: int | None, seen: str
) -> None:
    monkeypatch.setenv(CUDA, "4,5,6,7")
    (tmp_path / "look.py").write_text(
        f"import os\ndef look(config): return os.environ[{CUDA!r}] == {seen!r}"
    )
    share = Share(visible={CUDA: ("4", "5", "6", "7")}, turn=1, turns=2)
    told = welcome(tmp_path, "look.py:look", gpus_per_trial=gpus_per_trial)
    with child_of(told, share) as rig:
        assert rig.succeed().metrics == {"loss": 1.0}


def test_a_rank_without_the_gpus_of_a_trial_is_unfit_and_starts_no_process(tmp_path: Path) -> None:
    share = Share(visible={CUDA: ("0", "1", "2")}, turn=1, turns=2)
    with child_of(welcome(tmp_path, gpus_per_trial=2), share) as rig:
        assert rig.until(Unfit).error == (
            "this node has 3 GPUs: enough for 1 rank with gpus_per_trial = 2, and this is number 2"
        )
        assert rig.hear() == []
        assert rig.child.descriptors() == []
        assert not (tmp_path / "logs").exists()


def test_nothing_is_left_when_a_child_is_closed(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path, "misbehave")) as rig:
        process_tree = int(rig.succeed(how="start_family").metrics["loss"])
        assert lives(process_tree)
        rig.assign(order(attempt=2, how="resist"))
        pid = rig.pid
    assert ends(pid, process_tree)


def test_nothing_is_left_of_a_child_that_dies(rig: ChildRig) -> None:
    process_tree = int(rig.succeed(how="start_family").metrics["loss"])
    rig.fail(how="segfault")
    assert ends(process_tree)


@pytest.mark.parametrize(
    ("how", "config"),
    [("segfault", {}), ("vanish", {"code": 0}), ("die", {"signal": signal.SIGKILL})],
)
def test_nothing_that_hides_outlives_a_child_that_dies(
    rig: ChildRig, tmp_path: Path, how: str, config: dict[str, int]
) -> None:
    pids, pid = tmp_path / "pids", rig.pid
    rig.fail(how="breed", file=str(pids), then=how, **config)
    assert nobody_lives(pids)
    assert recovers(rig, pid)


def test_what_a_job_left_running_stays_while_its_child_lives(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with child_of(welcome(tmp_path, "misbehave")) as rig:
        pid = rig.pid
        rig.do(how="breed", file=str(pids), then="not")
        assert rig.succeed().metrics["loss"] == pid
        assert all(lives(each) for each in pids_in(pids))
    assert nobody_lives(pids)


@pytest.mark.parametrize("then", ["wait", "resist", "freeze"])
def test_nothing_that_hides_outlives_a_job_over_its_time(tmp_path: Path, then: str) -> None:
    pids = tmp_path / "pids"
    with child_of(welcome(tmp_path, "misbehave", time_s=TIME_S)) as rig:
        rig.assign(order(how="breed", file=str(pids), then=then))
        rig.await_output("ready")
        rig.hear()
        rig.skipped_s += TIME_S + 1
        rig.hear()
        rig.skipped_s += limits.END_S
        assert rig.until(Failed).kind is FailureKind.TIME
        assert nobody_lives(pids)


def test_what_ended_in_the_background_is_buried(rig: ChildRig, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    rig.succeed(how="breed", file=str(pids))
    orphans: list[int] = []
    while len(orphans) < 2:
        assert rig.hear() == []
        orphans = [pid for pid in pids_in(pids) if parent_of(pid) == os.getpid()]
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert rig.hear() == []


def test_a_child_that_can_not_be_started_makes_its_rank_unfit(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with child_of(welcome(tmp_path)) as rig:
        assert "the objective's process can't be started" in rig.until(Unfit).error
        assert rig.hear() == []


def test_output_is_not_written_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "logs" / "rank-1.log").symlink_to(tmp_path / "precious")
    with child_of(welcome(tmp_path)) as rig:
        assert "symbolic link" in rig.until(Unfit).error
    assert (tmp_path / "precious").read_text() == "as it was"


def test_a_drain_is_passed_on_while_a_job_runs(
    rig: ChildRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(rig.child._process, "do", sent.append)
    rig.child.save()
    assert sent == []
    rig.assign(order())
    rig.child.save()
    assert sent == [Send(order()), Send(Save())]


def test_a_child_can_be_closed_again_and_again(tmp_path: Path) -> None:
    with child_of(welcome(tmp_path)) as rig:
        rig.succeed(x=1)
        rig.child.close()
        rig.child.close()
        assert rig.hear() == []
