"""One Slurm for all tests of a process, whole and empty for each."""

from collections.abc import Iterator

import pytest

from tests.slurm.allocations import as_user
from tests.slurm.cluster import Cluster, missing, temporary


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """Bring up a cluster, as the tests before leave it."""
    if why := missing():
        pytest.skip(why)
    with temporary() as cluster:
        as_user(cluster)
        yield cluster


@pytest.fixture
def cluster(slurm: Cluster) -> Iterator[Cluster]:
    """Have no job on the cluster, and all nodes idle."""
    slurm.mend()
    yield slurm
    slurm.cancel()
