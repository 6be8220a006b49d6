"""A run in small, under guards: `mpirun -n N python guarded.py FOLDER VICTIMS HARM CODE`.

The workers beat; the first VICTIMS of them come to HARM after their first beat. Rank 0 hears the
others out, says in the status file that the run is over, and leaves with CODE.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hpmpi.guard import guard

BEATS = 20
START = "this-start"


def main() -> None:
    """Be the guard, or the rank."""
    if guard.needed():
        guard.HEALTHY_LOOK_S = 3.0
        if (left := guard.watch()) is not None:
            os._exit(left)
    guard.bind_to_guard()
    folder, victims, harm, code = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    from mpi4py import MPI  # noqa: PLC0415  (the guard must not load MPI)

    world = MPI.COMM_WORLD
    if harm == "refuse" and world.rank == 1:
        os._exit(3)
    if world.rank == 0:
        say(folder, "running")
    guard.tell_guard(folder / "status", world.bcast(START))
    world.barrier()
    unlink_segments()
    if world.rank == 0:
        lead(world, victims, folder, harm)
    else:
        serve(world, harm if world.rank <= victims else "")
    os._exit(int(code) if world.rank == 0 else 0)


def say(folder: Path, state: str) -> None:
    """Put the status file in place."""
    beside = folder / "status.new"
    beside.write_text(f"{START} {state}\n")
    beside.replace(folder / "status")


def unlink_segments() -> None:
    """Unlink the shared memory that MPICH leaves behind where nobody finalizes."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/shm/mpich" in line:  # noqa: S108
            Path(line.split(maxsplit=5)[5]).unlink(missing_ok=True)


def lead(world, victims: int, folder: Path, harm: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Hear everybody once and the healthy often, then end the run."""
    healthy = range(victims + 1, world.size)
    beats = dict.fromkeys(range(1, world.size), 0)
    while min(beats.values()) == 0 or any(beats[rank] < BEATS for rank in healthy):
        if hear(world, beats) and harm == "behead" and min(beats.values()) > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.0005)
    say(folder, "complete")
    goodbyes = [world.isend(None, dest=rank, tag=1) for rank in healthy]
    until = time.monotonic() + 1
    while time.monotonic() < until and not all(request.test()[0] for request in goodbyes):
        time.sleep(0.001)


def hear(world, beats: dict[int, int]) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Take one beat; errors are hints that a rank is gone."""
    from mpi4py import MPI  # noqa: PLC0415

    status = MPI.Status()
    with contextlib.suppress(MPI.Exception):
        if world.iprobe(source=MPI.ANY_SOURCE, status=status):
            world.recv(source=status.source)
            beats[status.source] += 1
            return True
    return False


def serve(world, harm: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Beat until told to leave."""
    from mpi4py import MPI  # noqa: PLC0415

    requests = []
    while True:
        with contextlib.suppress(MPI.Exception):
            requests.append(world.isend(None, dest=0))
            while not requests[0].test()[0]:
                time.sleep(0.001)
            requests.pop(0)
            if world.iprobe(source=0, tag=1):
                return
        time.sleep(0.005)
        come_to(harm)


def come_to(harm: str) -> None:
    """Come to harm, of a kind."""
    match harm:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "segv":
            ctypes.string_at(0)
        case "exit":
            os._exit(1)
        case "leave":
            os._exit(0)
        case "raise":
            raise RuntimeError(harm)
        case "orphan":
            nap = [sys.executable, "-c", "import time; time.sleep(1000)", sys.argv[1]]
            subprocess.Popen(nap, start_new_session=True)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
