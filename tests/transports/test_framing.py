"""What frames promise: whole messages, in order, without ever blocking."""

import contextlib
import fcntl
import resource
import socket
import sys
import termios
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.transports import framing
from hpmpi.transports.framing import CHUNK_BYTES, LENGTH, Frames
from tests.harness.drive import LIMIT_S

BIG = bytes(range(256)) * (10 << 12)
"""10 MiB: more than any socket holds."""


@pytest.fixture
def pair() -> Iterator[tuple[Frames, Frames]]:
    """Connect two ends."""
    here, there = map(Frames, socket.socketpair())
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def raw() -> Iterator[tuple[Frames, socket.socket]]:
    """Connect an end with a bare socket."""
    ours, theirs = socket.socketpair()
    here = Frames(ours)
    with theirs:
        yield here, theirs
    here.close()


def framed(*messages: bytes) -> bytes:
    return b"".join(LENGTH.pack(len(message)) + message for message in messages)


@contextlib.contextmanager
def waiting(end: Frames) -> Iterator[list[bytes]]:
    """Have a thread wait for the next messages, which are known at the end of the block."""
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.extend(end.wait()))
    thread.start()
    yield received
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def await_taken(end: Frames) -> None:
    """Return once an end has received all that was sent."""
    gives_up_at = time.monotonic() + LIMIT_S
    while int.from_bytes(fcntl.ioctl(end.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < gives_up_at


def carry(sender: Frames, receiver: Frames, number: int) -> list[bytes]:
    """Let both ends do their work until a number of messages has arrived."""
    received: list[bytes] = []
    gives_up_at = time.monotonic() + LIMIT_S
    while len(received) < number:
        assert time.monotonic() < gives_up_at
        sender.flush()
        received += receiver.receive()
    return received


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 60), min_size=1))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(
    messages: list[bytes], cuts: list[int]
) -> None:
    ours, theirs = socket.socketpair()
    here = Frames(ours)
    stream, received = framed(*messages), []
    with theirs:
        while stream:
            cuts.append(cuts.pop(0))
            theirs.sendall(stream[: cuts[-1]])
            stream = stream[cuts[-1] :]
            received += here.receive()
    here.close()
    assert received == messages


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 4, CHUNK_BYTES - 3, 1 << 20, len(BIG)])
def test_a_message_may_have_any_size(pair: tuple[Frames, Frames], size: int) -> None:
    here, there = pair
    for message in (BIG[:size], b"next"):
        here.send(message)
    assert carry(here, there, 2) == [BIG[:size], b"next"]
    assert there.receive() == []


@pytest.mark.parametrize("size", [9, 10, 11, 20, 21, 100])
def test_a_message_is_never_too_long(
    pair: tuple[Frames, Frames], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(framing, "MOST_BYTES", 10)
    here, there = pair
    for message in (BIG[:size], b"", b"next"):
        here.send(message)
    assert carry(here, there, 3) == [BIG[:size], b"", b"next"]
    assert not there.closed


def test_a_part_of_a_message_is_noticed(raw: tuple[Frames, socket.socket]) -> None:
    here, there = raw
    stream = framed(b"in two parts")
    there.sendall(stream[:7])
    assert (here.receive(), here.underway) == ([], True)
    assert (here.receive(), here.underway) == ([], False)
    there.sendall(stream[7:])
    assert (here.receive(), here.underway) == ([b"in two parts"], False)


def test_the_last_words_of_who_was_hung_up_on_are_heard(pair: tuple[Frames, Frames]) -> None:
    here, there = pair
    here.finish()
    there.send(b"last words")
    assert there.receive() == []
    assert there.closed
    assert here.receive() == [b"last words"]
    assert not here.closed


def test_nobody_blocks_when_the_other_does_not_read(pair: tuple[Frames, Frames]) -> None:
    for end in pair:
        for _ in range(3):
            end.send(BIG)
        assert not end.flush()
    here, there = pair
    received: dict[Frames, list[bytes]] = {here: [], there: []}
    while any(len(messages) < 3 for messages in received.values()):
        for end in pair:
            end.flush()
            received[end] += end.receive()
    assert received == {here: [BIG] * 3, there: [BIG] * 3}
    assert here.flush()


def test_receiving_nothing_does_not_block(pair: tuple[Frames, Frames]) -> None:
    here, _ = pair
    assert here.receive() == []
    assert not here.closed


def test_the_end_of_the_other_is_noticed(pair: tuple[Frames, Frames]) -> None:
    here, there = pair
    there.close()
    assert not here.closed
    assert here.receive() == []
    assert here.closed


def test_what_was_said_before_the_end_is_heard(pair: tuple[Frames, Frames]) -> None:
    here, there = pair
    there.send(b"one")
    there.send(b"two")
    there.close()
    assert here.receive() == [b"one", b"two"]
    assert here.receive() == []
    assert here.closed


def test_what_was_said_before_the_end_is_heard_by_who_spoke_meanwhile(
    pair: tuple[Frames, Frames],
) -> None:
    here, there = pair
    there.send(b"last words")
    there.close()
    here.send(b"to nobody")
    assert here.receive() == [b"last words"]
    assert here.receive() == []
    assert here.closed


def test_a_message_that_the_end_cuts_off_is_not_delivered(
    raw: tuple[Frames, socket.socket],
) -> None:
    here, there = raw
    there.sendall(framed(b"whole") + framed(b"cut off")[:-1])
    there.close()
    assert here.receive() == [b"whole"]
    assert here.receive() == []
    assert here.closed


@pytest.mark.parametrize("message", [b"", b"small", BIG])
def test_sending_to_nobody_does_nothing(pair: tuple[Frames, Frames], message: bytes) -> None:
    here, there = pair
    there.close()
    here.send(message)
    here.send(message)
    assert here.flush()
    here.drain()
    assert here.wait() == []


def test_waiting_ends_when_a_message_is_whole(raw: tuple[Frames, socket.socket]) -> None:
    here, there = raw
    stream = framed(b"in two parts")
    with waiting(here) as received:
        there.sendall(stream[:7])
        await_taken(here)
        there.sendall(stream[7:])
    assert received == [b"in two parts"]


def test_waiting_ends_when_the_other_hangs_up(raw: tuple[Frames, socket.socket]) -> None:
    here, there = raw
    with waiting(here) as received:
        there.sendall(framed(b"cut off")[:-1])
        await_taken(here)
        there.shutdown(socket.SHUT_WR)
    assert received == []
    assert here.closed


def test_who_waits_goes_on_sending(pair: tuple[Frames, Frames]) -> None:
    here, there = pair
    here.send(BIG)

    def answer() -> None:
        assert there.wait() == [BIG]
        there.send(b"answer")

    answering = threading.Thread(target=answer)
    answering.start()
    assert here.wait() == [b"answer"]
    answering.join()


def test_draining_ends_when_all_is_sent(pair: tuple[Frames, Frames]) -> None:
    here, there = pair
    here.send(BIG)
    with waiting(there) as received:
        here.drain()
        assert here.flush()
    assert received == [BIG]


def test_a_descriptor_may_have_any_number(many_files: None) -> None:  # noqa: ARG001
    ours, theirs = socket.socketpair()
    near, far = (Frames(socket.socket(fileno=raised(end))) for end in (ours, theirs))
    near.send(BIG)
    with waiting(far) as received:
        near.drain()
    assert received == [BIG]
    near.close()
    far.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow more descriptors than select can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raised(end: socket.socket) -> int:
    """Give a socket a descriptor that select can't take."""
    with end:
        return fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 2000)
