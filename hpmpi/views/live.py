"""The live view of a run: a page for a terminal, of an overview, drawn anew while the run goes on.

    head   the study and its state; the share that is done, and when it ends; the ranks
    rungs  how many jobs there were of each, with a bar
    best   the incumbent with all of its configuration, and since when
    trials the leaderboard and the trials in work, each with half of the lines that are left
    end    the failures by kind

Rules: a line of the page is a line of the terminal, so that the page is never longer than that.
What a study or an error says is escaped. The cursor stays to be seen: who kills us leaves it so.
"""

import logging
import os
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from hpmpi.history.overview import FailureSort, Overview
from hpmpi.model.messages import escaped, gist
from hpmpi.model.timers import Sparing
from hpmpi.views import conclusion, rows, show
from hpmpi.views.layout import (
    aligned,
    clock,
    count_of,
    cut,
    pace,
    percent,
    reached,
    resource_of,
    span,
)

BAR = "\u2501"
"""What bars are drawn with, where the terminal's encoding has it."""

DRAW_S = 1.0
"""How often a page is drawn."""

DRAW_SHARE = 0.01
"""The share of a processor's time that drawing may take, the overview included."""

TOP = 20
"""How many of the best trials a page may have."""

MOST_CONFIG = 4
MOST_FAILURES = 3
MOST_RUNGS = 8
"""How many lines a page has of these."""

LONGEST_CELL = 16
"""Of a table of trials, in characters."""

Page = Callable[[int], tuple[Overview, str]]
"""Makes an overview, with so many of the best trials, and names the state of the run."""

Line = Sequence[str | tuple[str, str]]
"""The parts of a line, each with a style of rich's, or none."""


class LiveView:
    """Draws pages in a terminal, below what is logged, until it is stopped."""

    def __init__(self, stream: TextIO) -> None:
        """Take the terminal that a stream is."""
        from rich.console import Console  # noqa: PLC0415 - no rank but this one needs it
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(file=stream, highlight=False, markup=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            vertical_overflow="crop",
        )
        self._live.start()
        self._console.show_cursor(True)  # noqa: FBT003 - positional only
        self._drawing = Sparing(DRAW_SHARE, DRAW_S)

    def refresh(self, make: Page) -> None:
        """Draw another page, if the last one was drawn long enough ago."""
        from rich.console import Group  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        began_at, used_s = time.monotonic(), time.thread_time()
        if not self._drawing.is_due(began_at):
            return
        view, state = make(TOP)
        width, height = self._console.size
        bar = "#" if self._console.options.ascii_only else BAR
        page = page_of(view, state, time.time(), (width, height - 1), bar)
        lines = [Text.assemble(*line, no_wrap=True, overflow="ellipsis") for line in page]
        self._live.update(Group(*lines), refresh=True)
        self._drawing.took(time.thread_time() - used_s, began_at)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def on_terminal() -> LiveView | None:
    """Have a live view where stderr is a terminal that can show one, and people want to see it."""
    is_able = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    is_wanted = logging.getLogger("hpmpi").isEnabledFor(logging.INFO)
    return LiveView(sys.stderr) if is_able and is_wanted else None


def in_a_line(view: Overview, now: float) -> str:
    """Sum up an overview for a log; `now` is in seconds since 1970."""
    done = "" if view.done is None else f" ({percent(view.done)} done)"
    best = [f"best: trial {it.trial}, {reached(view.goal, it.metrics)}" for it in view.best[:1]]
    parts = [
        f"{tried(view)}{done}",
        *ending(view, now),
        *(best or [conclusion.nothing_yet(view)]),
        f"ranks: {show.ranks(view.ranks)}",
        pace(view.rate),
        *map(times, view.failures),
    ]
    return "; ".join(parts)


def tried(view: Overview) -> str:
    """Say how many trials were tried, of how many."""
    most = view.study.stop.max_trials
    of = f"{view.tried} of {count_of(most, 'trial')}" if most else count_of(view.tried, "trial")
    return f"{of} tried"


def ending(view: Overview, now: float) -> list[str]:
    """Say when a study ends, at this pace, if that can be told."""
    if view.left_s is None:
        return []
    return [f"ends about {clock(now + view.left_s, now)} (in {span(view.left_s)})"]


# -- the page --------------------------------------------------------------------------------------


def page_of(
    view: Overview, state: str, now: float, size: tuple[int, int], bar: str = BAR
) -> list[Line]:
    """Write a page of so many columns and lines; `now` is in seconds since 1970."""
    width, height = size
    blocks: list[list[Line]] = [
        [title(view, state, width), share(view, now, width, bar), ranks(view)],
        ladder(view, width, bar),
        incumbent(view, width),
        [],
        failures(view.failures),
    ]
    used = sum(len(block) + 1 for block in blocks if block)
    blocks[3] = trials(view, height - used)
    page = [line for block in blocks if block for line in (*block, [""])]
    return page[:-1][:height]


