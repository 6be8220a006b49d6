"""`hpmpi show --watch`: how a run stands, again and again until it has ended.

What it may cost the file server is bounded: the journal is read again only when it has changed, and
the longer it takes to read, the less often.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpmpi.model.messages import Outcome
from hpmpi.views import layout, show
from hpmpi.views.run_view import Summary, look
from hpmpi.views.stdout import say

WATCH_S = 2.0
"""How often a run is looked at."""

WATCH_SHARE = 0.05
"""The share of the time that reading may take."""

OVER = (Outcome.COMPLETE, Outcome.UNFIT, Outcome.FAILED)
"""What nothing comes after."""

CLEAR = "\x1b[H\x1b[J"
"""What makes a terminal empty, but for what has left it at the top."""


def watch(folder: Path, tell: Callable[[Summary], str]) -> None:
    """Print what there is to tell of a run, and again when that changes, until it is over for good.

    One that was interrupted, drained or deserted may be gone on with at any time: it is watched.
    """
    clear = CLEAR if sys.stdout.isatty() else ""
    summary, told = None, ""
    while True:
        began_at = time.monotonic()
        summary = look(folder, summary)
        took_s = time.monotonic() - began_at
        before, told = told, tell(summary)
        if told != before:
            say(f"{clear}{told}")
        if summary.outcome in OVER:
            return
        time.sleep(max(WATCH_S, took_s / WATCH_SHARE))


def page(summary: Summary, top: int) -> str:
    """Write as `show.text` does, with no more trials than the terminal has room for."""
    whole = show.text(summary, top)
    excess = excess_of(whole)
    if excess <= 0:
        return whole
    ranked = len(summary.board.ranking())
    # Where all were there, that some are left out takes a line of its own.
    return show.text(summary, max(1, min(top, ranked) - excess - (ranked <= top)))


def excess_of(text: str) -> int:
    """Count the lines of the terminal that a text is too long by, the prompt after it included."""
    columns, lines = layout.terminal()
    return sum(max(1, -(-len(line) // columns)) for line in text.split("\n")) + 1 - lines
