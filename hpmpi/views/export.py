"""`hpmpi export`: the trials, best first, as CSV or JSON; or the best configuration as TOML."""

import csv
import io
import json
from collections.abc import Callable

from hpmpi.errors import StoreError
from hpmpi.history import tables
from hpmpi.history.tables import without_nul
from hpmpi.model.values import text_of
from hpmpi.study import toml
from hpmpi.views.run_view import Summary
from hpmpi.views.show_json import as_object, finite


def as_csv(summary: Summary) -> str:
    """Write a row a trial; those without a result come last, with the error that was their end.

    Each cell is as it was given, whatever others its column has: a list or a table as JSON, and
    nothing where there is nothing.
    """
    columns = tables.standings(summary.board, summary.failures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(without_nul, columns))
    for row in zip(*columns.values(), strict=True):
        writer.writerow([without_nul(text_of(cell)) for cell in row])
    return text.getvalue()


def as_json(summary: Summary) -> str:
    """Write a list of objects, one a trial; what is not finite is null."""
    errors = tables.reasons(summary.failures)
    ordered = enumerate(summary.board.ordered(), start=1)
    rows = [
        as_object(place, standing) | {"error": errors.get(standing.trial)}
        for place, standing in ordered
    ]
    return json.dumps(finite(rows), indent=2, allow_nan=False) + "\n"


def as_toml(summary: Summary) -> str:
    """Write the incumbent's configuration; raises StoreError where there is none."""
    if summary.board.incumbent is None:
        raise StoreError(f"no trial of {summary.study.name} has succeeded: there is no best one")
    return toml.dump(summary.board.incumbent.config)


FORMATS: dict[str, Callable[[Summary], str]] = {"csv": as_csv, "json": as_json, "toml": as_toml}
