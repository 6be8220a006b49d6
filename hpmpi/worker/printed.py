"""What a program says of its metrics: line by line, or in a file.

    {"epoch": 3, "loss": 0.1}    a point of the learning curve; and the result, if it is the last

A line that is a JSON object counts, and what is none is for people; or, with a `pattern`, what that
finds in a line.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpmpi.errors import ObjectiveError
from hpmpi.study.command import ProgramArgs
from hpmpi.worker.metrics import number

Said = dict[str, Any]

LINE_END = re.compile(rb"[\r\n]+")

LONGEST_LINE = 1 << 20
"""How much of a line is kept that does not end."""


class Printed:
    """What a program has said so far: its `result`, and the `resource` that it has told last."""

    def __init__(
        self, args: ProgramArgs, metric: str, report: Callable[[int, Said], object]
    ) -> None:
        """Pass on to `report` what is a point of a learning curve."""
        self.result: Said = {}
        self.resource: int | None = None
        self._step = args.step
        self._metric = metric
        self._pattern = re.compile(args.pattern) if args.pattern is not None else None
        self._report = report

    def hear(self, line: str) -> None:
        """Take note of a line; raises ObjectiveError where the studied metric is no number."""
        for said in self._found_in(line):
            resource = whole(said.pop(self._step, None))
            self.result = said if self._pattern is None else self.result | said
            if resource is not None:
                self.resource = resource
                if said:
                    self._report(resource, said)

    def _found_in(self, line: str) -> Iterator[Said]:
        if self._pattern is None:
            said = as_object(line)
            yield from () if said is None else (said,)
            return
        for found in self._pattern.finditer(line):
            groups = found.groupdict() or {self._metric: found[1]}
            said = {name: number_in(text) for name, text in groups.items() if text is not None}
            yield from (said,) if said else ()


class Lines:
    """A stream of bytes, line by line."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = b""

    def add(self, chunk: bytes) -> list[str]:
        """Return the lines that have come to their end; what waited for that is not read again."""
        first, *others = LINE_END.split(chunk)
        lines = [self._rest + first, *others]
        self._rest = lines.pop()[-LONGEST_LINE:]
        return [line.decode(errors="replace") for line in lines]


def in_file(path: Path) -> Said:
    """Read a result: all of a file, or its last line that is an object; raises ObjectiveError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        said = f"the program has left no {path.name} with its metrics in {{folder}}"
        raise ObjectiveError(f"{said}: {error.strerror}") from error
    for candidate in (text, *reversed(text.splitlines())):
        if (found := as_object(candidate)) is not None:
            return found
    raise ObjectiveError(f"{path.name} in {{folder}} has no JSON object, which is to be the result")


def as_object(text: str) -> Said | None:
    """Read a JSON object; None where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def number_in(text: str) -> float | str:
    """Read the number that a pattern has found, if it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def whole(value: object) -> int | None:
    """Take a resource, which is a whole number, however it is written; None where it is none.

    >>> whole(3), whole(3.0), whole("3"), whole(0.5)
    (3, 3, None, None)
    """
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None
