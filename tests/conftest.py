"""Have hypothesis try the same examples each time, in its time; keep together what shares much."""

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.harness.runs import end_what_was_started

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As what a shell starts in the background does; all that is started here would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for name in ("COLUMNS", "LINES"):
    # Lines are cut to the width that these name, and who runs the tests may have set them.
    os.environ.pop(name, None)

ROOT = Path(__file__).parents[1]

SHARING = ('scope="module"', "\n@cache\n")
"""What a file has whose tests look at the same runs or simulations, made once in a process."""

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


@pytest.fixture(autouse=True)
def _nothing_started() -> Iterator[None]:
    """End what a test has started and not waited for, on a Slurm as anywhere."""
    yield
    end_what_was_started()


def started_by(folder: Path) -> Iterator[int]:
    """Find what the test with this folder has started."""
    told = os.fsencode(f"{STARTED_BY}={folder}")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            if told in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOWEST))


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Begins with files that stay together in one process; other tests go where there is room.

    xdist's own groups are none: it writes them where pytest 9 does not look for them any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if shares(file) else nodeid


@cache
def shares(file: str) -> bool:
    """Tell whether tests of a file share what is made once in a process."""
    text = (ROOT / file).read_text()
    return any(sign in text for sign in SHARING)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    """Say who runs what where tests run beside each other."""
    return Groups(config, log)
