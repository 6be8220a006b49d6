"""`python -m hpmpi script.py`: a program of the user's, whose runs the ranks of an mpirun work at.

    rank 0 ---starts---> script.py          as `python script.py` is, without MPI in it
       ^                     |
       +-----RunRequest------+ hpmpi.run    one after the other; a rank 0 is beside it

The other ranks stay from run to run, and leave when the script has ended, with its exit code.
Without mpirun it is `python script.py`, and nothing more.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from hpmpi.api.leading import CONNECTION
from hpmpi.errors import SettingsError
from hpmpi.guard import guard
from hpmpi.leader import run, run_requests
from hpmpi.leader.kept_ranks import KeptRanks
from hpmpi.leader.run import Plan
from hpmpi.leader.run_requests import RunRequest
from hpmpi.model.timers import Every
from hpmpi.transports import launched, unlaunched
from hpmpi.transports.framing import Frames, await_any
from hpmpi.views.run_view import Summary
from hpmpi.worker.entry import SIGNALS, join_mpi

BEAT_S = 30.0
"""How often the ranks hear between runs that rank 0 is alive."""

LOOK_S = 0.5
"""How often it is looked whether a script has ended, whose connection something else may hold."""


def follow(words: list[str]) -> int:
    """Run a script, whose name and arguments `words` are, and what it asks for; return its code.

    Raises HpmpiError.
    """
    seen = launched()
    if not Path(words[0]).is_file():
        run.dismiss()
        raise SettingsError([f"there is no script {words[0]}"])
    command = [sys.executable, *words]
    if seen is None or seen.size == 1:
        os.execv(sys.executable, command)  # noqa: S606 - it is no more than this
    ranks = KeptRanks(join_mpi())
    try:
        code = Script(command, ranks).run()
    finally:
        ranks.dismiss()
    return code if code >= 0 else 128 - code


class Script:
    """A program that was started, whose rank 0 this process is."""

    def __init__(self, command: list[str], ranks: KeptRanks) -> None:
        """Start it."""
        ours, theirs = socket.socketpair()
        with theirs:
            told = {CONNECTION: f"{os.getpid()} {theirs.fileno()}"}
            kept = [theirs.fileno()]
            self._process = subprocess.Popen(command, pass_fds=kept, env=unlaunched() | told)
        self._frames = Frames(ours)
        self._ranks = ranks

    def run(self) -> int:
        """Do what it asks for until it ends; return its exit code, or minus the signal."""
        self._listen()
        beat_again = Every(BEAT_S)
        while self._process.poll() is None and not self._frames.closed:
            await_any([self._frames.fileno()], limit_s=LOOK_S)
            for message in self._frames.receive():
                self._lead(message)
            if beat_again.is_due(time.monotonic()):
                self._ranks.beat()
        return self._process.wait()

    def _lead(self, message: bytes) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the run listens
        request = msgspec.msgpack.decode(message, type=RunRequest)
        end = run_requests.answer(request, self._lead_next)
        guard.tell_of_no_run()
        self._listen()
        self._frames.send(msgspec.msgpack.encode(end))
        self._frames.drain()

    def _lead_next(self, plan: Callable[[], Plan], workers: int | None) -> Summary:
        if workers is not None:
            raise SettingsError(["workers is for a run without mpirun: use one or the other"])
        return run.lead_next(plan, self._ranks)

    def _listen(self) -> None:
        """Have signals be for the script, which has no terminal."""
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._process.send_signal(number)
