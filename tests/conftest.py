"""Have hypothesis try the same examples each time, in its time; keep together what shares much."""

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

SHARING = ("tests/test_cli.py", "tests/test_simulation.py", "tests/test_transports.py")
"""Where tests look at the same runs or simulations, which are made once in a process."""

SLOWEST = "tests/slurm/"
"""Where tests wait longest; each process has a Slurm of its own for them."""


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Begins with what stays together in one process; the other tests go wherever there is room."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for group in SHARING if nodeid.startswith(group)), nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOWEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    """Say who runs what where tests run beside each other."""
    return Groups(config, log)
