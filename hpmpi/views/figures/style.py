"""How all figures look: one palette whose lightness tells it apart, and marks that need no colour.

Colours are steps of viridis, dark to light, so that they keep their order in grey and for every
eye; whoever tells things apart by colour gives them a line style, a marker or a hatch as well. Only
what went wrong is orange.

Rule: no global state of matplotlib's is touched, but within a `with` of ours.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from logging import WARNING, getLogger
from pathlib import Path
from textwrap import fill
from typing import Any

import msgspec
import numpy as np
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatterMathtext,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from hpmpi.errors import StoreError
from hpmpi.storage import files

PALETTE = ("#440154", "#3b528b", "#21918c", "#44bf70", "#a0c814")
"""From dark to light."""

Looks = dict[str, Any]
"""How a mark looks, in the words of matplotlib."""

TURNED: Looks = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
"""How names lie below an axis that has no room for them side by side."""

LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v")
HATCHES = ("", "////", "....", "xxxx", "----")
"""What goes with the colours, in the same order."""

WRONG = "#d55e00"
"""Failures, lost ranks and restarts."""

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#d4d4d4"
"""Text, what is said beside it, and what is only there to compare with."""

WIDTH, HEIGHT = 6.4, 3.6
"""Of one panel, in inches."""

HEAD = 0.55
"""How much of it is left for the title and the subtitle, in inches."""

NARROWEST_PT = 8.0
"""The smallest text."""

NARROWEST = 2.0
"""How wide a panel is at least where a figure's width is asked for, in inches."""


class Paper(msgspec.Struct, frozen=True):
    """What a figure is drawn for: how wide it is in inches, if that is asked for, and its title.

    `dpi` is of images, in a file or in an SVG; `shapes`: whether text becomes shapes that look
    alike everywhere, or stays text.
    """

    width: float | None = None
    titled: bool = True
    dpi: int = 200
    shapes: bool = True


getLogger("fontTools").setLevel(WARNING)  # it tells of each glyph that goes into a PDF

SCREEN = Paper()
PAPER: ContextVar[Paper] = ContextVar("PAPER", default=SCREEN)

STYLE: dict[str, Any] = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "axes.edgecolor": MUTED,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.formatter.useoffset": False,
    "figure.dpi": 100.0,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "grid.color": "#ececec",
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.8,
    "xtick.labelsize": NARROWEST_PT,
    "ytick.labelsize": NARROWEST_PT,
    "pdf.fonttype": 42,  # TrueType: what journals take
    "svg.hashsalt": "hpmpi",
}


@contextmanager
def styled(paper: Paper | None = None) -> Iterator[None]:
    """Draw in our style, whatever the user's matplotlibrc says, for a paper if one is named."""
    token = PAPER.set(paper or PAPER.get())
    text = "path" if PAPER.get().shapes else "none"
    settings: dict[Any, Any] = {**rcParamsDefault, **STYLE, "svg.fonttype": text}
    settings.pop("backend", None)
    try:
        with rc_context(settings):
            yield
    finally:
        PAPER.reset(token)


