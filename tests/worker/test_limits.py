"""Why a child ends, and when it is pressed to: words and times, no process."""

import signal

import pytest

from hpmpi.model.messages import Failed, FailureKind
from hpmpi.model.trial import AttemptId
from hpmpi.worker import limits
from hpmpi.worker.limits import END_S, KILL_AFTER_S, ORDER_S, START_S, TAKEN


def failed(error: str, kind: FailureKind = FailureKind.EXCEPTION) -> Failed:
    """Say what an objective does."""
    return Failed(AttemptId(0, 0, 1), kind, error)


def test_a_child_has_time_to_end_in_order_then_for_term() -> None:
    end = limits.ending(FailureKind.TIME, "too long", 100.0)
    assert (end.term_at, end.kill_at) == (100.0 + ORDER_S, 100.0 + END_S)


def test_who_takes_too_much_memory_has_only_the_time_for_term() -> None:
    end = limits.ending(FailureKind.MEMORY, "too much", 100.0)
    assert (end.term_at, end.kill_at) == (100.0, 100.0 + KILL_AFTER_S)


def test_what_is_said_comes_after_the_cause() -> None:
    end = limits.ending(FailureKind.TIME, "too long", 0.0).said("BrokenProcessPool: it broke")
    assert (end.kind, end.error) == (
        FailureKind.TIME,
        "too long; it said: BrokenProcessPool: it broke",
    )


@pytest.mark.parametrize(
    ("error", "taken", "kind"),
    [
        ("BrokenProcessPool: a process was terminated", True, FailureKind.MEMORY),
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed.", True, "MEMORY"),
        ("TerminatedWorkerError: exit codes of the workers are {SIGKILL(-9)}", True, "MEMORY"),
        ("BrokenProcessPool: a process was terminated", False, FailureKind.EXCEPTION),
        ("ValueError: no luck", True, FailureKind.EXCEPTION),
    ],
)
def test_a_lost_worker_is_for_memory_where_the_kernel_took_somebody(
    error: str, *, taken: bool, kind: FailureKind | str
) -> None:
    found = limits.explain(failed(error), lambda: taken)
    assert found.kind is (FailureKind[kind] if isinstance(kind, str) else kind)
    assert error in found.error


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FailureKind.CRASH, "killed by SIGKILL"),
        (FailureKind.EXIT, "the process ended with exit code 137; it said: Killed ./fit"),
        (FailureKind.EXIT, "the process ended with exit code 9; it said: KILLED BY SIGNAL: 9"),
    ],
)
def test_a_program_that_the_kernel_took_is_for_memory(kind: FailureKind, error: str) -> None:
    report = Failed(AttemptId(0, 0, 1), kind, error)
    assert limits.explain(report, lambda: True).kind is FailureKind.MEMORY
    assert limits.explain(report, lambda: False) == report
    other = Failed(AttemptId(0, 0, 1), kind, "the process ended with exit code 1379")
    assert limits.explain(other, lambda: True) == other


def test_a_death_is_told_by_its_code() -> None:
    assert limits.cause(-signal.SIGKILL, taken=True) == (FailureKind.MEMORY, TAKEN)
    assert limits.cause(-signal.SIGKILL, taken=False)[0] is FailureKind.CRASH
    assert limits.cause(-signal.SIGSEGV, taken=True)[0] is FailureKind.CRASH
    assert limits.cause(3, taken=True) == (FailureKind.EXIT, "the process ended with exit code 3")


def test_loading_has_more_time_than_a_short_job() -> None:
    assert limits.over_time(START_S, 1.0, loaded=False) is None
    assert limits.over_time(START_S + 1, 1.0, loaded=False) is not None
    assert limits.over_time(1.5, 1.0, loaded=True) is not None
    assert limits.over_time(1e9, None, loaded=False) is None
