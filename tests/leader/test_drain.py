"""Runs that are told to end, and go on: local processes, real signals."""

import signal
import time
from pathlib import Path

import pytest

from hpmpi.model.messages import Outcome
from hpmpi.model.records import Assigned, Draining, Ended, Suspension
from hpmpi.storage import lock
from tests.harness.runs import LIMIT_S, Study, finish

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
    study.until(lambda: any(each.attempt.rung == 2 for each in study.decided(Assigned)), process)
    process.send_signal(number)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert study.decided(Suspension) != []
    done = study.run(command)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))


def test_jobs_that_save_nothing_are_ended_when_the_grace_is_over(tmp_path: Path) -> None:
    study = sleeping(tmp_path)
    process = study.start(study.command("--workers", "2", "--set", "limits.grace_s=1"))
    study.until(lambda: len(study.decided(Assigned)) == 2, process)
    process.terminate()
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert "SIGTERM: draining, for at most 1 s" in done.stderr
    assert [each.outcome for each in study.decided(Ended)] == [Outcome.DRAINED]


FOR_EVER = ("--workers", "2", "--set", "limits.grace_s=3600")


def test_the_second_signal_leaves_at_once(tmp_path: Path) -> None:
    study = sleeping(tmp_path)
    process = study.start(study.command(*FOR_EVER))
    study.until(lambda: len(study.decided(Assigned)) == 2, process)
    gives_up_at = time.monotonic() + LIMIT_S
    while process.poll() is None:  # those of the first second count for one
        assert time.monotonic() < gives_up_at
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr


PATIENT = """
import hpmpi.leader.stop_requests
from hpmpi.__main__ import main
hpmpi.leader.stop_requests.ECHO_S = 3600.0
main()
"""


def test_an_echo_of_a_signal_is_no_second_one(tmp_path: Path) -> None:
    """As of mpirun, which passes on what the shell has sent to all."""
    study = sleeping(tmp_path)
    words = study.command(*FOR_EVER)
    process = study.start([words[0], "-c", PATIENT, *words[3:]])
    study.until(lambda: len(study.decided(Assigned)) == 2, process)
    process.send_signal(signal.SIGINT)
    study.until(lambda: study.decided(Draining) != [], process)
    process.send_signal(signal.SIGINT)
    before = beats(study)
    study.until(lambda: beats(study) >= before + 2, process)  # a turn of the loop has seen it
    assert study.decided(Ended) == []
    process.kill()
    finish(process)
    assert study.left() == []


def beats(study: Study) -> int:
    """Tell how often rank 0 has said that it holds the folder."""
    sign = lock.sign_of_life(study.out)
    assert sign is not None
    return sign.lease.beats
