"""The page on the paid time names what is there, as it is there."""

import re
from pathlib import Path

from hpmpi.history.history import History
from hpmpi.history.paid import RankTime
from hpmpi.history.tables import results
from hpmpi.master.quarantine import FIRST, GROWTH
from hpmpi.model.usage import GpuUsage, Usage
from hpmpi.study.settings import Limits
from tests.history.test_paid import run

PAGE = (Path(__file__).parents[2] / "docs" / "paid.md").read_text()


def columns(table: str) -> set[str]:
    """Name the columns that a table of the page explains."""
    rows = PAGE.partition(f"| column of `{table}`")[2].partition("\n\n")[0].split("\n")[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_columns_are_those_of_the_results_file() -> None:
    measured = results(History(run(Usage(1.0, gpu=GpuUsage(1, 0.5)))))
    assert columns("results") == measured.keys() - results(History(run(None))).keys()
    assert columns("ranks") == set(RankTime.__struct_fields__)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"quarantine = {Limits().quarantine} " in PAGE
    assert (FIRST, GROWTH) == (10, 16), "as the page says in words"
