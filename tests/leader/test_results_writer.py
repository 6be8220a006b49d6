"""Laws of the process that writes run.h5: the run does not wait for it, nor needs it."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import msgspec
import pytest

from hpmpi.errors import HpmpiError, StoreError
from hpmpi.launch.judgement import Ending, ending
from hpmpi.leader.results_process import ResultsBuilder
from hpmpi.leader.results_writer import LOG, Done, ResultsWriter, WriteTask
from hpmpi.leader.run import NO_RESULTS, exit_code
from hpmpi.model.records import Assigned, Ended, Entry, Line, Result, Started, Suggestion
from hpmpi.storage import results_file, run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.storage.run_folder import UNWRITTEN
from hpmpi.views.run_view import look
from tests.harness.runs import ROOT, Study, finish, processes_of


def begin(study: Study, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start a study; return it, and who writes its results, once it has some."""
    process = study.start(study.command("--workers", "1", *options))
    study.until(lambda: bool(study.results) and bool(writers(study.out)), process)
    return process, writers(study.out)[0]


def writers(folder: Path) -> list[int]:
    """Find who writes the results in a folder."""
    found = [
        each.split()[0] for each in processes_of(folder) if "hpmpi.leader.results_process" in each
    ]
    return [int(pid) for pid in found]


def lines_of(folder: Path) -> list[Line]:
    """Read a journal."""
    return run_folder.read(folder).lines


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
    assert len(results_file.read_lines(study.out / "run.h5")) == len(study.lines)


def test_who_writes_the_results_may_be_killed(tmp_path: Path) -> None:
    study = Study(tmp_path)
    process, writer = begin(study)
    os.kill(writer, signal.SIGSTOP)
    so_far = len(study.results)
    study.until(lambda: len(study.results) >= so_far + 3, process)
    os.kill(writer, signal.SIGKILL)
    done = finish(process)
    assert done.returncode == 0
    assert len(results_file.read_lines(study.out / "run.h5")) == len(study.lines)
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


