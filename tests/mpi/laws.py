"""The laws of every transport, tried in ranks: `laws.py FOLDER LAW...`, under mpirun or alone.

Rank 0 tries the laws, one after the other, and says of each on stdout how it went, as a line of
JSON. The other ranks do what they are told by the first word of a message. Without a launcher, the
ranks are local processes.
"""

import json
import os
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from hpmpi.errors import TransportError
from hpmpi.guard import guard
from hpmpi.transports import Transport, launched, local

Done = TypeVar("Done")

START = "this-start"
LIMIT_S = 60.0
"""How long anything may take on a machine that is busy with other things."""

EVER_S = 10 * LIMIT_S
MEGABYTE = bytes(range(256)) * 4096
IDLE_S = 2.0

DEAF = "HPMPI_TEST_DEAF"
"""Makes ranks that can't ring each other, as those of two machines."""


def main() -> None:
    """Be the guard, rank 0, or another rank."""
    if guard.needed():
        guard.HEALTHY_LOOK_S = 1.0
        if (code := guard.watch()) is not None:
            os._exit(code)
    guard.bind_to_guard()
    folder, laws = Path(sys.argv[1]), sys.argv[2:]
    try:
        transport = connect()
    except TransportError as error:
        tell("refused", str(error))
        os._exit(2)
    if transport.rank != 0:
        code = serve(transport, folder)
    else:
        say(folder, "running")
        guard.tell_guard(folder / "status", START)
        code = lead(transport, laws)
        say(folder, "complete")
        for rank in others(transport):
            transport.send(rank, b"quit")
        transport.leave(1.0)
    os._exit(code)


def connect() -> Transport:
    """Meet the others: over MPI under a launcher, as local processes without one."""
    if launched() is not None:
        from hpmpi.transports import mpi, wakeup  # noqa: PLC0415 - importing it starts MPI

        if DEAF in os.environ:
            wakeup.NAMESPACE = f"/proc/{os.getpid()}/stat"  # a number of each rank's own
        return mpi.connect()
    return local.join() or local.lead(2, [sys.executable, *sys.argv])


def tell(what: str, said: str) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps({what: said}) + "\n")
    sys.stdout.flush()


def say(folder: Path, state: str) -> None:
    """Put the status file in place."""
    beside = folder / "status.new"
    beside.write_text(f"{START} {state}\n")
    beside.replace(folder / "status")


def serve(transport: Transport, folder: Path) -> int:
    """Do what is told, until the last word."""
    messages = transport.poll(LIMIT_S)
    guard.tell_guard(folder / "status", START)  # rank 0, once it speaks, has put it in place
    while (0, b"quit") not in messages:
        for _, message in messages:
            obey(transport, message)
        messages = transport.poll(1.0)
    transport.leave(1.0)
    return 0


def obey(transport: Transport, message: bytes) -> None:
    """Do what the first word says; send back what says nothing."""
    word, _, rest = message.partition(b" ")
    match word:
        case b"burst":
            for number in range(int(rest)):
                transport.send(0, b"%d" % number)
        case b"idle":
            transport.send(0, b"%f" % idle(transport)[0])
        case b"pid":
            transport.send(0, b"%d" % os.getpid())
        case b"stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case b"shout":
            transport.send(0, MEGABYTE)
            os.kill(os.getpid(), int(rest))
        case _:
            transport.send(0, message)


def lead(transport: Transport, laws: list[str]) -> int:
    """Try the laws; return how many do not hold."""
    broken = 0
    echoes(transport, [b"welcome"])
    for law in laws:
        try:
            LAWS[law](transport)
            said = ""
        except Exception:  # noqa: BLE001 - it goes to the test
            said = traceback.format_exc()
            broken += 1
        tell(law, said)
    return broken


# -- what rank 0 does ------------------------------------------------------------------------------


def others(transport: Transport) -> range:
    """Name the other ranks."""
    return range(1, transport.size)


def hear(transport: Transport, counts: dict[int, int]) -> dict[int, list[bytes]]:
    """Listen until so many messages of these ranks have come in, and no other."""
    heard: dict[int, list[bytes]] = {rank: [] for rank in counts}
    gives_up_at = time.monotonic() + LIMIT_S
    while any(len(heard[rank]) < count for rank, count in counts.items()):
        assert time.monotonic() < gives_up_at, {rank: len(each) for rank, each in heard.items()}
        for rank, message in transport.poll(1.0):
            heard[rank].append(message)
    assert {rank: len(each) for rank, each in heard.items()} == counts
    return heard


def ask(transport: Transport, rank: int, message: bytes) -> bytes:
    """Send a message, and return the answer; nobody else says anything."""
    transport.send(rank, message)
    return hear(transport, {rank: 1})[rank][0]


def echoes(transport: Transport, messages: list[bytes]) -> None:
    """Send messages to everybody, and have them back in order."""
    for message in messages:
        for rank in others(transport):
            transport.send(rank, message)
    heard = hear(transport, dict.fromkeys(others(transport), len(messages)))
    assert all(each == messages for each in heard.values())


