"""`hpmpi plot`: the figures of runs, finished or not, as files.

The run folders are only read: they are nobody's to lock, and what they name is not imported.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.storage import files
from hpmpi.views.run_view import look as summary_of

try:
    from matplotlib.figure import Figure

    from hpmpi.views.figures.curves import curves
    from hpmpi.views.figures.front import front
    from hpmpi.views.figures.hyperparameters import hyperparameters
    from hpmpi.views.figures.importance import importance
    from hpmpi.views.figures.incumbent import incumbent
    from hpmpi.views.figures.parallel import parallel
    from hpmpi.views.figures.ranks import ranks
    from hpmpi.views.figures.run import Run
    from hpmpi.views.figures.rungs import rungs
    from hpmpi.views.figures.style import Paper, save, styled
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

SINGLE: Mapping[str, Callable[[Run], Figure | str | None]] = {
    "curves": curves,
    "rungs": rungs,
    "timeline": timeline,
    "parallel": parallel,
}
"""What is drawn of each run by itself."""

NAMES = (*COMPARED, *SINGLE, "front", "hyperparameters", "importance")
"""All figures that there are."""


class Wanted(msgspec.Struct, frozen=True):
    """Which figures are wanted, in which formats, where and for what paper; without names, all."""

    names: Sequence[str] = ()
    formats: Sequence[str] = ("png", "svg")
    out: Path | None = None
    paper: Paper = Paper()


def plot(folders: Sequence[Path], wanted: Wanted, say: Callable[[str], None]) -> Iterator[Path]:
    """Draw figures of runs, and name each file once it is written; `say` what there is not.

    Without `out`, those of a run go into its folder, and those that compare several into ./plots.
    Raises StoreError for a folder that is no run's, and where a file can't be written.
    """
    out, names = wanted.out, wanted.names or NAMES
    check_names(names)
    runs = [look(folder, name) for name, folder in named(folders).items()]
    with styled(wanted.paper):
        for folder, run in zip(named(folders).values(), runs, strict=True):
            files.refuse_strangers(folder, (), (FOLDER,))
            inside = out if out is None or len(runs) == 1 else out / run.name
            for name, figure in figures_of(run, names):
                yield from written(figure, inside or folder / FOLDER, name, wanted.formats, say)
        for name, figure in compared_of(runs, names):
            yield from written(figure, out or Path(FOLDER), name, wanted.formats, say)


def check_names(names: Sequence[str]) -> None:
    """Raise SettingsError for a figure that there is not."""
    for name in names:
        if name not in NAMES:
            raise SettingsError([f"--only {name} is no figure; there is: {', '.join(NAMES)}"])


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
    return Run.of(name, summary_of(folder))


def figures_of(
    run: Run, names: Collection[str] = NAMES
) -> Iterator[tuple[str, Figure | str | None]]:
    """Draw what is drawn of one run, of the figures that are named.

    The one of importance is the last: its answer is waited for, and was asked for first.
    """
    with closing(run.question) if "importance" in names else nullcontext():
        for name in filter(names.__contains__, SINGLE):
            yield name, SINGLE[name](run)
        for name in filter(names.__contains__, COMPARED):
            yield name, COMPARED[name]([run])
        if run.goal.others and "front" in names:
            yield "front", front(run)
        if "hyperparameters" in names:
            pages: list[Figure | None] = list(hyperparameters(run)) or [None]
            for number, page in enumerate(pages, start=1):
                yield f"hyperparameters{f'-{number}' if number > 1 else ''}", page
        if "importance" in names:
            yield "importance", importance(run)


def compared_of(
    runs: Sequence[Run], names: Collection[str] = NAMES
) -> Iterator[tuple[str, Figure | str | None]]:
    """Draw several runs together; of one there is nothing to compare."""
    for name in filter(names.__contains__, COMPARED) if len(runs) > 1 else ():
        yield f"compared-{name}", COMPARED[name](runs)


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
