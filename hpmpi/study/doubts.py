"""What may not be meant in a study that is sound: told by `hpmpi check`, and as a run begins.

A program may find in its environment what no word of its command gives it: nobody can see that from
here. So these are doubts, and no mistakes.
"""

from collections.abc import Iterable, Iterator, Sequence

from hpmpi.study.command import names_in, variable
from hpmpi.study.methods import space_of
from hpmpi.study.settings import Settings


def doubts(study: Settings, rungs: Sequence[int]) -> Iterator[str]:
    """Say what the program of a study may not be told, where its rungs have these resources."""
    if study.command is None:
        return
    names = space_of(study).dimensions
    words = [*study.command, *study.resume]
    given = set().union(*map(names_in, words))
    unused = [] if "config" in given else [name for name in names if name not in given]
    if unused:
        yield (
            f"no word of the command has {braced(unused)}: the program has to read "
            f"{variables(unused)}, or all its trials are alike"
        )
    several = len(rungs) > 1
    if several and "stop" not in given:
        yield (
            "no word of the command has {stop}, up to which a rung trains: the program has to read "
            "HPMPI_STOP, or it does not stop there"
        )
    if several and "folder" in given and "previous" not in given:
        yield (
            "no word has {previous}: unless the program reads HPMPI_PREVIOUS, a promoted trial "
            'begins from 0, whatever it has saved (resume = ["--resume", "{previous}/state"])'
        )
    if study.run.in_groups and study.run.world in (None, "none"):
        yield (
            "each rank of a trial starts the program by itself; run.world says what they find each "
            'other by ("mpi": they are one MPI program)'
        )


def braced(names: Iterable[str]) -> str:
    """Write names as placeholders."""
    return ", ".join(f"{{{name}}}" for name in names)


def variables(names: Iterable[str]) -> str:
    """Name what a program finds them by in its environment."""
    return ", ".join(variable(name).decode() for name in names)
