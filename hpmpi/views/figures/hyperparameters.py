"""Each hyperparameter against the metric, at the highest rung that each trial has a result of."""

import math
from collections.abc import Iterator, Sequence

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpmpi.history.series import LARGEST, finite, reach_of, thinned
from hpmpi.history.standings import Standing
from hpmpi.model.dimensions import Dimension, Float, Int, OptionalRange
from hpmpi.model.listed import Listed
from hpmpi.model.trial import Config, Value
from hpmpi.model.values import is_number, label_of
from hpmpi.study.space_table import make_space
from hpmpi.views.figures.run import Run, axis_of_metric, described, mark_beyond
from hpmpi.views.figures.style import (
    INK,
    NARROWEST,
    PAPER,
    TURNED,
    Looks,
    legend,
    log_axis,
    new_figure,
    plain,
)

COLUMNS = 3
PER_PAGE = 9
MOST_PAGES = 12

MOST_DOTS = 1200
FEWEST_DOTS = 40
"""A rung has these many at least, so that the few of the highest are not lost among the others."""

MOST_CHOICES = 10
MOST_LETTERS = 28
LONGEST_CHOICE = 18
"""Of the names of choices: how many, and how long all, are side by side; and one alone."""

JITTER = 0.55
FEW = 100
"""Dots that may be larger."""

MOST_VECTORS = 300
"""Dots of a panel that an SVG keeps as shapes; more become an image in it."""

