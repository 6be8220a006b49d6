"""`hpmpi repair`: what is damaged in a journal, or missing, is taken from the copy in run.h5.

Only who asks for it has that: a start and all that shows a run say which line is damaged, and stop.
The damaged journal stays beside the other, as `journal.jsonl.damaged`.

Rule: the copy comes first, then what the checksums say of the journal's other lines: which of them
is next, wherever it stands. Up to the last one that has its place nothing is missing, whatever else
stands there; a line after it that has none would be lost, and so nothing is mended.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import ReplayError, StoreError
from hpmpi.history.history import History
from hpmpi.storage import files, lock, results_file
from hpmpi.storage.journal import (
    CHECKSUM_BYTES,
    DECODE,
    STARTED,
    UNREADABLE,
    crc_of,
    is_whole,
    read_rows,
    text_of,
)
from hpmpi.storage.run_folder import JOURNAL, PREVIOUS, RESULTS, holds_run

DAMAGED = f"{JOURNAL}.damaged"

FOREIGN = "is of another run"


class Repaired(NamedTuple):
    """How many lines the journal has now, and how many of these were taken from a results file.

    `kept`: where the damaged journal is, if there was one.
    """

    lines: int
    taken: int
    kept: Path | None = None


def repair(folder: Path) -> Repaired:
    """Mend the journal in a folder; raises StoreError where that can't be, and changes nothing."""
    if not holds_run(folder):
        raise StoreError(f"there is no run in {folder}: it has neither a journal nor {RESULTS}")
    held = lock.take(folder)
    try:
        path = folder / JOURNAL
        rows = read_rows(path)
        mended = mend(rows, copy_of(folder, rows), path)
        check(mended, path)
        taken = len(Counter(mended) - Counter(rows))
        if mended == rows:
            return Repaired(len(mended), 0)
        kept = free(folder / DAMAGED) if path.exists() else None
        if kept is not None:
            files.link_or_copy(path, kept)
        try:
            files.replace(path, text_of(mended))
        except OSError:
            if kept is not None:
                kept.unlink(missing_ok=True)
            raise
        return Repaired(len(mended), taken, kept)
    except OSError as error:
        raise files.trouble(folder, error) from error
    finally:
        held.release()


def copy_of(folder: Path, rows: Sequence[bytes]) -> list[bytes]:
    """Read the newest whole copy of a journal; raises StoreError where none is of this run."""
    problems = []
    for file in (folder / RESULTS, folder / PREVIOUS):
        if not file.exists():
            continue
        try:
            copy = results_file.read_lines(file)
        except StoreError as error:
            problems.append(str(error))
            continue
        if chain(copy) != copy:
            problems.append(f"{file} has a copy that is damaged")
        elif not rows or same_run(rows, copy):
            return copy
        else:
            problems.append(f"{file} {FOREIGN}")
    if rows and chain(rows) == rows and not any(map(is_foreign, problems)):
        return []  # there is nothing to take
    told = "".join(f"\n{problem}" for problem in problems)
    raise StoreError(f"there is nothing in {folder} to repair its journal from{told}")


def is_foreign(problem: str) -> bool:
    """Tell whether what is wrong with a results file is that it is another run's."""
    return problem.endswith(FOREIGN)


def same_run(rows: Sequence[bytes], copy: Sequence[bytes]) -> bool:
    """Tell whether a journal and a copy are of one run: no two runs have a line in common.

    Not where a journal begins as that of another run does, and has a line of ours among its own.
    """
    telling = copy[:1] if is_whole(rows[0], 0) else copy
    return not set(rows).isdisjoint(telling)


def mend(rows: Sequence[bytes], copy: list[bytes], path: Path) -> list[bytes]:
    """Begin with a copy, and go on with the rows that follow it; raises StoreError for a loss."""
    known = set(copy)
    rest = chain([row for row in rows if row not in known], crc_of(copy[-1]) if copy else 0)
    mended = [*copy, *rest]
    lost = first_lost(rows, mended)
    if lost is not None:
        raise StoreError(
            f"line {lost} of {path} would be damaged still: {RESULTS} does not have it. Nothing "
            f"was changed; to go on from the lines before, keep only those: "
            f"head -n {lost - 1} {path} > kept && mv kept {path}"
        )
    return mended


def chain(rows: Iterable[bytes], crc: int = 0) -> list[bytes]:
    """Find the rows that follow a checksum, each the one before it, in whatever order they are."""
    chained: list[bytes] = []
    rows, before = list(rows), -1
    while before < len(chained):
        before, others = len(chained), []
        for row in rows:
            if is_whole(row, crc):
                chained.append(row)
                crc = crc_of(row)
            else:
                others.append(row)
        rows = others
    return chained


def first_lost(rows: Sequence[bytes], mended: Sequence[bytes]) -> int | None:
    """Find the number of the first row that would be lost, if there is one.

    What stands after the last row that has its place, and has none, may be what damage has made of
    the copy's last lines, if the journal lacks these; but there can't be more of it than of them.
    """
    places = {row: place for place, row in reversed(list(enumerate(rows)))}
    last = next((at for at in reversed(range(len(mended))) if mended[at] in places), None)
    if last is None:
        return None
    known, lacking = set(mended), len(mended) - 1 - last
    after = range(places[mended[last]] + 1, len(rows))
    odd = [place for place in after if rows[place] not in known]
    if lacking:
        odd = [place for place in odd if is_formed(rows[place])]
    return odd[lacking] + 1 if len(odd) > lacking else None


def is_formed(row: bytes) -> bool:
    """Tell whether a row begins and ends as lines do, whatever is between."""
    return row.startswith(b'{"type":"') and row[-CHECKSUM_BYTES:].startswith(b',"crc":"')


def check(rows: Sequence[bytes], path: Path) -> None:
    """Raise StoreError where what was mended is no journal that can be."""
    if not rows or not rows[0].startswith(STARTED):
        raise StoreError(f"{path} would lack the start of the study; nothing was changed")
    try:
        History(map(DECODE, rows))
    except (ReplayError, *UNREADABLE) as error:
        raise StoreError(f"{path} can't be mended: {error}; nothing was changed") from error


def free(path: Path) -> Path:
    """Find a name that nothing has."""
    number = 1
    found = path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found
