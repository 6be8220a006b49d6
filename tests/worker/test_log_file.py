"""Laws of a rank's log: a line in front of each attempt, also in what is left of a large file."""

import os
from pathlib import Path

import pytest

from hpmpi.model.messages import Assign
from hpmpi.model.trial import AttemptId
from hpmpi.storage.logs import heading_of, parts_of
from hpmpi.worker import log_file
from hpmpi.worker.log_file import Output

ATTEMPTS = [AttemptId(trial, 0, 1) for trial in range(4)]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Output:
    """Open a log that may not become large."""
    monkeypatch.setattr(log_file, "MOST_BYTES", 1000)
    monkeypatch.setattr(log_file, "KEPT_BYTES", 600)
    return Output(tmp_path / "rank-1.log")


def begin(output: Output, attempt: AttemptId) -> None:
    """Begin an attempt, as a rank does where the process waits for it."""
    output.mark()
    output.head(heading_of(Assign(attempt, 9, {"x": "long" * 30}, seed=0)))


def told(output: Output) -> list[tuple[AttemptId | None, bytes]]:
    """Read whose output is which."""
    return list(parts_of(os.pread(output._descriptor, 10_000, 0)))


def test_each_attempt_has_a_line_of_its_own_in_front(output: Output) -> None:
    for attempt, printed in zip(ATTEMPTS, (b"1\n", b"no end", b"", b"4"), strict=True):
        begin(output, attempt)
        os.write(output.fileno(), printed)
    parts = [(None, b""), *zip(ATTEMPTS, (b"1\n", b"no end\n", b"", b"4"), strict=True)]
    assert told(output) == parts


def test_the_end_of_what_an_attempt_printed_is_without_that_line(output: Output) -> None:
    for attempt in ATTEMPTS:
        begin(output, attempt)
        os.write(output.fileno(), b"epoch %d\n" % attempt.trial)
        assert output.tail() == f"epoch {attempt.trial}"
    begin(output, ATTEMPTS[0])
    assert output.tail() == ""


def test_what_was_printed_while_it_was_loaded_is_in_the_end_too(output: Output) -> None:
    os.write(output.fileno(), b"loading\n")
    output.head(heading_of(Assign(ATTEMPTS[0], 9, {}, seed=0)))
    os.write(output.fileno(), b"at work\n")
    assert output.tail() == "loading\nat work"


@pytest.mark.parametrize("length", [1900, 2000, 2100])
def test_no_part_of_that_line_is_in_the_end(output: Output, length: int) -> None:
    output.head(heading_of(Assign(ATTEMPTS[0], 9, {"x": "y" * 500}, seed=0)))
    os.write(output.fileno(), b"z" * length)
    assert output.tail() == "z" * min(length, log_file.TAIL_BYTES)


def test_what_is_left_of_one_large_attempt_is_its_own_still(output: Output) -> None:
    begin(output, ATTEMPTS[0])
    begin(output, ATTEMPTS[1])
    for _ in range(3):  # cut once, and again
        os.write(output.fileno(), b"x" * 1000)
        output.trim()
        (_, before), (attempt, rest) = told(output)
        assert (before, attempt) == (b"", ATTEMPTS[1])
        assert b"hpmpi has cut" in rest
        assert rest.endswith(b"x" * 600)
    begin(output, ATTEMPTS[2])
    os.write(output.fileno(), b"next\n")
    assert told(output)[-1] == (ATTEMPTS[2], b"next\n")
    assert output.tail() == "next"


def test_what_is_left_of_an_attempt_before_that_is_nobodys(output: Output) -> None:
    begin(output, ATTEMPTS[0])
    os.write(output.fileno(), b"x" * 1000)
    begin(output, ATTEMPTS[1])
    os.write(output.fileno(), b"second\n")
    output.trim()
    (nobody, before), last = told(output)
    assert nobody is None
    assert b"hpmpi has cut" in before
    assert last == (ATTEMPTS[1], b"second\n")
    os.write(output.fileno(), b"y" * 1000)
    output.trim()
    assert [attempt for attempt, _ in told(output)] == [None, ATTEMPTS[1]]
