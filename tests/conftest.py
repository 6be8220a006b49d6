"""Have hypothesis try the same examples each time, in its time; keep together what shares much."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As what a shell starts in the background does; all that is started here would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for name in ("COLUMNS", "LINES"):
    # Lines are cut to the width that these name, and who runs the tests may have set them.
    os.environ.pop(name, None)

STARTED_BY = "STARTED_BY_TEST"
"""Tells of a process which test it belongs to, by the test's folder."""

HANDLED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""The signals that ours does something about."""

SLOWEST = "tests/slurm/"
"""Where tests wait longest; each process has a Slurm of its own for them."""


@pytest.fixture(autouse=True)
def _own_sessions(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have Open MPI keep what it knows of its processes where no other test left anything.

    It does so in /tmp/ompi.PID, and does not start where a killed one left a folder of that name.
    A Slurm of ours has a folder for each node.
    """
    if request.node.get_closest_marker("slurm") is None:
        monkeypatch.setenv("PRTE_MCA_prte_tmpdir_base", str(tmp_path))


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Let no test change what signals do to the tests after it."""
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    after = [signal.getsignal(number) for number in HANDLED]
    for number, handler in zip(HANDLED, before, strict=True):
        signal.signal(number, handler)
    assert after == before


@pytest.fixture(autouse=True)
def _nobody_left(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Kill what a test has left, as one that failed half-way does.

    Whatever is started inherits the environment, and tells it as long as it lives; what a Slurm of
    ours starts stays for the tests that come after.
    """
    if request.node.get_closest_marker("slurm") is not None:
        yield
        return
    monkeypatch.setenv(STARTED_BY, str(tmp_path))
    yield
    for pid in started_by(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def started_by(folder: Path) -> Iterator[int]:
    """Find what the test with this folder has started."""
    told = os.fsencode(f"{STARTED_BY}={folder}")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            if told in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; keep in one process what shares a fixture of its module."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOWEST))
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def shares(item: pytest.Item) -> bool:
    """Tell whether a test has a fixture that is made once for its module."""
    if not isinstance(item, pytest.Function):
        return False
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    return any(fixture.scope == "module" for found in fixtures for fixture in found)
