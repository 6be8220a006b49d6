"""`hpmpi repair`: what is damaged in a journal, or missing, is taken from the copy in run.h5.

Only who asks for it has that: a start and all that shows a run say which line is damaged, and stop.
The damaged journal stays beside the other, as `journal.jsonl.damaged`.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import StoreError
from hpmpi.storage import files, lock, results_file
from hpmpi.storage.journal import decoded, is_whole, read_rows
from hpmpi.storage.run_folder import JOURNAL, PREVIOUS, RESULTS, holds_run

DAMAGED = f"{JOURNAL}.damaged"


class Repaired(NamedTuple):
    """How many lines the journal has now, and how many of these were taken from a results file."""

    lines: int
    taken: int


def repair(folder: Path) -> Repaired:
    """Mend the journal in a folder; raises StoreError where that can't be, and changes nothing."""
    if not holds_run(folder):
        raise StoreError(f"there is no run in {folder}: it has neither a journal nor {RESULTS}")
    held = lock.take(folder)
    try:
        path = folder / JOURNAL
        rows = read_rows(path)
        mended = mend(rows, copy_of(folder, rows))
        decoded(mended, path)
        taken = sum(row != line for row, line in zip(rows, mended, strict=False))
        taken += len(mended) - len(rows)
        if taken:
            if path.exists():
                files.link_or_copy(path, free(folder / DAMAGED))
            files.replace(path, b"".join(line + b"\n" for line in mended))
        return Repaired(len(mended), taken)
    finally:
        held.release()


def copy_of(folder: Path, rows: Sequence[bytes]) -> list[bytes]:
    """Read the newest whole copy of a journal; raises StoreError where none is of this run."""
    problems = []
    for file in (folder / RESULTS, folder / PREVIOUS):
        if not file.exists():
            continue
        try:
            lines = results_file.read_lines(file)
        except StoreError as error:
            problems.append(str(error))
            continue
        if not rows or same_run(rows, lines):
            return lines
        problems.append(f"{file} is of another run")
    if rows and all(map(is_whole, rows)):
        return []  # there is nothing to take
    told = "".join(f"\n{problem}" for problem in problems)
    raise StoreError(f"there is nothing in {folder} to repair its journal from{told}")


def same_run(rows: Sequence[bytes], lines: Sequence[bytes]) -> bool:
    """Tell whether a journal and the lines of a results file are of one run.

    The first line has the id of the first start; where it is damaged, all others are compared.
    """
    pairs = (pair for pair in zip(rows, lines, strict=False) if is_whole(pair[0]))
    compared = [row == line for row, line in islice(pairs, 1 if is_whole(rows[0]) else None)]
    return compared != [] and all(compared)


def mend(rows: Sequence[bytes], lines: Sequence[bytes]) -> list[bytes]:
    """Take what is damaged in a journal, or not there, from the lines of a results file."""
    whole = [row if is_whole(row) else line for row, line in zip(rows, lines, strict=False)]
    return [*whole, *rows[len(whole) :], *lines[len(whole) :]]


def free(path: Path) -> Path:
    """Find a name that nothing has."""
    number = 1
    found = path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found
