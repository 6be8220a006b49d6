"""Where the log goes: to stderr, whatever that is by then."""

import logging
import sys
from typing import TextIO


class ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is by then: above a live view, while there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.stream = sys.stderr
        super().emit(record)


def log_to_stderr() -> None:
    """Have the log where people look for it."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[ToStderr()],
    )
