"""The garbage collector while rank 0 leads."""

import gc

from hpmpi.leader.garbage import NEW, seldom_collected


def test_it_looks_seldom_and_afterwards_as_before() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with seldom_collected():
        assert gc.get_threshold() == (NEW, *before[1:])
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
