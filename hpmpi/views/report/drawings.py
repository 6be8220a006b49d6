"""The figures of a page, as SVG in it, and what each is to be read as."""

import re
from collections.abc import Iterator
from html import escape

import msgspec
from matplotlib.figure import Figure

from hpmpi.views.figures.run import Run
from hpmpi.views.figures.style import Paper, image_of, styled
from hpmpi.views.plot import compared_of, figures_of

PAPER = Paper(titled=False, dpi=110, shapes=False)
"""Text stays text: it is small, can be searched, and grows with the page."""

CAPTIONS = {
    "incumbent": (
        "How the best grew",
        (
            "Each dot is a result; the line is the best trial so far. Trials that were trained for "
            "longer stand above all others: the line may turn worse where the first of them comes."
        ),
    ),
    "curves": ("Learning curves", "What trials reported on their way, the best five in front."),
    "importance": (
        "What matters",
        (
            "How much worse a trial's place can be told without knowing a hyperparameter. Bars "
            "that are shorter than their spread say nothing."
        ),
    ),
    "hyperparameters": (
        "Each hyperparameter",
        "A dot is a trial, at the most that it was trained to; the star is the best.",
    ),
    "parallel": (
        "Configurations",
        "A line is a trial; where the lines of the best run together, that value matters.",
    ),
    "front": ("The front", "What no other result beats in all metrics, among all results."),
    "rungs": ("Rungs", "How many trials were trained that far, and how many of them went on."),
    "timeline": ("What the ranks did", "A row is a rank, a bar a job; white is time without one."),
    "throughput": ("Throughput", "Results by time, and how many jobs were in work."),
    "ranks": ("The work of each rank", "A rank that did far less than others may be broken."),
}
"""In the order of the page: of each its title, and how it is read."""

NAMED = re.compile(r'(\bid="|\bhref="#|url\(#)')
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt"[^>]*?viewBox="([^"]+)"[^>]*>')
METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
PLACES = re.compile(r'\b(?:x|y|d|transform)="[^"]*"')
TOO_FINE = re.compile(r"(\.\d\d)\d+")
"""What of an SVG is written anew: names, its size, where things are; finer than can be seen."""

PIXELS, SMALLEST = 4 / 3, 0.8
"""Of a point; and to how much of its size a figure shrinks, before it is scrolled."""


class Drawing(msgspec.Struct, frozen=True):
    """A figure of a page: its title, how it is read, and its SVG."""

    title: str
    caption: str
    svg: str


def drawings(run: Run, place: int) -> list[Drawing]:
    """Draw the figures of a run; `place` tells its names from those of others on the page."""
    with styled(PAPER):
        found = {name: it for name, it in figures_of(run) if isinstance(it, Figure)}
        order = [name for kind in CAPTIONS for name in found if name.partition("-")[0] == kind]
        return [
            drawing(name, found[name], f"r{place}f{number}-") for number, name in enumerate(order)
        ]


def comparisons(runs: list[Run]) -> Iterator[Drawing]:
    """Draw several runs together."""
    with styled(PAPER):
        for name, figure in compared_of(runs):
            if isinstance(figure, Figure):
                yield drawing(name.removeprefix("compared-"), figure, f"{name}-")


def drawing(name: str, figure: Figure, prefix: str) -> Drawing:
    """Turn a figure into one of a page, whose names nothing else there has."""
    kind, _, page = name.partition("-")
    title, caption = CAPTIONS[kind]
    title = f"{title}, page {page}" if page else title
    return Drawing(title, caption, inline(image_of(figure, "svg").decode(), title, prefix))


def inline(svg: str, title: str, prefix: str) -> str:
    """Make an SVG a part of a page: an image by its title, as wide as there is room for."""
    svg = METADATA.sub("", NAMED.sub(rf"\g<1>{prefix}", svg[svg.index("<svg ") :]))
    svg = PLACES.sub(lambda found: TOO_FINE.sub(r"\1", found[0]), svg)
    size = SIZE.match(svg)
    assert size is not None, "it is one of matplotlib's"
    width = float(size[1]) * PIXELS
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" aria-label="{escape(title)}" viewBox="{size[2]}" '
        f'style="max-width: {width:.0f}px; min-width: {SMALLEST * width:.0f}px">'
    )
    return root + svg[size.end() :]
