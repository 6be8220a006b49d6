"""Write results files as leader/results_process.py does, of a test's choice."""

from collections.abc import Mapping

from hpmpi.history.tables import Columns
from hpmpi.storage import run_folder
from hpmpi.storage.run_folder import Store
from tests.harness.journals import rows_in


def checkpoint(
    opened: Store,
    tables: Mapping[str, Columns] | None = None,
    attributes: Mapping[str, str] | None = None,
    rows: list[bytes] | None = None,
) -> None:
    """Write all that was decided so far, or other rows, and put it in place."""
    rows = rows_in(opened.folder) if rows is None else rows
    run_folder.write_results(opened.partial, rows, tables or {}, attributes or {})
    opened.adopt()
