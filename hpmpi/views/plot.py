"""`hpmpi plot`: the figures of runs, finished or not, as files.

The run folders are only read: they are nobody's to lock, and what they name is not imported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hpmpi.errors import HpmpiError
from hpmpi.history.series import tell
from hpmpi.storage import files
from hpmpi.views.run_view import look as summary_of

try:
    from matplotlib.figure import Figure

    from hpmpi.views.figures.curves import curves
    from hpmpi.views.figures.hyperparameters import hyperparameters
    from hpmpi.views.figures.incumbent import incumbent
    from hpmpi.views.figures.ranks import ranks
    from hpmpi.views.figures.run import Run
    from hpmpi.views.figures.rungs import rungs
    from hpmpi.views.figures.style import save, styled
    from hpmpi.views.figures.throughput import throughput
    from hpmpi.views.figures.timeline import timeline
except ImportError as error:
    told = f"plot needs matplotlib ({error}): pip install 'hpmpi[plot]'"
    raise HpmpiError(told) from error

FOLDER = "plots"
"""Where figures go, in the folder of their run."""

COMPARED: Mapping[str, Callable[[Sequence[Run]], Figure | str | None]] = {
    "incumbent": incumbent,
    "throughput": throughput,
    "ranks": ranks,
}
"""What is drawn of a run, and of several together."""

SINGLE: Mapping[str, Callable[[Run], Figure | None]] = {
    "curves": curves,
    "rungs": rungs,
    "timeline": timeline,
}
"""What is drawn of each run by itself."""


def plot(
    folders: Sequence[Path], out: Path | None, formats: Sequence[str], say: Callable[[str], None]
) -> Iterator[Path]:
    """Draw all figures of runs, and name each file once it is written; `say` what there is not.

    Without `out`, those of a run go into its folder, and those that compare several into ./plots.
    Raises StoreError for a folder that is no run's, and where a file can't be written.
    """
    runs = [look(folder, name) for name, folder in named(folders).items()]
    with styled():
        for folder, run in zip(named(folders).values(), runs, strict=True):
            files.refuse_strangers(folder, (), (FOLDER,))
            inside = out if out is None or len(runs) == 1 else out / run.name
            for name, figure in figures_of(run):
                yield from written(figure, inside or folder / FOLDER, name, formats, say)
        for name, draw in COMPARED.items() if len(runs) > 1 else ():
            yield from written(draw(runs), out or Path(FOLDER), f"compared-{name}", formats, say)


def named(folders: Sequence[Path]) -> dict[str, Path]:
    """Name runs after the ends of their folders, as short as they differ by.

    >>> list(named([Path("/a/one"), Path("/a/two")])), list(named([Path("/a/x"), Path("/b/x")]))
    (['one', 'two'], ['a/x', 'b/x'])
    """
    whole = {folder.absolute(): folder for folder in folders}
    for parts in range(1, 2 + max((len(path.parts) for path in whole), default=0)):
        short = {"/".join(path.parts[-parts:]): folder for path, folder in whole.items()}
        if len(short) == len(whole):
            break
    return short


def look(folder: Path, name: str) -> Run:
    """Read a run; raises StoreError where none is, ReplayError for nonsense."""
    summary = summary_of(folder)
    return Run(name, summary, tell(summary.decisions, summary.study.goal))


def figures_of(run: Run) -> Iterator[tuple[str, Figure | str | None]]:
    """Draw all that is drawn of one run."""
    for name, draw in SINGLE.items():
        yield name, draw(run)
    for name, draw_all in COMPARED.items():
        yield name, draw_all([run])
    pages: list[Figure | None] = list(hyperparameters(run)) or [None]
    for number, page in enumerate(pages, start=1):
        yield f"hyperparameters{f'-{number}' if number > 1 else ''}", page


def written(
    figure: Figure | str | None,
    place: Path,
    name: str,
    formats: Sequence[str],
    say: Callable[[str], None],
) -> list[Path]:
    """Write a figure, or say that there is none, and why."""
    if not isinstance(figure, Figure):
        say(f"{place / name}: {figure or 'nothing to show'}")
        return []
    return save(figure, place / name, formats)
