"""Laws of the process that writes run.h5: the run does not wait for it, nor needs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hpmpi import results, store
from hpmpi.book import Book
from hpmpi.decisions import Assigned, Ended, Started
from hpmpi.errors import HpmpiError
from hpmpi.journal import line_of
from hpmpi.scribe import Scribe, Task
from tests.runs import Study, finish, processes_of


def begin(study: Study, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start a study; return it, and who writes its results, once it has begun to."""
    process = study.start(study.command("--workers", "1", *options))
    study.until(lambda: bool(writers(study.out)), process)
    return process, writers(study.out)[0]


def writers(folder: Path) -> list[int]:
    """Find who writes the results in a folder."""
    found = [each.split()[0] for each in processes_of(folder) if "hpmpi.book" in each]
    return [int(pid) for pid in found]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Run a small study; return its folder."""
    study = Study(tmp_path, epoch_s=0.0)
    assert study.run(study.command("--workers", "1")).returncode == 0
    return study.out


def test_the_run_goes_on_while_its_results_are_written(tmp_path: Path) -> None:
    study = Study(tmp_path)
    process, writer = begin(study)
    os.kill(writer, signal.SIGSTOP)
    so_far = len(study.results)
    study.until(lambda: len(study.results) >= so_far + 3, process)
    os.kill(writer, signal.SIGCONT)
    done = finish(process)
    assert done.returncode == 0
    assert results.read(study.out / "run.h5").counted == len(study.decisions)


def test_who_writes_the_results_may_be_killed(tmp_path: Path) -> None:
    study = Study(tmp_path)
    process, writer = begin(study)
    os.kill(writer, signal.SIGSTOP)
    so_far = len(study.results)
    study.until(lambda: len(study.results) >= so_far + 3, process)
    os.kill(writer, signal.SIGKILL)
    done = finish(process)
    assert done.returncode == 0
    assert results.read(study.out / "run.h5").counted == len(study.decisions)
    assert not [path for path in study.out.iterdir() if path.name.startswith(".run.h5")]


def test_who_writes_the_results_leaves_signals_to_rank_0_and_ends_with_it(tmp_path: Path) -> None:
    study = Study(tmp_path)
    process, writer = begin(study)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        os.kill(writer, number)
    so_far = len(study.results)
    study.until(lambda: len(study.results) >= so_far + 3, process)
    assert writers(study.out) == [writer]
    process.kill()
    finish(process)
    assert study.left() == []


def test_the_last_results_are_written_though_their_writer_is_killed(journal: Path) -> None:
    killed: list[int] = []

    def kill() -> bool:
        if not killed and scribe._process is not None:
            killed.append(scribe._process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return False

    opened = store.Store(journal, store.read(journal))
    scribe = Scribe(opened, every_s=1000.0)
    before = (journal / "run.h5").stat().st_ino
    scribe.finish("complete", kill)
    opened.close()
    assert killed
    assert (journal / "run.h5").stat().st_ino != before
    assert writers(journal) == []


def test_a_writer_that_hangs_is_replaced(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopped: list[int] = []

    def stop() -> bool:
        if not stopped and scribe._process is not None:
            stopped.append(scribe._process.pid)
            os.kill(stopped[0], signal.SIGSTOP)
            monkeypatch.setattr("hpmpi.scribe.PATIENCE_S", 0.0)
        elif scribe._process is not None and scribe._process.pid not in stopped:
            monkeypatch.undo()
        return False

    opened = store.Store(journal, store.read(journal))
    scribe = Scribe(opened, every_s=1000.0)
    before = (journal / "run.h5").stat().st_ino
    scribe.finish("complete", stop)
    opened.close()
    assert "hangs" in caplog.text
    assert (journal / "run.h5").stat().st_ino != before
    assert writers(journal) == []


def test_who_is_in_a_hurry_leaves_without_results_and_the_next_start_writes_them(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path, epoch_s=0.01)
    process, writer = begin(study)
    os.kill(writer, signal.SIGSTOP)
    study.until(lambda: isinstance(study.decisions[-1], Ended), process)
    process.terminate()
    assert finish(process).returncode == 0
    assert not (study.out / "run.h5").exists()
    assert study.run(study.command("--workers", "1")).returncode == 0
    assert results.read(study.out / "run.h5").counted == len(study.decisions)
    assert study.left() == []


def test_where_there_is_no_process_to_write_the_results_the_run_goes_on(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = store.Store(journal, store.read(journal))
    scribe = Scribe(opened, every_s=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere")
        scribe.look()
    assert "no process for it" in caplog.text
    before = (journal / "run.h5").stat().st_ino
    scribe.finish("complete", lambda: False)
    opened.close()
    assert (journal / "run.h5").stat().st_ino != before


def test_the_results_of_decisions_that_cannot_be_derived_are_not_written(journal: Path) -> None:
    decisions = store.read(journal).decisions
    changed = [
        msgspec.structs.replace(each, config={"x": 0.5}) if isinstance(each, Assigned) else each
        for each in decisions
    ]
    text = b"".join(map(line_of, changed))
    (journal / "journal.jsonl").write_bytes(text)
    with pytest.raises(HpmpiError, match="can't be derived"):
        Book(journal).write(Task(len(text), str(journal / "new.h5"), "running"))
    assert not (journal / "new.h5").exists()


def test_a_journal_that_the_disk_has_not_taken_is_waited_for(journal: Path) -> None:
    path = journal / "journal.jsonl"
    text = path.read_bytes()
    book = Book(journal)
    path.write_bytes(text[:-10])
    task = Task(len(text), str(journal / "new.h5"), "complete")
    with pytest.raises(HpmpiError, match="too short"):
        book.write(task)
    path.write_bytes(text)
    book.write(task)
    assert (journal / "new.h5").exists()


def test_results_can_be_written_bit_by_bit(journal: Path) -> None:
    text = (journal / "journal.jsonl").read_bytes()
    ends = [at + 1 for at, byte in enumerate(text) if byte == ord("\n")]
    book = Book(journal)
    for end in ends[3:]:
        book.write(Task(end, str(journal / "new.h5"), "running"))
    at_once = Book(journal)
    at_once.write(Task(len(text), str(journal / "other.h5"), "running"))
    assert results.read(journal / "new.h5") == results.read(journal / "other.h5")
    assert isinstance(store.read(journal).decisions[0], Started)
