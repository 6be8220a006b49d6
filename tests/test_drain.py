"""Runs that are told to end, and go on: local processes, real signals."""

import signal
import time
from pathlib import Path

import pytest

from hpmpi.decisions import Assigned, Ended, Suspension
from hpmpi.messages import Outcome
from hpmpi.summons import ECHO_S
from tests.runs import Study, finish

SLEEPER = """
import time

def train(config):
    time.sleep(600)
"""


def sleeping(folder: Path) -> Study:
    """Make a study whose jobs save nothing, and have no end."""
    study = Study(folder)
    (folder / "train.py").write_text(SLEEPER)
    return study


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_jobs_that_save_go_on_from_there_and_no_epoch_is_trained_twice(
    tmp_path: Path, number: signal.Signals
) -> None:
    study = Study(tmp_path, epoch_s=0.2)
    command = study.command("--workers", "2", "--set", "limits.grace_s=60")
    process = study.start(command)
    study.until(lambda: any(each.rung == 2 for each in handed_out(study)), process)
    process.send_signal(number)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    suspended = [each for each in study.decisions if isinstance(each, Suspension)]
    assert suspended
    done = study.run(command)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))


def test_jobs_that_save_nothing_are_ended_when_the_grace_is_over(tmp_path: Path) -> None:
    study = sleeping(tmp_path)
    process = study.start(study.command("--workers", "2", "--set", "limits.grace_s=1"))
    study.until(lambda: len(handed_out(study)) == 2, process)
    process.terminate()
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert "SIGTERM: draining, for at most 1 s" in done.stderr
    ends = [each.outcome for each in study.decisions if isinstance(each, Ended)]
    assert ends == [Outcome.DRAINED]


def test_the_second_signal_leaves_at_once(tmp_path: Path) -> None:
    study = sleeping(tmp_path)
    process = study.start(study.command("--workers", "2", "--set", "limits.grace_s=3600"))
    study.until(lambda: len(handed_out(study)) == 2, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # an echo of the first: mpirun passes it on as well
    time.sleep(1.5 * ECHO_S)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr


def handed_out(study: Study) -> list[Assigned]:
    """List the jobs that were handed out by now."""
    return [each for each in study.decisions if isinstance(each, Assigned)]
