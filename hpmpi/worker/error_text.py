"""The text of a user's error: first a line that says what it was, then its traceback.

    ValueError: learning rate is negative; because of KeyError: 'rate'

    Traceback (most recent call last): ...

The line is all that two failures are compared by (`gist` takes it from the text). So what changes
from one attempt to the next has no place in it: addresses, process ids, times of day, names of
temporary files and of the attempt's own. It is not looked for in the text: libraries give their
advice after what went wrong, notes and groups of errors come last, and the root of a chain first.
"""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hpmpi.errors import ObjectiveError

MOST_CHARACTERS = 4000
"""How much of a traceback is kept, from its end."""

MOST_OF_A_LINE = 300
MOST_OF_A_SUMMARY = 1000
"""How much is told of one error, and of all that led to it, in the first line."""

MOST_PARTS = 3
"""How many errors of a group are told in the first line."""

PASSING = [
    (re.compile(r"\b0x[0-9a-fA-F]{4,}"), "0x..."),
    (re.compile(r"\b(pid|process|thread)(\W{1,3})\d+", re.IGNORECASE), r"\1\2..."),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "tmp..."),
    (re.compile(r"\b(trials|checkpoints)/\d+/\.?\d+[.-]\d+(\.\d+)?"), r"\1/..."),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d([.,]\d+)?"), "..."),
]
"""What is of one process or moment: addresses, ids, Python's temporary names, the folders of an
attempt, times of day."""

REMOTE = "RemoteTraceback"
"""How the causes are called that are no errors, but the text of one in another process."""

PACKAGE = Path(__file__).parents[1]
"""All that is in it is ours, but for the objectives that need no code."""

Errors = traceback.TracebackException


def describe(error: BaseException) -> str:
    """Describe an error: its summary, then the end of its traceback."""
    if isinstance(error, ObjectiveError):
        return str(error)
    seen = errors_of(error)
    text, said = "".join(seen.format()).strip(), summary(seen)
    return writable(said if text == said else f"{said}\n\n{text[-MOST_CHARACTERS:]}")


def told(error: BaseException) -> str:
    """Describe an error, which is printed whole where this process prints."""
    text = str(error) if isinstance(error, ObjectiveError) else "".join(errors_of(error).format())
    with contextlib.suppress(Exception):  # whatever the objective has put in its place
        sys.stderr.write(f"{writable(text).rstrip()}\n")
        sys.stderr.flush()
    return describe(error)


def errors_of(error: BaseException) -> Errors:
    """Take an error as Python tells it, without the lines that are ours."""
    trace = error.__traceback__
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return Errors(type(error), error, trace, compact=True)


def summary(error: Errors) -> str:
    """Say in a line what an error was, and what had led to it."""
    said = line(error)
    root = root_of(error)
    if root is not None:
        link = "because of" if error.__cause__ is not None else "while handling"
        said = f"{said}; {link} {line(root)}"
    return lasting(said)[:MOST_OF_A_SUMMARY]


def lasting(said: str) -> str:
    """Leave out of what was said what is of one process or moment."""
    for passing, instead in PASSING:
        said = passing.sub(instead, said)
    return said


def line(error: Errors) -> str:
    """Say what one error was: its type, its first line, its first note, its parts."""
    said = first_line(error)
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list) and notes:
        said += f" ({str(notes[0]).strip().partition(chr(10))[0][:MOST_OF_A_LINE]})"
    parts = [first_line(part) for part in islice(parts_of(error), MOST_PARTS)]
    return f"{said}: {'; '.join(parts)}" if parts else said


def first_line(error: Errors) -> str:
    """Say the type of an error and the first line of its message, or the next after a colon."""
    text = next(part for part in error.format_exception_only() if not part[:1].isspace())
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return first[:MOST_OF_A_LINE]


def root_of(error: Errors) -> Errors | None:
    """Find the first error of a chain, if it is another; a compact one has none that is hidden."""
    root = None
    while (before := error.__cause__ or error.__context__) is not None:
        if not first_line(before).partition(":")[0].endswith(REMOTE):
            root = before
        error = before
    return root


def parts_of(error: Errors) -> Iterator[Errors]:
    """Find the errors of a group, those of the groups in it included."""
    waiting = list(getattr(error, "exceptions", None) or ())
    while waiting:
        part = waiting.pop(0)
        inner = getattr(part, "exceptions", None)
        if inner:
            waiting[:0] = inner
        else:
            yield part


def is_ours(file: str) -> bool:
    """Tell the lines between the user's code and us, the import system's included."""
    path = Path(file)
    is_inside = PACKAGE in path.parents and PACKAGE / "trainables" not in path.parents
    return is_inside or file.startswith("<frozen ")


def writable(text: str) -> str:
    """Escape what no text file can hold, as half a character."""
    return text.encode(errors="backslashreplace").decode()
