"""Text for a terminal: aligned columns, lines that fit, nothing that acts on it."""

import os
import shutil
import sys
import time
from collections.abc import Sequence

from hpmpi.model.messages import escaped
from hpmpi.model.trial import Goal, Metrics
from hpmpi.study.settings import RESOURCE, Settings

MINUTE_S = 60.0

WIDTH = 120
"""Of a line that may be long, where there is no terminal; of all others nothing is cut there."""


def span(seconds: float) -> str:
    """Write a time as coarsely as people read it.

    >>> span(59.9), span(720), span(11_520), span(190_000)
    ('59 s', '12 min', '3 h 12 min', '2 d 4 h')
    """
    minutes, hours, days = (int(seconds // unit_s) for unit_s in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def time_of(seconds: float) -> str:
    """Write a time as exactly as it is known.

    >>> time_of(0.0123), time_of(12.34), time_of(720.0)
    ('0.012 s', '12 s', '12 min')
    """
    return span(seconds) if seconds >= MINUTE_S else f"{seconds:.2g} s"


def count_of(number: int, name: str) -> str:
    """Write how many there are of something."""
    return f"{number} {name}{'s' * (number != 1)}"


def resource_of(resource: int, unit: str) -> str:
    """Write a resource; what it is called is the study's word for many.

    >>> resource_of(9, "epochs"), resource_of(1, "epochs"), resource_of(9, "resource")
    ('9 epochs', '1 epoch', 'resource 9')
    """
    if unit == RESOURCE:
        return f"{unit} {resource}"
    return f"{resource} {unit.removesuffix('s') if resource == 1 else unit}"


def rungs_at(resources: Sequence[int], study: Settings) -> str:
    """List where rungs are."""
    of = "" if study.unit == RESOURCE else f" {escaped(study.unit)}"
    return f"{', '.join(map(str, resources))}{of}"


def pace(rate: float) -> str:
    """Write how fast results come in.

    >>> pace(12.0), pace(90.0), pace(7200.0)
    ('12 results an hour', '1.5 results a minute', '2 results a second')
    """
    for per_hour, unit in ((3600, "second"), (60, "minute")):
        if rate >= per_hour:
            return f"{rate / per_hour:.2g} results a {unit}"
    return f"{rate:.0f} results an hour"


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.426)
    '43 %'
    """
    return f"{100 * share:.0f} %"


def clock(epoch_s: float, now: float) -> str:
    """Write when something is, by the clock of here; both in seconds since 1970."""
    day = "" if time.localtime(epoch_s)[:3] == time.localtime(now)[:3] else "%Y-%m-%d "
    return time.strftime(f"{day}%H:%M", time.localtime(epoch_s))


def reached(goal: Goal, metrics: Metrics, digits: int = 6) -> str:
    """Write what was reached in the metrics that are studied.

    >>> reached(Goal("accuracy", "max", (Goal("bytes", "min"),)), {"accuracy": 0.25, "bytes": 1e9})
    'accuracy 0.25, bytes 1e+09'
    """
    return ", ".join(f"{name} {metrics[name]:.{digits}g}" for name in goal.names)


def aligned(rows: list[list[str]]) -> list[str]:
    """Align the columns but the last to the right."""
    escapes = [list(map(escaped, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*escapes, strict=True)]
    return ["  ".join([*map(str.rjust, row[:-1], widths), row[-1]]).rstrip() for row in escapes]


def fitted(lines: list[str], width: int = sys.maxsize) -> list[str]:
    """Cut lines to the width of the terminal; where there is none, to `width`."""
    columns = terminal(width).columns
    return [cut(line, columns) for line in lines]


def terminal(width: int = sys.maxsize) -> os.terminal_size:
    """Measure the terminal; one that is not there, or does not say, is `width` wide and endless."""
    size = shutil.get_terminal_size((width, sys.maxsize))
    return os.terminal_size((size.columns or width, size.lines or sys.maxsize))


def cut(line: str, width: int) -> str:
    """Cut a line to a width.

    >>> cut("as long as it is", 10), cut("short", 10)
    ('as long...', 'short')
    """
    return line if len(line) <= width else f"{line[: width - 3]}..."


def printable(text: str) -> str:
    """Escape what acts on a terminal, in text of several lines."""
    return "\n".join(map(escaped, text.split("\n")))
