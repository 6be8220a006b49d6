"""How all figures look: one palette whose lightness tells it apart, and marks that need no colour.

Colours are steps of viridis, dark to light, so that they keep their order in grey and for every
eye; whoever tells things apart by colour gives them a line style, a marker or a hatch as well. Only
what went wrong is orange.

Rule: no global state of matplotlib's is touched, but within a `with` of ours.
"""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend

from hpmpi.errors import StoreError
from hpmpi.storage import files

PALETTE = ("#440154", "#3b528b", "#21918c", "#44bf70", "#a0c814")
"""From dark to light."""

Looks = dict[str, Any]
"""How a mark looks, in the words of matplotlib."""

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

DPI = 200
NARROWEST_PT = 8.0
"""The smallest text."""

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
    "svg.fonttype": "path",
    "svg.hashsalt": "hpmpi",
}


def styled() -> AbstractContextManager[None]:
    """Draw in our style, whatever the user's matplotlibrc says."""
    settings: dict[Any, Any] = {**rcParamsDefault, **STYLE}
    settings.pop("backend", None)
    return rc_context(settings)


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
    of matplotlib's `Figure.subplots`, such as `sharex`.
    """
    width, height = size or (WIDTH * columns**0.7, HEIGHT * rows**0.8)
    head = (HEAD if subtitle else HEAD - 0.2) / height
    with styled():
        room = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head), w_pad=0.08)
        figure = Figure(figsize=(width, height), layout=room)
        named: Looks = {"ha": "left", "va": "top"}
        bold, x = plain(title, int(width * 9)), 0.1 / width
        figure.text(x, 1 - 0.1 / height, bold, fontsize=12, fontweight="bold", **named)
        told = plain(subtitle, int(width * 15))
        figure.text(x, 1 - 0.34 / height, told, fontsize=8.5, color=MUTED, **named)
        panels = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(np.ravel(panels))


def legend(place: Axes | Figure, **options: Any) -> Legend:
    """Add a legend: by default outside, at the bottom, where it hides nothing."""
    with styled():
        if isinstance(place, Figure):
            return place.legend(**{"loc": "outside lower left", "ncols": 6, **options})
        return place.legend(**options)


def save(figure: Figure, path: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write a figure to `path` with each format as its suffix; the same figure is the same bytes.

    Returns the files; raises StoreError where they can't be written.
    """
    written = []
    for kind in formats:
        file = path.with_name(f"{path.name}.{kind}")
        image = io.BytesIO()
        with styled():
            figure.savefig(image, format=kind, dpi=DPI, metadata=NO_DATE.get(kind))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            files.replace(file, image.getvalue())
        except OSError as error:
            raise StoreError(f"{file} can't be written: {error.strerror}") from error
        written.append(file)
    return written


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
