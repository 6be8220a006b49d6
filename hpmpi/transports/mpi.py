"""Ranks that are MPI processes, under any launcher and any MPI.

What MPI promises ends where a process dies, so only this much of it is used: any-source probes,
each with a receive from the rank that was probed; sends and receives that are not waited for; no
collective after `connect`; no MPI_Finalize. A dead rank then costs nobody else anything, with or
without ULFM. One thread speaks MPI.

MPI wakes nobody. So who sends to a rank of its machine rings the bell there; a rank that can't be
rung looks, the less often the longer it is quiet, and rarely where its child can wake it.
"""

import contextlib
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpmpi.errors import MeetingError, TransportError
from hpmpi.guard import guard, variables
from hpmpi.transports import LEADER, Traffic, launched, resources
from hpmpi.transports.framing import await_any
from hpmpi.transports.resources import Place, Share
from hpmpi.transports.sleep import LEADER_PACE, LEAST_S, WORKER_PACE, Sleep
from hpmpi.transports.wakeup import Wakeup

variables.set_defaults()  # where no guard has done it

import mpi4py  # noqa: E402 - after the variables that MPI reads when it starts

mpi4py.rc.initialize = False
mpi4py.rc.finalize = False

from mpi4py import MPI  # noqa: E402 - loads MPI, as set above

WAY_OUT = (
    "use the mpirun that belongs to this Python's MPI: the one in the same environment "
    "(under Slurm: srun --mpi=pmi2 for MPICH, srun --mpi=pmix for Open MPI)"
)

TAG = 1
DEATHS = (
    MPI.ERR_PROC_FAILED,
    MPI.ERR_PROC_FAILED_PENDING,
    MPI.ERR_OTHER,  # MPICH: a rank's memory was gone before a message in it was read
)

SEGMENT = "/dev/shm/mpich"  # noqa: S108 - MPICH chose the name


