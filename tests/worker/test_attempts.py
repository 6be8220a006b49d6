"""One attempt after the other in one process: what the answer is, and what the next one finds."""

import concurrent.futures
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpmpi.model.messages import Answer, Failed, FailureKind, Finished, Progress, Suspended, Welcome
from hpmpi.model.trial import AttemptId, Config
from hpmpi.worker.attempts import AttemptRunner
from hpmpi.worker.handle import Trial
from tests.harness.build import never
from tests.harness.drive import order, welcome

Objective = Callable[[Config, Trial], object]


def always() -> bool:
    """Drain."""
    return True


def attempts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, objective: Objective, **changes: object
) -> AttemptRunner:
    """Load an objective of this file, as of a module."""
    monkeypatch.setattr(sys.modules[__name__], "train", objective, raising=False)
    told: Welcome = welcome(folder, f"{__name__}:train", **changes)
    return AttemptRunner(told)


def ignore(_report: Progress) -> None:
    """Hear nothing."""


def save(trial: Trial, *resources: int) -> None:
    """Save checkpoints."""
    for resource in resources:
        with trial.checkpoint(resource) as folder:
            (folder / "model").write_text(str(resource))


# -- a drain goes through the user's code ----------------------------------------------------------


def catches_all(_config: Config, trial: Trial) -> object:
    try:
        save(trial, 3)
    except:  # noqa: E722 - people do
        return 1e9
    return 0.0


def returns_finally(_config: Config, trial: Trial) -> object:
    try:
        save(trial, 3)
    finally:
        return 1e9  # noqa: B012 - people do


def raises_another(_config: Config, trial: Trial) -> object:
    try:
        save(trial, 3)
    except BaseException as error:
        raise ValueError("no more") from error
    return 0.0


def leaves(_config: Config, trial: Trial) -> object:
    try:
        save(trial, 3)
    except BaseException:  # noqa: BLE001 - people do
        sys.exit(1)
    return 0.0


def saves_in_a_thread(_config: Config, trial: Trial) -> object:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(save, trial, 3)
    return 1e9


def returns_no_number(_config: Config, trial: Trial) -> object:
    with contextlib.suppress(BaseException):
        save(trial, 3)
    return "diverged"


