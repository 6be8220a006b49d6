"""Write results files as leader/results_process.py does, of a test's choice."""

from collections.abc import Mapping

from hpmpi.history.tables import Columns
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.storage.run_folder import Store


def checkpoint(
    opened: Store,
    tables: Mapping[str, Columns] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write all that was decided so far, and put it in place."""
    lines = [line_of(decision)[:-1] for decision in opened.decisions]
    run_folder.write_results(opened.partial, lines, tables or {}, attributes or {})
    opened.adopt()
