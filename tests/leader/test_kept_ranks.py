"""Ranks that serve one run after the other: what is left of a run is not heard in the next."""

from collections.abc import Sequence

import msgspec

from hpmpi.leader.kept_ranks import KeptRanks
from hpmpi.model.messages import Beat, Goodbye, Ready, Report, Save, Stop
from hpmpi.transports import Traffic
from hpmpi.transports.resources import Share

READY, GOODBYE = Ready("here", 1), Goodbye()
WELCOME = Save()
"""Any order that is no Stop stands for it."""


class Wire:
    """A transport whose messages a test writes and reads."""

    def __init__(self, size: int) -> None:
        """Have so many ranks."""
        self.rank, self.size, self.share, self.name = 0, size, Share(), "a wire"
        self.traffic, self.underway = Traffic(), set[int]()
        self.incoming: list[tuple[int, bytes]] = []
        self.sent: list[tuple[int, object]] = []

    def send(self, rank: int, message: bytes) -> None:
        """Keep it for the test."""
        self.sent.append((rank, msgspec.msgpack.decode(message, type=Save | Stop | Beat)))

    def poll(self, _timeout_s: float, _wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what the test has written."""
        came, self.incoming = self.incoming, []
        return came

    def forget(self, _rank: int) -> None:
        """Fail."""
        raise AssertionError("what waits for a rank is not given up")

    def leave(self, _timeout_s: float) -> None:
        """Have nothing to push out."""


class Play:
    """Runs on two worker ranks."""

    def __init__(self) -> None:
        """Have met."""
        self.wire = Wire(3)
        self.ranks = KeptRanks(self.wire)

    def tell(self, order: Save | Stop | Beat, *ranks: int) -> None:
        """Send an order."""
        for rank in ranks:
            self.ranks.send(rank, msgspec.msgpack.encode(order))

    def hear(self, *said: tuple[int, Report]) -> list[tuple[int, Report]]:
        """Have ranks say something; return what of it is heard."""
        self.wire.incoming = [(rank, msgspec.msgpack.encode(report)) for rank, report in said]
        heard = self.ranks.poll(0.0)
        return [(rank, msgspec.msgpack.decode(it, type=Report)) for rank, it in heard]

    def sent(self) -> list[tuple[int, object]]:
        """Return what was sent since this was asked last."""
        sent, self.wire.sent = self.wire.sent, []
        return sent


def test_who_has_said_goodbye_is_heard_in_the_next_run() -> None:
    play = Play()
    for _ in range(3):
        play.ranks.begin()
        play.tell(WELCOME, 1, 2)
        assert play.hear((1, READY), (2, READY)) == [(1, READY), (2, READY)]
        play.tell(Stop(), 1, 2)
        assert play.hear((1, GOODBYE), (2, GOODBYE)) == [(1, GOODBYE), (2, GOODBYE)]
        assert play.sent() == [(1, WELCOME), (2, WELCOME), (1, Stop()), (2, Stop())]


def test_who_was_lost_is_heard_again_when_it_has_come_back_and_said_goodbye() -> None:
    play = Play()
    play.ranks.begin()
    play.tell(WELCOME, 1, 2)
    play.tell(Stop(), 1)
    play.hear((1, GOODBYE))
    play.sent()
    play.ranks.begin()
    assert play.sent() == [(2, Stop())]
    play.tell(WELCOME, 1, 2)
    assert play.hear((2, READY), (1, READY)) == [(1, READY)]
    play.wire.underway = {1, 2}
    assert play.hear((2, GOODBYE), (2, READY)) == [(2, READY)]
    assert play.ranks.underway == {1, 2}


def test_who_is_slow_to_say_goodbye_is_not_told_to_stop_again() -> None:
    play = Play()
    play.ranks.begin()
    play.tell(WELCOME, 1)
    play.tell(Stop(), 1)
    play.sent()
    play.ranks.begin()
    assert play.sent() == []
    play.wire.underway = {1}
    assert play.hear((1, READY)) == []
    assert play.ranks.underway == set()
    assert play.hear((1, GOODBYE), (1, READY)) == [(1, READY)]


def test_a_run_that_began_for_nobody_sends_nobody_away() -> None:
    play = Play()
    play.ranks.begin()
    play.tell(Beat(), 1, 2)
    play.tell(Stop(), 1, 2)
    assert play.sent() == [(1, Beat()), (2, Beat())]
    play.ranks.begin()
    assert play.hear((1, READY)) == [(1, READY)]


def test_at_the_end_all_are_sent_away() -> None:
    play = Play()
    play.ranks.begin()
    play.tell(WELCOME, 1, 2)
    play.tell(Stop(), 1)
    play.hear((1, GOODBYE))
    play.sent()
    play.ranks.dismiss()
    assert sorted(play.sent(), key=lambda sent: sent[0]) == [(1, Stop()), (2, Stop()), (2, Stop())]
