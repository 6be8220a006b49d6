"""Laws of what is seen in the terminal that a study is launched from."""

import contextlib
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.launch.terminal import Terminal
from hpmpi.model.records import Line
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from tests.harness.histories import assigned, result, started
from tests.harness.runs import LIMIT_S

SAYS = [sys.executable, "-c", "import sys; print('a word', file=sys.stderr)"]


def shown(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    """Have a launcher say something while stderr is a terminal; return what that shows."""
    caplog.set_level(logging.INFO, "hpmpi")
    terminal, inside = pty.openpty()
    with os.fdopen(inside, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setenv("TERM", "xterm")
        there = Terminal(folder)
        with subprocess.Popen(SAYS, stderr=there.pipe("stderr")) as process:
            there.follow(process)
            there.look()
            process.wait(LIMIT_S)
            there.close()
    seen = b""
    with contextlib.suppress(OSError):  # as a read says that nobody is at the other end any more
        while chunk := os.read(terminal, 100_000):  # which tells of a part, however much there is
            seen += chunk
    os.close(terminal)
    return seen.decode()


def test_what_ranks_say_stands_above_the_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[Line] = [started(), assigned(0), result(0, 0.5)]
    (tmp_path / run_folder.JOURNAL).write_bytes(text_of(rows_of(lines)))
    seen = shown(tmp_path, monkeypatch, caplog)
    assert "mine: interrupted" in seen
    assert "a word\r\n" in seen


def test_a_run_that_has_not_begun_has_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert "a word\r\n" in shown(tmp_path, monkeypatch, caplog)


def test_without_a_terminal_a_launcher_has_our_streams(tmp_path: Path) -> None:
    there = Terminal(tmp_path)
    assert (there.pipe("stdout"), there.pipe("stderr")) == (None, None)