def idle(transport: Transport) -> tuple[float, list[bytes]]:
    """Listen for a while; return the share of a core that it took, and what was heard."""
    before, began_at, heard = time.process_time(), time.monotonic(), list[bytes]()
    while (left_s := began_at + IDLE_S - time.monotonic()) > 0:
        heard += [message for _, message in transport.poll(min(left_s, 0.1))]
    return (time.process_time() - before) / IDLE_S, heard


def unhindered(action: Callable[[], Done]) -> Done:
    """Do something that waits for nobody; who waits does so for ever, or for EVER_S."""
    began_at = time.monotonic()
    done = action()
    took_s = time.monotonic() - began_at
    assert took_s < LIMIT_S, f"took {took_s:.1f} s"
    return done


def flood(transport: Transport, rank: int, number: int = 20) -> list[bytes]:
    """Send much to a rank.

    Only what is said before a rank is lost should hold up nobody: where 64 messages wait that the
    ranks of rank 0's node have not taken, MPICH has no room for another to any of them.
    """
    messages = [b"%d " % each * 200 for each in range(number)]
    messages += [b"%d " % each + MEGABYTE for each in range(5)]
    for message in messages:
        transport.send(rank, message)
    return messages


def pid_of(transport: Transport, rank: int) -> int:
    """Ask a rank who it is."""
    return int(ask(transport, rank, b"pid"))


def await_state(pid: int, states: str) -> None:
    """Wait until the kernel says that a process is stopped (T), or dead (Z or nothing)."""
    gives_up_at = time.monotonic() + LIMIT_S
    while time.monotonic() < gives_up_at:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            stat = ") Z"
        if stat.rpartition(")")[2].split()[0] in states:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} is not {states}")


