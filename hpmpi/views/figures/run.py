"""A run as figures take it, and what all say of it: title, unit of time, axis of the metric."""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from hpmpi.history.attempts import Attempt
from hpmpi.history.history import History
from hpmpi.history.series import Answer, Reach, answers, learning, thinned
from hpmpi.history.standings import Standing
from hpmpi.model.trial import Goal
from hpmpi.views.figures.style import (
    LINES,
    MARKERS,
    MUTED,
    PALETTE,
    Looks,
    log_axis,
    plain,
    shades,
    short,
)
from hpmpi.views.importance import Importance, Question
from hpmpi.views.layout import resource_of
from hpmpi.views.run_view import Summary
from hpmpi.views.show import state

CLOCKS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "days"))

MOST_IN_UNIT = 180.0
"""How many of a unit of time are told before the next one is taken."""

MOST_MARKERS = 10
"""On the line of a run."""

MOST_NAMED = 7
"""How many rungs a legend names."""

MOST_BEYOND = 200
EDGES = {"min": (0.975, r"$\uparrow$"), "max": (0.025, r"$\downarrow$")}
"""Of what is worse than an axis shows: how many have a mark; how high, and where it points."""

ROOM = 0.02
"""What an axis of time or resource has beyond its ends, of its length: marks there are whole."""

amount = EngFormatter(sep="")
"""Writes 12000 as 12k."""


class Look(NamedTuple):
    """What a rung is told from the others by."""

    colour: str
    marker: str


class Run(msgspec.Struct, frozen=True, dict=True):
    """A run by the name that it goes by beside others, and its series.

    `answers` are the results as they came in, `curves` the points of each trial.
    """

    name: str
    summary: Summary
    answers: list[Answer]
    curves: dict[int, list[tuple[int, float]]]

    @classmethod
    def of(cls, name: str, summary: Summary) -> "Run":
        """Collect the series of a run."""
        return cls(name, summary, [*answers(summary.history)], learning(summary.history))

    @property
    def history(self) -> History:
        """What its journal says."""
        return self.summary.history

    @property
    def goal(self) -> Goal:
        """What was studied."""
        return self.history.goal

    @property
    def best(self) -> list[Answer]:
        """The answers that brought another or a better incumbent."""
        return [answer for answer in self.answers if answer.is_best]

    @property
    def attempts(self) -> Collection[Attempt]:
        """All attempts, as they were handed out."""
        return self.history.attempts.values()

    @property
    def ranks(self) -> list[int]:
        """The ranks that there was a word of."""
        return list(self.history.ranks)

    @property
    def ended(self) -> float:
        """When it ended, or how far it is."""
        return self.history.at

    @property
    def resources(self) -> dict[int, int]:
        """The resource of each rung, lowest first."""
        return {rung.rung: rung.resource for rung in self.summary.rungs}

    @property
    def looks(self) -> dict[int, Look]:
        """How each rung is told from the others: the higher, the darker."""
        rungs = self.resources
        return {
            rung: Look(colour, MARKERS[place % len(MARKERS)])
            for place, (rung, colour) in enumerate(zip(rungs, shades(len(rungs)), strict=True))
        }

    def label(self, rung: int) -> str | None:
        """Name a rung for a legend; of very many only some have a name there."""
        rungs = self.resources
        named = rung in thinned(list(rungs), MOST_NAMED)
        return resource_of(rungs[rung], self.unit) if named else None

    @cached_property
    def ranking(self) -> list[Standing]:
        """The trials that have a result, best first; very many take a while to be sorted."""
        return self.history.standings.ranking()

    @cached_property
    def question(self) -> Question:
        """What is asked of its hyperparameters: whoever draws much asks before, and closes it."""
        return Question(self.history)

    @cached_property
    def importance(self) -> Importance | None:
        """How much each hyperparameter matters, where enough trials tell."""
        return self.question.answer()

    @property
    def unit(self) -> str:
        """What the resource is, for people."""
        return self.summary.study.unit


def described(runs: Sequence[Run], what: str, *, metric: bool = True) -> tuple[str, str]:
    """Say in a title what is shown of which study, and in a line below by what and of how much.

    The `metric` is told where it is drawn.
    """
    goal, first = runs[0].goal, runs[0].summary
    name = short(first.study.name, 40)
    by = [f"{short(goal.metric, 60)} (mode {goal.mode})"] if metric else []
    if len(runs) > 1:
        others = {run.summary.study.name for run in runs} - {first.study.name}
        of = f"{name} and {len(others)} other{'s' if len(others) > 1 else ''}" if others else name
        return f"{of}: {what}, {len(runs)} runs", "".join(by)
    history = first.history
    second, unit = clock(history.at)
    told = [f"{len(history.trials):,} trials", f"{history.results:,} results"]
    told += [f"{len(runs[0].ranks):,} ranks", f"{history.at / second:.3g} {unit}"]
    return f"{name}: {what}", "  ·  ".join([*by, ", ".join([*told, state(first)])])


def look_of(number: int, run: Run) -> Looks:
    """Tell the lines of several runs apart: by colour, dashes, markers and name."""
    place = number % len(PALETTE)
    dashes = LINES[(place + number // len(PALETTE)) % len(LINES)]
    marked: Looks = {"marker": MARKERS[place], "markersize": 4.5, "markevery": 1 / MOST_MARKERS}
    return {"color": PALETTE[place], "linestyle": dashes, "label": plain(run.name, 44), **marked}


def clock(span_s: float) -> tuple[float, str]:
    """Choose a unit of time for a span: its seconds, and its name.

    >>> clock(60), clock(7200), clock(0)
    ((1.0, 's'), (60.0, 'min'), (1.0, 's'))
    """
    fitting = (each for each in CLOCKS if span_s / each[0] <= MOST_IN_UNIT)
    return next(fitting, CLOCKS[-1])


def axis_of_metric(
    panel: Axes, goal: Goal, reach: Reach | None, shown: Sequence[float] = (), which: str = "y"
) -> None:
    """Name the axis of a metric; scale it to `reach`, and to what must be `shown`."""
    panel.set(**{f"{which}label": plain(goal.metric, 24)})
    if reach is None:
        return
    fit = [value for value in shown if value > 0 or not reach.log]
    low, high = min([reach.low, *fit]), max([reach.high, *fit])
    if reach.log:
        room = (high / low) ** 0.06 if high > low else 2.0
        low, high = low / room, high * room
        log_axis(panel, which, low, high)
    else:
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        low, high = low - room, high + room
    panel.set(**{f"{which}lim": (low, high)})


def span_from_zero(panel: Axes, longest: float) -> None:
    """Have the x axis show what is from 0 to the longest, marks at both ends whole."""
    room = ROOM * longest or 1.0
    panel.set_xlim(-room, longest + room)


def mark_beyond(
    panel: Axes,
    goal: Goal,
    points: Sequence[tuple[float, float]],
    worse: str = "worse than shown, at the edge",
) -> None:
    """Mark at the edge of an axis that is scaled already what is worse than it shows."""
    low, high = panel.get_ylim()
    if goal.mode == "max":
        places = [place for place, value in points if value < low]
    else:
        places = [place for place, value in points if value > high]
    if not places:
        return
    shown = thinned(places, MOST_BEYOND)
    height, marker = EDGES[goal.mode]
    panel.scatter(
        shown,
        [height] * len(shown),
        transform=panel.get_xaxis_transform(),
        marker=marker,
        s=60,
        color=MUTED,
        linewidths=0,
        zorder=3,
        label=f"{len(places):,} {worse}",
    )
