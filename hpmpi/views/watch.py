"""How a run stands, again and again until it has ended: `hpmpi show --watch`, and who launches one.

What it may cost the file server is bounded: the journal is read again only when it has changed, and
the longer it takes to read, the less often.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hpmpi.history.overview import Overview
from hpmpi.model.messages import Outcome
from hpmpi.model.timers import Sparing
from hpmpi.views import live, show
from hpmpi.views.live import LiveView
from hpmpi.views.run_view import Summary, look
from hpmpi.views.stdout import say

WATCH_S = 2.0
"""How often a run is looked at."""

WATCH_SHARE = 0.05
"""The share of the time that reading may take."""

OVER = (Outcome.COMPLETE, Outcome.UNFIT, Outcome.FAILED)
"""What nothing comes after."""


class Watched:
    """A run folder, read on from where it was as often as that may be."""

    def __init__(self, folder: Path) -> None:
        """Have read nothing yet."""
        self._folder = folder
        self._summary: Summary | None = None
        self.reading = Sparing(WATCH_SHARE, WATCH_S)

    def look(self) -> Summary:
        """Tell how the run stands, as it was seen last or by now; raises HpmpiError."""
        began_at = time.monotonic()
        if self._summary is None or self.reading.is_due(began_at):
            self._summary = look(self._folder, self._summary)
            ended_at = time.monotonic()
            self.reading.took(ended_at - began_at, ended_at)
        return self._summary


def watch(folder: Path, tell: Callable[[Summary], str]) -> None:
    """Print what there is to tell of a run, and again when that changes, until it is over for good.

    One that was interrupted, drained or deserted may be gone on with at any time: it is watched.
    """
    watched, told = Watched(folder), ""
    while True:
        summary = watched.look()
        before, told = told, tell(summary)
        if told != before:
            say(told)
        if summary.outcome in OVER:
            return
        time.sleep(max(0.0, watched.reading.due_at - time.monotonic()))


def watch_in_terminal(folder: Path, top: int) -> None:
    """Have the live view of a run on stdout until it is over for good; then say how it stands."""
    watched = Watched(folder)
    summary = watched.look()
    view = LiveView(sys.stdout)
    try:
        while summary.outcome not in OVER:
            view.refresh(partial(page, summary))
            time.sleep(live.DRAW_S)
            summary = watched.look()
    finally:
        view.stop()
    say(show.text(summary, top))


def page(summary: Summary, top: int) -> tuple[Overview, str]:
    """Make what a page is of."""
    state = show.state(summary)
    if not summary.goes_on:
        state = "; ".join([state, *show.present(summary)])
    return summary.overview(top), state
