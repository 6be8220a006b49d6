"""Whether the objective's file is what it was when a run was last started, by a digest of it.

Only that one file is looked at: what it imports, nobody here knows. Ours have a version.
"""

from pathlib import Path

from hpmpi.history.history import History
from hpmpi.storage import digests
from hpmpi.study import references
from hpmpi.study.settings import Settings


def digest(study: Settings, origin: Path) -> str:
    """Digest the file of a study's objective; "" where it can't be found or read, or is ours."""
    file = file_of(study, origin)
    if file is None:
        return ""
    try:
        return digests.digest(file.read_bytes())
    except OSError:
        return ""


def change(study: Settings, origin: Path, history: History) -> str | None:
    """Say that the file is another now, where both are known; None where it is not."""
    before = history.starts[-1].objective_digest if history.starts else ""
    now = digest(study, origin)
    if not before or not now or before == now:
        return None
    return f"{file_of(study, origin)} is not what it was at the last start"


def file_of(study: Settings, origin: Path) -> Path | None:
    """Find the file of the objective; of a command, the first that its words name."""
    if study.objective is None:
        named = (origin / word for word in study.command or ())
        return next((file for file in named if references.answers(file.is_file)), None)
    is_ours = references.is_ours(study.objective)
    return None if is_ours else references.file_of(study.objective, origin)