class MpiTransport:
    """The place of this process among the ranks."""

    def __init__(self, world: MPI.Intracomm, share: Share, bell: Wakeup) -> None:
        """Speak over `world`; `connect` makes one."""
        self.rank = world.Get_rank()
        self.size = world.Get_size()
        self.share = share
        self.name = library()
        self.traffic = Traffic()
        self.underway: set[int] = set()  # MPI does not say how much of a message is there
        self._world = world
        self._status = MPI.Status()
        self._bell = bell
        heard = range(1, self.size) if self.rank == LEADER else [LEADER]
        pace = LEADER_PACE if self.rank == LEADER else WORKER_PACE
        is_rung = all(map(bell.reaches, heard))
        self._sleep = Sleep(pace, is_rung=is_rung, now=time.monotonic())
        self._sending: defaultdict[int, list[tuple[MPI.Request, bytes]]] = defaultdict(list)
        self._receiving: defaultdict[int, deque[tuple[MPI.Request, bytearray]]]
        self._receiving = defaultdict(deque)
        self._forgotten: list[tuple[MPI.Request, bytes]] = []

    def send(self, rank: int, message: bytes) -> None:
        """Start a send; the message is kept until MPI has taken it."""
        self._sleep.talk(time.monotonic())
        try:
            request = self._world.Isend([message, MPI.BYTE], dest=rank, tag=TAG)
        except MPI.Exception as error:
            self._check(error)
        else:
            if not self._sent(request):
                self._sending[rank].append((request, message))
            self._bell.ring(rank)
            self.traffic.send(message)

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what has come in; wait for the first message at most `timeout_s`."""
        began_at = time.monotonic()
        while True:
            if self._sending:
                self._push()
            messages = self._receive()
            now = time.monotonic()
            if messages:
                self._sleep.hear(now)
                self.traffic.hear(messages)
                return messages
            left_s = began_at + timeout_s - now
            if left_s <= 0:
                return []
            is_underway = bool(self._sending or self._receiving)
            sleep_s = self._sleep.limit_s(now, is_underway=is_underway, is_woken=bool(wake))
            news = await_any([*wake, self._bell.fileno()], limit_s=min(sleep_s, left_s))
            if self._bell.fileno() in news:
                self._bell.hush()
                self._sleep.ring(time.monotonic())
                news.remove(self._bell.fileno())
            if news:
                return []

    def forget(self, rank: int) -> None:
        """Stop looking after sends to a rank; MPI may still hold their buffers, so they stay."""
        self._forgotten += self._sending.pop(rank, [])

    def leave(self, timeout_s: float) -> None:
        """Push out what waits."""
        gives_up_at = time.monotonic() + timeout_s
        while self._push() and time.monotonic() < gives_up_at:
            time.sleep(LEAST_S)

    def _push(self) -> int:
        for rank, sends in list(self._sending.items()):
            waiting = [send for send in sends if not self._sent(send[0])]
            if waiting:
                self._sending[rank] = waiting
            else:
                del self._sending[rank]
        return len(self._sending)

    def _sent(self, request: MPI.Request) -> bool:
        try:
            return request.Test()
        except MPI.Exception as error:
            self._check(error)
            return True

    def _receive(self) -> list[tuple[int, bytes]]:
        try:
            while self._probe() or self._probe():  # one moves what has come in, one sees it
                source = self._status.Get_source()
                message = bytearray(self._status.Get_count(MPI.BYTE))
                request = self._world.Irecv([message, MPI.BYTE], source, TAG)
                self._receiving[source].append((request, message))
        except MPI.Exception as error:
            self._check(error)
        if not self._receiving:
            return []
        return [
            (source, bytes(message))
            for source in list(self._receiving)
            for message in self._whole(source)
        ]

    def _probe(self) -> bool:
        return self._world.Iprobe(MPI.ANY_SOURCE, TAG, self._status)

    def _whole(self, source: int) -> Iterator[bytearray]:
        """Take what has come in whole, up to the first message that has not."""
        receives = self._receiving.pop(source)
        while receives:
            request, message = receives[0]
            try:
                whole = request.Test()
            except MPI.Exception as error:
                self._check(error)
                receives.popleft()
                continue
            if not whole:
                self._receiving[source] = receives
                return
            receives.popleft()
            yield message

    def _check(self, error: MPI.Exception) -> None:
        """Let pass what a dead rank makes MPI say: it is a hint, and silence is the proof."""
        if error.Get_error_class() not in DEATHS:
            raise error
        with contextlib.suppress(MPI.Exception, NotImplementedError):
            self._world.Ack_failed()


def connect() -> MpiTransport:
    """Meet the other ranks; raises TransportError where the launcher is of another MPI.

    And MeetingError where one of them dies meanwhile.
    """
    world = MPI.COMM_WORLD
    ours, launchers = library(), os.environ.keys()
    if "MPI_LOCALRANKID" in launchers and ours.startswith("Open MPI"):
        raise TransportError(f"MPICH's mpirun started this, and Python has {ours}; {WAY_OUT}")
    if "OMPI_COMM_WORLD_SIZE" in launchers and not ours.startswith("Open MPI"):
        raise TransportError(f"Open MPI's mpirun started this, and Python has {ours}; {WAY_OUT}")
    MPI.Init_thread(MPI.THREAD_FUNNELED)
    guard.tell_mpi()
    said = launched()
    if said is not None and said.size != world.Get_size():
        raise TransportError(
            f"the launcher started {said.size} ranks, and {ours} sees {world.Get_size()}; {WAY_OUT}"
        )
    try:
        node = world.Split_type(MPI.COMM_TYPE_SHARED)
        bell = Wakeup()
        share = share_of(node, bell)
        unlink_segments(node)
    except MPI.Exception as error:
        raise MeetingError(f"a rank died before all had met: {error}") from error
    return MpiTransport(world, share, bell)


def library() -> str:
    """Name the MPI library and its version."""
    words = MPI.Get_library_version().replace("\0", "").replace(",", " ").split()
    name = " ".join(words[:2] if words[0] == "Open" else words[:1])
    version = next((word for word in words if word.lstrip("v")[:1].isdigit()), "")
    return f"{name} {version.lstrip('v')}"


def share_of(node: MPI.Comm, bell: Wakeup) -> Share:
    """Divide a node among its worker ranks; return what is this rank's."""
    mine = MPI.COMM_WORLD.Get_rank()
    told = node.allgather((mine, resources.here(), bell.address))
    bell.learn({rank: address for rank, _, address in told if rank != mine})
    places: dict[int, Place] = {rank: seen for rank, seen, _ in told}
    places.pop(LEADER, None)
    shares = dict(zip(places, resources.divide(list(places.values())), strict=True))
    return shares.get(mine, Share())


def unlink_segments(node: MPI.Comm) -> None:
    """Unlink the shared memory that MPICH leaves behind without MPI_Finalize."""
    node.Barrier()  # everybody has it mapped
    if node.Get_rank() != 0:
        return
    maps = Path("/proc/self/maps")
    lines = maps.read_text(errors="replace").split("\n") if maps.exists() else []
    for segment in {line.split()[-1] for line in lines if SEGMENT in line}:
        Path(segment).unlink(missing_ok=True)
