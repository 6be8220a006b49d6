"""Runs whose disk is full for a while: the kernel lets rank 0's files grow no more."""

import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hpmpi.model.events import Silent
from hpmpi.model.records import Entry
from hpmpi.storage.run_folder import JOURNAL, read
from tests.harness.runs import LIMIT_S, Study, finish

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Make a study that writes no results file meanwhile."""
    made = Study(tmp_path, epoch_s=0.1)
    made.file.write_text(made.file.read_text().replace("checkpoint_s = 0.3", "checkpoint_s = 3600"))
    return made


def fill_the_disk(study: Study, process: subprocess.Popen[str]) -> None:
    """Let the journal grow no more, and wait until rank 0 says so."""
    study.until(lambda: len(study.results) >= 3, process)
    size = (study.out / JOURNAL).stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    assert process.stderr is not None
    said = next(line for line in process.stderr if "waiting until it can" in line)
    assert str(study.out / JOURNAL) in said


def test_a_full_disk_holds_a_run_up_and_loses_nothing(study: Study) -> None:
    process = study.start(study.command("--workers", "2"))
    fill_the_disk(study, process)
    before = study.results
    time.sleep(2)  # longer than the patience: the ranks are kept alive, and none is lost
    assert study.results[: len(before)] == before
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.results[: len(before)] == before
    assert len(study.results) == len(set(study.results))
    entries = [line for line in read(study.out).lines if isinstance(line, Entry)]
    assert not [entry for entry in entries if isinstance(entry.event, Silent)]


def test_a_signal_ends_the_wait_for_a_disk(study: Study) -> None:
    process = study.start(study.command("--workers", "2"))
    fill_the_disk(study, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, study.left()) == (75, []), said
    assert said.count("can't be written") == 1
    assert "Traceback" not in said
    before = study.results
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.results[: len(before)] == before
