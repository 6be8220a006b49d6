"""Text for a terminal: aligned columns, lines that fit, nothing that acts on it."""

import os
import shutil
import sys

from hpmpi.model.messages import escaped

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
