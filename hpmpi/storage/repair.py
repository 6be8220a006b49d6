"""`hpmpi repair`: what is damaged in a journal, or missing, is taken from the copy in run.h5.

Only who asks for it has that: a start and all that shows a run say which line is damaged, and stop.
The damaged journal stays beside the other, as `journal.jsonl.damaged`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import ReplayError, SettingsError, StoreError
from hpmpi.history.audit import audit
from hpmpi.model.records import Started
from hpmpi.storage import files, lock, results_file
from hpmpi.storage.journal import decoded, is_whole, read_rows
from hpmpi.storage.run_folder import JOURNAL, PREVIOUS, RESULTS, holds_run
from hpmpi.study.settings import parse

DAMAGED = f"{JOURNAL}.damaged"


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
        mended = mend(rows, copy_of(folder, rows))
        check(mended, path)
        taken = len(Counter(mended) - Counter(rows))
        if mended == rows:
            return Repaired(len(mended), 0)
        kept = free(folder / DAMAGED) if path.exists() else None
        if kept is not None:
            files.link_or_copy(path, kept)
        files.replace(path, b"".join(line + b"\n" for line in mended))
        return Repaired(len(mended), taken, kept)
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

    The first line has the id of the first start; where it is damaged, another line has to be there
    that both have: each has the time of what it tells.
    """
    if is_whole(rows[0]):
        return rows[:1] == lines[:1]
    return not set(rows).isdisjoint(lines)


def mend(rows: Sequence[bytes], lines: Sequence[bytes]) -> list[bytes]:
    """Begin with the lines of a results file, and go on with what the journal has after them.

    Lines may be missing in the journal, or be more by damage: what comes after begins where the
    last one that both have stands.
    """
    places = {row: place for place, row in enumerate(rows)}
    common = next((at for at in reversed(range(len(lines))) if lines[at] in places), None)
    if common is None:
        return list(lines or rows)
    known = set(lines)
    rest = [row for row in rows[places[lines[common]] + 1 :] if row not in known]
    while rest and common < len(lines) - 1 and not is_whole(rest[0]):
        del rest[0]  # what the results file has whole
    return [*lines, *rest]


def check(rows: Sequence[bytes], path: Path) -> None:
    """Raise StoreError where what was mended is damaged still, or no journal that can be."""
    number = next((at for at, row in enumerate(rows, start=1) if not is_whole(row)), None)
    if number is not None:
        raise StoreError(
            f"line {number} of {path} would be damaged still: {RESULTS} does not have it. Nothing "
            f"was changed; to go on from the lines before, keep only those: head -n {number - 1}"
        )
    decisions = decoded(rows, path)
    started = decisions[0] if decisions else None
    if not isinstance(started, Started):
        raise StoreError(f"{path} would lack the start of the study; nothing was changed")
    try:
        audit(decisions, parse(started.settings).goal.metric)
    except SettingsError:
        return  # who reads the run says so
    except ReplayError as error:
        raise StoreError(f"{path} can't be mended: {error}; nothing was changed") from error


def free(path: Path) -> Path:
    """Find a name that nothing has."""
    number = 1
    found = path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found
