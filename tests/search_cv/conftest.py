"""What scikit-learn has of tests is run in parts, one a day: each of them starts processes.

HPMPI_THEIRS=all pytest tests/search_cv    runs all of them, which takes a quarter of an hour
"""

import datetime as dt
import os

import pytest

PARTS = 20
IN_PARTS = ("test_theirs.py", "test_checks.py")


def pytest_configure(config: pytest.Config) -> None:
    """Know the marks that their tests have."""
    config.addinivalue_line("markers", "thread_unsafe: of scikit-learn's tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is another day's, unless all are asked for, or one by its name."""
    is_named = any("::" in word for word in config.args)
    if is_named or os.environ.get("HPMPI_THEIRS") == "all":
        return
    theirs = [item for item in items if item.path.name in IN_PARTS]
    today = dt.date.today().toordinal() % PARTS  # noqa: DTZ011 - any day does
    left_out = {*theirs} - {*theirs[today::PARTS]}
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]