FEW_WHOLE = 12
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples are spread evenly, with no chance in it."""


def hyperparameters(run: Run) -> Iterator[Figure]:
    """Draw a panel for each hyperparameter, some to a page."""
    unpacked = (Dot(it.trial, it.rung, it.config, value_of(it, run)) for it in run.ranking)
    dots = [it for it in unpacked if not math.isnan(it.value)]
    names = list(dict.fromkeys(name for it in dots for name in it.config))
    space = make_space(run.summary.study.space, [])
    dimensions = space.dimensions if space else {}
    pages = [names[at : at + PER_PAGE] for at in range(0, len(names), PER_PAGE)][:MOST_PAGES]
    many = len(dots) > MOST_DOTS
    some = f" of some {MOST_DOTS:,} trials" if many else ""
    drawn = sum(map(len, pages))
    left = f", the first {drawn} of {len(names)}" if drawn < len(names) else ""
    width = PAPER.get().width
    widest = COLUMNS if width is None else int(width / NARROWEST) or 1
    for number, page in enumerate(pages, start=1):
        of = f", page {number} of {len(pages)}{left}" if len(pages) > 1 else ""
        columns = min(COLUMNS, widest, len(page))
        rows = -(-len(page) // columns)
        title, subtitle = described([run], f"hyperparameters{of}{some}")
        size = (max(6.4, 3.2 * columns), 1.1 + 2.5 * rows)
        figure, panels = new_figure(
            title, subtitle, rows=rows, columns=columns, size=size, sharey=True
        )
        scale_metric(panels[::columns], run, dots)
        for name, panel in zip(page, panels, strict=False):
            draw(panel, run, dots, name, dimensions.get(name))
        for panel in panels[len(page) :]:
            panel.set_visible(False)
        legend(figure)
        yield figure


class Dot(msgspec.Struct, frozen=True):
    """A trial as it is drawn: unpacked once, as there may be very many."""

    trial: int
    rung: int
    config: Config
    value: float


def value_of(standing: Standing, run: Run) -> float:
    """Tell what a trial has reached; NaN where no axis shows that."""
    return finite(standing.metrics[run.goal.metric])


def scale_metric(panels: Sequence[Axes], run: Run, dots: Sequence[Dot]) -> None:
    """Scale the axis that all panels share, and name it beside the first of each row."""
    values = [it.value for it in dots]
    for panel in panels:
        axis_of_metric(panel, run.goal, reach_of(values, run.goal), values[:1])


def draw(
    panel: Axes, run: Run, dots: Sequence[Dot], name: str, dimension: Dimension | None
) -> None:
    """Draw a hyperparameter: the trials by rung, the highest in front."""
    having = [it for it in dots if is_placed(it, name, dimension)]
    scale = Scale(name, dimension, [it.config[name] for it in having])
    for number, (rung, look) in enumerate(run.looks.items()):
        some = [it for it in having if it.rung == rung]
        few = thinned(some, FEWEST_DOTS + MOST_DOTS * len(some) // max(1, len(having)))
        panel.scatter(
            [scale.place(it) for it in few],
            [it.value for it in few],
            s=14 if len(having) > FEW else 28,
            alpha=0.75,
            linewidths=0.3,
            edgecolors="white",
            color=look.colour,
            marker=look.marker,
            zorder=2 + number / 1000,
            rasterized=len(having) > MOST_VECTORS,
            label=run.label(rung) if some else None,
        )
    incumbent = run.history.incumbent
    best = [it for it in having if incumbent is not None and it.trial == incumbent.trial]
    if best:
        star: Looks = {
            "marker": "*",
            "s": 110,
            "color": "white",
            "edgecolors": INK,
            "linewidths": 0.9,
        }
        place, value = scale.place(best[0]), best[0].value
        panel.scatter([place], [value], **star, zorder=5, label="incumbent")
    places = [scale.place(it) if is_placed(it, name, dimension) else math.nan for it in dots]
    mark_beyond(panel, run.goal, [(at, it.value) for at, it in zip(places, dots, strict=True)])
    panel.set_xlabel(plain(name, 34))
    scale.mark(panel)


class Scale:
    """The axis of a hyperparameter: numbers, log or not, or categories side by side."""

    def __init__(self, name: str, dimension: Dimension | None, values: Sequence[Value]) -> None:
        """Choose it by the dimension, and by the values where there is no telling."""
        self._name = name
        if isinstance(dimension, OptionalRange):
            dimension = dimension.range
        self._log = ends_by_powers(dimension, values)
        self._categories: dict[str, int] = {}
        self._choices: dict[str, Value | None] = {}
        if isinstance(dimension, Listed) or not all(map(is_axis_number, values)):
            known = dimension.values if isinstance(dimension, Listed) else []
            self._choices = {repr(it): it for it in [*known, *values]}  # 1, 1.0 and True are three
            if isinstance(dimension, Listed):
                self._choices = {key: dimension.shown(it) for key, it in self._choices.items()}
            self._categories = {key: place for place, key in enumerate(self._choices)}
        self._whole = isinstance(dimension, Int)
        self._ends: tuple[int, int] | None = None
        if isinstance(dimension, Int) and dimension.high - dimension.low <= FEW_WHOLE:
            self._ends = None if self._log else (dimension.low, dimension.high)
        self._jitter = JITTER if self._categories or self._ends else 0.0

    def place(self, dot: Dot) -> float:
        """Find where a trial stands; beside others of its category."""
        value = dot.config[self._name]
        place = self._categories[repr(value)] if self._categories else float(value)
        return place + self._jitter * (dot.trial * GOLDEN % 1 - 0.5)

    def mark(self, panel: Axes) -> None:
        """Set the ticks."""
        if self._log and not self._categories:
            log_axis(panel, "x", *self._log)
        elif self._categories:
            told = thinned(list(self._categories), MOST_CHOICES)
            names = [plain(label_of(self._choices[key]), LONGEST_CHOICE) for key in told]
            look = TURNED if sum(map(len, names)) > MOST_LETTERS else {}
            panel.set_xticks([self._categories[key] for key in told], names, **look)
            panel.set_xlim(-0.6, len(self._categories) - 0.4)
            panel.grid(visible=False, axis="x")
        else:
            if self._ends:
                panel.set_xlim(self._ends[0] - 0.6, self._ends[1] + 0.6)
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=self._whole, min_n_ticks=1))


def ends_by_powers(
    dimension: Dimension | None, values: Sequence[Value]
) -> tuple[float, float] | None:
    """Find the ends of an axis that is to go by powers."""
    if not isinstance(dimension, Float | Int) or not dimension.log:
        return None
    positive = [float(it) for it in values if is_number(it) and 0 < it < LARGEST]
    return (min(positive), max(positive)) if positive else (dimension.low, dimension.high)


def is_placed(dot: Dot, name: str, dimension: Dimension | None) -> bool:
    """Tell whether a trial has a place on an axis: among numbers there is none for no value."""
    config = dot.config
    return config.get(name) is not None or (name in config and isinstance(dimension, Listed))


def is_axis_number(value: Value) -> bool:
    """Tell what a numbered axis can show."""
    return is_number(value) and abs(float(value)) < LARGEST
