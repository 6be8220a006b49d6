"""How far a search is: the share that is done, and the time that is left, as they are known.

How much was done in this call, and how long that took, tells how long the rest will take.
"""

import sys
import time
from typing import TextIO

from hpmpi.api.results import Results
from hpmpi.errors import StoreError
from hpmpi.views.layout import span

PAUSE_S = 5.0
"""How often a line is written, and from when on: what takes less than that says nothing."""


class Progress:
    """Writes a line now and then, whenever it is shown how the run of a search stands."""

    def __init__(self, output: TextIO | None = None) -> None:
        """Count time from now on."""
        self._output = output or sys.stderr
        self._began_at = self._told_at = time.monotonic()
        self._found: float | None = None

    def __call__(self, results: Results) -> None:
        """Look at a run, which may have been begun by an earlier call."""
        now = time.monotonic()
        if self._found is None:
            self._found, self._began_at = results.share_done, now
        if now - self._told_at < PAUSE_S or not len(results.trials):
            return
        self._told_at, share = now, results.share_done
        left = left_s(share, self._found, now - self._began_at)
        self._output.write(f"SearchCV: {line(results, share, left)}\n")


def left_s(share: float, found: float, took_s: float) -> float | None:
    """Say how many seconds the rest will take; None where nothing tells.

    >>> left_s(0.5, 0.25, 10.0), left_s(0.25, 0.25, 10.0)
    (20.0, None)
    """
    return (1 - share) * took_s / (share - found) if share > found else None


def line(results: Results, share: float, left: float | None) -> str:
    """Say how a search stands."""
    trials, most = len(results.trials), results.study.stop.max_trials
    try:
        best = f", best {results.best.metrics[results.study.goal.metric]:.6g}"
    except StoreError:
        best = ""
    rest = "" if left is None else f", about {span(left)} left"
    of = f" of {most}" if most else ""
    return f"{share:.0%} done, {trials}{of} candidates begun{best}{rest}"