def forked(trial: Trial) -> int:
    """Save in a process of its own, which ends as the runtime of another language would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of later Pythons, where there are threads
        pid = os.fork()
    if pid == 0:
        try:
            save(trial, 3)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def saves_in_a_fork(_config: Config, trial: Trial) -> object:
    forked(trial)
    return 1e9


def raises_for_its_fork(_config: Config, trial: Trial) -> object:
    if forked(trial):
        raise RuntimeError("a worker has died")
    return 0.0


SWALLOWS = [
    *(catches_all, returns_finally, raises_another, leaves, saves_in_a_thread, returns_no_number),
    *(saves_in_a_fork, raises_for_its_fork),
]


@pytest.mark.parametrize("objective", SWALLOWS, ids=lambda it: it.__name__)
def test_a_job_that_was_told_to_suspend_is_suspended_whatever_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: Objective
) -> None:
    once = attempts(tmp_path, monkeypatch, objective)
    assert once.make(order(7, 9), ignore, always) == Suspended(AttemptId(7, 0, 1), 3)


def test_that_one_job_was_suspended_is_not_said_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Trial] = []

    def saves(_config: Config, trial: Trial) -> object:
        before.append(trial)
        if len(before) > 1:  # a thread of the one before may go on
            with contextlib.suppress(BaseException):
                save(before[0], 4)
        else:
            save(trial, 3)
        return 0.5

    once = attempts(tmp_path, monkeypatch, saves)
    assert isinstance(once.make(order(7, 9), ignore, always), Suspended)
    assert isinstance(once.make(order(8, 9), ignore, never), Finished)


def test_who_goes_on_is_told_to_suspend_again_and_its_newest_checkpoint_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def goes_on(_config: Config, trial: Trial) -> object:
        for resource in range(1, 10):
            told.append(trial.should_save(resource))
            try:
                save(trial, resource)
            except BaseException:  # noqa: BLE001 - people do
                told.append(True)
        return 0.0

    once = attempts(tmp_path, monkeypatch, goes_on)
    assert once.make(order(7, 9), ignore, always) == Suspended(AttemptId(7, 0, 1), 9)
    assert told == [True] * 18


def test_who_comes_to_the_end_of_its_resource_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finishes(_config: Config, trial: Trial) -> object:
        save(trial, trial.stop)
        return 0.5

    once = attempts(tmp_path, monkeypatch, finishes)
    assert once.make(order(7, 9), ignore, always) == Finished(AttemptId(7, 0, 1), {"loss": 0.5}, 9)


# -- an answer is the last word --------------------------------------------------------------------


def test_what_a_job_has_left_running_reports_and_asks_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Trial] = []

    def reports(config: Config, trial: Trial) -> object:
        left.append(trial)
        for each in left:
            each.report(int(config["x"]), loss=1.0)
        return 0.0

    def asked() -> bool:
        asks.append(1)
        return True

    said: list[Progress] = []
    asks: list[int] = []
    both = attempts(tmp_path, monkeypatch, reports)
    both.make(order(0, x=1), said.append, never)
    both.make(order(1, x=2), said.append, never)
    assert [(each.attempt.trial, each.points[0].resource) for each in said] == [(0, 1), (1, 2)]
    third = attempts(tmp_path, monkeypatch, reports)
    third.make(order(2, resource=9, x=3), said.append, asked)
    assert not left[-1].should_save(1)
    assert asks == []


# -- what the next one finds -----------------------------------------------------------------------


@pytest.fixture
def _here() -> Iterator[None]:
    """Come back."""
    here = Path.cwd()
    yield
    os.chdir(here)


def do_all(once: AttemptRunner, count: int) -> list[Answer]:
    """Make the first attempts at some trials."""
    return [once.make(order(number, x=number), ignore, never) for number in range(count)]


def test_each_attempt_has_arguments_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pops(config: Config, trial: Trial) -> object:
        config.pop("x")
        trial.args["model"]["depth"] += 1
        assert trial.args["model"]["depth"] == 3
        return trial.args.pop("folds")

    once = attempts(tmp_path, monkeypatch, pops, args={"folds": 4, "model": {"depth": 2}})
    done = do_all(once, 3)
    assert [each.metrics for each in done if isinstance(each, Finished)] == [{"loss": 4.0}] * 3


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("gone", [False, True])
def test_each_attempt_begins_in_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    found = []

    def moves(config: Config, _trial: Trial) -> object:
        found.append(Path.cwd())
        folder = tmp_path / f"deep-{config['x']}"
        folder.mkdir()
        os.chdir(folder)
        if gone:
            folder.rmdir()
        raise ValueError("and fails there")

    os.chdir(tmp_path)
    do_all(attempts(tmp_path, monkeypatch, moves), 3)
    assert found == [tmp_path] * 3


@pytest.fixture
def _untimed() -> Iterator[None]:
    """Do without the timer of the tests themselves."""
    theirs = signal.setitimer(signal.ITIMER_REAL, 0.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, *theirs)


@pytest.mark.usefixtures("_untimed")
def test_a_timer_does_not_go_off_in_the_middle_of_another_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sets(_config: Config, _trial: Trial) -> object:
        before = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, 1000.0)
        return before

    done = do_all(attempts(tmp_path, monkeypatch, sets), 2)
    assert [each.metrics for each in done if isinstance(each, Finished)] == [{"loss": 0.0}] * 2
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_a_failure_says_whether_its_process_had_done_other_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_config: Config, _trial: Trial) -> object:
        return None

    failed = do_all(attempts(tmp_path, monkeypatch, nothing), 3)
    assert [each.used for each in failed if isinstance(each, Failed)] == [False, True, True]
    assert {each.kind for each in failed if isinstance(each, Failed)} == {FailureKind.BAD_VALUE}
