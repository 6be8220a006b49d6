"""The terminal that a study was launched from: a live view, and above it what the ranks say.

A launcher gives its ranks pipes, so that only here it is seen that there is a terminal.
"""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from hpmpi.errors import HpmpiError
from hpmpi.views import live
from hpmpi.views.watch import Watched, page

LAST_WORDS_S = 5.0
"""How long what the ranks have said may take to be here, once their launcher has ended."""


class Terminal:
    """Shows a run in the terminal of stderr; does nothing where that is none."""

    def __init__(self, folder: Path) -> None:
        """Begin, with a run that may not be there yet."""
        self._view = live.on_terminal()
        self._watched = Watched(folder)
        self._copies: list[threading.Thread] = []

    def pipe(self, name: str) -> int | None:
        """Say what a stream of a launcher is to be, so that only we write to the terminal."""
        is_ours = self._view is not None and getattr(sys, name).isatty()
        return subprocess.PIPE if is_ours else None

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Copy what a launcher says, above the view."""
        for name, source in (("stdout", process.stdout), ("stderr", process.stderr)):
            if source is not None:
                copy = threading.Thread(target=copy_to, args=(name, source), daemon=True)
                copy.start()
                self._copies.append(copy)

    def look(self) -> None:
        """Show how the run stands, if it has begun."""
        if self._view is not None:
            with contextlib.suppress(HpmpiError):
                self._view.refresh(lambda top: page(self._watched.look(), top))

    def close(self) -> None:
        """Leave the terminal, when all was said."""
        for copy in self._copies:
            copy.join(LAST_WORDS_S)
        if self._view is not None:
            self._view.stop()


def copy_to(name: str, source: IO[bytes]) -> None:
    """Write what comes to a stream of ours, as that is by then."""
    for line in source:
        stream = getattr(sys, name)
        stream.write(line.decode(errors="backslashreplace"))
        stream.flush()