def test_the_last_results_are_written_though_their_writer_is_killed(
    journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []

    def kill() -> bool:
        if not killed and results_writer._process is not None:
            killed.append(results_writer._process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return False

    opened = run_folder.Store(journal, run_folder.read(journal))
    results_writer = ResultsWriter(opened, every_s=1000.0)
    before = (journal / "run.h5").stat().st_ino
    assert results_writer.finish("complete", kill)
    opened.close()
    assert killed
    assert "was killed by SIGKILL" in caplog.text
    assert (journal / "run.h5").stat().st_ino != before
    assert writers(journal) == []


def test_a_writer_that_hangs_is_replaced(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopped: list[int] = []

    def stop() -> bool:
        if not stopped and results_writer._process is not None:
            stopped.append(results_writer._process.pid)
            os.kill(stopped[0], signal.SIGSTOP)
            monkeypatch.setattr("hpmpi.leader.results_writer.PATIENCE_S", 0.0)
        elif results_writer._process is not None and results_writer._process.pid not in stopped:
            monkeypatch.undo()
        return False

    opened = run_folder.Store(journal, run_folder.read(journal))
    results_writer = ResultsWriter(opened, every_s=1000.0)
    before = (journal / "run.h5").stat().st_ino
    results_writer.finish("complete", stop)
    opened.close()
    assert "hangs" in caplog.text
    assert (journal / "run.h5").stat().st_ino != before
    assert writers(journal) == []


def test_who_is_in_a_hurry_leaves_without_results_and_the_next_start_writes_them(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path, epoch_s=0.01)
    process, writer = begin(study, "--set", "run.checkpoint_s=60")
    os.kill(writer, signal.SIGSTOP)
    study.until(lambda: study.decided(Ended) != [], process)
    process.terminate()
    done = finish(process)
    assert (done.returncode, run_folder.read_status(study.out).state) == (NO_RESULTS, UNWRITTEN)
    assert "run.h5 is not up to date" in done.stderr
    assert not (study.out / "run.h5").exists()
    assert study.run(study.command("--workers", "1")).returncode == 0
    assert len(results_file.read_lines(study.out / "run.h5")) == len(study.lines)
    assert study.left() == []


def test_where_there_is_no_process_to_write_the_results_the_run_goes_on(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = run_folder.Store(journal, run_folder.read(journal))
    results_writer = ResultsWriter(opened, every_s=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere")
        results_writer.look()
    assert "no process for it" in caplog.text
    before = (journal / "run.h5").stat().st_ino
    results_writer.finish("complete", lambda: False)
    opened.close()
    assert (journal / "run.h5").stat().st_ino != before


def rewrite(folder: Path, change: Callable[[Entry], Entry]) -> bytes:
    """Change the entries of a journal."""
    lines = [change(line) if isinstance(line, Entry) else line for line in lines_of(folder)]
    text = text_of(rows_of(lines))
    (folder / "journal.jsonl").write_bytes(text)
    return text


def otherwise(entry: Entry) -> Entry:
    """Have configurations differ in their last bit, as another CPU may draw them."""
    suggested = [
        Suggestion(trial, config and {"x": math.nextafter(config["x"], 2.0)})
        for trial, config, _ in entry.suggested
    ]
    return msgspec.structs.replace(entry, suggested=tuple(suggested))


def unlikely(entry: Entry) -> Entry:
    """Have jobs be for another resource than any that is handed out."""
    decisions = [
        msgspec.structs.replace(it, resource=it.resource + 1) if isinstance(it, Assigned) else it
        for it in entry.decisions
    ]
    return msgspec.structs.replace(entry, decisions=tuple(decisions))


def test_all_results_are_written_though_they_cannot_be_derived_here(journal: Path) -> None:
    (journal / "run.h5").unlink()
    text = rewrite(journal, unlikely)
    lines = lines_of(journal)
    builder = ResultsBuilder(journal)
    task = WriteTask(len(text), str(journal / "new.h5"), "complete")
    for _ in range(2):
        assert builder.write(task) == Done(task.file)
        assert len(results_file.read_lines(journal / "new.h5")) == len(lines)
    entries = [line for line in lines if isinstance(line, Entry)]
    told = [it.at for it in entries if any(isinstance(one, Result) for one in it.decisions)]
    with h5py.File(journal / "new.h5") as file:
        assert list(file["results"]["finished"]) == told


def test_a_study_goes_on_on_another_cpu_and_all_its_results_are_written(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    for number, most in enumerate((6, 9, 12)):
        done = study.run(study.command("--workers", "1", "--set", f"stop.max_trials={most}"))
        assert done.returncode == 0, done.stderr
        assert len(results_file.read_lines(study.out / "run.h5")) == len(study.lines)
        if number == 0:
            rewrite(study.out, otherwise)
            (study.out / "run.h5").unlink()  # it was made of other lines
    assert len({each.attempt.trial for each in study.decided(Assigned)}) == 12


def test_a_journal_that_the_disk_has_not_taken_is_waited_for(journal: Path) -> None:
    path = journal / "journal.jsonl"
    text = path.read_bytes()
    builder = ResultsBuilder(journal)
    path.write_bytes(text[:-10])
    task = WriteTask(len(text), str(journal / "new.h5"), "complete")
    with pytest.raises(HpmpiError, match="too short"):
        builder.write(task)
    path.write_bytes(text)
    builder.write(task)
    assert (journal / "new.h5").exists()


def test_results_can_be_written_bit_by_bit(journal: Path) -> None:
    text = (journal / "journal.jsonl").read_bytes()
    ends = [at + 1 for at, byte in enumerate(text) if byte == ord("\n")]
    builder = ResultsBuilder(journal)
    for end in ends[3:]:
        builder.write(WriteTask(end, str(journal / "new.h5"), "running"))
    at_once = ResultsBuilder(journal)
    at_once.write(WriteTask(len(text), str(journal / "other.h5"), "running"))
    assert tables_of(journal / "new.h5") == tables_of(journal / "other.h5")
    assert isinstance(lines_of(journal)[0], Started)


def tables_of(file: Path) -> dict[str, list[object]]:
    with h5py.File(file) as tables:
        return {name: list(map(str, tables[name][()])) for name in tables}


def never() -> bool:
    return False


def with_h5py(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have all processes that are started find another h5py than the right one."""
    (folder / "site" / "h5py").mkdir(parents=True)
    (folder / "site" / "h5py" / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{folder / 'site'}{os.pathsep}{ROOT}")


BROKEN = "raise ImportError('libhdf5.so.103: cannot open shared object file')"
DYING = "import os, sys; print('no HDF5\\x1b[31m', file=sys.stderr, flush=True); os.abort()"


def run_with_h5py_of(study: Study, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a study in the environment of this process, which has another h5py."""
    command = study.command("--workers", "1", *options)
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [(BROKEN, "libhdf5.so.103"), (DYING, "was killed by SIGABRT: no HDF5\\x1b[31m (")],
)
def test_no_study_is_begun_whose_results_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    study = Study(tmp_path)
    with_h5py(tmp_path, monkeypatch, code)
    done = run_with_h5py_of(study, tmp_path)
    assert (done.returncode, study.left()) == (2, [])
    assert [said in line for line in done.stderr.splitlines()].count(True) == 1
    assert "nothing was begun" in done.stderr
    assert "Traceback" not in done.stderr
    assert (study.out / "journal.jsonl").read_bytes() == b""
    assert run_folder.read_status(study.out) == ("", "")
    monkeypatch.undo()
    assert study.run(study.command("--workers", "1")).returncode == 0


def test_a_study_that_has_begun_goes_on_without_its_results_file_and_does_not_end_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    done = study.run(study.command("--workers", "1", "--set", "stop.max_trials=3"))
    assert done.returncode == 0
    (study.out / "run.h5").unlink()
    (study.out / "run.h5.previous").unlink(missing_ok=True)
    with_h5py(tmp_path, monkeypatch, BROKEN)
    done = run_with_h5py_of(study, tmp_path)
    assert (done.returncode, study.left()) == (NO_RESULTS, [])
    assert done.stderr.count("libhdf5.so.103") == 1
    assert f"export {study.out} --format csv" in done.stderr
    words = [sys.executable, "-m", "hpmpi", "export", str(study.out), "--format", "csv"]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(rows) == 1 + len({each.attempt.trial for each in study.decided(Assigned)})
    monkeypatch.undo()
    assert study.run(study.command("--workers", "1")).returncode == 0
    assert len(results_file.read_lines(study.out / "run.h5")) == len(study.lines)


def test_launch_starts_nothing_again_for_want_of_a_results_file(journal: Path) -> None:
    (journal / "status").write_text(f"s2 {UNWRITTEN}\n")
    before, after = run_folder.RunStatus("s1", "running"), run_folder.read_status(journal)
    assert ending(before, after, 0) is Ending.COMPLETE
    assert exit_code(look(journal)) == NO_RESULTS


def test_a_damaged_journal_is_said_to_be_so_where_there_is_no_hdf5(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (journal / "journal.jsonl").read_bytes()
    (journal / "journal.jsonl").write_bytes(text.replace(b'"at":', b'"at":1', 1))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(StoreError, match=r"line 1 of .* is damaged"):
        run_folder.read(journal)


def test_a_disk_that_is_full_is_no_reason_not_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import errno\ndef string_dtype(): raise OSError(errno.ENOSPC, 'No space left')"
    with_h5py(tmp_path, monkeypatch, code)
    opened = run_folder.Store(tmp_path / "out")
    results_writer = ResultsWriter(opened, every_s=1000.0)
    results_writer.prove()
    results_writer.await_proof(never)
    results_writer.close()
    opened.close()


def test_what_is_wrong_is_said_once_for_as_long_as_it_is_the_same(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_h5py(journal.parent, monkeypatch, BROKEN)
    opened = run_folder.Store(journal, run_folder.read(journal))
    results_writer = ResultsWriter(opened, every_s=1000.0)
    assert not results_writer.finish("complete", never)
    assert not results_writer.finish("complete", never)
    opened.close()
    assert caplog.text.count("libhdf5.so.103") == 1


def test_a_writer_that_is_killed_leaves_nothing_beside(journal: Path) -> None:
    opened = run_folder.Store(journal, run_folder.read(journal))
    results_writer = ResultsWriter(opened, every_s=1000.0)
    results_writer.prove()
    results_writer.await_proof(never)
    opened.partial.write_bytes(b"half of a file")
    results_writer.close()
    opened.close()
    assert not opened.partial.exists()
    assert (journal / LOG).exists()


def test_what_killed_writers_have_left_goes_at_the_next_start(journal: Path) -> None:
    left = [journal / f".{name}.4711" for name in ("run.h5", "run.h5.previous", "status")]
    for path in left:
        path.write_bytes(b"half of a file")
    run_folder.Store(journal, run_folder.read(journal)).close()
    assert not any(path.exists() for path in left)
