"""What a program says of its metrics: lines of JSON, lines that a pattern fits, files."""

import time
from pathlib import Path

import msgspec
import pytest

from hpmpi.study.command import ProgramArgs
from hpmpi.worker.printed import Lines, Printed, in_file


def heard(
    *lines: str, **args: str
) -> tuple[dict[str, object], list[tuple[int, dict[str, object]]]]:
    """Return the result of some lines, and the points of their learning curve."""
    points: list[tuple[int, dict[str, object]]] = []
    printed = Printed(
        msgspec.convert(args, ProgramArgs), "loss", lambda at, said: points.append((at, dict(said)))
    )
    for line in lines:
        printed.hear(line)
    return printed.result, points


def test_the_last_object_counts_whatever_else_is_said() -> None:
    lines = ('{"loss": 2, "size": 7}', "[1, 2]", ' {"loss": NaN}', "{no json", "done")
    result, points = heard(*lines)
    assert (list(result), points) == (["loss"], [])
    assert result["loss"] != result["loss"]


@pytest.mark.parametrize("step", ["3", "3.0", '"3"'])
def test_an_object_with_a_step_is_a_point_and_the_result_has_no_step(step: str) -> None:
    said = ('{"loss": 1}', f'{{"epoch": {step}, "loss": 2}}')
    assert heard(*said) == ({"loss": 2}, [] if step == '"3"' else [(3, {"loss": 2})])


def test_a_pattern_keeps_the_last_value_of_each_metric() -> None:
    pattern = r"at (?P<at>\d+)|loss (?P<loss>\S+)|size (?P<size>\S+)"
    result, points = heard(
        "loss 3 size 7", "loss 1e-3", "loss no", "at 4", pattern=pattern, step="at"
    )
    assert (result, points) == ({"loss": "no", "size": 7.0}, [])


def test_lines_come_in_pieces_and_end_as_they_like() -> None:
    lines = Lines()
    assert lines.add(b"one\r\ntw") == ["one"]
    assert lines.add(b"o\r\xff") == ["two"]
    assert lines.add(b"\n") == ["\ufffd"]


def test_a_line_that_does_not_end_is_read_once() -> None:
    lines, piece = Lines(), b"x" * (1 << 16)
    began_at = time.process_time()
    assert not any(lines.add(piece) for _ in range(1000))
    assert time.process_time() - began_at < 3  # it was 10
    assert lines.add(b'\n{"loss": 1}\n')[1:] == ['{"loss": 1}']


def test_a_file_is_an_object_or_ends_with_one(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    for text in ('{\n "loss": 1\n}', '{"loss": 2}\n{"loss": 1}\n\n'):
        file.write_text(text)
        assert in_file(file) == {"loss": 1}
