"""What tests of a rank start with: one, that this process leads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpmpi.transports import local
from hpmpi.worker import agent
from tests.harness.rank import RankRig


@pytest.fixture
def rank(monkeypatch: pytest.MonkeyPatch) -> Iterator[RankRig]:
    """Start a rank."""
    monkeypatch.setenv("PYTHONPATH", str(Path(agent.__file__).parents[2]))
    transport = local.lead(1)
    yield RankRig(transport)
    transport.leave(0.0)
    transport.close()
