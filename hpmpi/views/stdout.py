"""What a command answers on stdout: it is written at once, or it is said that it can't be."""

import contextlib
import sys

from hpmpi.errors import OutputError


def say(text: str, end: str = "\n") -> None:
    """Write what was asked for; raises OutputError where nothing takes it."""
    try:
        sys.stdout.write(f"{text}{end}")
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"the output can't be written: {error.strerror}") from error


def hand_over(data: bytes) -> None:
    """Write what is no text; raises OutputError where nothing takes it, or a terminal would."""
    if sys.stdout.isatty():
        raise OutputError("what was asked for is no text: send it to a file, as by `> FILE`")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"the output can't be written: {error.strerror}") from error


def say_last(text: str) -> None:
    """Write what a run ends with; its exit code stands, also where nothing takes that."""
    try:
        say(text)
    except OutputError as error:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"hpmpi: {error}; `hpmpi show` has it\n")
