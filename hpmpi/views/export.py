"""`hpmpi export`: what came of a run, for other programs.

csv, json, parquet    a table, such as `hpmpi.load(DIR)` has it in Python
toml                  the best configuration; of several metrics, the front
optuna                the trials, as a journal of Optuna's
"""

import csv
import io
import json
from collections.abc import Callable

from hpmpi.errors import SettingsError, StoreError
from hpmpi.history import tables
from hpmpi.history.standings import Standing, by_fronts
from hpmpi.history.tables import TABLES, Columns, without_nul
from hpmpi.master.seeds import seed_of
from hpmpi.model.values import text_of
from hpmpi.study import toml
from hpmpi.views import optuna_journal
from hpmpi.views.layout import printable, resource_of
from hpmpi.views.run_view import Summary
from hpmpi.views.show_json import as_objects, finite
from hpmpi.views.story import numbers


def export(summary: Summary, form: str, what: str) -> str | bytes:
    """Write one of TABLES in one of FORMATS; raises HpmpiError where that can't be."""
    if form in OF_TRIALS:
        if what != TRIALS:
            raise SettingsError([f"--format {form} is of the trials, and has no {what}"])
        return OF_TRIALS[form](summary)
    if (form, what) == ("json", TRIALS):
        return as_json(summary)
    return OF_TABLES[form](TABLES[what](summary.history))


def as_csv(columns: Columns) -> str:
    """Write a table; of the trials, those without a result come last, with what was their end.

    Each cell is as it was given, whatever others its column has: a list or a table as JSON, and
    nothing where there is nothing.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(without_nul, columns))
    for row in zip(*columns.values(), strict=True):
        writer.writerow([without_nul(text_of(cell)) for cell in row])
    return text.getvalue()


def as_records(columns: Columns) -> str:
    """Write a table as a list of objects, one a row; what is not finite is null."""
    rows = zip(*columns.values(), strict=True)
    return dumped([dict(zip(columns, row, strict=True)) for row in rows])


def as_parquet(columns: Columns) -> bytes:
    """Write a table for pandas, polars, R and databases; what several types are in is text."""
    from hpmpi.views.frames import frame_of  # noqa: PLC0415 - pandas takes a while

    frame = frame_of(columns)
    for name, cells in columns.items():
        if str(frame[name].dtype) != "object":
            continue
        frame[name] = [None if cell is None else text_of(cell) for cell in cells]
    try:
        return bytes(frame.to_parquet(index=False))
    except ImportError as error:
        said = "parquet is written by pyarrow; pip install 'hpmpi[parquet]'"
        raise SettingsError([f"{said} ({str(error).splitlines()[0]})"]) from error


def as_json(summary: Summary) -> str:
    """Write a list of objects, one a trial, with metrics and configuration apart."""
    errors = tables.reasons(summary.history)
    ordered = summary.history.standings.ordered()
    rows = zip(ordered, as_objects(summary.history, ordered), strict=True)
    return dumped([told | {"error": errors.get(standing.trial)} for standing, told in rows])


def dumped(rows: list[dict[str, object]]) -> str:
    """Write rows as JSON."""
    return json.dumps(finite(rows), indent=2, allow_nan=False) + "\n"


def as_toml(summary: Summary) -> str:
    """Write the incumbent's configuration; of several metrics, a table for each on the front.

    Raises StoreError where there is none.
    """
    history = summary.history
    if history.incumbent is None:
        raise StoreError(f"no trial of {summary.study.name} has succeeded: there is no best one")
    if not history.goal.others:
        return of_whom(summary, history.incumbent) + toml.dump(history.incumbent.config)
    front = [
        {"trial": it.trial, "metrics": it.metrics, "config": it.config}
        for it in by_fronts(history.standings.front)
    ]
    return toml.dump({"front": front})


def of_whom(summary: Summary, best: Standing) -> str:
    """Say in a comment which trial has a configuration, and what else a refit needs."""
    study = summary.study
    reached = resource_of(best.resource, study.unit)
    seed = seed_of(study.seed, best.trial)
    metrics = numbers(best.metrics)
    return f"# {printable(study.name)}: trial {best.trial}, {metrics} at {reached}; seed {seed}\n"


TRIALS = "trials"

OF_TABLES: dict[str, Callable[[Columns], str | bytes]] = {
    "csv": as_csv,
    "json": as_records,
    "parquet": as_parquet,
}
OF_TRIALS: dict[str, Callable[[Summary], str]] = {
    "toml": as_toml,
    "optuna": optuna_journal.text,
}
FORMATS = ("csv", "json", "toml", "parquet", "optuna")
