"""Write results files as book.py does, with a state of the test's choice."""

from collections.abc import Mapping

from hpmpi import store
from hpmpi.jobs import JobsState
from hpmpi.journal import ENCODE, line_of
from hpmpi.pace import PaceState
from hpmpi.store import Store
from hpmpi.tables import Columns

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
    contents = store.Contents(lines, ENCODE(state))
    store.write_results(opened.partial, contents, tables or {}, attributes or {})
    opened.adopt()