def segments() -> Iterator[Path]:
    """Find MPICH's shared memory of this process that has a name still."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if found := re.search(r"/dev/shm/mpich\S*", line):  # noqa: S108 - MPICH chose the name
            yield Path(found[0])


# -- the laws --------------------------------------------------------------------------------------


def messages_come_whole_and_in_order(transport: Transport) -> None:
    """Of all sizes, the empty one included."""
    sizes = [0, 1, 2, 63, 64, 65, 1000, 4095, 4096, 4097, 20_000, 70_000, 3]
    echoes(transport, [MEGABYTE[:size] + b"!" * bool(size) for size in sizes for _ in range(3)])


def many_small_messages_cross(transport: Transport) -> None:
    """Both ways at once."""
    for rank in others(transport):
        transport.send(rank, b"burst 2000")
    messages = [b"message %d" % number for number in range(2000)]
    for message in messages:
        for rank in others(transport):
            transport.send(rank, message)
    heard = hear(transport, dict.fromkeys(others(transport), 4000))
    burst = [b"%d" % number for number in range(2000)]
    assert all(each == burst + messages for each in heard.values())


def megabytes_come_whole(transport: Transport) -> None:
    """Both ways at once."""
    echoes(transport, [MEGABYTE + b"%d" % number for number in range(5)])


def a_poll_without_news_ends_in_time(transport: Transport) -> None:
    """And not before."""
    for timeout_s in (0.0, 0.001, 0.2):
        began_at = time.monotonic()
        assert unhindered(lambda limit_s=timeout_s: transport.poll(limit_s)) == []  # type: ignore[misc]
        assert time.monotonic() - began_at >= timeout_s


def a_poll_wakes_on_a_descriptor(transport: Transport) -> None:
    """Of any number: rank 0 may have one for each rank."""
    read, write = os.pipe()
    high = os.dup2(read, 2000)
    os.write(write, b"news")
    for descriptor in (read, high):
        unhindered(lambda number=descriptor: transport.poll(EVER_S, [number]))  # type: ignore[misc]
        assert select.select([read], [], [], 0)[0], "what woke it is for others to read"
    for descriptor in (read, high, write):
        os.close(descriptor)


def a_poll_wakes_on_a_message(transport: Transport) -> None:
    """And does not wait for more."""
    transport.send(1, b"echo")
    unhindered(lambda: transport.poll(EVER_S))


def idle_ranks_cost_next_to_no_cpu(transport: Transport) -> None:
    """All at once."""
    for rank in others(transport):
        transport.send(rank, b"idle")
    share, heard = idle(transport)
    while len(heard) < len(others(transport)):
        heard += polled(transport)
    shares = [share, *map(float, heard)]
    assert max(shares) < 0.05, shares


def a_transport_says_what_it_is(transport: Transport) -> None:
    """For people."""
    assert re.fullmatch(r"local processes|(Open MPI|MPICH) v?\d+\.\d\S*", transport.name)
    assert transport.size == 3
    assert 1 <= transport.share.threads <= (os.cpu_count() or 1)


def a_transport_counts_what_goes_through_it(transport: Transport) -> None:
    """Messages and their bytes, both ways."""
    before = [*vars(transport.traffic).values()]
    echoes(transport, [b"", b"five.", MEGABYTE])
    after = [*vars(transport.traffic).values()]
    told = [now - then for then, now in zip(before, after, strict=True)]
    assert told == [6, 2 * len(MEGABYTE) + 10] * 2


def no_shared_memory_has_a_name(transport: Transport) -> None:
    """Nobody is left to unlink it at the end."""
    echoes(transport, [b"all are there"])
    assert [segment for segment in segments() if segment.exists()] == []


def a_stopped_rank_blocks_nobody_and_misses_nothing(transport: Transport) -> None:
    """Neither who sends to it, nor who listens; what was sent comes when it goes on."""
    pid = pid_of(transport, 1)
    transport.send(1, b"stop")
    await_state_while_polling(transport, pid, "T")
    messages: list[bytes] = []
    unhindered(lambda: messages.extend(flood(transport, 1)))
    assert ask(transport, 2, b"still there") == b"still there"
    os.kill(pid, signal.SIGCONT)
    assert hear(transport, {1: len(messages)})[1] == messages


def a_stopped_rank_can_be_forgotten_and_left(transport: Transport) -> None:
    """Without waiting for it."""
    pid = pid_of(transport, 1)
    transport.send(1, b"stop")
    await_state_while_polling(transport, pid, "T")
    unhindered(lambda: flood(transport, 1))
    transport.forget(1)
    assert ask(transport, 2, b"still there") == b"still there"
    unhindered(lambda: transport.leave(0.5))


def a_stopped_rank_does_not_hold_up_the_end(transport: Transport) -> None:
    """However much waits for it."""
    pid = pid_of(transport, 1)
    transport.send(1, b"stop")
    await_state_while_polling(transport, pid, "T")
    unhindered(lambda: flood(transport, 1, 1000))
    unhindered(lambda: transport.leave(0.5))


def a_dead_rank_blocks_nobody(transport: Transport) -> None:
    """Neither who sends to it, nor who listens."""
    pid = pid_of(transport, 1)
    os.kill(pid, signal.SIGKILL)
    await_state(pid, "Z")
    unhindered(lambda: flood(transport, 1))
    assert ask(transport, 2, b"still there") == b"still there"
    unhindered(lambda: flood(transport, 1))
    transport.forget(1)
    assert ask(transport, 2, b"still there") == b"still there"
    unhindered(lambda: transport.leave(0.5))


def a_rank_that_stops_in_the_middle_of_a_message_blocks_nobody(transport: Transport) -> None:
    """Have the message when the rank goes on."""
    pid = pid_of(transport, 1)
    transport.send(1, b"shout %d" % signal.SIGSTOP)
    heard = await_state_while_polling(transport, pid, "T")
    heard += others_go_on(transport)
    os.kill(pid, signal.SIGCONT)
    if MEGABYTE not in heard:
        heard += hear(transport, {1: 1})[1]
    assert sorted(heard) == [MEGABYTE, b"still there"]


def a_rank_that_dies_in_the_middle_of_a_message_blocks_nobody(transport: Transport) -> None:
    """Have the message, or not."""
    pid = pid_of(transport, 1)
    transport.send(1, b"shout %d" % signal.SIGKILL)
    heard = await_state_while_polling(transport, pid, "Z")
    heard += others_go_on(transport)
    assert set(heard) <= {b"still there", MEGABYTE}
    unhindered(lambda: transport.leave(0.5))


def others_go_on(transport: Transport) -> list[bytes]:
    """Speak with rank 2; return all that is heard."""
    transport.send(2, b"still there")
    gives_up_at, heard = time.monotonic() + LIMIT_S, list[bytes]()
    while b"still there" not in heard:
        assert time.monotonic() < gives_up_at
        heard += polled(transport)
    return heard


def polled(transport: Transport) -> list[bytes]:
    """Poll for a moment."""
    return [message for _, message in unhindered(lambda: transport.poll(0.05))]


def await_state_while_polling(transport: Transport, pid: int, states: str) -> list[bytes]:
    """Have the last message leave, then wait for what it does; return what is heard."""
    messages = polled(transport)
    await_state(pid, states)
    return messages


PEACEFUL = (
    a_transport_says_what_it_is,
    a_transport_counts_what_goes_through_it,
    messages_come_whole_and_in_order,
    many_small_messages_cross,
    megabytes_come_whole,
    a_poll_without_news_ends_in_time,
    a_poll_wakes_on_a_descriptor,
    a_poll_wakes_on_a_message,
    idle_ranks_cost_next_to_no_cpu,
    no_shared_memory_has_a_name,
)
VIOLENT = (
    a_stopped_rank_blocks_nobody_and_misses_nothing,
    a_stopped_rank_can_be_forgotten_and_left,
    a_stopped_rank_does_not_hold_up_the_end,
    a_dead_rank_blocks_nobody,
    a_rank_that_stops_in_the_middle_of_a_message_blocks_nobody,
    a_rank_that_dies_in_the_middle_of_a_message_blocks_nobody,
)
LAWS = {law.__name__: law for law in (*PEACEFUL, *VIOLENT)}

if __name__ == "__main__":
    main()