def new_figure(
    title: str,
    subtitle: str = "",
    *,
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] | None = None,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Begin a figure of panels, row by row; `size` is of all of it, in inches.

    Draw in it within `with styled()`: text takes its style as it is made. The `options` are those
    of matplotlib's `Figure.subplots`, such as `sharex`. On a narrow paper the panels of a row are
    below each other.
    """
    paper = PAPER.get()
    width, height = size or (WIDTH * columns**0.7, HEIGHT * rows**0.8)
    if paper.width is not None:
        width = paper.width
        if width < NARROWEST * columns:
            rows, height, columns = rows * columns, height * columns**0.8, 1
    head = (HEAD if subtitle else HEAD - 0.2) / height if paper.titled else 0.0
    with styled():
        room = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head), w_pad=0.08)
        figure = Figure(figsize=(width, height), layout=room)
        if paper.titled:
            write_head(figure, title, subtitle)
        panels = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(np.ravel(panels))


def write_head(figure: Figure, title: str, subtitle: str) -> None:
    """Write a title and what is said below it, at the top left."""
    width, height = figure.get_size_inches()
    named: Looks = {"ha": "left", "va": "top"}
    bold, x = plain(title, int(width * 9)), 0.1 / width
    figure.text(x, 1 - 0.1 / height, bold, fontsize=12, fontweight="bold", **named)
    told = plain(subtitle, int(width * 15))
    figure.text(x, 1 - 0.34 / height, told, fontsize=8.5, color=MUTED, **named)


def legend(figure: Figure, ncols: int = 6, **options: Any) -> Legend | None:
    """Add a legend at the bottom, where it hides nothing, in as many columns as there is room for.

    None where there is nothing to name.
    """
    if "handles" not in options:
        named = (panel.get_legend_handles_labels() for panel in figure.axes)
        by_label = {label: it for pairs in named for it, label in zip(*pairs, strict=True)}
        options["handles"] = list(by_label.values())
    handles = options["handles"]
    if not handles:
        return None
    place: Looks = {"loc": "outside lower left", "columnspacing": 1.4, **options}
    with styled():
        for columns in range(min(ncols, len(handles)), 0, -1):
            told = figure.legend(ncols=columns, **place)
            if told.get_window_extent().width <= figure.bbox.width - MARGINS or columns == 1:
                break
            told.remove()
    return told


MARGINS = 14.0
"""Of a legend, both together, in the dots that a figure is laid out in: 100 an inch."""


def wrapped(title: str, panel: Axes) -> str:
    """Break the title of a panel that is as wide as its figure into lines that fit."""
    return fill(title, int((panel.bbox.width / 100 - 0.5) * LETTERS))


LETTERS = 13
"""Of a title, to an inch."""


def log_axis(panel: Axes, which: str, low: float, high: float) -> None:
    """Give `which` axis, x or y, a log scale, and no more numbers than there is room for."""
    axis = {"x": panel.xaxis, "y": panel.yaxis}[which]
    panel.set(**{f"{which}scale": "log"})
    decades = math.log10(high / low)
    if decades < HALF_A_DECADE:
        axis.set_major_locator(MaxNLocator(4))
    else:
        subs = (1, 2, 5) if decades < FEW_DECADES[which] else (1,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_minor_locator(NullLocator())
    if decades < MOST_DECADES:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_formatter(LogFormatterMathtext())


HALF_A_DECADE, MOST_DECADES = 0.5, 4.0
"""Below these, a log axis has evenly spread numbers, and writes them out."""

FEW_DECADES = {"x": 1.5, "y": 2.8}
"""Below this it has 1, 2, 5, 10, 20 and so on: numbers side by side take more room."""


def save(figure: Figure, path: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write a figure to `path` with each format as its suffix; the same figure is the same bytes.

    Returns the files; raises StoreError where they can't be written.
    """
    written = []
    for kind in formats:
        file = path.with_name(f"{path.name}.{kind}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            files.replace(file, image_of(figure, kind))
        except OSError as error:
            raise StoreError(f"{file} can't be written: {error.strerror}") from error
        written.append(file)
    return written


def image_of(figure: Figure, kind: str) -> bytes:
    """Draw a figure in a format."""
    image = io.BytesIO()
    with styled():
        figure.savefig(image, format=kind, dpi=PAPER.get().dpi, metadata=NO_DATE.get(kind))
    return image.getvalue()


NO_DATE: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def shades(count: int) -> list[str]:
    """Give `count` steps of the palette, light to dark: what is higher is darker."""
    steps = np.linspace(0.85, 0.0, count) if count > 1 else [0.25]
    return [to_hex(colormaps["viridis"](step)) for step in steps]


def plain(text: str, width: int = 60) -> str:
    r"""Have matplotlib show a text as it is, no formula in it; cut where it is too long.

    >>> plain("cost in $")
    'cost in \\$'
    """
    return short(text, width).replace("$", r"\$")


def short(text: str, width: int) -> str:
    """Cut a text in its middle where it is too long; escape what can't be seen.

    >>> short("a-very-long-name-of-a-folder", 12)
    'a-very…older'
    """
    font = get_font(findfont("DejaVu Sans"))
    shown = "".join(
        each if each.isprintable() and font.get_char_index(ord(each)) else ascii(each)[1:-1]
        for each in text
    )
    if len(shown) <= width:
        return shown
    return f"{shown[: width // 2]}…{shown[len(shown) - (width - 1) // 2 :]}"
