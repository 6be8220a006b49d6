"""Rank 0, as a program that asks for runs sees it: at the other end of a connection.

It is started for a run, which is then on processes of this machine; or it was there before, where
an mpirun has started `python -m hpmpi script.py`, and leads the ranks of that.
"""

import functools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable

import msgspec

from hpmpi.errors import Drained, HpmpiError, ObjectiveError, TransportError
from hpmpi.leader.run import TRY_AGAIN
from hpmpi.leader.run_requests import RunEnd, RunRequest
from hpmpi.model.messages import Outcome
from hpmpi.study import references
from hpmpi.transports import launched, unlaunched
from hpmpi.transports.framing import Frames, await_any
from hpmpi.views.run_view import MENDED
from hpmpi.worker import spawn
from hpmpi.worker.entry import SIGNALS

CONNECTION = "HPMPI_RANK_0"
"""Tells a script which process is rank 0, and the descriptor of its connection with that."""

LOOK_S = 1.0
"""How often a program may look how far its run is."""

ENDING_S = 10.0
"""How long rank 0 may take to end once it has said what came of its run."""

Look = Callable[[], None]


class Rank0:
    """A process that leads runs: one at a time, whichever thread asks for it."""

    def __init__(self, frames: Frames, pid: int) -> None:
        """Speak with it over `frames`; `pid` is to be signalled."""
        self._frames = frames
        self._pid = pid
        self._free = threading.Lock()

    def lead(self, request: RunRequest, look: Look) -> RunEnd | None:
        """Have it lead a run, and `look` about once a second; None where it is gone meanwhile.

        Whatever comes between, an interrupt above all, is raised when the run has been drained.
        """
        with self._free:
            self._frames.send(msgspec.msgpack.encode(request))
            self._frames.drain()
            try:
                while not await_any([self._frames.fileno()], limit_s=LOOK_S):
                    look()
                return self._hear()
            except BaseException:
                self._drain()
                raise

    def _hear(self) -> RunEnd | None:
        said = self._frames.wait()
        return msgspec.msgpack.decode(said[0], type=RunEnd) if said else None

    def _drain(self) -> None:
        """Have it end the run; at once, where it is interrupted again."""
        while True:
            try:
                os.kill(self._pid, signal.SIGINT)
                self._hear()
            except KeyboardInterrupt:
                continue
            except ProcessLookupError:
                return
            return


def lead(request: RunRequest, look: Look) -> None:
    """Have a run led to its end; raises HpmpiError, KeyboardInterrupt and Drained."""
    if references.importing:
        raise ObjectiveError(
            f"{references.importing[-1]!r} calls hpmpi.run while it is imported as an objective's "
            'file: have that call under `if __name__ == "__main__":`, or in another file'
        )
    there = of_script()
    if there is not None:
        come_to(there.lead(request, look), None)
    else:
        seen = launched()
        if seen is not None and seen.size > 1 and request.workers is None:
            way_out = "start it with `python -m hpmpi SCRIPT.py`, and the ranks work for one run"
            raise TransportError(f"{seen.size} ranks run this program, each for itself: {way_out}")
        come_to(*started(request, look))


@functools.cache
def of_script() -> Rank0 | None:
    """Find the rank 0 that has started this program; what this one starts has none."""
    rank_0, _, descriptor = os.environ.pop(CONNECTION, "").partition(" ")
    if rank_0 != str(os.getppid()):
        return None
    os.set_inheritable(int(descriptor), False)  # noqa: FBT003 - positional only
    return Rank0(Frames(socket.socket(fileno=int(descriptor))), os.getppid())


def started(request: RunRequest, look: Look) -> tuple[RunEnd | None, int]:
    """Start a rank 0 for a run; return what came of it, and how that process has ended.

    It is in a session of its own: Ctrl-C is for this program, which then drains the run.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what it inherits, until it is ready
    try:
        process, wire = spawn.wired(
            "hpmpi.leader.run_requests", env=unlaunched(), start_new_session=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    frames = Frames(wire)
    try:
        end = Rank0(frames, process.pid).lead(request, look)
        return end, process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        return end, -signal.SIGKILL
    finally:
        frames.close()
        process.kill()
        process.wait()


def come_to(end: RunEnd | None, code: int | None) -> None:
    """Raise what a run has come to, where that is no result; `code` is rank 0's that is gone."""
    if end is None and code != TRY_AGAIN:
        ending = "" if code is None else f" with {code}"
        raise HpmpiError(f"rank 0 has ended{ending} in the middle: the same call goes on from here")
    if end is None:
        raise Drained(TRY_AGAIN)
    end.raise_error()
    match end.outcome:
        case Outcome.DRAINED:
            raise KeyboardInterrupt if end.why == signal.SIGINT.name else Drained(TRY_AGAIN)
        case Outcome.DESERTED:
            raise TransportError("no rank is left: the same call goes on from here")
        case Outcome.UNFIT:
            raise ObjectiveError(f"no rank can work:\n{end.why}")
        case Outcome.FAILED:
            raise ObjectiveError(f"trials fail alike, and none has succeeded: {end.why}\n{MENDED}")
        case _:
            pass