def title(view: Overview, state: str, width: int) -> Line:
    """Name the study and its state, and say how much was tried."""
    left = f"{escaped(view.study.name)}: {escaped(state)}, {span(view.at)}"
    return [(left, "bold"), f"  {tried(view)}".rjust(width - len(left))]


def share(view: Overview, now: float, width: int, bar: str) -> Line:
    """Say how much is done, and when it ends, at this pace and at the latest."""
    ends = ending(view, now)
    if view.study.stop.time_s is not None:
        ends.append(f"stop.time_s is over at {clock(now + view.study.stop.time_s - view.at, now)}")
    if view.drains_in_s is not None:
        ends.append(f"drains at {clock(now + view.drains_in_s, now)}, as the allocation ends")
    if view.done is None:
        return ["; ".join(ends) or "it ends when its target or a plateau is reached"]
    said = f" {percent(view.done)} done" + "".join(f"; {end}" for end in ends)
    room = max(10, width - len(said))
    filled = round(view.done * room)
    return [(bar * filled, "green"), (bar * (room - filled), "bright_black"), said]


def ranks(view: Overview) -> Line:
    """Count the ranks by state."""
    rate = f"; {pace(view.rate)}" if view.rate else ""
    return [f"ranks: {escaped(show.ranks(view.ranks))}{rate}"]


def ladder(view: Overview, width: int, bar: str) -> list[Line]:
    """Count the jobs by rung, each with a bar as long as it has results."""
    table = rows.rungs(view)[: MOST_RUNGS + 1]
    if not table:
        return []
    eta = view.study.scheduler.get("eta")
    head, *lines = aligned([[*row, ""] for row in table])
    explained = f"one in {eta} is promoted" if isinstance(eta, int) else ""
    indent = max(map(len, [head, *lines])) + 2
    room = max(0, width - indent)
    most = max([1, *(rung.results for rung in view.rungs)])
    bars = [bar * -(-rung.results * room // most) for rung in view.rungs]
    page: list[Line] = [[(f"{head.ljust(indent)}{explained}", "dim")]]
    for line, filled in zip(lines, bars, strict=False):
        page.append([line.ljust(indent), (filled, "cyan")])
    return page


def incumbent(view: Overview, width: int) -> list[Line]:
    """Say what is best, since when, and all of its configuration."""
    if not view.best:
        return [[escaped(conclusion.nothing_yet(view))]]
    best = view.best[0]
    since = "" if view.improved_at is None else f", found {span(view.at - view.improved_at)} ago"
    told = f"{reached(view.goal, best.metrics)} at {resource_of(best.resource, view.study.unit)}"
    base = f" (baseline: {reached(view.goal, view.baseline)})" if view.baseline else ""
    config = rows.configuration(view.space.shown(best.config))
    lines = textwrap.wrap(escaped(config), max(20, width - 6))
    return [
        [("best", "bold"), escaped(f": trial {best.trial}, {told}{since}{base}")],
        *([f"      {line}"] for line in shortened(lines, MOST_CONFIG)),
    ]


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Leave out lines where there are too many."""
    return [*lines] if len(lines) <= most else [*lines[: most - 1], "..."]


def trials(view: Overview, room: int) -> list[Line]:
    """Write the leaderboard and the trials in work, in so many lines, the one between them too."""
    best, work = len(view.best), len(view.running)
    half = max(0, room - 4) // 2
    best_lines = min(best, max(half, room - 4 - work))
    work_lines = min(work, room - 4 - best_lines)
    tables = []
    if best_lines > 0:
        tables.append(rows.leaderboard(view)[: best_lines + 1])
    if work_lines > 0:
        tables.append(rows.running(view, work_lines))
    return [line for table in tables for line in (*table_lines(table), [""])][:-1]


def table_lines(table: list[list[str]]) -> list[Line]:
    """Align a table, its head dim; no cell is so long that it hides all others."""
    head, *lines = aligned([[cut(cell, LONGEST_CELL) for cell in row] for row in table])
    return [[(head, "dim")], *([line] for line in lines)]


def failures(sorts: Sequence[FailureSort]) -> list[Line]:
    """Say how often attempts failed, by kind, and how the newest of them did."""
    return [[(times(it), "red"), f", the newest: {last(it)}"] for it in sorts[:MOST_FAILURES]]


def times(sort: FailureSort) -> str:
    """Say how often attempts failed in a way."""
    return f"{sort.times} x {sort.newest.kind.value}"


def last(sort: FailureSort) -> str:
    """Say which attempt failed last in a way, and what it said."""
    failed = sort.newest
    who = f"{show.name_of(failed.attempt.trial)} on rank {failed.rank}"
    return f"{who}: {escaped(gist(failed.error))}"
