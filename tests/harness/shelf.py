"""Write results files as book.py does, with a state of the test's choice."""

from collections.abc import Mapping

from hpmpi.history.tables import Columns
from hpmpi.master.jobs import JobsState
from hpmpi.master.time_left import PaceState
from hpmpi.storage import run_folder
from hpmpi.storage.journal import ENCODE, line_of
from hpmpi.storage.run_folder import Store

STATE = JobsState(
    scheduler={"n": 1},
    trials=1,
    open_jobs=[],
    waiting=[],
    saved={},
    incumbent=None,
    least=[None],
    succeeded=False,
    interrupted=[],
    pace=PaceState([[]], saves=False, deadline=None),
)
"""Of jobs that nothing waits of."""


def checkpoint(
    opened: Store,
    state: JobsState,
    tables: Mapping[str, Columns] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write all that was decided so far, and put it in place."""
    lines = [line_of(decision)[:-1] for decision in opened.decisions]
    contents = run_folder.Contents(lines, ENCODE(state))
    run_folder.write_results(opened.partial, contents, tables or {}, attributes or {})
    opened.adopt()
