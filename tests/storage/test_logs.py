"""Laws of the logs: whose output is which, whatever is printed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.model.messages import Assign
from hpmpi.model.trial import BASELINE, DATA, AttemptId, Value
from hpmpi.storage.logs import heading_of, parts_of, printed

OUTPUTS = st.binary().filter(lambda it: b"[hpmpi: " not in it)
ATTEMPTS = st.builds(AttemptId, *(st.integers(0, 99) for _ in range(3)))


def assign(attempt: AttemptId, **config: Value) -> Assign:
    """Hand out an attempt."""
    return Assign(attempt, 9, config, seed=0, saved=3)


@given(st.lists(st.tuples(ATTEMPTS, OUTPUTS), max_size=9), OUTPUTS)
def test_what_is_printed_is_of_the_attempt_that_was_named_last(
    attempts: list[tuple[AttemptId, bytes]], before: bytes
) -> None:
    log = before + b"".join(heading_of(assign(it, x="]\n")) + output for it, output in attempts)
    assert list(parts_of(log)) == [(None, before), *attempts]


def test_what_is_no_trials_is_nobodys() -> None:
    log = heading_of(assign(AttemptId(7, 1, 2))) + b"seven\n"
    for trial in (BASELINE, DATA):
        log += heading_of(assign(AttemptId(trial, 0, 1))) + b"other\n"
    assert [attempt for attempt, _ in parts_of(log)] == [None, AttemptId(7, 1, 2), None, None]


def test_a_log_is_read_for_one_trial(tmp_path: Path) -> None:
    log = tmp_path / "rank-1.log"
    first, second, other = AttemptId(7, 0, 1), AttemptId(7, 1, 1), AttemptId(8, 0, 1)
    parts = [(first, b"a"), (other, b"b"), (second, b""), (first, b"c")]  # the journal lost one
    log.write_bytes(b"".join(heading_of(assign(it)) + output for it, output in parts))
    assert printed(log, 7) == {first: b"ac", second: b""}
    with pytest.raises(FileNotFoundError):
        printed(tmp_path / "rank-2.log", 7)
